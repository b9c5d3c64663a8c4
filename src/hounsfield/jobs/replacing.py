"""Changed copies that take the place of their originals when all of them are there, whatever happens to the job.

Until then they are files that nobody sees. A job that fails deletes them; one that was killed begins anew, unless the
index has the first of them: all have their rows then.
"""

from collections.abc import Callable, Iterator, Sequence

from hounsfield.errors import Conflict, DatabaseUnavailable, StorageFull
from hounsfield.index.database import Transaction
from hounsfield.index.insertion import has_file
from hounsfield.index.replacing import Replacement
from hounsfield.ingest.replacing import discard, replace_all
from hounsfield.jobs.kinds import JobRun, TryAgain
from hounsfield.jobs.rewriting import Tally, Workshop

_FIRST = "replaced_by"
"""In the state of a job, the first of the files that take the place of originals."""


def were_replaced(run: JobRun, workshop: Workshop, instances: Sequence[str]) -> bool:
    """Whether an earlier run had its copies take the place of their originals.

    If it only began with that, what it remembers is forgotten: its copies are gone.
    """
    results = Tally(run).results
    if not any(result == original for original, result in zip(instances, results, strict=False)):
        return False
    first = run.state.get(_FIRST)
    if isinstance(first, str):
        with workshop.archive.database.read() as tx:
            if has_file(tx, first):
                return True
    run.state.clear()
    return False


def replace_originals(
    run: JobRun, workshop: Workshop, staged: list[Replacement], complete: Callable[[Transaction], None]
) -> Iterator[None]:
    """Let copies take the place of their originals, and empty the list; `complete` does the rest at the same time.

    Raises
    ------
    OriginalsChanged, StorageFull
        As of `replace_all`; the originals stay.
    TryAgain
        If the database is away: what became of it is seen when it is back.
    """
    if not staged:
        return
    run.state[_FIRST] = staged[0].file.uuid
    run.is_save_wanted = True
    yield
    try:
        replace_all(workshop.intake, staged, complete)
    except (Conflict, StorageFull):  # Surely not committed.
        raise
    except DatabaseUnavailable as cause:
        staged.clear()
        raise TryAgain("The database is not available") from cause
    except BaseException:
        staged.clear()  # Should they have no rows, the next start deletes them.
        raise
    staged.clear()
    yield


def discard_staged(workshop: Workshop, staged: list[Replacement]) -> None:
    """Delete the copies that are still on the list."""
    discard(workshop.intake, staged)
    staged.clear()

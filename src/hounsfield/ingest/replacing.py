"""Changed copies of instances that take the place of their originals: all at once, or none.

`receive` puts each copy into the storage area, with a note that says that it is staged: without a row it is nothing,
and the next start deletes it. One transaction then gives all of them their rows, and takes those of the originals away.
"""

from collections.abc import Callable, Sequence

from hounsfield.events import ResourceDeleted
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import Deleted
from hounsfield.index.insertion import Added
from hounsfield.index.replacing import Replacement, replace_instances
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.receive import make_room, tell
from hounsfield.store.area import FileKey


def replace_all(
    intake: Intake, staged: Sequence[Replacement], complete: Callable[[Transaction], None]
) -> None:
    """Let copies take the place of their originals, durably; `complete` does the rest in the same transaction.

    Raises
    ------
    OriginalsChanged
        If an original is gone, or was replaced otherwise. Nothing is changed then, and neither by other errors.
    StorageFull
        If there is no room.
    """

    def work(tx: Transaction) -> tuple[list[Added], list[Deleted]]:
        added = replace_instances(tx, staged)
        complete(tx)
        return added, make_room(tx, intake.options, [each.new for each in staged])

    added, recycled = intake.archive.database.write(work)
    for each, outcome in zip(staged, added, strict=True):
        tell(intake, each.new, FileKey(each.file.uuid), outcome)
    for deleted in recycled:
        for level, public_id in deleted.resources:
            intake.archive.events.publish(ResourceDeleted(level, public_id))
    intake.settling.files_were_deleted()


def discard(intake: Intake, staged: Sequence[Replacement]) -> None:
    """Delete copies that are not to take the place of anything."""
    intake.archive.storage.remove([FileKey(each.file.uuid) for each in staged])

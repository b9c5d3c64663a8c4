"""Making new instances of old ones: what modification, splitting and merging have in common.

The new identifiers of an instance depend on nothing but its old ones and the key of the job. A job that is run again
after an interruption makes the same files, finds those that it stored before, and stores none twice. An original is
deleted only when all new instances are durable, and never if it is one of them.
"""

import mmap
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.rewriting import ChangedFile, read_for_change, write_changed
from hounsfield.dicom.scan import Buffer
from hounsfield.errors import ArchiveError, Corrupt, NotFound, Refused, Unsupported
from hounsfield.events import ResourceDeleted
from hounsfield.http.errors import CannotStoreInstance
from hounsfield.index.attachments import Attachment
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import delete
from hounsfield.index.metadata import MetadataType, get_stored, put_metadata
from hounsfield.index.replacing import Replacement
from hounsfield.index.resources import ancestor, find_row
from hounsfield.ingest.instance import Origin, date_of
from hounsfield.ingest.intake import Incoming, Intake, Outcome, Overwrite, Receipt
from hounsfield.ingest.receive import receive
from hounsfield.jobs.kinds import JobRun
from hounsfield.retrieve.files import PlainFile, find_dicom, plain_file, read_attachment, read_file

Change = Callable[[Head, MutableDataset], None]
"""Changes a data set in place."""

Recode = Callable[[Buffer], bytes]
"""Gives a whole file in another transfer syntax.

Raises
------
Unsupported
    If that is not feasible.
"""

PublicIds = tuple[PublicId, PublicId, PublicId, PublicId]
LARGE = 16 << 20
"""Bytes from which files are mapped rather than read."""

_SMALLEST_SCRATCH = 1 << 20
_DELETED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Workshop:
    """What these jobs work with; `threads` wait for the disk at the same time."""

    intake: Intake
    threads: int = 8
    lossy_quality: int = 90

    @property
    def archive(self) -> Archive:
        """The archive that is read and written."""
        return self.intake.archive


@dataclass(frozen=True, slots=True)
class Made:
    """The public ids of an instance and of the new one, from the patient down."""

    source: PublicIds
    result: PublicIds


@contextmanager
def read_original(archive: Archive, public_id: str) -> Iterator[Buffer]:
    """The file of an instance, for the length of a block.

    One of `LARGE` bytes or more is mapped, and stays valid as long as there are views of it.

    Raises
    ------
    NotFound, Corrupt
        If there is none, or it is damaged.
    """
    with _open_file(archive, find_dicom(archive, public_id)) as file:
        yield file


@contextmanager
def _open_file(archive: Archive, attachment: Attachment) -> Iterator[Buffer]:
    plain = plain_file(archive, attachment)
    if plain is None:
        yield read_attachment(archive, attachment)
    elif plain.size < LARGE:
        # Taking memory for each file anew takes longer than reading it.
        view = memoryview(_scratch(plain.size))[: plain.size]
        _read_into(plain, view)
        yield view
    else:
        try:
            with plain.path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), plain.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as cause:
            raise NotFound("The file of an instance is gone") from cause
        yield memoryview(mapped)


_local = threading.local()


def _scratch(size: int) -> bytearray:
    """Memory of this thread, for one file at a time."""
    found: bytearray | None = getattr(_local, "scratch", None)
    if found is None or len(found) < size:
        found = bytearray(max(size, _SMALLEST_SCRATCH))
        _local.scratch = found
    return found


def _read_into(plain: PlainFile, view: memoryview) -> None:
    try:
        with plain.path.open("rb", buffering=0) as file:
            count = file.readinto(view)
    except OSError as cause:
        raise NotFound("The file of an instance is gone") from cause
    if count != plain.size:
        raise Corrupt("The file of an instance is shorter than the index says")


def rewrite(
    workshop: Workshop,
    origin: Origin,
    public_id: str,
    change: Change,
    kind: MetadataType | None,
    *,
    recode: Recode | None = None,
    is_own_uid: bool = True,
    staged: list[Replacement] | None = None,
) -> Made:
    """Store a changed copy of an instance; one that cannot be recoded is stored as it is.

    `kind` is the metadata of the copy that names the original. With `is_own_uid` nobody but this job can have made its
    SOP Instance UID: what is stored already is what an interrupted run stored. With `staged`, a copy with the
    identifiers of its original is not stored but put there.

    Raises
    ------
    CannotStoreInstance
        If it was filtered out, or the archive has another instance with its identifiers.
    ArchiveError
        As of reading and receiving.
    """
    intake = workshop.intake
    attachment = find_dicom(intake.archive, public_id)
    with _open_file(intake.archive, attachment) as original:
        head, dataset = read_for_change(original, default_encoding=intake.options.default_encoding)
        change(head, dataset)
        source = _source_ids(workshop.archive, head, public_id)
        changed = write_changed(head, dataset)
        if recode is not None:
            with suppress(Unsupported):
                changed = ChangedFile(recode(changed.to_bytes()), ())
        incoming = Incoming(
            origin,
            changed.start,
            is_transcoded=recode is not None,
            rest=changed.rest,
            made_from=None if kind is None else (kind, public_id),
            is_uid_kept=True,
            original=public_id,
            replaced=None if staged is None else attachment.uuid,
        )
        if intake.filters or intake.transcode is not None:
            incoming = replace(incoming, content=changed.to_bytes(), rest=())
        receipt = _store(intake, incoming, changed, is_own_uid=is_own_uid)
        if receipt.staged is not None and staged is not None:
            staged.append(receipt.staged)
        return Made(source, receipt.identifiers.public_ids())


def _source_ids(archive: Archive, head: Head, public_id: str) -> PublicIds:
    found = identify(head.dataset).public_ids()
    if found[Level.INSTANCE] == public_id:
        return found
    # It was stored when another default encoding was in force.
    with archive.database.read() as tx:
        patient, study, series, instance = (ancestor(tx, Level.INSTANCE, public_id, level) for level in Level)
    return patient, study, series, instance


def _store(intake: Intake, incoming: Incoming, changed: ChangedFile, *, is_own_uid: bool) -> Receipt:
    try:
        receipt = receive(intake, incoming)
    except Refused as cause:
        raise CannotStoreInstance("A new instance was turned away") from cause
    public_ids = receipt.identifiers.public_ids()
    if receipt.outcome is Outcome.FILTERED_OUT:
        raise CannotStoreInstance("A new instance was filtered out")
    is_known = receipt.outcome is Outcome.ALREADY_STORED and not is_own_uid
    if is_known and not _is_stored(intake, public_ids, changed):
        raise CannotStoreInstance(
            f"The archive has another instance {public_ids[Level.INSTANCE]}, and does not overwrite it"
        )
    if receipt.outcome is Outcome.ALREADY_STORED and incoming.made_from is not None:
        # An interrupted run stored it, and its row may have been made again without this.
        kind, original = incoming.made_from
        write_origins(
            intake.archive, Level.INSTANCE, [(public_ids[Level.INSTANCE], original)], MetadataType(kind)
        )
    return receipt


def _is_stored(intake: Intake, public_ids: PublicIds, changed: ChangedFile) -> bool:
    """Whether the archive has just this file."""
    if intake.options.overwrite is Overwrite.IF_CHANGED:
        return True
    return read_file(intake.archive, public_ids[Level.INSTANCE]) == changed.to_bytes()


# --- A whole job ---


@dataclass(slots=True)
class Tally:
    """How far a job is, in its saved state: what was made of each instance, "" where that failed."""

    run: JobRun

    @property
    def results(self) -> list[str]:
        """The new instances, in the order of the originals."""
        found = self.run.state.setdefault("results", [])
        assert isinstance(found, list)
        return found

    @property
    def parents(self) -> dict[str, dict[str, str]]:
        """By level, the sources of new patients, studies and series by their public ids."""
        found = self.run.state.setdefault("parents", {"0": {}, "1": {}, "2": {}})
        assert isinstance(found, dict)
        return found

    @property
    def failed(self) -> int:
        """How many instances could not be done."""
        return sum(1 for result in self.results if not result)

    def add(self, made: Made | None) -> None:
        """Note what was made of the next instance."""
        self.results.append(made.result[Level.INSTANCE] if made else "")
        if made is not None:
            for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
                self.parents[str(int(level))].setdefault(made.result[level], made.source[level])


def rewrite_all(
    run: JobRun,
    workshop: Workshop,
    instances: Sequence[str],
    one: Callable[[str], Made],
) -> Iterator[None]:
    """Make new instances of all, several at a time.

    Raises
    ------
    ArchiveError
        What the first instance failed with, unless the job is permissive. Originals are untouched.
    """
    tally = Tally(run)
    waiting: deque[Future[Made]] = deque()
    following = len(tally.results)
    pool = ThreadPoolExecutor(workshop.threads, "rewriting")
    try:
        while len(tally.results) < len(instances):
            while following < len(instances) and len(waiting) < 2 * workshop.threads:
                # In this context: what filters ask for is asked by this job.
                waiting.append(pool.submit(copy_context().run, one, instances[following]))
                following += 1
            done = [_result(waiting.popleft(), run)]
            while waiting and waiting[0].done():
                done.append(_result(waiting.popleft(), run))
            for made in done:
                tally.add(made)
            run.progress = 0.9 * len(tally.results) / max(1, len(instances))
            yield
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[Made], run: JobRun) -> Made | None:
    try:
        return future.result()
    except ArchiveError:
        if not run.is_permissive:
            raise
        return None


def write_origins(
    archive: Archive, level: Level, pairs: Sequence[tuple[str, str]], kind: MetadataType
) -> None:
    """Record what resources of a level were made of; (result, source) pairs of the same resource are passed over."""
    changed = [(result, source) for result, source in pairs if result != source]

    def work(tx: Transaction) -> None:
        for result, source in changed:
            row = find_row(tx, level, result)
            stored = get_stored(tx, level, row, kind) if row is not None else None
            if row is not None and (stored is None or stored.value != source):
                put_metadata(tx, level, row, kind, source)

    if changed:
        archive.database.write(work, durable=False)


def delete_originals(run: JobRun, workshop: Workshop, instances: Sequence[str]) -> Iterator[None]:
    """Delete the originals of what was made, once that is durable; where nothing was made, the original stays.

    Raises
    ------
    NotFound
        If somebody deleted a new instance meanwhile; all originals stay.
    CannotStoreInstance
        If not every original has a new instance of its own; all originals stay.
    """
    archive = workshop.archive
    results = Tally(run).results
    stays = set(results)
    done = [original for original, result in zip(instances, results, strict=True) if result]
    with archive.database.read() as tx:
        missing = [result for result in stays if result and find_row(tx, Level.INSTANCE, result) is None]
    if missing:
        raise NotFound(f"The new instance {missing[0]} is no longer there; the originals stay")
    if len(stays - {""}) < len(done):
        raise CannotStoreInstance(
            "Several instances have become one, with the same identifiers; the originals stay"
        )
    # A job that is run again must not look for originals that are gone: what was made is saved first.
    run.is_save_wanted = True
    yield
    archive.database.sync()
    gone = [original for original in done if original not in stays]
    for start in range(0, len(gone), _DELETED_AT_ONCE):
        _delete(workshop, gone[start : start + _DELETED_AT_ONCE])
        yield


def _delete(workshop: Workshop, instances: Sequence[str]) -> None:
    date = date_of(workshop.intake.clock_ns())

    def work(tx: Transaction) -> list[tuple[Level, PublicId]]:
        found: list[tuple[Level, PublicId]] = []
        for public_id in instances:
            if find_row(tx, Level.INSTANCE, public_id) is not None:
                found += delete(tx, Level.INSTANCE, public_id, date).resources
        return found

    deleted = workshop.archive.database.write(work)
    workshop.intake.settling.files_were_deleted()
    for level, public_id in deleted:
        workshop.archive.events.publish(ResourceDeleted(level, public_id))

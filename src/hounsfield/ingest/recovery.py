"""Start-up after whatever happened: rows that were lost are made again, torn files are swept.

Only the files that may be concerned are looked at (`StorageArea.recent`), so this takes a bounded time.
"""

import logging
from dataclasses import dataclass

from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import ArchiveError
from hounsfield.index.attachments import AttachmentType, Compression, has_file, is_deleted_file
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import mark_file_deleted
from hounsfield.index.insertion import NewAttachment, add_instance
from hounsfield.ingest.instance import describe
from hounsfield.ingest.note import Note, read_note
from hounsfield.ingest.receive import Intake
from hounsfield.store.area import FileKey, Recent
from hounsfield.store.compression import decompress

_log = logging.getLogger("hounsfield.generic")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What start-up found: rows made again, and files that were torn or no longer wanted."""

    rows: int
    swept: int


def recover(intake: Intake) -> Recovered:
    """Bring the index and the storage area in agreement; to be called before anything is received."""
    archive = intake.archive
    lost: list[tuple[Recent, Note]] = []
    swept: list[FileKey] = []
    for recent in archive.storage.recent():
        with archive.database.read() as tx:
            is_known = has_file(tx, recent.key)
            is_deleted = is_deleted_file(tx, recent.key)
        if is_known:
            if recent.note is not None:
                intake.settling.add(recent.key)
        elif recent.note is None or is_deleted:
            swept.append(recent.key)
        else:
            lost.append((recent, read_note(recent.note)))
    rows = sum(_restore(intake, recent, note, swept) for recent, note in sorted(lost, key=_received))
    if rows:
        archive.database.sync()
    archive.storage.remove(swept)
    if rows or swept:
        _log.warning(
            "Recovery: %d instances were indexed again, %d unfinished files were deleted", rows, len(swept)
        )
    return Recovered(rows, len(swept))


def _received(found: tuple[Recent, Note]) -> int:
    return found[1].reception.received_ns


def _restore(intake: Intake, recent: Recent, note: Note, swept: list[FileKey]) -> bool:
    """Index a file whose row was lost; False if the index has its instance in another file."""
    data = intake.archive.storage.read(recent.key, 0, recent.size)
    if note.compression == Compression.ZLIB_WITH_SIZE:
        data = decompress(data)
    try:
        head = read_head(data, default_encoding=intake.options.default_encoding)
        identifiers = identify(head.dataset)
    except ArchiveError:
        _log.exception(
            "File %s was stored and cannot be indexed again; it is left in the storage area", recent.key
        )
        return False
    attachment = NewAttachment(AttachmentType.DICOM, recent.key, len(data), recent.size, note.compression)
    new = describe(
        head,
        identifiers,
        note.reception,
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
    )

    def work(tx: Transaction) -> bool:
        added = add_instance(tx, new, attachment, overwrite=note.overwrite)
        if not added.is_new:
            mark_file_deleted(tx, recent.key)
        return added.is_new

    is_new = intake.archive.database.write(work, durable=False)
    if is_new:
        intake.settling.add(recent.key)
    else:
        swept.append(recent.key)
    return is_new

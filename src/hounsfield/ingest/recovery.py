"""Start-up after whatever happened: rows that were lost are made again, torn files are swept.

Only the files that may be concerned are looked at (`StorageArea.recent`), so this takes a bounded time.
"""

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import ArchiveError, Corrupt, NotFound
from hounsfield.index.attachments import AttachmentType, Compression, stored_sizes
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import keep_deleted_files, mark_file_deleted
from hounsfield.index.insertion import NewAttachment, add_instance
from hounsfield.ingest.instance import describe
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.note import ATTACHMENT_NOTE, Note, read_note
from hounsfield.store.area import FileKey, Recent
from hounsfield.store.compression import decompress
from hounsfield.store.note import crc32_of_parts

_log = logging.getLogger("hounsfield.generic")
_PAGE = 500


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
    is_complete = _is_index_of(archive)
    recent = archive.storage.recent()
    while page := list(islice(recent, _PAGE)):
        keys = [each.key for each in page]
        with archive.database.read() as tx:
            sizes, deleted = stored_sizes(tx, keys), set(keep_deleted_files(tx, keys))
        for each in page:
            if each.key in sizes:
                # The content of a settled file may itself end like a note: it is as long as its row says.
                if each.note is not None and each.size == sizes[each.key]:
                    intake.settling.add(each.key)
                continue
            found = archive.storage.find(each.key)
            if each.key in deleted or (found is not None and found.note is None and is_complete):
                swept.append(each.key)
            elif found is not None and found.note is not None:
                with contextlib.suppress(Corrupt):  # Then it was not received by us: it is left where it is.
                    note = read_note(found.note)
                    if not note.is_staged:
                        lost.append((found, note))
                    elif is_complete:
                        swept.append(each.key)
    rows = sum(_restore(intake, recent, note, swept) for recent, note in sorted(lost, key=_received))
    if rows or swept:
        archive.database.sync()
    archive.storage.remove(swept)
    if rows or swept:
        _log.warning(
            "Recovery: %d instances were indexed again, %d unfinished files were deleted", rows, len(swept)
        )
    return Recovered(rows, len(swept))


def adopt(intake: Intake, left: Iterable[Recent]) -> int:
    """Index what a server that will not come back had acknowledged, of the files with a note that it `left`.

    Nothing is deleted: should it live after all, it goes on with its files as if nothing had happened. What was torn
    stays where it is. How many rows were made.
    """
    archive = intake.archive
    lost: list[tuple[Recent, Note]] = []
    files = iter(left)
    while page := list(islice(files, _PAGE)):
        keys = [each.key for each in page]
        with archive.database.read() as tx:
            sizes, deleted = stored_sizes(tx, keys), set(keep_deleted_files(tx, keys))
        for each in page:
            if each.key in sizes:
                if each.size == sizes[each.key]:
                    intake.settling.add(each.key)
            elif each.key not in deleted and (whole := archive.storage.find(each.key)) and whole.note:
                with contextlib.suppress(Corrupt):
                    note = read_note(whole.note)
                    if not note.is_staged:
                        lost.append((whole, note))
    return sum(_restore(intake, recent, note, []) for recent, note in sorted(lost, key=_received))


def restore_lost(intake: Intake, keys: Iterable[FileKey]) -> None:
    """Index files again whose rows the database lost while this server went on."""
    swept: list[FileKey] = []
    rows = 0
    for key in keys:
        recent = intake.archive.storage.find(key)
        if recent is not None and recent.note is not None and recent.note != ATTACHMENT_NOTE:
            rows += _restore(intake, recent, read_note(recent.note), swept)
    if swept:
        intake.settling.files_were_deleted()
    if rows:
        _log.warning("The database lost %d instances, which were indexed again", rows)


def _is_index_of(archive: Archive) -> bool:
    """Whether the index knows of all files that were settled: it was not lost, nor put back from an older copy."""
    with archive.database.read() as tx:
        known = tx.total("synchronisations")
    if known >= archive.storage.settled_mark():
        return True
    _log.error("The index is older than the storage area: files that have no row in it are left alone")
    return False


def _received(found: tuple[Recent, Note]) -> int:
    return found[1].reception.received_ns


def _restore(intake: Intake, recent: Recent, note: Note, swept: list[FileKey]) -> bool:
    """Index a file whose row was lost; False if the index has its instance in another file."""
    try:
        data = intake.archive.storage.read(recent.key, 0, recent.size)
    except NotFound:  # Another server deleted the instance meanwhile.
        return False
    crc32 = crc32_of_parts([data])
    try:
        if note.compression == Compression.ZLIB_WITH_SIZE:
            data = decompress(data)
        head = read_head(data, default_encoding=intake.options.default_encoding)
        identifiers = identify(head.dataset)
    except ArchiveError:
        _log.exception(
            "File %s was stored and cannot be indexed again; it is left in the storage area", recent.key
        )
        return False
    attachment = NewAttachment(
        AttachmentType.DICOM, recent.key, len(data), recent.size, note.compression, stored_crc32=crc32
    )
    public_ids = identifiers.public_ids()
    new = describe(
        head,
        identifiers,
        note.reception,
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
        public_ids=public_ids,
        header=intake.headers.pack(head, public_ids[Level.SERIES]),
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

"""Files that clients attach to resources, and another compression for those that are stored.

The order is that of `receive`: the file is durable, then its row is committed, then events tell of it. Of such a
file no row can be made again: when its row is lost in a power cut, so is the file, for nobody was told that it is safe.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, DatabaseUnavailable, NotFound, StorageFull
from hounsfield.events import AttachmentUpdated
from hounsfield.index.attachments import (
    Attachment,
    Compression,
    attachments_of,
    put_attachment,
    remove_attachment,
)
from hounsfield.index.changes import ChangeType, log_change
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key
from hounsfield.index.resources import get_row
from hounsfield.ingest.instance import date_of
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.note import ATTACHMENT_NOTE
from hounsfield.store.area import FileKey
from hounsfield.store.compression import compress_pieces, decompress_pieces
from hounsfield.store.spool import Buffer, SpoolFile

_CHUNK = 4 << 20

Check = Callable[[Attachment | None], None]
"""Looks at what is attached now, and raises if it may not be changed."""


def attach(
    intake: Intake, level: Level, public_id: str, kind: int, content: memoryview, check: Check
) -> Attachment:
    """Attach bytes to a resource, in place of those of the same kind.

    Raises
    ------
    NotFound
        If there is no such resource.
    StorageFull
        If there is no room.
    ArchiveError
        As `check` has it.
    """
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    is_compressed = intake.options.is_compressed
    stored = _store(intake, [content], len(content), is_compressed)
    new = Attachment(
        type=kind,
        uuid=stored.key,
        size=len(content),
        stored_size=stored.size,
        compression=Compression.ZLIB_WITH_SIZE if is_compressed else Compression.NONE,
        md5=md5,
        stored_md5=stored.md5,
        revision=0,
    )

    def choose(existing: Attachment | None) -> Attachment:
        check(existing)
        return new if existing is None else replace(new, revision=existing.revision + 1)

    put = _put(intake, level, public_id, kind, choose, stored.key, is_change=True)
    intake.archive.events.publish(AttachmentUpdated(level, public_id, kind))
    return put


def detach(intake: Intake, level: Level, public_id: str, kind: int, check: Check) -> None:
    """Delete what is attached.

    Raises
    ------
    NotFound
        If there is no such resource, or nothing of this kind.
    ArchiveError
        As `check` has it.
    """
    date = date_of(intake.clock_ns())

    def work(tx: Transaction) -> None:
        row = get_row(tx, level, public_id)
        existing = _of_kind(tx, level, row, kind)
        if existing is None:
            raise NotFound("There is no such attachment")
        check(existing)
        remove_attachment(tx, level, row, kind)
        log_change(tx, ChangeType.UPDATED_ATTACHMENT, level, row, to_key(public_id), date)

    intake.archive.database.write(work)
    intake.settling.files_were_deleted()
    intake.archive.events.publish(AttachmentUpdated(level, public_id, kind))


def recompress(
    intake: Intake, level: Level, public_id: str, attachment: Attachment, *, to: Compression
) -> None:
    """Store a file once more, compressed or not, in place of what it was stored as.

    Raises
    ------
    NotFound
        If it is no longer there.
    Corrupt
        If it is damaged: then it stays as it is.
    StorageFull
        If there is no room for both.
    """
    content = _content(intake, attachment)
    stored = _store(intake, content, attachment.size, to is Compression.ZLIB_WITH_SIZE)

    def choose(existing: Attachment | None) -> Attachment:
        if existing is None or existing.uuid != attachment.uuid:
            raise NotFound("The attachment was changed meanwhile")
        return replace(
            existing,
            uuid=stored.key,
            stored_size=stored.size,
            stored_md5=stored.md5,
            md5=existing.md5 or stored.content_md5,
            compression=to,
            revision=existing.revision + 1,
        )

    _put(intake, level, public_id, attachment.type, choose, stored.key, is_change=False)


def replace_content(
    intake: Intake,
    level: Level,
    public_id: str,
    attachment: Attachment,
    content: Buffer,
    *,
    to: Compression,
    also: Callable[[Transaction], None],
) -> None:
    """Store other bytes in place of an attachment, and do `also` in the same transaction; errors as of `recompress`."""
    stored = _store(intake, [content], len(content), to is Compression.ZLIB_WITH_SIZE)

    def choose(existing: Attachment | None) -> Attachment:
        if existing is None or existing.uuid != attachment.uuid:
            raise NotFound("The attachment was changed meanwhile")
        return replace(
            existing,
            uuid=stored.key,
            size=len(content),
            stored_size=stored.size,
            md5=stored.content_md5,
            stored_md5=stored.md5,
            compression=to,
            revision=existing.revision + 1,
        )

    _put(intake, level, public_id, attachment.type, choose, stored.key, is_change=False, also=also)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A file that was just stored; `content_md5` is that of its bytes before compression."""

    key: FileKey
    size: int
    md5: str
    content_md5: str


def _content(intake: Intake, attachment: Attachment) -> Iterable[Buffer]:
    """The uncompressed bytes of an attachment, in pieces."""
    key = FileKey(attachment.uuid)
    stored = (
        intake.archive.storage.read(key, start, min(_CHUNK, attachment.stored_size - start))
        for start in range(0, attachment.stored_size, _CHUNK)
    )
    return decompress_pieces(stored) if attachment.compression == Compression.ZLIB_WITH_SIZE else stored


def _store(intake: Intake, content: Iterable[Buffer], length: int, is_compressed: bool) -> _Stored:
    """Put `length` bytes in the storage area."""
    content_md5 = hashlib.md5(usedforsecurity=False)
    with_md5 = _hashed(content, content_md5)
    pieces: Iterable[Buffer] = compress_pieces(length, with_md5) if is_compressed else with_md5
    stored_md5 = hashlib.md5(usedforsecurity=False)
    hashed = _hashed(pieces, stored_md5)
    if intake.spool is None:
        kept = [piece for piece in hashed if len(piece)]
        key, size = intake.archive.storage.create(kept, ATTACHMENT_NOTE), sum(map(len, kept))
        return _Stored(key, size, stored_md5.hexdigest(), content_md5.hexdigest())
    spooled = intake.spool.create()
    try:
        size = _spool(spooled, hashed)
        key = intake.archive.storage.adopt(spooled, ATTACHMENT_NOTE)
    except OSError as error:
        raise StorageFull("An attachment cannot be spooled") from error
    finally:
        spooled.close()
    return _Stored(key, size, stored_md5.hexdigest(), content_md5.hexdigest())


def _hashed(pieces: Iterable[Buffer], digest: "hashlib._Hash") -> Iterable[Buffer]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _spool(spooled: SpoolFile, pieces: Iterable[Buffer]) -> int:
    for piece in pieces:
        spooled.write(piece)
    return spooled.size


def _put(
    intake: Intake,
    level: Level,
    public_id: str,
    kind: int,
    choose: Callable[[Attachment | None], Attachment],
    key: FileKey,
    *,
    is_change: bool,
    also: Callable[[Transaction], None] | None = None,
) -> Attachment:
    """Commit the row that `choose` makes of the one that is there; the file is removed if it is not wanted."""
    date = date_of(intake.clock_ns())

    def work(tx: Transaction) -> Attachment:
        row = get_row(tx, level, public_id)
        new = choose(_of_kind(tx, level, row, kind))
        put_attachment(tx, level, row, new)
        if also is not None:
            also(tx)
        if is_change:
            log_change(tx, ChangeType.UPDATED_ATTACHMENT, level, row, to_key(public_id), date)
        return new

    try:
        put = intake.archive.database.write(work)
    except DatabaseUnavailable:  # Whether the row was committed is seen when the database is back.
        intake.settling.add(key)
        raise
    except ArchiveError:
        intake.archive.storage.remove([key])
        raise
    intake.settling.add(key)
    intake.settling.files_were_deleted()
    return put


def _of_kind(tx: Transaction, level: Level, row: int, kind: int) -> Attachment | None:
    return next((each for each in attachments_of(tx, level, row) if each.type == kind), None)

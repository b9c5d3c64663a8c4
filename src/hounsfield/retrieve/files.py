"""The file of an instance, and other attachments."""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hounsfield.archive import Archive
from hounsfield.dicom.levels import Level
from hounsfield.errors import Corrupt, NotFound
from hounsfield.index.attachments import Attachment, AttachmentType, Compression, find_attachment, set_md5
from hounsfield.store.area import FileKey
from hounsfield.store.compression import decompress, decompress_pieces, decompress_start, stored_prefix
from hounsfield.store.spool import Buffer

_CHUNK = 4 << 20
_MAPPED = 4 << 20
"""Bytes from which mapping a file is cheaper than reading it."""


@dataclass(frozen=True, slots=True)
class PlainFile:
    """Bytes that lie in a file of this machine as they are: the first `size` of `path`."""

    path: Path
    size: int


def find_dicom(archive: Archive, public_id: str) -> Attachment:
    """The attachment that holds the file of an instance.

    Raises
    ------
    NotFound
        If there is no such instance.
    """
    with archive.database.read() as tx:
        found = find_attachment(tx, Level.INSTANCE, public_id, AttachmentType.DICOM)
    if found is None:
        raise NotFound("No such instance")
    return found


def plain_file(archive: Archive, attachment: Attachment) -> PlainFile | None:
    """Where the bytes of an attachment can be sent from without reading them; None if they cannot."""
    if attachment.compression != Compression.NONE:
        return None
    path = archive.storage.path(FileKey(attachment.uuid))
    return PlainFile(path, attachment.size) if path is not None else None


def read_attachment(archive: Archive, attachment: Attachment) -> bytes:
    """The bytes of an attachment, decompressed.

    Raises
    ------
    NotFound, Corrupt
        If its file is missing or damaged.
    """
    data = archive.storage.read(FileKey(attachment.uuid), 0, attachment.stored_size)
    return decompress(data) if attachment.compression == Compression.ZLIB_WITH_SIZE else data


def map_attachment(archive: Archive, attachment: Attachment, *, smallest: int = _MAPPED) -> Buffer:
    """The bytes of an attachment, decompressed.

    A file of `smallest` bytes and more that lies here as it is, is mapped and not read.

    Raises
    ------
    NotFound, Corrupt
        If its file is missing or damaged.
    """
    plain = plain_file(archive, attachment) if attachment.size >= smallest else None
    if plain is None:
        return read_attachment(archive, attachment)
    try:
        with plain.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise NotFound(f"The file {attachment.uuid} cannot be read") from error
    if len(mapped) < plain.size:
        raise Corrupt(f"The file {attachment.uuid} is shorter than it was")
    return memoryview(mapped)[: plain.size]


def stream_attachment(archive: Archive, attachment: Attachment) -> Iterator[bytes]:
    """The bytes of an attachment in pieces of some MiB.

    Raises
    ------
    NotFound, Corrupt
        If its file is missing or damaged, maybe after some pieces.
    """
    stored = _stored_pieces(archive, attachment)
    return decompress_pieces(stored) if attachment.compression == Compression.ZLIB_WITH_SIZE else stored


def _stored_pieces(archive: Archive, attachment: Attachment) -> Iterator[bytes]:
    key = FileKey(attachment.uuid)
    for start in range(0, attachment.stored_size, _CHUNK):
        yield archive.storage.read(key, start, min(_CHUNK, attachment.stored_size - start))


def read_start(archive: Archive, attachment: Attachment, length: int) -> bytes:
    """The first `length` bytes of an attachment, or all of it if it is shorter."""
    if attachment.compression == Compression.NONE:
        return archive.storage.read(FileKey(attachment.uuid), 0, min(length, attachment.size))
    stored = min(stored_prefix(length), attachment.stored_size)
    try:
        return decompress_start(archive.storage.read(FileKey(attachment.uuid), 0, stored), length)
    except Corrupt:  # Or written by a compressor that needs more for it.
        return read_attachment(archive, attachment)[:length]


def read_file(archive: Archive, public_id: str) -> bytes:
    """The file of an instance, bit for bit as it came in.

    Raises
    ------
    NotFound
        If there is no such instance.
    """
    return read_attachment(archive, find_dicom(archive, public_id))


def with_md5(archive: Archive, attachment: Attachment) -> Attachment:
    """The same attachment with its MD5, computed now if it was not before, and recorded."""
    if attachment.md5 is not None:
        return attachment
    stored_md5 = md5 = _md5(_stored_pieces(archive, attachment))
    if attachment.compression != Compression.NONE:
        md5 = _md5(stream_attachment(archive, attachment))
    archive.database.write(lambda tx: set_md5(tx, attachment.uuid, md5, stored_md5), durable=False)
    return Attachment(
        attachment.type,
        attachment.uuid,
        attachment.size,
        attachment.stored_size,
        attachment.compression,
        md5,
        stored_md5,
        attachment.revision,
    )


def _md5(pieces: Iterator[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()

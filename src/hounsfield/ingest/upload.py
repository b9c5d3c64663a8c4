"""Files that people send: DICOM, gzip, and ZIP archives such as a medium with its DICOMDIR."""

import errno
import gzip
import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import IO

from hounsfield.errors import ArchiveError, BadRequest, Corrupt, StorageFull
from hounsfield.ingest.instance import Origin
from hounsfield.ingest.intake import Incoming, Intake, Receipt
from hounsfield.ingest.receive import receive
from hounsfield.ingest.resumable import ResumableOptions
from hounsfield.ingest.zip_reader import MAGICS, Entry, entries, expand
from hounsfield.store.spool import Spool, SpoolFile

_log = logging.getLogger("hounsfield.generic")
_CHUNK = 1 << 20
_IN_MEMORY = 4 << 20
_SEEN = 132  # Bytes of a file that tell whether it may be DICOM.
_FIRST_GROUPS = (b"\x02\0", b"\x04\0", b"\x08\0", b"\x10\0", b"\x18\0", b"\x20\0")
_MEDIA_DIRECTORY = b"UI\x14\x001.2.840.10008.1.3.10"  # VR, length and value.

_BROKEN = (zlib.error, struct.error, EOFError, MemoryError, ValueError)  # What gzip raises.

Content = bytes | memoryview | SpoolFile


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """`maximum_entry_size` is the limit in bytes of what a gzip or one entry of a ZIP may expand to; 0 for none.

    Without `resumable` no upload goes on after a cut.
    """

    spool: Spool
    maximum_entry_size: int = 4096 << 20
    resumable: ResumableOptions | None = None


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What became of one entry of a ZIP archive: stored, or why not. `name` may name a patient: it is not for logs."""

    number: int
    name: str
    receipt: Receipt | None
    problem: str = ""


def upload(
    intake: Intake, options: UploadOptions, origin: Origin, content: Content, *, is_gzip: bool = False
) -> Receipt | list[Receipt]:
    """Take in one DICOM file, or each of a ZIP archive in its order.

    In a ZIP, entries that are not DICOM and DICOMDIR are skipped.

    Raises
    ------
    Corrupt
        If this is neither DICOM nor a readable archive.
    StorageFull
        If there is no room; what came before it in a ZIP is stored.
    """
    found = upload_one_by_one(intake, options, origin, content, is_gzip=is_gzip)
    return found if isinstance(found, Receipt) else list(found)


def upload_one_by_one(
    intake: Intake, options: UploadOptions, origin: Origin, content: Content, *, is_gzip: bool = False
) -> Receipt | Iterator[Receipt]:
    """As `upload`, but the files of an archive are taken in while the answer is read; its errors come then too."""
    if is_gzip:
        expanded = _expand_gzip(options, content)
        try:
            found = upload_one_by_one(intake, options, origin, expanded)
        except BaseException:
            _close(expanded)
            raise
        if isinstance(found, Receipt):
            _close(expanded)
            return found
        return _closing(found, expanded)
    if _size(content) == 0:
        raise Corrupt("Received an empty DICOM file")
    if is_zip(content):
        return _receipts(intake, options, origin, content)
    return receive(intake, Incoming(origin, content))


def upload_zip(
    intake: Intake, options: UploadOptions, origin: Origin, archive: IO[bytes], *, start: int = 0
) -> Iterator[EntryResult]:
    """Take in the DICOM files of a ZIP archive, one after the other, from entry `start` on.

    Raises
    ------
    Corrupt
        If the archive itself cannot be read.
    StorageFull
        If there is no room.
    BadRequest
        If ours is read-only.
    """
    if intake.options.is_read_only:
        raise BadRequest("The archive is read-only")
    for entry in entries(archive):
        if entry.number >= start and not entry.is_folder:
            yield _upload_entry(intake, options, origin, archive, entry)


def _receipts(intake: Intake, options: UploadOptions, origin: Origin, content: Content) -> Iterator[Receipt]:
    with _open(content) as archive:
        for result in upload_zip(intake, options, origin, archive):
            if result.receipt is not None:
                yield result.receipt


def _closing(receipts: Iterator[Receipt], content: Content) -> Iterator[Receipt]:
    try:
        yield from receipts
    finally:
        _close(content)


def _upload_entry(
    intake: Intake, options: UploadOptions, origin: Origin, archive: IO[bytes], entry: Entry
) -> EntryResult:
    """Take in an entry. The log tells its number, not its name."""
    content: Content = b""
    try:
        pieces = _if_dicom(expand(archive, entry))
        content = _gather(pieces, options, f"Entry {entry.number} of a ZIP archive")
        if _size(content) == 0 or _is_media_directory(content):
            return EntryResult(entry.number, entry.name, None)
        return EntryResult(entry.number, entry.name, receive(intake, Incoming(origin, content)))
    except StorageFull:
        raise
    except ArchiveError as error:
        _log.info("Entry %d of a ZIP archive is not stored: %s", entry.number, error)
        return EntryResult(entry.number, entry.name, None, str(error))
    finally:
        _close(content)


def _if_dicom(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a content that begins as DICOM does; nothing of any other, which is not expanded further."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= _SEEN:
            break
    if _may_be_dicom(start):
        yield start
        yield from pieces


def _may_be_dicom(start: bytes) -> bool:
    """Whether this begins with a preamble, or with one of the first groups in either byte order."""
    return start[128:132] == b"DICM" or start[:2] in _FIRST_GROUPS or start[1::-1] in _FIRST_GROUPS


def _expand_gzip(options: UploadOptions, content: Content) -> Content:
    with _open(content) as compressed, gzip.GzipFile(fileobj=compressed) as stream:
        return _gather(iter(partial(stream.read, _CHUNK), b""), options, "The gzip body")


def _gather(stream: Iterator[bytes], options: UploadOptions, what: str) -> Content:
    """Take in what is being expanded, into the spool when it is large."""
    pieces: list[bytes] = []
    spooled: SpoolFile | None = None
    size = 0
    try:
        for piece in stream:
            size += len(piece)
            if options.maximum_entry_size and size > options.maximum_entry_size:
                raise BadRequest(f"{what} expands to more than {options.maximum_entry_size >> 20} MB")
            if spooled is None and size > _IN_MEMORY:
                spooled = options.spool.create()
                for earlier in pieces:
                    spooled.write(earlier)
                pieces.clear()
            if spooled is not None:
                spooled.write(piece)
            else:
                pieces.append(piece)
    except _BROKEN as error:
        _close(spooled)
        raise Corrupt(f"{what} cannot be expanded") from error
    except (ArchiveError, OSError) as error:
        _close(spooled)
        if isinstance(error, OSError) and error.errno is None:  # The decoders of gzip and bzip2 raise this.
            raise Corrupt(f"{what} cannot be expanded") from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("The disk of the spool is full") from error
        raise
    return spooled if spooled is not None else b"".join(pieces)


def _open(content: Content) -> IO[bytes]:
    return content.path.open("rb") if isinstance(content, SpoolFile) else BytesIO(content)


def _close(content: Content | None) -> None:
    if isinstance(content, SpoolFile):
        content.close()


def _size(content: Content) -> int:
    return content.size if isinstance(content, SpoolFile) else len(content)


def _start(content: Content, length: int) -> bytes:
    data = content.view() if isinstance(content, SpoolFile) else content
    return bytes(data[:length])


def is_zip(content: Content) -> bool:
    """Whether this is a ZIP archive."""
    return _start(content, 4) in MAGICS


def _is_media_directory(content: Content) -> bool:
    """Whether this is a DICOMDIR: its SOP Class is Media Storage Directory. PS3.10 8.6."""
    start = _start(content, 512)
    return start[128:132] == b"DICM" and _MEDIA_DIRECTORY in start

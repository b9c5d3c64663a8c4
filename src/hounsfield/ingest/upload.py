"""Files that people send: DICOM, gzip, and ZIP archives such as a medium with its DICOMDIR."""

import errno
import gzip
import logging
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Protocol

from hounsfield.errors import ArchiveError, BadRequest, Corrupt, StorageFull
from hounsfield.ingest.instance import Origin
from hounsfield.ingest.receive import Incoming, Intake, Receipt, receive
from hounsfield.store.spool import Spool, SpoolFile

_log = logging.getLogger("hounsfield.generic")
_CHUNK = 1 << 20
_IN_MEMORY = 4 << 20
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_MEDIA_DIRECTORY = b"UI\x14\x001.2.840.10008.1.3.10"  # VR, length and value.

# What the decoders raise. A RuntimeError asks for a password, or is a NotImplementedError.
_BROKEN = (
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    MemoryError,
    RuntimeError,
    ValueError,
)

Content = bytes | memoryview | SpoolFile


class Readable(Protocol):
    """A stream being expanded."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """`maximum_entry_size` is the limit in bytes of what a gzip or one entry of a ZIP may expand to; 0 for none."""

    spool: Spool
    maximum_entry_size: int = 4096 << 20


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
    if is_gzip:
        with _open(content) as compressed, gzip.GzipFile(fileobj=compressed) as stream:
            expanded = _expand(stream, options, "The gzip body")
        try:
            return upload(intake, options, origin, expanded)
        finally:
            _close(expanded)
    if _size(content) == 0:
        raise Corrupt("Received an empty DICOM file")
    if _is_zip(content):
        with _open(content) as archive:
            return list(upload_zip(intake, options, origin, archive))
    return receive(intake, Incoming(origin, content))


def upload_zip(
    intake: Intake, options: UploadOptions, origin: Origin, archive: IO[bytes]
) -> Iterator[Receipt]:
    """Take in the DICOM files of a ZIP archive, one after the other.

    Raises
    ------
    Corrupt
        If the archive itself cannot be read.
    BadRequest
        If ours is read-only.
    """
    if intake.options.is_read_only:
        raise BadRequest("The archive is read-only")
    try:
        opened = zipfile.ZipFile(archive)
    except (*_BROKEN, OSError) as error:
        raise Corrupt("Cannot read this ZIP archive") from error
    with opened:
        for number, entry in enumerate(opened.infolist()):
            if not entry.filename.endswith("/"):  # `is_dir` fails on an empty name.
                receipt = _upload_entry(intake, options, origin, opened, entry, number)
                if receipt is not None:
                    yield receipt


def _upload_entry(
    intake: Intake,
    options: UploadOptions,
    origin: Origin,
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    number: int,
) -> Receipt | None:
    """Take in an entry; None if it is not DICOM. Its name may name a patient, so the log tells its number."""
    try:
        stream = archive.open(entry)
    except (*_BROKEN, OSError) as error:
        _log.warning("Entry %d of a ZIP archive cannot be opened: %s", number, type(error).__name__)
        return None
    content: Content = b""
    try:
        with stream:
            content = _expand(stream, options, f"Entry {number} of a ZIP archive")
        if _size(content) == 0 or _is_media_directory(content):
            return None
        return receive(intake, Incoming(origin, content))
    except StorageFull:
        raise
    except ArchiveError as error:
        _log.info("Entry %d of a ZIP archive is not stored: %s", number, error)
        return None
    finally:
        _close(content)


def _expand(stream: Readable, options: UploadOptions, what: str) -> Content:
    """Read a compressed stream, into the spool when it is large."""
    pieces: list[bytes] = []
    spooled: SpoolFile | None = None
    size = 0
    try:
        while piece := stream.read(_CHUNK):
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


def _is_zip(content: Content) -> bool:
    return _start(content, 4) in _ZIP_MAGICS


def _is_media_directory(content: Content) -> bool:
    """Whether this is a DICOMDIR: its SOP Class is Media Storage Directory. PS3.10 8.6."""
    start = _start(content, 512)
    return start[128:132] == b"DICM" and _MEDIA_DIRECTORY in start

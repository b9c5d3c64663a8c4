"""Read ZIP archives entry by entry, with as much memory for a hundred thousand entries as for one.

APPNOTE.TXT 6.3.10, whose sections are named below. Archives come from anywhere: sizes, offsets and names are taken for
lies until they are proven. Names are only told, never used as paths.
"""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from isal import igzip_lib, isal_zlib

from hounsfield.errors import Corrupt

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_STORED, _DEFLATED, _BZIP2, _LZMA = 0, 8, 12, 14
_ENCRYPTED, _UTF8 = 0x1, 0x800
_PIECE = 256 << 10
_LARGEST_PIECE = 1 << 20
_LARGEST_DICTIONARY = 64 << 20
_LONGEST_END = 65535 + 22
_FULL_32 = 0xFFFFFFFF
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_END = struct.Struct("<4s4H2IH")  # 4.3.16
_LOCATOR_64 = struct.Struct("<4sIQI")  # 4.3.15
_END_64 = struct.Struct("<4sQ2H2I4Q")  # 4.3.14


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the central directory. `size` is what it claims to expand to; `offset` is in the file."""

    number: int
    name: str
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which has no content."""
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the central directory is; `shift` is how many bytes were put before the archive."""

    offset: int
    length: int
    shift: int


def entries(file: IO[bytes]) -> Iterator[Entry]:
    """The entries of an archive in the order of its central directory.

    Raises
    ------
    Corrupt
        If this is no archive, or entries share their bytes, as in bombs.
    """
    size = file.seek(0, 2)
    directory = _find_directory(file, size)
    at, end, number, packed = directory.offset, directory.offset + directory.length, 0, 0
    while at < end:
        fixed = _read(file, at, _CENTRAL.size)
        fields = _CENTRAL.unpack(fixed)
        if fields[0] != b"PK\x01\x02":
            raise Corrupt("The directory of the ZIP archive is damaged")
        name_length, extra_length, comment_length = fields[10:13]
        variable = _read(file, at + _CENTRAL.size, name_length + extra_length)
        entry = _entry(number, fields, variable[:name_length], variable[name_length:], directory.shift)
        packed += entry.packed_size + _LOCAL.size
        if packed > size:
            raise Corrupt("The entries of the ZIP archive overlap")
        yield entry
        at += _CENTRAL.size + name_length + extra_length + comment_length
        number += 1


def expand(file: IO[bytes], entry: Entry) -> Iterator[bytes]:
    """The content of an entry in pieces of 1 MiB at most.

    Raises
    ------
    Corrupt
        If it cannot be expanded, maybe after some pieces, or is not what it should be.
    """
    if entry.flags & _ENCRYPTED:
        raise Corrupt("An encrypted entry cannot be read")
    make = _EXPANDERS.get(entry.method)
    if make is None:
        raise Corrupt(f"Compression method {entry.method} of ZIP archives is not known")
    local = _LOCAL.unpack(_read(file, entry.offset, _LOCAL.size))
    if local[0] != b"PK\x03\x04":
        raise Corrupt("An entry of the ZIP archive is not where it should be")
    start = entry.offset + _LOCAL.size + local[9] + local[10]
    crc = size = 0
    try:
        for piece in make(_stretch(file, start, entry.packed_size)):
            crc, size = isal_zlib.crc32(piece, crc), size + len(piece)
            yield piece
    except _BROKEN as error:  # type: ignore[misc]
        raise Corrupt("An entry of the ZIP archive cannot be expanded") from error
    if crc != entry.crc or size != entry.size:
        raise Corrupt("An entry of the ZIP archive is damaged")


def _entry(number: int, fields: tuple[int, ...], name: bytes, extra: bytes, shift: int) -> Entry:
    flags, method = fields[3], fields[4]
    crc, packed_size, size = fields[7:10]
    offset = fields[16]
    wanted = [value == _FULL_32 for value in (size, packed_size, offset)]
    if any(wanted):
        larger = iter(_extra_64(extra))
        try:
            size = next(larger) if wanted[0] else size
            packed_size = next(larger) if wanted[1] else packed_size
            offset = next(larger) if wanted[2] else offset
        except StopIteration as cause:
            raise Corrupt("An entry of the ZIP archive lacks its sizes") from cause
    text = name.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    return Entry(number, text, flags, method, crc, packed_size, size, offset + shift)


def _extra_64(extra: bytes) -> tuple[int, ...]:
    """The numbers of 64 bits in the extra field. 4.5.3."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            count = min(length, len(extra) - at - 4, 24) // 8
            return struct.unpack_from(f"<{count}Q", extra, at + 4)
        at += 4 + length
    return ()


def _find_directory(file: IO[bytes], size: int) -> _Directory:
    """Find the central directory from the end of the archive, where a comment may follow. 4.3.16."""
    start = max(0, size - _LONGEST_END)
    tail = _read(file, start, size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise Corrupt("Cannot read this ZIP archive: it has no end")
    fields = _END.unpack_from(tail, at)
    length, offset = fields[5], fields[6]
    end = start + at
    # Some writers put sizes of 64 bits beside those of 32 bits that would do.
    found = _find_64(file, end)
    if found is not None:
        length, offset, end = found
    shift = end - length - offset
    if shift < 0 or offset + shift < 0 or length > size:
        raise Corrupt("Cannot read this ZIP archive: its directory is not where it should be")
    return _Directory(offset + shift, length, shift)


def _find_64(file: IO[bytes], end: int) -> tuple[int, int, int] | None:
    """Length and offset of the central directory, and where its end is; None if they have 32 bits only."""
    if end < _LOCATOR_64.size:
        return None
    magic, _, at, _ = _LOCATOR_64.unpack(_read(file, end - _LOCATOR_64.size, _LOCATOR_64.size))
    if magic != b"PK\x06\x07":
        return None
    # Bytes before the archive move it; then it is where it usually is.
    for place in (at, end - _LOCATOR_64.size - _END_64.size):
        if 0 <= place <= end - _LOCATOR_64.size - _END_64.size:
            fields = _END_64.unpack(_read(file, place, _END_64.size))
            if fields[0] == b"PK\x06\x06":
                return fields[8], fields[9], place
    raise Corrupt("Cannot read this ZIP archive: its directory is not where it should be")


def _read(file: IO[bytes], at: int, length: int) -> bytes:
    file.seek(at)
    data = file.read(length)
    if len(data) < length:
        raise Corrupt("The ZIP archive is cut off")
    return data


def _stretch(file: IO[bytes], start: int, length: int) -> Iterator[bytes]:
    """Bytes of the file; its position may change between two pieces."""
    while length:
        piece = _read(file, start, min(length, _PIECE))
        start, length = start + len(piece), length - len(piece)
        yield piece


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    engine = isal_zlib.decompressobj(-15)
    for piece in pieces:
        data: bytes = piece
        is_full = True  # A full piece may be followed by more, even if nothing is left to be read.
        while (data or is_full) and not engine.eof:
            plain: bytes = engine.decompress(data, _LARGEST_PIECE)
            is_full = len(plain) == _LARGEST_PIECE
            if plain:
                yield plain
            data = engine.unconsumed_tail
    if not engine.eof:
        raise Corrupt("An entry of the ZIP archive is cut off")


class _Decompressor(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was seen."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether there is no more to give without more input."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Up to `max_length` bytes of what is expanded."""
        ...


def _decompressed(engine: _Decompressor, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        data = piece
        while not engine.eof and (data or not engine.needs_input):
            plain = engine.decompress(data, _LARGEST_PIECE)
            data = b""
            if plain:
                yield plain


def _from_bzip2(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return _decompressed(bz2.BZ2Decompressor(), pieces)


def _from_lzma(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """LZMA behind its properties. 5.8.8."""
    first = next(pieces, b"")
    if len(first) < 9 or first[2:4] != b"\x05\0" or first[4] >= 225:
        raise Corrupt("The properties of an LZMA entry are damaged")
    rest, literal = divmod(first[4], 9)
    bits, position = divmod(rest, 5)[::-1]
    (dictionary,) = struct.unpack("<I", first[5:9])
    if dictionary > _LARGEST_DICTIONARY:
        raise Corrupt("An LZMA entry needs too much memory")
    chain = [
        {
            "id": lzma.FILTER_LZMA1,
            "dict_size": max(dictionary, 4096),
            "lc": literal,
            "lp": bits,
            "pb": position,
        }
    ]
    engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)

    def all_pieces() -> Iterator[bytes]:
        yield first[9:]
        yield from pieces

    yield from _decompressed(engine, all_pieces())


def _as_is(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return pieces


_EXPANDERS: dict[int, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    _STORED: _as_is,
    _DEFLATED: _inflated,
    _BZIP2: _from_bzip2,
    _LZMA: _from_lzma,
}
# What the decoders raise.
_BROKEN = (
    igzip_lib.IsalError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    MemoryError,
    OverflowError,
    ValueError,
    OSError,
)

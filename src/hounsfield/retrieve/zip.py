"""Write ZIP archives from the first byte to the last, for readers that cannot go back.

APPNOTE.TXT 6.3.10. The numbers of sections below are its. Nothing is kept but the central directory.
"""

import struct
from dataclasses import dataclass
from datetime import datetime

from isal import igzip_lib, isal_zlib

from hounsfield.store.spool import Buffer

STORED, DEFLATED = 0, 8
_LEVEL = 1  # Some 400 MB/s; higher levels gain a few percent on pixel data.
_UTF8, _DESCRIPTOR = 0x800, 0x8
_VERSION, _VERSION_64 = 20, 45
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_LARGE = 0x7FFFFFFF
"""From here on sizes are written with 64 bits: some readers take those of 32 bits for signed."""

_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_END = struct.Struct("<4s4H2IH")  # 4.3.16
_END_64 = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
_LOCATOR_64 = struct.Struct("<4sIQI")  # 4.3.15
LAST_BLOCK = b"\x03\x00"
"""An empty last block of a deflate stream. RFC 1951 3.2.6."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Content of an entry as it stands in the archive; `size` is that before compression."""

    method: int
    crc: int
    size: int
    data: Buffer


def pack(content: Buffer, *, is_compressible: bool = True) -> Packed:
    """Compress content, unless that gains nothing."""
    crc = isal_zlib.crc32(content)
    if is_compressible:
        packed = igzip_lib.compress(content, _LEVEL, igzip_lib.COMP_DEFLATE)
        if len(packed) < len(content):
            return Packed(DEFLATED, crc, len(content), packed)
    return Packed(STORED, crc, len(content), content)


def pack_piece(content: Buffer) -> bytes:
    """Compress a piece of a content on its own; `LAST_BLOCK` follows the last."""
    engine = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
    packed: bytes = engine.compress(content) + engine.flush(isal_zlib.Z_FULL_FLUSH)
    return packed


class ZipWriter:
    """Gives the bytes around the contents, and remembers what the end of the archive must say."""

    def __init__(self, moment: datetime, comment: bytes = b"") -> None:
        self.size = 0
        self._comment = comment
        self._time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
        self._date = max(0, moment.year - 1980) << 9 | moment.month << 5 | moment.day
        self._central = bytearray()
        self._count = 0
        self._open: tuple[bytes, int, int] | None = None

    def add(self, name: str, packed: Packed) -> bytes:
        """The header of an entry; `packed.data` follows it."""
        raw, flags = _encode(name)
        is_large = packed.size >= _LARGE or len(packed.data) >= _LARGE
        extra = _extra(packed.size, len(packed.data)) if is_large else b""
        sizes = (_FULL_32, _FULL_32) if is_large else (len(packed.data), packed.size)
        header = self._local(raw, flags, packed.method, packed.crc, sizes, extra)
        self._remember(raw, flags, packed.method, packed.crc, packed.size, len(packed.data), self.size)
        self.size += len(header) + len(packed.data)
        return header

    def begin(self, name: str) -> bytes:
        """The header of an entry whose compressed pieces follow, to be ended by `end`."""
        raw, flags = _encode(name)
        flags |= _DESCRIPTOR
        header = self._local(raw, flags, DEFLATED, 0, (_FULL_32, _FULL_32), _extra(0, 0))
        self._open = (raw, flags, self.size)
        self.size += len(header)
        return header

    def end(self, crc: int, size: int, packed_size: int) -> bytes:
        """What follows the pieces of an entry. 4.3.9."""
        if self._open is None:
            raise RuntimeError("No entry was begun")
        raw, flags, offset = self._open
        self._open = None
        descriptor = struct.pack("<4sI2Q", b"PK\x07\x08", crc, packed_size, size)
        self._remember(raw, flags, DEFLATED, crc, size, packed_size, offset)
        self.size += packed_size + len(descriptor)
        return descriptor

    def finish(self) -> bytes:
        """The central directory and the end of the archive."""
        offset, length = self.size, len(self._central)
        end, shown = b"", (self._count, length, offset)
        if self._count >= _FULL_16 or offset + length >= _LARGE:
            shown = _FULL_16, _FULL_32, _FULL_32
            end = _END_64.pack(
                b"PK\x06\x06",
                44,
                _VERSION_64,
                _VERSION_64,
                0,
                0,
                self._count,
                self._count,
                length,
                offset,
            ) + _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + length, 1)
        count, length, offset = shown
        end += _END.pack(b"PK\x05\x06", 0, 0, count, count, length, offset, len(self._comment))
        last = bytes(self._central) + end + self._comment
        self.size += len(last)
        return last

    def _local(
        self, raw: bytes, flags: int, method: int, crc: int, sizes: tuple[int, int], extra: bytes
    ) -> bytes:
        version = _VERSION_64 if extra else _VERSION
        return (
            _LOCAL.pack(
                b"PK\x03\x04",
                version,
                flags,
                method,
                self._time,
                self._date,
                crc,
                *sizes,
                len(raw),
                len(extra),
            )
            + raw
            + extra
        )

    def _remember(
        self, raw: bytes, flags: int, method: int, crc: int, size: int, packed_size: int, offset: int
    ) -> None:
        """Add to the central directory; only what is too large goes to the extra field. 4.5.3."""
        large = [value for value in (size, packed_size, offset) if value >= _LARGE]
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        shown = [_FULL_32 if value >= _LARGE else value for value in (packed_size, size, offset)]
        version = _VERSION_64 if large or flags & _DESCRIPTOR else _VERSION
        self._central += _CENTRAL.pack(
            b"PK\x01\x02",
            version,
            version,
            flags,
            method,
            self._time,
            self._date,
            crc,
            shown[0],
            shown[1],
            len(raw),
            len(extra),
            0,
            0,
            0,
            0,
            shown[2],
        )
        self._central += raw + extra
        self._count += 1


def _encode(name: str) -> tuple[bytes, int]:
    """A name and the flag that says it is UTF-8, which ASCII needs not. Appendix D."""
    return name.encode("utf-8", "replace"), 0 if name.isascii() else _UTF8


def _extra(size: int, packed_size: int) -> bytes:
    return struct.pack("<2H2Q", 1, 16, size, packed_size)

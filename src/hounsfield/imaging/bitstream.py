"""Reading the headers of compressed bit streams, to know what a decoder would allocate before it runs.

JPEG (ISO/IEC 10918-1 B.2), JPEG-LS (14495-1 C), JPEG 2000 and HTJ2K (15444-1 A), JPEG XL (18181-1 D).
"""

import struct
from dataclasses import dataclass

from hounsfield import errors


@dataclass(frozen=True, slots=True)
class Bitstream:
    """What a bit stream says of its own image."""

    rows: int
    columns: int
    samples: int = 0
    """0 where the header was not read that far."""

    precision: int = 0
    is_signed: bool = False
    is_ybr: bool | None = None
    """Whether the samples are luminance and chrominance; None if the bit stream does not tell."""

    is_lossless_jpeg: bool = False


_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF, 0xF7})


def read_jpeg(data: bytes) -> Bitstream:
    """Read a JPEG or JPEG-LS stream up to its frame header; `Corrupt` if there is none."""
    if data[:2] != b"\xff\xd8":
        raise errors.Corrupt("a JPEG bit stream does not begin with SOI")
    is_ybr: bool | None = None
    for code, begin, end in _segments(data):
        if code == 0xE0 and data[begin : begin + 5] == b"JFIF\0":
            is_ybr = True
        elif code == 0xEE and data[begin : begin + 5] == b"Adobe" and end - begin >= 12:
            is_ybr = data[begin + 11] != 0
        elif code in _FRAME_HEADERS:
            return _frame_header(data[begin:end], code, is_ybr)
    raise errors.Corrupt("a JPEG bit stream has no frame header")


def jpeg_process(data: bytes) -> int:
    """The code of a JPEG stream's frame header, which tells the process: 0xC0 is baseline.

    `Corrupt` if there is none.
    """
    for code, _, _ in _segments(data):
        if code in _FRAME_HEADERS:
            return code
    raise errors.Corrupt("a JPEG bit stream has no frame header")


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Marker code, and the bounds of what follows its length, up to the first scan."""
    found = []
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        code = data[position + 1]
        if code == 0xFF:
            position += 1
            continue
        if code in _STANDALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        if length < 2 or end > len(data) or code in (0xD9, 0xDA):
            break
        found.append((code, position + 4, end))
        if code in _FRAME_HEADERS:
            break
        position = end
    return found


def _frame_header(body: bytes, code: int, is_ybr: bool | None) -> Bitstream:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise errors.Corrupt("a JPEG frame header is too short")
    precision, rows, columns, samples = struct.unpack_from(">BHHB", body)
    identifiers, sampling = body[6 : 6 + 3 * samples : 3], body[7 : 6 + 3 * samples : 3]
    if is_ybr is None and samples == 3:
        if identifiers == b"RGB":
            is_ybr = False
        elif len(set(sampling)) > 1:  # nobody subsamples red or blue
            is_ybr = True
    if code in _LOSSLESS:
        is_ybr = None
    return Bitstream(rows, columns, samples, precision, is_ybr=is_ybr, is_lossless_jpeg=code in _LOSSLESS)


def read_jpeg_2000(data: bytes) -> Bitstream:
    """Read the SIZ and COD segments of a JPEG 2000 code stream, bare or in a JP2 file; `Corrupt` if there are none."""
    start = 0 if data[:4] == b"\xff\x4f\xff\x51" else data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 45:
        raise errors.Corrupt("a JPEG 2000 bit stream has no SIZ segment")
    length, _, right, bottom, left, top = struct.unpack_from(">HHIIII", data, start + 4)
    samples, depth = struct.unpack_from(">HB", data, start + 40)
    if right <= left or bottom <= top:
        raise errors.Corrupt("a JPEG 2000 bit stream has no pixels")
    return Bitstream(
        rows=bottom - top,
        columns=right - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        is_signed=bool(depth & 0x80),
        is_ybr=_has_no_colour_transform(data, start + 4 + length),
    )


def _has_no_colour_transform(data: bytes, position: int) -> bool | None:
    """False if COD asks for a multiple component transformation, so that the decoder gives RGB; else None."""
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0x90:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] == 0x52 and position + 9 <= len(data):
            return False if data[position + 8] == 1 else None
        position += 2 + max(length, 2)
    return None


_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def read_jpeg_xl(data: bytes) -> Bitstream:
    """Read the size header of a JPEG XL code stream, bare or in its container; `Corrupt` if there is none."""
    stream = data if data[:2] == b"\xff\x0a" else _jpeg_xl_codestream(data)
    if stream[:2] != b"\xff\x0a" or len(stream) < 12:
        raise errors.Corrupt("a JPEG XL bit stream has no code stream")
    bits = _Bits(int.from_bytes(stream[2:12], "little"))
    is_small = bits.take(1)
    rows = _side(bits, is_small)
    ratio = bits.take(3)
    columns = rows * _RATIOS[ratio][0] // _RATIOS[ratio][1] if ratio else _side(bits, is_small)
    return Bitstream(rows, columns)


class _Bits:
    """The bits of a number, the lowest first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken


def _side(bits: _Bits, is_small: int) -> int:
    if is_small:
        return (bits.take(5) + 1) * 8
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def _jpeg_xl_codestream(data: bytes) -> bytes:
    """The beginning of the first code stream box of a container. ISO/IEC 18181-2."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        if kind in (b"jxlc", b"jxlp"):
            begin = position + header + (4 if kind == b"jxlp" else 0)
            return data[begin : begin + 64]
        if length < header:
            break
        position += length
    return b""

"""Files with pixel data of every description: most make sense in themselves, few are what any device writes."""

import zlib
from random import Random
from struct import pack

from tests.fuzz.imaging_targets import SEEDS

from hounsfield.dicom import part10, uids
from hounsfield.dicom.scan import LONG_VRS

_STREAMS = SEEDS["imaging_headers"]
_PHOTOMETRIC = (
    b"MONOCHROME1 MONOCHROME2 PALETTE_COLOR RGB YBR_FULL YBR_FULL_422 YBR_PARTIAL_422 YBR_PARTIAL_420 YBR_ICT "
    b"YBR_RCT XYB HSV ARGB CMYK"
).split()
_ENCAPSULATED = tuple(
    uid for uid, syntax in uids.TRANSFER_SYNTAXES.items() if uid.startswith("1.2.840.10008.1.2.4")
)
_NATIVE = (
    uids.EXPLICIT_VR_LITTLE_ENDIAN,
    uids.IMPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.2",
    uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
_DECIMALS = b"0 1 -1 40 400 0.5 1e3 -1e300 1e-300 nan inf 65535 -32768 abc".split()
_PIXEL_DATA = (0x7FE00010, 0x7FE00010, 0x7FE00010, 0x7FE00008, 0x7FE00009)


class _Writer:
    """Elements in one encoding."""

    def __init__(self, order: str, *, is_explicit: bool) -> None:
        self._order, self._is_explicit = order, is_explicit

    def element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        start = pack(self._order + "HH", tag >> 16, tag & 0xFFFF)
        if not self._is_explicit:
            return start + pack(self._order + "I", len(value)) + value
        if vr in LONG_VRS:
            return start + vr + b"\0\0" + pack(self._order + "I", len(value)) + value
        return start + vr + pack(self._order + "H", len(value) & 0xFFFF) + value

    def numbers(self, tag: int, *values: int) -> bytes:
        return self.element(tag, b"US", b"".join(pack(self._order + "H", value & 0xFFFF) for value in values))

    def item(self, tag: int, elements: list[bytes]) -> bytes:
        inner = b"".join(elements)
        start = pack(self._order + "HHI", 0xFFFE, 0xE000, len(inner))
        return self.element(tag, b"SQ", start + inner)


def image_file(rng: Random) -> bytes:
    """A file with an image."""
    is_encapsulated = rng.random() < 0.4
    syntax = rng.choice(_ENCAPSULATED if is_encapsulated else _NATIVE)
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    writer = _Writer(order, is_explicit=syntax != uids.IMPLICIT_VR_LITTLE_ENDIAN)
    body = b"".join((*_description(rng, writer), _pixels(rng, writer, is_encapsulated=is_encapsulated)))
    if syntax == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return deflated(body)
    return part10.wrap_header("1.2", "1.2.3", syntax) + body


def deflated(body: bytes) -> bytes:
    """A file whose data set is compressed as a whole, PS3.5 A.5."""
    engine = zlib.compressobj(1, wbits=-15)
    header = part10.wrap_header("1.2", "1.2.3", uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    return header + engine.compress(body) + engine.flush()


def _description(rng: Random, writer: _Writer) -> list[bytes]:
    allocated = rng.choice((1, 8, 8, 16, 16, 16, 32, 64, 12, 24))
    stored = allocated if rng.random() < 0.5 else rng.randrange(1, allocated + 1)
    photometric = rng.choice(_PHOTOMETRIC).replace(b"_COLOR", b" COLOR")
    side = rng.choice((1, 2, 7, 16, 16, 16, 16, 300, 0, 65535))
    elements = {
        0x00280002: writer.numbers(0x00280002, rng.choice((1, 1, 3, 3, 4, 2, 0))),
        0x00280004: writer.element(0x00280004, b"CS", photometric),
        0x00280006: writer.numbers(0x00280006, rng.randrange(3)),
        0x00280008: writer.element(
            0x00280008, b"IS", rng.choice((b"1", b"1", b"2", b"7", b"0", b"-1", b"99999999"))
        ),
        0x00280010: writer.numbers(0x00280010, rng.choice((side, side, 1, 16))),
        0x00280011: writer.numbers(0x00280011, side),
        0x00280100: writer.numbers(0x00280100, allocated),
        0x00280101: writer.numbers(0x00280101, stored),
        0x00280102: writer.numbers(
            0x00280102, rng.choice((stored - 1, stored - 1, allocated - 1, rng.randrange(70)))
        ),
        0x00280103: writer.numbers(0x00280103, rng.randrange(2)),
    }
    if rng.random() < 0.05:
        del elements[rng.choice(list(elements))]
    elements |= _display(rng, writer)
    for group in (0x52009229, 0x52009230):
        if rng.random() < 0.15:
            window = writer.item(0x00289132, list(_display(rng, writer).values()))
            rescale = writer.item(0x00289145, list(_display(rng, writer).values()))
            elements[group] = writer.item(group, [window, rescale])
    return [elements[tag] for tag in sorted(elements)]


def _display(rng: Random, writer: _Writer) -> dict[int, bytes]:
    """Windows, tables and palettes, each sometimes."""
    chances = {
        **dict.fromkeys((0x00281050, 0x00281051, 0x00281052, 0x00281053), _decimals),
        0x00281056: _function,
        0x00283000: _table,
        0x00283010: _table,
    }
    elements = {tag: make(rng, writer, tag) for tag, make in chances.items() if rng.random() < 0.4}
    if rng.random() < 0.3:
        elements |= _palette(rng, writer)
    return elements


def _decimals(rng: Random, writer: _Writer, tag: int) -> bytes:
    return writer.element(tag, b"DS", b"\\".join(rng.choice(_DECIMALS) for _ in range(rng.randrange(1, 3))))


def _function(rng: Random, writer: _Writer, tag: int) -> bytes:
    return writer.element(tag, b"CS", rng.choice((b"LINEAR", b"LINEAR_EXACT", b"SIGMOID", b"OTHER")))


def _descriptor(rng: Random) -> tuple[int, int, int]:
    return (
        rng.choice((0, 1, 4, 256, 65535)),
        rng.choice((0, 0, 10, 65535)),
        rng.choice((8, 16, 16, 12, 1, 0, 32)),
    )


def _table(rng: Random, writer: _Writer, tag: int) -> bytes:
    values = [rng.randrange(0x10000) for _ in range(rng.choice((0, 1, 4, 4, 256)))]
    descriptor = _descriptor(rng) if rng.random() < 0.5 else (len(values), 0, 16)
    data = writer.numbers(0x00283006, *values)
    return writer.item(tag, [writer.numbers(0x00283002, *descriptor), data])


def _palette(rng: Random, writer: _Writer) -> dict[int, bytes]:
    descriptor = _descriptor(rng)
    elements = {0x00281101 + colour: writer.numbers(0x00281101 + colour, *descriptor) for colour in range(3)}
    is_segmented = rng.random() < 0.4
    for colour in range(3):
        tag = (0x00281221 if is_segmented else 0x00281201) + colour
        size = rng.choice((descriptor[0] * 2, 8, 20, 0))
        data = _segments(rng) if is_segmented else rng.randbytes(min(size, 600))
        elements[tag] = writer.element(tag, b"OW", data)
    return elements


def _segments(rng: Random) -> bytes:
    """Discrete, linear and indirect segments. PS3.3 C.7.9.2."""
    words = []
    for _ in range(rng.randrange(1, 5)):
        kind, count = rng.choice((0, 1, 2, 2, 3)), rng.choice((1, 2, 4, 0, 65535))
        words += [kind, count, *(rng.randrange(0x10000) for _ in range(min(count, 3)))]
    return b"".join(pack("<H", word) for word in words)


def _pixels(rng: Random, writer: _Writer, *, is_encapsulated: bool) -> bytes:
    if rng.random() < 0.05:
        return _private(rng, writer)
    if not is_encapsulated:
        tag = rng.choice(_PIXEL_DATA)
        vr = {0x7FE00008: b"OF", 0x7FE00009: b"OD"}.get(tag, rng.choice((b"OW", b"OB")))
        size = rng.choice((0, 1, 32, 256, 512, 768, 1024, 2048, 6000))
        return writer.element(tag, vr, rng.randbytes(size) if rng.random() < 0.5 else bytes(size))
    streams = [rng.choice(_STREAMS) for _ in range(rng.randrange(1, 4))]
    table = b"" if rng.random() < 0.6 else pack("<3I", 0, len(streams[0]) + 8, rng.choice((0, 1 << 31, 99)))
    extended = b""
    if rng.random() < 0.2:
        offsets = pack("<2Q", 0, rng.choice((len(streams[0]) + 8, 1 << 63, 7)))
        lengths = pack("<2Q", len(streams[0]), rng.choice((len(streams[-1]), 1 << 63, 0)))
        extended = writer.element(0x7FE00001, b"OV", offsets) + writer.element(0x7FE00002, b"OV", lengths)
    items = (pack("<HHI", 0xFFFE, 0xE000, len(value)) + value for value in (table, *streams))
    start = pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    return extended + start + b"".join(items) + pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _private(rng: Random, writer: _Writer) -> bytes:
    """Pixel data in private elements, as CT scanners wrote it."""
    parts = (
        rng.choice((b"\xa5\xff\x00", b"\x5a\x01\x02", b"\xa5\x05\x5a", rng.randbytes(9))) for _ in range(60)
    )
    creator = writer.element(0x07A10010, b"LO", b"ELSCINT1")
    return (
        creator
        + writer.element(0x07A1100A, b"OW", b"".join(parts))
        + writer.element(0x07A11011, b"CS", b"PMSCT_RLE1")
    )

"""Functions that take any bytes and only return or raise an `ArchiveError`."""

import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import imagecodecs
import numpy as np
import orjson
from rle.utils import encode_array
from tests.imaging.clips import clip

from hounsfield.dicom.part10 import read_head, wrap_header
from hounsfield.errors import ArchiveError
from hounsfield.imaging import bitstream, codecs, fragments, render
from hounsfield.imaging.decode import decode
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.display import read_display
from hounsfield.imaging.elscint import decode_private
from hounsfield.imaging.fragments import Encapsulated, locate_collection, locate_frame
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.limits import Limits
from hounsfield.imaging.png import encode_png
from hounsfield.imaging.presentation import present, read_presentation
from hounsfield.imaging.presentation_state import present_state, read_state
from hounsfield.imaging.recode import recoded_of_header
from hounsfield.imaging.tables import read_palette
from hounsfield.imaging.transcode import transcode
from hounsfield.imaging.video import container, has_constant_rate
from hounsfield.imaging.wire import decoded_of_header

_LIMITS = Limits(frame_bytes=1 << 22, fragments=1 << 12, image_pixels=1 << 20)
_SIDE = 16
_GREY = (np.arange(_SIDE * _SIDE).reshape(_SIDE, _SIDE) * 15).astype(np.uint16)
_COLOUR = np.stack([_GREY >> 4, _GREY >> 5, 255 - (_GREY >> 4)], axis=-1).astype(np.uint8)
_EXPLICIT = "1.2.840.10008.1.2.1"
_TARGET_SYNTAXES = (
    "1.2.840.10008.1.2",
    _EXPLICIT,
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
)


def _describe(samples: int, bits: int) -> PixelDescription:
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    return PixelDescription(_SIDE, _SIDE, samples, 16 if bits > 8 else 8, bits, bits - 1, False, photometric)


def file_to_images(data: bytes) -> None:
    """Every way from a file to an image, for the first frames and one that may not exist."""
    head = read_head(data)
    for number in (1, 2, 7):
        try:
            frame = read_frame(data, head, number, limits=_LIMITS)
            pixels = decode(frame, _LIMITS)
            encode_png(render.preview(pixels))
            display = read_display(head.dataset, frame.description, number)
            encode_png(render.render(pixels, display, box=render.Box(20, 0, True), limits=_LIMITS))
            for clip in (render.clip_uint8, render.clip_uint16, render.clip_int16):
                encode_png(clip(pixels))
        except ArchiveError:
            continue


def transcoded(data: bytes) -> None:
    """From a file to files of other transfer syntaxes; what comes out is read again."""
    for uid in _TARGET_SYNTAXES:
        try:
            result = transcode(data, uid, limits=_LIMITS)
        except ArchiveError:
            continue
        if result != data:
            read_head(result)


def presented(data: bytes) -> None:
    """A file shown by the standard, and by itself as a presentation state."""
    head = read_head(data)
    for number in (1, 2):
        try:
            pixels = decode(read_frame(data, head, number, limits=_LIMITS), _LIMITS)
            own = read_presentation(head.dataset, pixels.description, number)
            encode_png(present(pixels, own, box=render.Box(20, 30, True), limits=_LIMITS))
            encode_png(present(pixels, own, limits=_LIMITS))
            state = read_state(head.dataset, head.dataset, pixels, number, own)
            encode_png(present_state(pixels, state, limits=_LIMITS))
        except ArchiveError:
            continue


def _presentation_seed() -> bytes:
    """An image that is a presentation state about itself."""
    reference = _sequence(0x00081140, _element(0x00081155, b"UI", b"1.2.3"))
    graphic = b"".join(
        (
            _element(0x00700005, b"CS", b"PIXEL"),
            _element(0x00700022, b"FL", struct.pack("<4f", 1, 1, 9, 12)),
            _element(0x00700023, b"CS", b"CIRCLE"),
        )
    )
    area = _element(0x00700052, b"SL", struct.pack("<2i", 2, 2)) + _element(
        0x00700053, b"SL", struct.pack("<2i", 9, 9)
    )
    window = _element(0x00281050, b"DS", b"40\\50") + _element(0x00281051, b"DS", b"400\\20")
    overlay = b"".join(
        _element(tag, b"US", struct.pack("<H", value))
        for tag, value in ((0x60000010, 8), (0x60000011, 8), (0x60000100, 1), (0x60000102, 0))
    )
    before = _sequence(0x00081115, reference)
    behind = b"".join(
        (
            _element(0x00181600, b"CS", b"CIRCULAR\\POLYGONAL"),
            _element(0x00181610, b"IS", b"8\\8"),
            _element(0x00181612, b"IS", b"5"),
            _element(0x00181620, b"IS", b"1\\1\\1\\9\\9\\9"),
        )
    )
    image = b"".join(
        _element(tag, b"US", struct.pack("<H", value))
        for tag, value in (
            (0x00280002, 1),
            (0x00280010, _SIDE),
            (0x00280011, _SIDE),
            (0x00280100, 16),
            (0x00280101, 12),
            (0x00280102, 11),
            (0x00280103, 0),
            (0x00280120, 5),
        )
    )
    after = b"".join(
        (
            _sequence(0x00283110, window),
            _sequence(0x00700001, _sequence(0x00700009, graphic)),
            _element(0x00700041, b"CS", b"Y"),
            _element(0x00700042, b"US", struct.pack("<H", 90)),
            _sequence(0x0070005A, area),
            overlay,
            _element(0x60003000, b"OW", bytes(range(8))),
            _element(0x7FE00010, b"OW", _GREY.tobytes()),
        )
    )
    uids = _element(0x00080016, b"UI", b"1.2") + _element(0x00080018, b"UI", b"1.2.3")
    return wrap_header("1.2", "1.2.3", _EXPLICIT) + uids + before + behind + image + after


def _sequence(tag: int, item: bytes) -> bytes:
    inner = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, len(inner)) + inner


def worker_answers(data: bytes) -> None:
    """What a worker that was taken over may say of a frame."""
    text, _, part = data.partition(b"\0")
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    if not isinstance(header, dict):
        return
    for read in (decoded_of_header, recoded_of_header):
        with suppress(ArchiveError):
            read(header, [part])


def palette(data: bytes) -> None:
    """A palette of a data set in Explicit VR Little Endian."""
    read_palette(read_head(data, transfer_syntax_uid=_EXPLICIT).dataset)


def fragments_of_frames(data: bytes) -> None:
    """Encapsulated pixel data, with every way to tell where a frame begins."""
    half = len(data) // 2
    for begins in (None, fragments.begins_jpeg, fragments.begins_rle):
        for extended in (b"", data[:24]):
            for frames, number, start in (
                (1, 1, 0),
                (3, 1, 0),
                (3, 3, 0),
                (half + 1, half + 1, 0),
                (3, 2, half),
            ):
                try:
                    places = Encapsulated(memoryview(data), start, frames, begins, extended)
                    locate_frame(places, number, _LIMITS)
                    locate_collection(places, number, lambda opening: len(opening) % 5, _LIMITS)
                except ArchiveError:
                    continue


def private_pixels(data: bytes) -> None:
    """The compression of CT scanners."""
    decode_private(data, _describe(1, 12))


def headers(data: bytes) -> None:
    """The headers of all bit streams, and the boxes of MP4 files."""
    readers = (
        bitstream.read_jpeg,
        bitstream.read_jpeg_2000,
        bitstream.read_jpeg_xl,
        has_constant_rate,
        _container,
    )
    for read in readers:
        try:
            read(data)
        except ArchiveError:
            continue


def _container(data: bytes) -> None:
    container(data, "1.2.840.10008.1.2.4.102")


def _decoder(name: str, data: bytes) -> None:
    """One native decoder, for grey and for colour."""
    for description in (_describe(1, 16), _describe(1, 12), _describe(3, 8)):
        try:
            getattr(codecs, name)(data, description)
        except ArchiveError:
            continue


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr in (b"OB", b"OW"):
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _items(*values: bytes) -> bytes:
    padded = (value + b"\0" * (len(value) % 2) for value in values)
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value for value in padded)


def _table() -> bytes:
    descriptor = struct.pack("<HHH", 4, 0, 16)
    plain = b"".join(_element(0x00281101 + i, b"US", descriptor) for i in range(3))
    return plain + b"".join(_element(0x00281201 + i, b"OW", bytes(range(8))) for i in range(3))


def _segmented() -> bytes:
    descriptor = struct.pack("<HHH", 16, 0, 16)
    segments = struct.pack("<10H", 0, 1, 7, 1, 6, 60000, 2, 2, 0, 0)
    plain = b"".join(_element(0x00281101 + i, b"US", descriptor) for i in range(3))
    return plain + b"".join(_element(0x00281221 + i, b"OW", segments) for i in range(3))


def _file(
    syntax: str, samples: int, bits: int, pixel_data: bytes, *, photometric: bytes, frames: int = 1
) -> bytes:
    us = {0x00280002: samples, 0x00280010: _SIDE, 0x00280011: _SIDE}
    us |= {0x00280100: 16 if bits > 8 else 8, 0x00280101: bits, 0x00280102: bits - 1, 0x00280103: 0}
    elements = {tag: _element(tag, b"US", struct.pack("<H", value)) for tag, value in us.items()}
    elements[0x00280004] = _element(0x00280004, b"CS", photometric)
    elements[0x00280008] = _element(0x00280008, b"IS", str(frames).encode())
    elements[0x00281050] = _element(0x00281050, b"DS", b"40")
    elements[0x00281051] = _element(0x00281051, b"DS", b"400")
    elements[0x00281101] = _table()
    uids = _element(0x00080016, b"UI", b"1.2") + _element(0x00080018, b"UI", b"1.2.3")
    body = uids + b"".join(value for _, value in sorted(elements.items()))
    return wrap_header("1.2", "1.2.3", syntax) + body + pixel_data


def _encapsulated(syntax: str, samples: int, bits: int, *streams: bytes) -> bytes:
    value = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + _items(b"", *streams)
    photometric = b"RGB" if samples == 3 else b"MONOCHROME1"
    value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return _file(syntax, samples, bits, value, photometric=photometric, frames=len(streams))


_RLE = bytes(
    b"".join(
        encode_array(
            _GREY,
            rows=_SIDE,
            columns=_SIDE,
            samples_per_pixel=1,
            bits_allocated=16,
            bits_stored=16,
            number_of_frames=1,
            byteorder="<",
        )
    )
)
_STREAMS: dict[str, list[bytes]] = {
    "decode_jpeg": [
        bytes(imagecodecs.jpeg8_encode(_COLOUR)),
        bytes(imagecodecs.jpeg8_encode(_GREY, lossless=True, bitspersample=12)),
        bytes(imagecodecs.jpeg8_encode(_GREY, 90, bitspersample=12)),
    ],
    "decode_jpeg_ls": [bytes(imagecodecs.jpegls_encode(_GREY)), bytes(imagecodecs.jpegls_encode(_COLOUR))],
    "decode_jpeg_2000": [
        bytes(imagecodecs.jpeg2k_encode(_GREY, codecformat="j2k", reversible=True)),
        bytes(imagecodecs.jpeg2k_encode(_COLOUR, codecformat="jp2")),
        bytes(imagecodecs.htj2k_encode(_GREY)),
        bytes(imagecodecs.htj2k_encode(_COLOUR)),
    ],
    "decode_jpeg_xl": [
        bytes(imagecodecs.jpegxl_encode(_GREY, lossless=True)),
        bytes(imagecodecs.jpegxl_encode(_COLOUR, lossless=True, usecontainer=True)),
    ],
    "decode_rle": [_RLE],
}
_OFFSETS = struct.pack("<3I", 0, 12, 24)

TARGETS: dict[str, Callable[[bytes], None]] = {
    "imaging_file": file_to_images,
    "imaging_transcode": transcoded,
    "imaging_presentation": presented,
    "imaging_worker_answers": worker_answers,
    "imaging_palette": palette,
    "imaging_fragments": fragments_of_frames,
    "imaging_headers": headers,
    "imaging_private": private_pixels,
    **{f"imaging_{name}": partial(_decoder, name) for name in _STREAMS},
}
SEEDS: dict[str, list[bytes]] = {
    "imaging_file": [
        _file(_EXPLICIT, 1, 12, _element(0x7FE00010, b"OW", _GREY.tobytes()), photometric=b"MONOCHROME2"),
        _file(_EXPLICIT, 3, 8, _element(0x7FE00010, b"OB", _COLOUR.tobytes()), photometric=b"YBR_FULL"),
        _file(
            _EXPLICIT, 1, 8, _element(0x7FE00010, b"OB", bytes(512)), photometric=b"PALETTE COLOR", frames=2
        ),
        _encapsulated("1.2.840.10008.1.2.5", 1, 16, _RLE, _RLE),
        _encapsulated("1.2.840.10008.1.2.4.50", 3, 8, _STREAMS["decode_jpeg"][0]),
        _encapsulated("1.2.840.10008.1.2.4.70", 1, 12, *[_STREAMS["decode_jpeg"][1]] * 2),
        _encapsulated("1.2.840.10008.1.2.4.80", 1, 16, _STREAMS["decode_jpeg_ls"][0]),
        _encapsulated("1.2.840.10008.1.2.4.90", 1, 16, _STREAMS["decode_jpeg_2000"][0]),
    ],
    "imaging_worker_answers": [
        b'{"shape":[2,2,1],"type":"<u2","photometric":"RGB","precision":12,"is_as_allocated":false}\x0001234567',
        b'{"form":["RGB",8,false,[2,2,1]],"parts":[8]}\x0001234567',
    ],
    "imaging_palette": [_table(), _segmented()],
    "imaging_fragments": [
        _items(b"", _STREAMS["decode_jpeg"][0], b"\xff\xd8\xff\0", b"12"),
        _items(_OFFSETS, b"abcd", b"efgh", b"ijkl"),
    ],
    "imaging_private": [b"\x5a\x01\x02\xa5\xff\x00" * 2, b"\xa5\x05\x01" + bytes(250)],
    "imaging_headers": [*(stream for streams in _STREAMS.values() for stream in streams), clip("avc.mp4")],
    **{f"imaging_{name}": streams for name, streams in _STREAMS.items()},
}
SEEDS["imaging_transcode"] = SEEDS["imaging_file"]
SEEDS["imaging_presentation"] = [_presentation_seed(), *SEEDS["imaging_file"]]

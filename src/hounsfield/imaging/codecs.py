"""One decoder for every transfer syntax that compresses frames. PS3.5 8.2 and Annex A.4.

A decoder takes the bit stream of one frame and its description, and gives samples as the bit stream holds them, shape
(rows, columns, samples): neither sign-extended nor brought to the type of the description, which `decode` does for all.
The codec libraries load on first use: they are large, and most archives need one or two of them.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging import bitstream, fragments
from hounsfield.imaging.bitstream import Bitstream
from hounsfield.imaging.description import RGB, YBR_FULL, PixelDescription

# PackBits makes at most 128 bytes of 2. PS3.5 G.3.1.
_RLE_EXPANSION = 64
_RLE_SLACK = 256
_EOI = b"\xff\xd9"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Samples out of a decoder."""

    array: NDArray[Any]
    photometric: str
    precision: int
    """Bits that matter in each sample."""

    is_as_allocated: bool = False
    """Whether High Bit (0028,0102) says where these bits are; else they are at the low end."""


class Decoder(Protocol):
    """Decode the bit stream of one frame; any failure is `Corrupt`."""

    def __call__(self, data: bytes, description: PixelDescription, /) -> Decoded: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """How one family of transfer syntaxes is decoded."""

    decode: Decoder
    begins_frame: Callable[[bytes], bool] | None
    """See `fragments.Encapsulated.begins_frame`."""

    is_foreign: bool = True
    """Whether libraries read the bit stream that may crash on it: see `isolation`."""


def _matching(header: Bitstream, description: PixelDescription) -> Bitstream:
    """Refuse a bit stream of another size than its data set before a decoder allocates for it."""
    if (header.rows, header.columns) != (description.rows, description.columns):
        raise errors.Corrupt(
            f"the bit stream has {header.columns} columns by {header.rows} rows, "
            f"the data set {description.columns} by {description.rows}"
        )
    if header.samples not in (0, description.samples):
        raise errors.Corrupt(
            f"the bit stream has {header.samples} samples per pixel, the data set {description.samples}"
        )
    return header


def _guarded(name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a native decoder, and name its failures by our own word."""
    try:
        return function(*arguments, **options)
    except (RuntimeError, ValueError, TypeError, OSError, MemoryError, OverflowError, zlib.error) as cause:
        raise errors.Corrupt(f"the {name} bit stream cannot be decoded") from cause


def _samples_last(array: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    shape = (description.rows, description.columns, description.samples)
    if array.shape == shape[: array.ndim] and (array.ndim == 3 or description.samples == 1):
        return array.reshape(shape)
    raise errors.Corrupt(f"the bit stream decodes to shape {array.shape} instead of {shape}")


def decode_jpeg(data: bytes, description: PixelDescription, /) -> Decoded:
    """JPEG, all processes of libjpeg: baseline, extended to 12 bits, progressive and lossless. PS3.5 8.2.1."""
    import imagecodecs

    header = _matching(bitstream.read_jpeg(data), description)
    # libjpeg would fill up what is missing with grey. A sample of lossless JPEG takes a bit at least, and so does a
    # block of 64 in the others, where a component that has half of the resolution either way may be the largest.
    least = description.pixels * description.samples if header.is_lossless_jpeg else description.pixels // 128
    if _EOI not in data or 8 * len(data) < least:
        raise errors.Corrupt("the JPEG bit stream is cut off")
    options: dict[str, str] = {}
    photometric = description.photometric
    if description.samples == 3 and header.is_lossless_jpeg:
        options = {"colorspace": "rgb", "outcolorspace": "rgb"}  # no transformation at all
    elif description.samples == 3:
        # The markers know better than the data set, in which RGB is often what the image was before compression.
        is_ybr = photometric != RGB if header.is_ybr is None else header.is_ybr
        options = {"colorspace": "ycbcr" if is_ybr else "rgb", "outcolorspace": "rgb"}
        photometric = RGB
    array = _guarded("JPEG", imagecodecs.jpeg8_decode, data, **options)
    return Decoded(_samples_last(array, description), photometric, header.precision)


def decode_jpeg_ls(data: bytes, description: PixelDescription, /) -> Decoded:
    """JPEG-LS, lossless and near-lossless. PS3.5 8.2.3."""
    import imagecodecs

    header = _matching(bitstream.read_jpeg(data), description)
    # CharLS searches seconds for the end of a stream that was cut off, unless there is an EOI behind.
    array = _guarded("JPEG-LS", imagecodecs.jpegls_decode, data + _EOI)
    return Decoded(_samples_last(array, description), description.photometric, header.precision)


def decode_jpeg_2000(data: bytes, description: PixelDescription, /) -> Decoded:
    """JPEG 2000, reversible and irreversible, Part 1 and 2, and high-throughput. PS3.5 8.2.4 and 8.2.11.

    HTJ2K goes through OpenJPEG too. OpenJPH takes half the time, but its wrapper gives a wrong image instead of an
    error for a damaged bit stream, and some such streams end the process.
    """
    import imagecodecs

    header = _matching(bitstream.read_jpeg_2000(data), description)
    array = _guarded("JPEG 2000", imagecodecs.jpeg2k_decode, data)
    photometric = description.photometric
    if description.samples == 3 and (header.is_ybr is False or photometric in ("YBR_RCT", "YBR_ICT")):
        photometric = RGB  # the decoder has undone the transformation
    return Decoded(_samples_last(array, description), photometric, header.precision)


def count_collected(opening: bytes, *, samples: int) -> int:
    """How many frames of so many samples a JPEG 2000 code stream has as components; one if it does not say."""
    is_code_stream = opening[:4] == b"\xff\x4f\xff\x51" and len(opening) >= 42
    return max(int.from_bytes(opening[40:42], "big") // samples, 1) if is_code_stream else 1


def decode_collected(data: bytes, description: PixelDescription, index: int, largest: int) -> Decoded:
    """One of the frames that are components of the same code stream, `index` from 0. PS3.5 8.2.4, ISO/IEC 15444-2.

    `largest` is how many bytes all of them may take.
    """
    import imagecodecs

    header = bitstream.read_jpeg_2000(data)
    samples = description.samples
    if header.samples == samples:
        return decode_jpeg_2000(data, description)
    _matching(replace(header, samples=0), description)
    size = header.samples * description.decoded_bytes // samples
    if (index + 1) * samples > header.samples or size > largest:
        raise errors.Corrupt(f"a bit stream of {header.samples} components of {size} bytes")
    array = _guarded("JPEG 2000", imagecodecs.jpeg2k_decode, data)
    if array.shape != (description.rows, description.columns, header.samples):
        raise errors.Corrupt(f"the bit stream decodes to shape {array.shape}")
    begin = index * samples
    return Decoded(array[..., begin : begin + samples], description.photometric, header.precision)


def decode_jpeg_xl(data: bytes, description: PixelDescription, /) -> Decoded:
    """JPEG XL, and JPEG recompressed as such. PS3.5 8.2.15."""
    import imagecodecs

    _matching(bitstream.read_jpeg_xl(data), description)
    array = _guarded("JPEG XL", imagecodecs.jpegxl_decode, data)
    photometric = RGB if description.samples == 3 else description.photometric
    return Decoded(_samples_last(array, description), photometric, description.bits_stored)


def decode_rle(data: bytes, description: PixelDescription, /) -> Decoded:
    """RLE Lossless: a segment for every byte of every sample, the most significant first. PS3.5 Annex G."""
    width = max(description.bits_allocated // 8, 1)
    if description.decoded_bytes > len(data) * _RLE_EXPANSION:
        raise errors.Corrupt(
            f"{len(data)} bytes of RLE cannot hold the {description.decoded_bytes} bytes of a frame"
        )
    planes = np.empty((description.samples, description.pixels, width), np.uint8)
    for index, segment in enumerate(_rle_segments(data, description.samples * width)):
        sample, byte = divmod(index, width)
        planes[sample, :, width - 1 - byte] = _rle_segment(segment, description)
    values = planes.view(f"<u{width}").reshape(description.samples, description.rows, description.columns)
    photometric = YBR_FULL if description.photometric.startswith("YBR") else description.photometric
    return Decoded(values.transpose(1, 2, 0), photometric, description.bits_stored, is_as_allocated=True)


def _rle_segments(data: bytes, count: int) -> list[bytes]:
    if len(data) < 64:
        raise errors.Corrupt("RLE without a header")
    declared, *offsets = struct.unpack_from("<16I", data)
    if declared != count:
        raise errors.Corrupt(f"RLE with {declared} segments instead of {count}")
    ends = [*offsets[1:count], len(data)]
    if offsets[0] < 64 or any(begin >= end for begin, end in zip(offsets[:count], ends, strict=True)):
        raise errors.Corrupt("RLE segments are out of order")
    return [data[begin:end] for begin, end in zip(offsets[:count], ends, strict=True)]


def _rle_segment(segment: bytes, description: PixelDescription) -> NDArray[np.uint8]:
    """One byte of every pixel."""
    import imagecodecs

    pixels = description.pixels
    # The size of the output is not in the segment, and some encoders pad it with codes of their own.
    raw = np.frombuffer(
        _guarded("RLE", imagecodecs.packbits_decode, segment, out=pixels + _RLE_SLACK), np.uint8
    )
    if description.bits_allocated == 1 and (pixels + 7) // 8 <= len(raw) < pixels:
        raw = np.unpackbits(raw, bitorder="little")
    if len(raw) < pixels:
        raise errors.Corrupt(f"an RLE segment decodes to {len(raw)} bytes instead of {pixels}")
    return raw[:pixels]


_JPEG = Codec(decode_jpeg, fragments.begins_jpeg)
_JPEG_LS = Codec(decode_jpeg_ls, fragments.begins_jpeg)
_JPEG_2000 = Codec(decode_jpeg_2000, fragments.begins_jpeg_2000)
_JPEG_XL = Codec(decode_jpeg_xl, fragments.begins_jpeg_xl)
_RLE = Codec(decode_rle, fragments.begins_rle, is_foreign=False)

CODECS: dict[str, Codec] = {
    "1.2.840.10008.1.2.4.50": _JPEG,  # baseline
    "1.2.840.10008.1.2.4.51": _JPEG,  # extended, up to 12 bits
    "1.2.840.10008.1.2.4.53": _JPEG,  # spectral selection, retired
    "1.2.840.10008.1.2.4.55": _JPEG,  # full progression, retired
    "1.2.840.10008.1.2.4.57": _JPEG,  # lossless
    "1.2.840.10008.1.2.4.70": _JPEG,  # lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,  # near-lossless
    "1.2.840.10008.1.2.4.90": _JPEG_2000,  # lossless only
    "1.2.840.10008.1.2.4.91": _JPEG_2000,
    "1.2.840.10008.1.2.4.92": _JPEG_2000,  # Part 2, lossless only
    "1.2.840.10008.1.2.4.93": _JPEG_2000,
    "1.2.840.10008.1.2.4.110": _JPEG_XL,  # lossless
    "1.2.840.10008.1.2.4.111": _JPEG_XL,  # JPEG recompression
    "1.2.840.10008.1.2.4.112": _JPEG_XL,
    "1.2.840.10008.1.2.4.201": _JPEG_2000,  # lossless only
    "1.2.840.10008.1.2.4.202": _JPEG_2000,  # lossless only, RPCL
    "1.2.840.10008.1.2.4.203": _JPEG_2000,
    "1.2.840.10008.1.2.5": _RLE,
}

MULTI_COMPONENT = frozenset({"1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93"})
"""In which frames may be components of one bit stream."""

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
PRIVATE_GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"

NATIVE = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        PRIVATE_GE_BIG_ENDIAN_PIXELS,
    }
)
BIG_ENDIAN_PIXELS = frozenset({EXPLICIT_VR_BIG_ENDIAN, PRIVATE_GE_BIG_ENDIAN_PIXELS})


def inflate(data: bytes, size: int) -> bytes:
    """Inflate a frame of Deflated Image Frame Compression, at most to `size` bytes. PS3.5 A.4.13."""
    inflater = zlib.decompressobj(wbits=-15)
    out = _guarded("deflated", inflater.decompress, data, size)
    if len(out) != size:
        raise errors.Corrupt(f"a deflated frame inflates to {len(out)} bytes instead of {size}")
    return bytes(out)

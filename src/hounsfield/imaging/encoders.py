"""One encoder for every transfer syntax that frames can be compressed to. PS3.5 8.2 and Annex A.4.

An encoder takes the samples of one frame, shape (rows, columns, samples), each in the low `bits` bits of its type and
sign-extended, and gives a bit stream. What it cannot hold is refused by `check` beforehand, by the tables of PS3.5 8.2.
"""

import math
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.description import (
    MONOCHROME1,
    MONOCHROME2,
    PALETTE_COLOR,
    RGB,
    YBR_FULL,
    YBR_FULL_422,
    YBR_ICT,
    YBR_RCT,
)

QUALITY_DEFAULT = 90
_GREY = frozenset({MONOCHROME1, MONOCHROME2})
_CONTINUOUS = frozenset({MONOCHROME1, MONOCHROME2, RGB, YBR_FULL})
_ANY = frozenset({*_CONTINUOUS, PALETTE_COLOR})
_RLE_SEGMENTS_MAX = 15
_RLE_HEADER = struct.Struct("<16I")


@dataclass(frozen=True, slots=True)
class Samples:
    """What an encoder has to know of the samples it is given."""

    bits: int
    photometric: str
    quality: int = QUALITY_DEFAULT
    """1 small to 100 fine; of no meaning to lossless encoders."""


class Encode(Protocol):
    """Encode one frame."""

    def __call__(self, array: NDArray[Any], samples: Samples, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """How frames are compressed to one transfer syntax, and which."""

    encode: Encode
    name: str
    method: str = ""
    """Lossy Image Compression Method (0028,2114), PS3.3 C.7.6.1.1.5.2; empty if lossless."""

    photometrics: frozenset[str] = _ANY
    becomes: Mapping[str, str] = field(default_factory=dict)
    """Photometric Interpretation of the bit stream, where it is another than that of the samples."""

    bits: range = range(1, 17)
    """Bits Stored (0028,0101) that can be given."""

    precisions: tuple[int, ...] = ()
    """Bits Stored that can come out, the smallest that is enough; empty if as given. A lossy bit stream of more bits
    than the data set says would have values that a reader cuts off."""

    is_signed_allowed: bool = True
    is_single_bit: bool = False
    """Whether Bits Allocated (0028,0100) may be 1."""

    @property
    def is_lossy(self) -> bool:
        """Whether pixels change."""
        return bool(self.method)


def check(
    encoder: Encoder, *, photometric: str, bits_allocated: int, bits: int, is_signed: bool, is_float: bool
) -> None:
    """Raise `Unsupported` if PS3.5 8.2 has no place for such pixels in the transfer syntax."""
    if photometric not in encoder.photometrics:
        raise errors.Unsupported(f"{photometric} cannot be encoded as {encoder.name}")
    if is_float:
        raise errors.Unsupported(f"Floating point pixels cannot be encoded as {encoder.name}")
    if bits not in encoder.bits or (bits_allocated == 1 and not encoder.is_single_bit):
        raise errors.Unsupported(
            f"{bits} bits of {bits_allocated} allocated cannot be encoded as {encoder.name}"
        )
    if is_signed and not encoder.is_signed_allowed:
        raise errors.Unsupported(f"Signed pixels cannot be encoded as {encoder.name}")


def _guarded(name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
    """Call a native encoder, and name its failures by our own word."""
    try:
        return bytes(function(*arguments, **options))
    except (RuntimeError, ValueError, TypeError, OSError, MemoryError, OverflowError) as cause:
        raise errors.Unsupported(f"A frame cannot be encoded as {name}") from cause


def _contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """The array as codecs take it: grey without the axis of samples."""
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)


def _unsigned(array: NDArray[Any], bits: int) -> NDArray[Any]:
    """Samples as the bits they are stored in, in the smallest type: two's complement if signed. PS3.5 8.1.1."""
    array = _contiguous(array)
    if array.dtype.kind == "i":
        unsigned = np.dtype(f"u{array.dtype.itemsize}")
        array = array.view(unsigned) & unsigned.type((1 << bits) - 1)
    return array.astype(np.uint8 if bits <= 8 else np.uint16, copy=False)


def encode_jpeg(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG, process 1 (8 bits) or 2 and 4 (12 bits); colour with half the chrominance columns. PS3.5 8.2.1."""
    import imagecodecs

    options: dict[str, Any] = {"bitspersample": 8 if samples.bits <= 8 else 12}
    if array.shape[2] == 3:
        is_ybr = samples.photometric == YBR_FULL
        options |= {
            "colorspace": "ycbcr" if is_ybr else "rgb",
            "outcolorspace": "ycbcr",
            "subsampling": "422",
        }
    image = _unsigned(array, 8 if samples.bits <= 8 else 12)
    return _guarded("JPEG", imagecodecs.jpeg8_encode, image, level=samples.quality, **options)


def encode_jpeg_lossless(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG process 14 with predictor 1, each sample as it is. PS3.5 8.2.1."""
    import imagecodecs

    options: dict[str, Any] = {"lossless": True, "predictor": 1, "bitspersample": max(samples.bits, 2)}
    if array.shape[2] == 3:
        options |= {"colorspace": "rgb", "outcolorspace": "rgb"}
    return _guarded("JPEG lossless", imagecodecs.jpeg8_encode, _unsigned(array, samples.bits), **options)


def encode_jpeg_ls(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG-LS without loss. PS3.5 8.2.3."""
    import imagecodecs

    return _guarded("JPEG-LS", imagecodecs.jpegls_encode, _unsigned(array, samples.bits))


def encode_jpeg_ls_near_lossless(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG-LS where no sample changes by more than `near_lossless_error`. PS3.5 8.2.3.

    Signed samples are kept away from the ends of their type, where an error would turn the sign over.
    """
    import imagecodecs

    error = near_lossless_error(samples.quality)
    bits = 8 if samples.bits <= 8 else 16
    if array.dtype.kind == "i":
        array = array.clip(-(1 << bits - 1) + error, (1 << bits - 1) - 1 - error)
    return _guarded("JPEG-LS", imagecodecs.jpegls_encode, _unsigned(array, bits), level=error)


def near_lossless_error(quality: int) -> int:
    """The most that a stored value may change.

    >>> near_lossless_error(90), near_lossless_error(100), near_lossless_error(40)
    (2, 1, 12)
    """
    return max((100 - quality) // 5, 1)


def encode_jpeg_2000(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG 2000 with the reversible wavelet, and the reversible colour transformation of RGB. PS3.5 8.2.4."""
    return _jpeg_2000(array, samples, level=0, reversible=True)


def encode_jpeg_2000_lossy(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG 2000 with the irreversible wavelet, to `noise` beside the frame's own range of values. PS3.5 8.2.4."""
    peak = (1 << samples.bits) - 1
    level = 20 * math.log10(peak / noise(array, samples.quality))
    return _jpeg_2000(array, samples, level=max(level, 1.0), reversible=False)


def _jpeg_2000(array: NDArray[Any], samples: Samples, **options: Any) -> bytes:
    import imagecodecs

    return _guarded(
        "JPEG 2000",
        imagecodecs.jpeg2k_encode,
        _contiguous(array),
        codecformat="J2K",
        bitspersample=samples.bits,
        mct=samples.photometric == RGB,
        **options,
    )


def noise(array: NDArray[Any], quality: int) -> float:
    """The mean error, in stored values, that a quality allows in a frame.

    It is measured by the values that the frame has, not by those its type could hold: a CT slice has 12 bits of
    values in 16, and would be spoilt by an error that is small beside 65535.

    >>> round(noise(np.array([0, 1000]), 90), 2)
    2.37
    """
    span = max(int(array.max()) - int(array.min()), 1)
    return span / float(10 ** ((30 + quality / 4) / 20))


def encode_htj2k(array: NDArray[Any], samples: Samples, /) -> bytes:
    """High-throughput JPEG 2000 without loss, in order RPCL with a table of tile-parts. PS3.5 8.2.11."""
    import imagecodecs

    return _guarded(
        "HTJ2K", imagecodecs.htj2k_encode, _contiguous(array), **_htj2k(array, samples), reversible=True
    )


def encode_htj2k_lossy(array: NDArray[Any], samples: Samples, /) -> bytes:
    """High-throughput JPEG 2000 with the irreversible wavelet. PS3.5 8.2.11."""
    import imagecodecs

    # The mean error of a coefficient is about 0.3 of its step, and steps are parts of the type's range.
    step = noise(array, samples.quality) / 0.3 / (1 << 8 * array.dtype.itemsize)
    options = _htj2k(array, samples)
    return _guarded(
        "HTJ2K",
        imagecodecs.htj2k_encode,
        _contiguous(array),
        level=min(step, 0.5),
        **options,
        reversible=False,
    )


def _htj2k(array: NDArray[Any], samples: Samples) -> dict[str, Any]:
    return {"rgb": samples.photometric == RGB and array.shape[2] == 3, "tlm": True, "tilepart": 1}


def encode_jpeg_xl(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG XL without loss. PS3.5 8.2.15."""
    import imagecodecs

    image = _unsigned(array, samples.bits)
    return _guarded(
        "JPEG XL", imagecodecs.jpegxl_encode, image, lossless=True, effort=3, bitspersample=samples.bits
    )


def encode_jpeg_xl_lossy(array: NDArray[Any], samples: Samples, /) -> bytes:
    """JPEG XL at the distance that libjxl's tools have for a quality. PS3.5 8.2.15."""
    import imagecodecs

    distance = 0.1 + (100 - samples.quality) * 0.09
    if array.shape[2] == 1:  # a distance is meant beside all that the bits could hold: see `noise`
        distance *= max(int(array.max()) - int(array.min()), 1) / ((1 << samples.bits) - 1)
    image = _unsigned(array, samples.bits)
    return _guarded(
        "JPEG XL", imagecodecs.jpegxl_encode, image, distance=max(distance, 0.01), bitspersample=samples.bits
    )


def encode_rle(array: NDArray[Any], _samples: Samples, /) -> bytes:
    """RLE Lossless: a segment for every byte of every sample, the most significant first. PS3.5 Annex G."""
    import imagecodecs

    rows, columns, count = array.shape
    width = array.dtype.itemsize
    if count * width > _RLE_SEGMENTS_MAX:
        raise errors.Unsupported(f"RLE cannot hold {count} samples of {8 * width} bits")
    raw = np.ascontiguousarray(array.astype(array.dtype.newbyteorder(">"), copy=False))
    planes = raw.view(np.uint8).reshape(rows, columns, count * width)
    segments = []
    for index in range(count * width):  # every row on its own: G.3.1
        segment = bytes(imagecodecs.packbits_encode(planes[..., index].copy(), axis=-1))
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = [0] * 15
    position = _RLE_HEADER.size
    for index, segment in enumerate(segments):
        offsets[index] = position
        position += len(segment)
    return b"".join([_RLE_HEADER.pack(len(segments), *offsets), *segments])


def encode_deflated(array: NDArray[Any], samples: Samples, /) -> bytes:
    """Native samples, deflated: Deflated Image Frame Compression. PS3.5 A.4.13."""
    deflater = zlib.compressobj(6, wbits=-15)
    return deflater.compress(native_bytes(array, is_single_bit=samples.bits == 1)) + deflater.flush()


def native_bytes(array: NDArray[Any], *, is_single_bit: bool = False, is_big_endian: bool = False) -> bytes:
    """Samples as native pixel data has them, interleaved; single bits are packed. PS3.5 8.1.1."""
    if is_single_bit:
        return np.packbits(array.ravel(), bitorder="little").tobytes()
    return array.astype(array.dtype.newbyteorder(">" if is_big_endian else "<"), copy=False).tobytes()


_JPEG = "ISO_10918_1"
_J2K_COLOUR = MappingProxyType({RGB: YBR_RCT})
_J2K_LOSSY_COLOUR = MappingProxyType({RGB: YBR_ICT})
_JPEG_COLOUR = MappingProxyType({RGB: YBR_FULL_422, YBR_FULL: YBR_FULL_422})
_HTJ2K = Encoder(encode_htj2k, "HTJ2K lossless", becomes=_J2K_COLOUR)
_JPEG_LOSSLESS = Encoder(encode_jpeg_lossless, "JPEG lossless")

ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "1.2.840.10008.1.2.4.50": Encoder(
            encode_jpeg,
            "JPEG baseline",
            _JPEG,
            _CONTINUOUS,
            _JPEG_COLOUR,
            range(1, 9),
            precisions=(8,),
            is_signed_allowed=False,
        ),
        "1.2.840.10008.1.2.4.51": Encoder(
            encode_jpeg,
            "JPEG extended",
            _JPEG,
            _CONTINUOUS,
            _JPEG_COLOUR,
            range(1, 13),
            precisions=(8, 12),
            is_signed_allowed=False,
        ),
        "1.2.840.10008.1.2.4.57": _JPEG_LOSSLESS,
        "1.2.840.10008.1.2.4.70": _JPEG_LOSSLESS,
        "1.2.840.10008.1.2.4.80": Encoder(encode_jpeg_ls, "JPEG-LS lossless"),
        "1.2.840.10008.1.2.4.81": Encoder(
            encode_jpeg_ls_near_lossless,
            "JPEG-LS near-lossless",
            "ISO_14495_1",
            _CONTINUOUS,
            precisions=(8, 16),
        ),
        "1.2.840.10008.1.2.4.90": Encoder(encode_jpeg_2000, "JPEG 2000 lossless", becomes=_J2K_COLOUR),
        "1.2.840.10008.1.2.4.91": Encoder(
            encode_jpeg_2000_lossy, "JPEG 2000", "ISO_15444_1", _CONTINUOUS, _J2K_LOSSY_COLOUR
        ),
        "1.2.840.10008.1.2.4.110": Encoder(
            encode_jpeg_xl, "JPEG XL lossless", photometrics=frozenset({*_GREY, PALETTE_COLOR, RGB})
        ),
        "1.2.840.10008.1.2.4.112": Encoder(
            encode_jpeg_xl_lossy,
            "JPEG XL",
            "ISO_18181_1",
            frozenset({*_GREY, RGB}),
            {RGB: "XYB"},
            is_signed_allowed=False,
        ),
        "1.2.840.10008.1.2.4.201": _HTJ2K,
        "1.2.840.10008.1.2.4.202": _HTJ2K,
        "1.2.840.10008.1.2.4.203": Encoder(
            encode_htj2k_lossy, "HTJ2K", "ISO_15444_15", _CONTINUOUS, _J2K_LOSSY_COLOUR, precisions=(8, 16)
        ),
        "1.2.840.10008.1.2.5": Encoder(encode_rle, "RLE lossless", bits=range(1, 33)),
        "1.2.840.10008.1.2.8.1": Encoder(
            encode_deflated, "Deflated Image Frame Compression", bits=range(1, 65), is_single_bit=True
        ),
    }
)

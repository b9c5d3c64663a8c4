"""From an encoded frame to its pixels. PS3.3 C.7.6.3.1, PS3.5 8.

`decode` is a pure function of picklable records, so that it can run in another process: a crash of a codec library then
costs one request.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.imaging import codecs, colour, isolation, video
from hounsfield.imaging.codecs import Decoded
from hounsfield.imaging.description import RGB, YBR_FULL, YBR_FULL_422, YBR_PARTIAL_422, PixelDescription
from hounsfield.imaging.elscint import decode_private
from hounsfield.imaging.frames import EncodedFrame
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits
from hounsfield.imaging.wire import decoded_of_header, header_of_frame

_BEGINNING = 16 << 20
"""Bytes of a video, much more than the first frame of any takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The stored values of one frame."""

    array: NDArray[Any]
    """Shape (rows, columns, samples), of the type allocated and with the sign of the data set; may be read-only."""

    photometric: str
    """Photometric Interpretation of the array: colour other than PALETTE COLOR has become RGB."""

    description: PixelDescription


def decode(frame: EncodedFrame, limits: Limits = DEFAULT_LIMITS) -> Pixels:
    """Decode a frame.

    Samples are cut to Bits Stored, so that overlays in the unused bits are not seen, and luminance and chrominance
    are converted to RGB. A single bit becomes 0 or 1 in a byte.

    Raises
    ------
    Corrupt
        If the bytes are not what the data set and the transfer syntax say, or would take too much memory.
    Unsupported
        If no decoder knows the transfer syntax.
    """
    decoded = _decode_safely(frame, limits)
    return _to_rgb(stored_values(decoded, frame.description), decoded.photometric, frame.description)


def _decode_safely(frame: EncodedFrame, limits: Limits) -> Decoded:
    """Decode in a process of its own, if there are such and a library has to read the bit stream."""
    pool = isolation.current()
    if transfer_syntax(frame.transfer_syntax_uid).is_video:
        return _video_frame(frame, limits)
    codec = codecs.CODECS.get(frame.transfer_syntax_uid)
    if pool is None or codec is None or not codec.is_foreign or frame.private_compression:
        return decode_samples(frame, limits)
    if frame.description.decoded_bytes > limits.frame_bytes:
        raise errors.Corrupt(f"a frame of {frame.description.decoded_bytes} bytes is over the limit")
    return _asked(pool, "decode", frame)


def _asked(pool: isolation.WorkerPool, task: str, frame: EncodedFrame) -> Decoded:
    decoded = decoded_of_header(*pool.ask({"task": task, **header_of_frame(frame)}, frame.data))
    expected = (frame.description.rows, frame.description.columns, frame.description.samples)
    if decoded.array.shape != expected:
        raise isolation.WorkerFailure("the decoder gave an image of another size")
    return decoded


def _video_frame(frame: EncodedFrame, limits: Limits) -> Decoded:
    """A frame of a video. The first one is looked for in its beginning, which may be all that has to be read of it."""
    if frame.description.decoded_bytes > limits.frame_bytes:
        raise errors.Corrupt(f"a frame of {frame.description.decoded_bytes} bytes is over the limit")
    if frame.number == 1 and len(frame.data) > _BEGINNING:
        with contextlib.suppress(errors.Corrupt):
            return _video_frame(replace(frame, data=frame.data[:_BEGINNING]), limits)
    if len(frame.data) > limits.video_bytes:
        raise errors.Unsupported(f"a video of {len(frame.data)} bytes is over the limit")
    pool = isolation.current()
    return decode_samples(frame, limits) if pool is None else _asked(pool, "decode_video", frame)


def decode_samples(frame: EncodedFrame, limits: Limits = DEFAULT_LIMITS) -> Decoded:
    """Decode a frame to the samples that the decoder gives, neither cut to Bits Stored nor converted to RGB.

    Errors as of `decode`.
    """
    description = frame.description
    if description.decoded_bytes > limits.frame_bytes:
        raise errors.Corrupt(f"a frame of {description.decoded_bytes} bytes is over the limit")
    codec = codecs.CODECS.get(frame.transfer_syntax_uid)
    if frame.private_compression:
        return decode_private(bytes(frame.data), description)
    if transfer_syntax(frame.transfer_syntax_uid).is_video:
        array = video.decode_video(frame.data, description, frame.transfer_syntax_uid, frame.number)
        return Decoded(array, video.decoded_photometric(description), description.bits_stored)
    if frame.component is not None:
        return codecs.decode_collected(bytes(frame.data), description, frame.component, limits.frame_bytes)
    if codec is not None:
        return codec.decode(bytes(frame.data), description)
    return _native(frame)


def _native(frame: EncodedFrame) -> Decoded:
    description = frame.description
    data: bytes | memoryview = frame.data
    order = ">" if frame.transfer_syntax_uid in codecs.BIG_ENDIAN_PIXELS else "<"
    if frame.transfer_syntax_uid == codecs.DEFLATED_IMAGE_FRAME:
        data = codecs.inflate(bytes(data), (description.frame_bits + 7) // 8)
    elif frame.transfer_syntax_uid not in codecs.NATIVE:
        raise errors.Unsupported(f"transfer syntax {frame.transfer_syntax_uid}")
    if description.bits_allocated == 1:
        array = _unpacked(data, frame.first_bit, description)
    else:
        kind = np.dtype(_type(description, order))
        # What was inflated, or is in fragments, may end within a value.
        array = _arranged(np.frombuffer(data, kind, len(data) // kind.itemsize), description)
    return Decoded(array, description.photometric, description.bits_stored, is_as_allocated=True)


def _type(description: PixelDescription, order: str) -> str:
    kind = "f" if description.is_float else "i" if description.is_signed else "u"
    return f"{order}{kind}{description.bits_allocated // 8}"


def _unpacked(data: bytes | memoryview, first_bit: int, description: PixelDescription) -> NDArray[np.uint8]:
    """Single bits, the first pixel in the least significant one. PS3.5 8.1.1 and D."""
    count = description.pixels * description.samples
    if len(data) * 8 < first_bit + count:
        raise errors.Corrupt("a frame of single bits is too short")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=first_bit + count, bitorder="little")
    return _planes(bits[first_bit:], description)


def _arranged(raw: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    rows, columns, samples = description.rows, description.columns, description.samples
    if len(raw) >= rows * columns * samples:
        return _planes(raw[: rows * columns * samples], description)
    is_subsampled = description.photometric in (YBR_FULL_422, YBR_PARTIAL_422) and samples == 3
    if is_subsampled and columns % 2 == 0 and len(raw) >= rows * columns * 2:
        return colour.expand_422(raw[: rows * columns * 2], rows, columns)
    raise errors.Corrupt(f"a frame has {len(raw)} values instead of {rows * columns * samples}")


def _planes(raw: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    rows, columns, samples = description.rows, description.columns, description.samples
    if samples > 1 and description.planar == 1:
        return raw.reshape(samples, rows, columns).transpose(1, 2, 0)
    return raw.reshape(rows, columns, samples)


def stored_values(decoded: Decoded, description: PixelDescription) -> NDArray[Any]:
    """Bring samples to the type of the data set: bits cut out, sign extended, byte order of the machine."""
    array = decoded.array
    if array.dtype.kind == "f" or description.is_float:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    size = max(description.bits_allocated // 8, array.dtype.itemsize)
    is_encapsulated_sign = array.dtype.kind == "i" and not description.is_signed
    kind = "i" if description.is_signed or is_encapsulated_sign else "u"
    array = array.astype(f"{kind}{size}", copy=False)
    bits = 8 * size
    stored = min(decoded.precision, bits)
    if description.is_signed and decoded.array.dtype.kind == "u":
        stored = min(
            stored, description.bits_stored
        )  # the sign is in the highest bit stored, whatever the codec took
    shift = description.high_bit + 1 - description.bits_stored if decoded.is_as_allocated else 0
    if (shift or stored < bits) and description.bits_allocated > 1:
        array = _cut(array, stored, shift)
    return array


def _cut(array: NDArray[Any], stored: int, shift: int) -> NDArray[Any]:
    """Keep `stored` bits from bit `shift` on. Nothing is copied where nothing else is set, as nearly always."""
    if shift == 0:
        if array.dtype.kind == "u" and int(array.max()) < 1 << stored:
            return array
        half = 1 << (stored - 1)
        if array.dtype.kind == "i" and -half <= int(array.min()) and int(array.max()) < half:
            return array
    bits = array.dtype.itemsize * 8
    moved: NDArray[Any] = np.left_shift(array, bits - stored - shift)
    return np.asarray(np.right_shift(moved, bits - stored, out=moved))


def _to_rgb(array: NDArray[Any], photometric: str, description: PixelDescription) -> Pixels:
    if description.samples != 3 or not photometric.startswith("YBR"):
        return Pixels(array, photometric, description)
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise errors.Unsupported(f"{photometric} with samples of type {array.dtype}")
    if photometric in (YBR_FULL, YBR_FULL_422):
        return Pixels(colour.ybr_full_to_rgb(array), RGB, description)
    if photometric == YBR_PARTIAL_422 and array.dtype == np.uint8:
        return Pixels(colour.ybr_partial_to_rgb(array), RGB, description)
    raise errors.Unsupported(f"Photometric Interpretation {photometric} here")

"""One frame from one transfer syntax to another."""

from dataclasses import dataclass
from typing import Any

from hounsfield.imaging import codecs, isolation
from hounsfield.imaging.decode import decode_samples, stored_values
from hounsfield.imaging.description import YBR_FULL, YBR_FULL_422
from hounsfield.imaging.encoders import ENCODERS, Samples, check, native_bytes
from hounsfield.imaging.frames import EncodedFrame
from hounsfield.imaging.isolation import Header, WorkerFailure
from hounsfield.imaging.limits import Limits
from hounsfield.imaging.overlay_planes import plane_of
from hounsfield.imaging.wire import Part, header_of_frame, short_text


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done with every frame."""

    transfer_syntax_uid: str
    quality: int
    overlay_bits: tuple[int, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Form:
    """What the samples were that went into an encoder."""

    photometric: str
    bits_allocated: int
    is_signed: bool
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Recoded:
    """A frame in its new transfer syntax."""

    data: bytes
    form: Form
    overlays: tuple[bytes, ...]
    """Overlays that lay in the unused bits, a byte a pixel."""


def recode_safely(frame: EncodedFrame, work: Work) -> Recoded:
    """The same as `recode`, in a process of its own if there are such. Errors as of `decode.decode` and `check`."""
    pool = isolation.current()
    if pool is None:
        return recode(frame, work)
    return recoded_of_header(
        *pool.ask({"task": "recode", **header_of_frame(frame), **_header_of_work(work)}, frame.data)
    )


def recode(frame: EncodedFrame, work: Work) -> Recoded:
    """Decode one frame and encode it again. A function of picklable records, as `decode.decode` is."""
    pixels = frame.description
    decoded = decode_samples(frame, work.limits)
    array = stored_values(decoded, pixels)
    photometric = YBR_FULL if decoded.photometric == YBR_FULL_422 else decoded.photometric
    is_single_bit = pixels.bits_allocated == 1
    form = Form(
        photometric, 1 if is_single_bit else 8 * array.dtype.itemsize, array.dtype.kind == "i", array.shape
    )
    encoder = ENCODERS.get(work.transfer_syntax_uid)
    if encoder is None:
        # Single bits are packed when all frames are there: the next may begin within a byte.
        data = native_bytes(array, is_big_endian=work.transfer_syntax_uid in codecs.BIG_ENDIAN_PIXELS)
    else:
        check(
            encoder,
            photometric=photometric,
            bits_allocated=form.bits_allocated,
            bits=pixels.bits_stored,
            is_signed=form.is_signed,
            is_float=pixels.is_float,
        )
        data = encoder.encode(array, Samples(pixels.bits_stored, photometric, work.quality))
    return Recoded(data, form, tuple(plane_of(decoded, bit) for bit in work.overlay_bits))


def _header_of_work(work: Work) -> Header:
    """What is to be done with a frame."""
    return {
        "target": work.transfer_syntax_uid,
        "quality": work.quality,
        "overlay_bits": work.overlay_bits,
        "limits": [work.limits.frame_bytes, work.limits.fragments, work.limits.image_pixels],
    }


def work_of_header(header: dict[str, Any]) -> Work:
    """The same again."""
    limits = Limits(*header["limits"])
    return Work(header["target"], header["quality"], tuple(header["overlay_bits"]), limits)


def header_of_recoded(recoded: Recoded) -> tuple[Header, list[Part]]:
    """A frame encoded anew, its overlays in further parts."""
    form = recoded.form
    header: Header = {"form": [form.photometric, form.bits_allocated, form.is_signed, form.shape]}
    return header, [recoded.data, *recoded.overlays]


def recoded_of_header(header: dict[str, Any], parts: list[bytes]) -> Recoded:
    """The same again."""
    try:
        photometric, bits_allocated, is_signed, shape = header["form"]
        form = Form(
            short_text(photometric), int(bits_allocated), bool(is_signed), tuple(int(side) for side in shape)
        )
        data, *overlays = parts
        return Recoded(data, form, tuple(overlays))
    except (ValueError, TypeError, KeyError) as cause:
        raise WorkerFailure("the encoder gave no sensible answer") from cause

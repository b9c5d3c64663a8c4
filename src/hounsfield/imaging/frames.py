"""Taking one frame, still encoded, out of an instance's bytes. PS3.5 8 and A.4, PS3.3 C.7.6.3.

Native frames are cut out by offset, encapsulated ones by `fragments`. Only the bytes of the frame are touched: from a
memory map of a whole slide of gigabytes, a tile costs its own pages.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from hounsfield import errors
from hounsfield.dicom.part10 import Head, read_whole
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.imaging import codecs
from hounsfield.imaging.description import PixelDescription, describe, frame_count
from hounsfield.imaging.elscint import COMPRESSION, find_private_pixels
from hounsfield.imaging.fragments import Encapsulated, Span, locate_collection, locate_frame
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits

_EXTENDED_OFFSETS = 0x7FE00001
_UNDEFINED_LENGTH = 0xFFFFFFFF
_DEFLATE_EXPANSION = 1032  # RFC 1951 cannot make more of a byte
_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")


class NoPixelData(errors.BadRequest):
    """The instance holds no image."""


class NoSuchFrame(errors.BadRequest):
    """The instance has fewer frames."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrame:
    """One frame as it is stored: a bit stream, or native samples."""

    data: bytes | memoryview
    """Native samples may be a view of the file; an encapsulated frame's fragments are joined.

    Of a video all of it, whatever frame.
    """

    transfer_syntax_uid: str
    description: PixelDescription
    number: int
    """From 1."""

    first_bit: int = 0
    """Where a frame of single bits begins within the first byte, from its least significant bit."""

    private_compression: str = ""
    """The name of a compression that the transfer syntax knows nothing of."""

    span: Span | None = None
    """Where `data` begin and end in the file, if they lie there as they are."""

    component: int | None = None
    """Which of the frames in the bit stream it is, from 0, in a transfer syntax that has them together."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the value of the pixel data is; `end` is None in encapsulated pixel data."""

    data: memoryview
    start: int
    end: int | None
    vr: str
    is_in_file: bool = True


def has_frames(head: Head) -> bool:
    """Whether an instance has pixel data, standard or private."""
    return head.has_pixel_data or find_private_pixels(head.dataset) is not None


def count_frames(head: Head, file_size: int) -> int:
    """Count the frames of an instance whose file has `file_size` bytes; 0 without pixel data.

    No more than its bytes could hold, whatever Number of Frames (0028,0008) claims: callers make lists of them.
    """
    if not has_frames(head):
        return 0
    declared = frame_count(head.dataset)
    if declared == 1:
        return 1
    if head.pixel_data_length is None or head.pixel_data_offset is None:
        return min(
            declared, file_size * (1 if head.pixel_data_offset is not None else _DEFLATE_EXPANSION) // 8
        )
    try:
        bits = native_frame_bits(describe(head.dataset, pixel_data_vr=head.pixel_data_vr or "OW"))
    except (errors.Corrupt, errors.Unsupported):
        bits = 8  # what cannot be shown can still be counted
    return min(declared, 8 * min(head.pixel_data_length, file_size) // bits)


def read_frame(
    data: Buffer,
    head: Head,
    number: int,
    *,
    description: PixelDescription | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> EncodedFrame:
    """Take one frame out of an instance.

    Parameters
    ----------
    data
        The whole file, the same as given to `read_head`.
    head
        Its head.
    number
        Frame number from 1.
    description
        What `describe` gave for this head, to spare reading it again for every frame.
    limits
        What one frame may cost.

    Raises
    ------
    NoPixelData, NoSuchFrame
        If there is no pixel data, or no frame of this number.
    Corrupt
        If what the data set declares is not in the bytes.
    Unsupported
        If the pixels are of a kind we cannot show.
    """
    private = find_private_pixels(head.dataset) if head.pixel_data_tag is None else None
    if head.pixel_data_tag is None and private is None:
        raise NoPixelData("the instance has no pixel data")
    if description is None:
        description = describe(head.dataset, pixel_data_vr=head.pixel_data_vr or "OW")
    if not 1 <= number <= description.number_of_frames:
        raise NoSuchFrame(f"there is no frame {number} among {description.number_of_frames}")
    if description.decoded_bytes > limits.frame_bytes:
        raise errors.Corrupt(
            f"a frame of {description.columns} columns by {description.rows} rows takes "
            f"{description.decoded_bytes} bytes, over the limit of {limits.frame_bytes}"
        )
    if private is not None:
        return EncodedFrame(
            private, head.transfer_syntax_uid, description, number, private_compression=COMPRESSION
        )
    place = _place(data, head, limits)
    if place.end is None:
        return _encapsulated(place, head, description, number, limits)
    if head.transfer_syntax_uid not in codecs.NATIVE:
        raise errors.Corrupt(
            f"transfer syntax {head.transfer_syntax_uid} with pixel data that is not encapsulated"
        )
    return _native(place, place.end, head.transfer_syntax_uid, description, number)


def _place(data: Buffer, head: Head, limits: Limits) -> _Place:
    vr = head.pixel_data_vr or "OW"
    offset = head.pixel_data_offset
    if offset is None:
        return _inflated_place(data, head, vr, limits)
    view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
    # The VR is written, in the long form, in all but Implicit VR: PS3.5 7.1.2.
    is_explicit = head.dataset.encoding.is_explicit and bytes(view[offset + 4 : offset + 6]).isalpha()
    start = offset + (12 if is_explicit else 8)
    if head.pixel_data_length is None or head.pixel_data_length == _UNDEFINED_LENGTH:
        return _Place(view, start, None, vr)
    return _Place(view, start, min(start + head.pixel_data_length, len(view)), vr)


def _inflated_place(data: Buffer, head: Head, vr: str, limits: Limits) -> _Place:
    """Pixel data of a Deflated Explicit VR data set, which has to be inflated up to its end. PS3.5 A.5."""
    whole = read_whole(data, maximum_inflated=limits.frame_bytes)
    element = head.pixel_data_tag and whole.dataset.element(head.pixel_data_tag)
    if not element:
        raise errors.Corrupt("the deflated data set ends before its pixel data")
    view = memoryview(whole.dataset.buffer)
    end = min(element.offset + element.length, len(view))
    return _Place(view, element.offset, end, vr, is_in_file=False)


def native_frame_bits(description: PixelDescription) -> int:
    """Bits from one native frame to the next. Chrominance of 4:2:2 is shared by two pixels: PS3.3 C.7.6.3.1.2."""
    if description.photometric in _SUBSAMPLED and description.samples == 3:
        return description.pixels * 2 * description.bits_allocated
    return description.frame_bits


def _native(
    place: _Place, end: int, transfer_syntax_uid: str, description: PixelDescription, number: int
) -> EncodedFrame:
    bits = native_frame_bits(description)
    available = end - place.start
    if description.photometric in _SUBSAMPLED and available >= _bytes(
        description.frame_bits * description.number_of_frames
    ):
        # Some devices say 4:2:2 and write every pixel's own chrominance: the size tells.
        bits = description.frame_bits
    first_bit = bits * (number - 1)
    begin, stop = first_bit // 8, _bytes(first_bit + bits)
    if stop > available:
        raise errors.Corrupt(f"frame {number} ends at byte {stop} of the pixel data, which has {available}")
    is_swapped = transfer_syntax_uid in codecs.BIG_ENDIAN_PIXELS and place.vr == "OW"
    if is_swapped and description.bits_allocated <= 8:
        data: bytes | memoryview = _swapped(place, begin, stop, end)
        return EncodedFrame(data, transfer_syntax_uid, description, number, first_bit % 8)
    span = place.start + begin, place.start + stop
    data = place.data[slice(*span)]
    is_in_file = place.is_in_file and first_bit % 8 == 0
    return EncodedFrame(
        data, transfer_syntax_uid, description, number, first_bit % 8, span=span if is_in_file else None
    )


def _bytes(bits: int) -> int:
    return (bits + 7) // 8


def _swapped(place: _Place, begin: int, stop: int, end: int) -> bytes:
    """Small samples written as big-endian words, so that each pair of bytes is the wrong way round. PS3.5 8.1.1."""
    first = begin & ~1
    words = bytes(place.data[place.start + first : min(place.start + stop + (stop & 1), end)])
    words += b"\0" * (len(words) & 1)
    return np.frombuffer(words, "<u2").byteswap().tobytes()[begin - first : stop - first]


def _encapsulated(
    place: _Place, head: Head, description: PixelDescription, number: int, limits: Limits
) -> EncodedFrame:
    codec = codecs.CODECS.get(head.transfer_syntax_uid)
    is_video = transfer_syntax(head.transfer_syntax_uid).is_video
    encapsulated = Encapsulated(
        data=place.data,
        start=place.start,
        frames=1 if is_video else description.number_of_frames,
        begins_frame=codec.begins_frame if codec else None,
        extended_offsets=head.dataset.raw(_EXTENDED_OFFSETS),
    )
    component = None
    if head.transfer_syntax_uid in codecs.MULTI_COMPONENT:
        count = partial(codecs.count_collected, samples=description.samples)
        spans, component = locate_collection(encapsulated, number, count, limits)
    else:
        spans = locate_frame(encapsulated, 1 if is_video else number, limits)
    span = spans[0] if len(spans) == 1 and place.is_in_file else None
    if is_video and len(spans) == 1:  # It may be long.
        stream: bytes | memoryview = place.data[slice(*spans[0])]
    elif is_video and (size := sum(end - begin for begin, end in spans)) > limits.video_bytes:
        raise errors.Unsupported(f"a video of {size} bytes in {len(spans)} pieces is over the limit")
    else:
        stream = _joined(place.data, spans)
    return EncodedFrame(stream, head.transfer_syntax_uid, description, number, span=span, component=component)


def _joined(data: memoryview, spans: list[Span]) -> bytes:
    return b"".join(data[begin:end] for begin, end in spans)

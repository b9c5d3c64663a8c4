"""The frames of what is not made to be looked at, doses and segmentations, decoded one at a time. PS3.3 C.7.6.6."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.scan import Buffer
from hounsfield.imaging.decode import decode
from hounsfield.imaging.description import PixelDescription, describe
from hounsfield.imaging.frames import count_frames, read_frame

_MOST = 4096


@dataclass(frozen=True, slots=True, eq=False)
class GreyFrames:
    """Frames of one sample a pixel, not decoded yet."""

    data: Buffer
    head: Head
    description: PixelDescription
    count: int


def grey_frames(data: Buffer, head: Head) -> GreyFrames:
    """The frames of a file.

    Raises
    ------
    Unsupported
        If there are none, or too many to look at all of them.
    """
    count = count_frames(head, len(data))
    if not 0 < count <= _MOST:
        raise errors.Unsupported(f"an instance with {count} frames")
    description = describe(head.dataset, pixel_data_vr=head.pixel_data_vr or "OW")
    return GreyFrames(data, head, description, count)


def stored_values(frames: GreyFrames, number: int) -> NDArray[Any]:
    """The stored values of a frame, `number` from 1, shape (rows, columns). Errors as of `decode`."""
    frame = read_frame(frames.data, frames.head, number, description=frames.description)
    return decode(frame).array[..., 0]

"""One frame as numbers: its values in their units, and where it is in the patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.imaging.decode import decode
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.geometry import FramePlane, places_of, read_planes
from hounsfield.imaging.lut import modality_values
from hounsfield.imaging.render import is_colour, stored_colour
from hounsfield.imaging.series import Member
from hounsfield.imaging.units import read_modality, read_units


@dataclass(frozen=True, slots=True, eq=False)
class FrameValues:
    """A frame, decoded and rescaled."""

    values: NDArray[np.float32] | NDArray[np.uint8]
    """Grey: values of the modality, shape (rows, columns). Colour: RGB of 8 bits, shape (rows, columns, 3)."""

    units: str
    """HU, BQML, Gy...; empty if unknown, and of colour."""

    plane: FramePlane | None
    """None where the data set does not say, as in projections and photographs."""


def read_frame_values(member: Member, number: int = 1) -> FrameValues:
    """Read a frame.

    Parameters
    ----------
    member
        The instance, by `series.read_member`.
    number
        Frame number from 1.

    Raises
    ------
    NoPixelData, NoSuchFrame
        If it has no such frame.
    Corrupt, Unsupported
        If the frame cannot be decoded.
    """
    pixels = decode(read_frame(member.read(), member.head, number))
    dataset, frames = member.head.dataset, pixels.description.number_of_frames
    plane = read_planes(dataset, frames)[number - 1]
    if is_colour(pixels):
        return FrameValues(stored_colour(pixels), "", plane)
    places = places_of(dataset, frames)[number - 1]
    modality = read_modality(places, is_signed=pixels.description.is_signed)
    values = modality_values(pixels.array[..., 0], modality).astype(np.float32)
    return FrameValues(values, read_units(places), plane)

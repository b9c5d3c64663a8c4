"""Radiotherapy doses as pictures: the plane of the highest dose in colours. PS3.3 C.8.8.3."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.dicom.part10 import Head
from hounsfield.dicom.scan import Buffer
from hounsfield.imaging.colour_maps import coloured, grey_of_values
from hounsfield.imaging.geometry import places_of
from hounsfield.imaging.grey_frames import grey_frames, stored_values
from hounsfield.imaging.lettering import ADVANCE, HEIGHT, write
from hounsfield.imaging.lut import Rescale, modality_values
from hounsfield.imaging.units import read_modality, read_units

_SMALLEST_SIDE = 256
_BAR_PIXELS = 60


@dataclass(frozen=True, slots=True, eq=False)
class DosePlane:
    """The plane of the highest dose."""

    values: NDArray[np.float64]
    units: str
    frame: int
    """From 1."""

    maximum: float


def hottest_plane(data: Buffer, head: Head) -> DosePlane:
    """Find the plane of the highest dose.

    Raises
    ------
    Unsupported
        If there are no frames, or too many.
    Corrupt
        If one cannot be decoded.
    """
    frames = grey_frames(data, head)
    places = places_of(head.dataset, 1)[0]
    modality = read_modality(places, is_signed=frames.description.is_signed)
    best = max(range(1, frames.count + 1), key=lambda number: float(stored_values(frames, number).max()))
    scale = modality if isinstance(modality, Rescale) else Rescale()
    values = modality_values(stored_values(frames, best), scale)
    return DosePlane(values, read_units(places), best, float(values.max()))


def picture_of(plane: DosePlane) -> NDArray[np.uint8]:
    """A dose from 0 to its highest in the colours of a rainbow, with a scale; shape (rows, columns, 3)."""
    top = max(plane.maximum, 1e-12)
    levels = grey_of_values(plane.values, 0.0, top)
    factor = max(-(-_SMALLEST_SIDE // max(levels.shape)), 1)
    levels = np.repeat(np.repeat(levels, factor, axis=0), factor, axis=1)
    image = np.zeros((max(len(levels), 4 * HEIGHT), levels.shape[1] + _BAR_PIXELS + 4 * ADVANCE, 3), np.uint8)
    image[: len(levels), : levels.shape[1]] = coloured(levels, "rainbow")
    left = levels.shape[1] + ADVANCE
    bar = np.linspace(255, 1, len(image)).astype(np.uint8)
    image[:, left : left + ADVANCE] = coloured(bar[:, np.newaxis], "rainbow")
    write(image, 1, left + 2 * ADVANCE, f"{top:.4g}", (255, 255, 255))
    write(image, 2 * HEIGHT, left + 2 * ADVANCE, plane.units or "?", (255, 255, 255))
    write(image, len(image) - HEIGHT - 1, left + 2 * ADVANCE, "0", (255, 255, 255))
    return image

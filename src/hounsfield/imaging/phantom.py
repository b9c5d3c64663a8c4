"""Volumes whose every value is known, to try things on: no patient is in them."""

import numpy as np
from numpy.typing import NDArray

from hounsfield.imaging.lut import IDENTITY, Rescale
from hounsfield.imaging.volume import Volume


def sphere(
    *,
    slices: int = 64,
    rows: int = 64,
    columns: int = 64,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    radius_mm: float = 20.0,
    inside: int = 1000,
    outside: int = 0,
) -> Volume:
    """A ball in the middle of a volume along the patient's axes; the origin of coordinates is its centre.

    `spacing_mm` is between slices, rows and columns.

    >>> volume = sphere()
    >>> int(volume.array[32, 32, 32]), int(volume.array[0, 0, 0])
    (1000, 0)
    """
    shape = (slices, rows, columns)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    squares = [
        ((each - size // 2) * step) ** 2
        for each, size, step in zip((z, y, x), shape, spacing_mm, strict=True)
    ]
    is_inside = squares[0] + squares[1] + squares[2] <= radius_mm**2
    return _placed(np.where(is_inside, inside, outside).astype(np.int16), spacing_mm, IDENTITY)


def gradient(
    *,
    slices: int = 32,
    rows: int = 32,
    columns: int = 32,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    rescale: Rescale = IDENTITY,
) -> Volume:
    """Stored values that grow by 100 from slice to slice, 10 from row to row and 1 from column to column.

    Linear interpolation is exact on it.

    >>> int(gradient().array[3, 2, 1])
    321
    """
    z, y, x = np.ogrid[:slices, :rows, :columns]
    return _placed((100 * z + 10 * y + x).astype(np.int16), spacing_mm, rescale)


def _placed(array: NDArray[np.int16], spacing_mm: tuple[float, float, float], rescale: Rescale) -> Volume:
    """A volume along the patient's axes, around the origin."""
    step, row, column = spacing_mm
    affine = np.diag([column, row, step, 1.0])
    slices, rows, columns = array.shape
    affine[:3, 3] = -(columns // 2) * column, -(rows // 2) * row, -(slices // 2) * step
    return Volume(array, affine, np.array([index * step for index in range(slices)]), rescale, "HU")

"""Contours of radiotherapy as a picture: the axial plane with most of them. PS3.3 C.8.8.6."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag
from hounsfield.errors import Unsupported
from hounsfield.imaging.geometry import decimals
from hounsfield.imaging.lettering import HEIGHT, write

_ROI_CONTOURS: Tag = 0x30060039
_CONTOURS: Tag = 0x30060040
_POINTS: Tag = 0x30060046
_DATA: Tag = 0x30060050
_COLOUR: Tag = 0x3006002A
_CONTOURS_MAX = 50_000
_SIDE = 384
_MARGIN = 12
_PLANE_MM = 0.1
_FARTHEST_MM = 1e6
_DEFAULT_COLOUR = (255, 255, 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Contour:
    colour: tuple[int, int, int]
    points: NDArray[np.float64]
    """Shape (points, 3), in mm, LPS."""


def draw_structures(dataset: Dataset) -> NDArray[np.uint8]:
    """The contours of the axial plane that has most, in their colours; shape (rows, columns, 3).

    Raises
    ------
    Unsupported
        If no contour is in an axial plane, or there are too many.
    """
    planes: dict[int, list[_Contour]] = {}
    for count, contour in enumerate(_contours(dataset)):
        if count >= _CONTOURS_MAX:
            raise Unsupported(f"a structure set of more than {_CONTOURS_MAX} contours")
        if np.ptp(contour.points[:, 2]) < _PLANE_MM:
            planes.setdefault(round(float(contour.points[0, 2]) / _PLANE_MM), []).append(contour)
    if not planes:
        raise Unsupported("no contour is in an axial plane")
    fullest = max(planes, key=lambda plane: (len(planes[plane]), -plane))
    return _drawn(planes[fullest], fullest * _PLANE_MM)


def _contours(dataset: Dataset) -> Iterator[_Contour]:
    for region in dataset.items(_ROI_CONTOURS):
        colour = _colour(region)
        for item in region.items(_CONTOURS):
            count = item.int(_POINTS) or 0
            values = decimals(item, _DATA, 3 * count) if 0 < count < 1 << 20 else None
            if values is not None and max(map(abs, values)) < _FARTHEST_MM:
                yield _Contour(colour, np.array(values).reshape(-1, 3))


def _colour(region: Dataset) -> tuple[int, int, int]:
    values = decimals(region, _COLOUR, 3)
    if values is None:
        return _DEFAULT_COLOUR
    red, green, blue = (int(min(max(each, 0), 255)) for each in values)
    return red, green, blue


def _drawn(contours: list[_Contour], height_mm: float) -> NDArray[np.uint8]:
    corners = np.vstack([contour.points[:, :2] for contour in contours])
    low = corners.min(axis=0)
    scale = (_SIDE - 2 * _MARGIN) / max(float(np.ptp(corners, axis=0).max()), 1e-3)
    image = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    for contour in contours:
        _draw(image, (contour.points[:, :2] - low) * scale + _MARGIN, contour.colour)
    write(image, _SIDE - HEIGHT - 2, 3, f"z = {height_mm:.1f} mm", (255, 255, 255))
    return image


def _draw(image: NDArray[np.uint8], points: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    """A closed line through points (x, y) in pixels, one pixel wide; x to the right, y down."""
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        steps = math.ceil(float(np.abs(end - start).max())) + 1
        line = np.rint(np.linspace(start, end, steps)).astype(np.intp)
        image[line[:, 1], line[:, 0]] = colour

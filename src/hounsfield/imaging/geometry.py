"""Where the pixels of a frame are in the patient. PS3.3 C.7.6.2 (Image Plane), C.7.6.16.2 (functional groups).

Points are (x, y, z) in mm, towards the patient's left, back and head (LPS). C.7.6.2.1.1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag

Vector = NDArray[np.float64]

_IMAGE_POSITION_PATIENT = 0x00200032
_IMAGE_ORIENTATION_PATIENT = 0x00200037
_PIXEL_SPACING = 0x00280030
_IMAGER_PIXEL_SPACING = 0x00181164
_NOMINAL_SPACING = 0x00182010
_SHARED_FUNCTIONAL_GROUPS = 0x52009229
_PER_FRAME_FUNCTIONAL_GROUPS = 0x52009230
_PLANE_POSITION_SEQUENCE = 0x00209113
_PLANE_ORIENTATION_SEQUENCE = 0x00209116
_PIXEL_MEASURES_SEQUENCE = 0x00289110
_GRID_FRAME_OFFSET_VECTOR = 0x3004000C
_DETECTOR_INFORMATION_SEQUENCE = 0x00540022
_LARGEST_COORDINATE = 1e6  # one kilometre
_PARALLEL = 1e-3
_SHORTEST_SIDE = 0.5  # of a direction that should have the length 1


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The plane of a frame."""

    position: Vector
    """Of the centre of the first pixel."""

    along_row: Vector
    """Direction of increasing column index, of length 1."""

    along_column: Vector
    """Direction of increasing row index, of length 1."""

    spacing: tuple[float, float] | None
    """Millimetres between rows, and between columns; None if the instance does not tell."""

    @property
    def normal(self) -> Vector:
        """Of length 1; of an axial slice of a patient on the back it points to the head."""
        return np.cross(self.along_row, self.along_column)


def read_planes(dataset: Dataset, frames: int) -> list[Plane | None]:
    """The plane of each frame of an instance; None where it does not say."""
    offsets = _numbers(dataset, _GRID_FRAME_OFFSET_VECTOR)
    if len(offsets) != frames or frames == 1:
        groups = dataset.items(_PER_FRAME_FUNCTIONAL_GROUPS)
        shared = dataset.items(_SHARED_FUNCTIONAL_GROUPS)[:1]
        return [_plane(dataset, groups[index : index + 1], shared) for index in range(frames)]
    first = _plane(dataset, [], [])
    if first is None:
        return [None] * frames
    # PS3.3 C.8.8.3.2: offsets from the first plane, or positions along the axis where the first is not 0.
    start = offsets[0]
    return [
        Plane(
            first.position + first.normal * (offset - start),
            first.along_row,
            first.along_column,
            first.spacing,
        )
        for offset in offsets
    ]


def _plane(dataset: Dataset, own: list[Dataset], shared: list[Dataset]) -> Plane | None:
    def found(tag: Tag, sequence: Tag, count: int) -> list[float] | None:
        for place in _places(dataset, own, shared, sequence):
            values = _numbers(place, tag)
            if len(values) == count:
                return values
        return None

    position = found(_IMAGE_POSITION_PATIENT, _PLANE_POSITION_SEQUENCE, 3)
    orientation = found(_IMAGE_ORIENTATION_PATIENT, _PLANE_ORIENTATION_SEQUENCE, 6)
    if position is None or orientation is None:
        return None
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = float(np.linalg.norm(along_row)), float(np.linalg.norm(along_column))
    if min(lengths) < _SHORTEST_SIDE or abs(float(along_row @ along_column)) > 0.1:
        return None
    spacing = found(_PIXEL_SPACING, _PIXEL_MEASURES_SEQUENCE, 2)
    is_usable = spacing is not None and min(spacing) > 0
    return Plane(
        np.array(position),
        along_row / lengths[0],
        along_column / lengths[1],
        (spacing[0], spacing[1]) if spacing is not None and is_usable else None,
    )


def _places(dataset: Dataset, own: list[Dataset], shared: list[Dataset], sequence: Tag) -> Iterator[Dataset]:
    """The functional group of one frame, the one for all, then the top level."""
    for group in (*own, *shared):
        yield from group.items(sequence)[:1]
    yield dataset
    yield from dataset.items(_DETECTOR_INFORMATION_SEQUENCE)[:1]  # nuclear medicine


def _numbers(dataset: Dataset, tag: Tag) -> list[float]:
    """The values of a DS; none if one of them is not a coordinate."""
    found = []
    for part in (dataset.text(tag) or "").split("\\"):
        try:
            value = float(part)
        except ValueError:
            return []
        if not math.isfinite(value) or abs(value) > _LARGEST_COORDINATE:
            return []
        found.append(value)
    return found


def order_planes(planes: Sequence[Plane]) -> list[int] | None:
    """Indices of parallel planes along their normal; None if they are not parallel, or two are at the same place."""
    normal = planes[0].normal
    if any(float(abs(plane.normal @ normal)) < 1 - _PARALLEL for plane in planes):
        return None
    places = np.array([float(plane.position @ normal) for plane in planes])
    order = np.argsort(places, kind="stable")
    if len(planes) > 1 and float(np.diff(places[order]).min()) <= 0:
        return None
    return [int(index) for index in order]


def pixel_aspect_ratio(dataset: Dataset) -> float:
    """How much taller than wide a pixel is: by Pixel Aspect Ratio (0028,0034), else by a spacing; 1 if unknown."""
    for tag in (_PIXEL_SPACING, _IMAGER_PIXEL_SPACING, _NOMINAL_SPACING, 0x00280034):
        values = _numbers(dataset, tag)
        if len(values) == 2 and min(values) > 0:
            return values[0] / values[1]
    return 1.0

"""Where frames lie in the patient: the Image Plane module and its functional groups. PS3.3 C.7.6.2, C.7.6.16.2.

Points are (x, y, z) in mm in the patient's coordinates, LPS: x grows to the patient's left, y to the back (posterior),
z to the head (superior).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag

Vector = tuple[float, float, float]
Matrix = NDArray[np.float64]

SHARED_FUNCTIONAL_GROUPS: Tag = 0x52009229
PER_FRAME_FUNCTIONAL_GROUPS: Tag = 0x52009230
PIXEL_MEASURES_SEQUENCE: Tag = 0x00289110
IMAGE_POSITION_PATIENT: Tag = 0x00200032
IMAGE_ORIENTATION_PATIENT: Tag = 0x00200037
SLICE_THICKNESS: Tag = 0x00180050
SPACING_BETWEEN_SLICES: Tag = 0x00180088
PIXEL_SPACING: Tag = 0x00280030

_IMAGER_PIXEL_SPACING = 0x00181164
_PLANE_POSITION_SEQUENCE = 0x00209113
_PLANE_ORIENTATION_SEQUENCE = 0x00209116
_DETECTOR_INFORMATION_SEQUENCE = 0x00540022
_GRID_FRAME_OFFSET_VECTOR = 0x3004000C
_NUCLEAR_MEDICINE = "1.2.840.10008.5.1.4.1.1.20"
_LONGEST_NUMBERS = 1 << 20
_FARTHEST_MM = 1e6
_PARALLEL = 1e-3
_PERPENDICULAR = 1e-2
"""Largest cosine between the two directions of an image; scanners round theirs."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class FramePlane:
    """The plane of one frame."""

    position: Vector
    """Centre of the first pixel, top left: Image Position (Patient) (0020,0032)."""

    row: Vector
    """Unit vector along a row, where the column index grows: the first half of (0020,0037)."""

    column: Vector
    """Unit vector down a column, where the row index grows: the second half."""

    spacing_mm: tuple[float, float]
    """Between rows, then between columns: Pixel Spacing (0028,0030)."""

    @property
    def normal(self) -> Vector:
        """Unit vector perpendicular to the plane, so that row, column and normal are right-handed."""
        return cross(self.row, self.column)


@dataclass(frozen=True, slots=True)
class Places:
    """The data sets in which an attribute of one frame may be: own functional group, shared one, top level."""

    top: Dataset
    shared: Dataset | None = None
    own: Dataset | None = None

    def find(self, sequence: Tag) -> list[Dataset]:
        """The items of a functional group's sequence for this frame, then the top level, then a gamma camera's."""
        found = [group.items(sequence)[:1] for group in (self.own, self.shared) if group is not None]
        detector = self.top.items(_DETECTOR_INFORMATION_SEQUENCE)[:1]
        return [*(item for items in found for item in items), self.top, *detector]


def place_of(dataset: Dataset, number: int) -> Places:
    """Where to look for the attributes of frame `number`, from 1."""
    shared = next(iter(dataset.items(SHARED_FUNCTIONAL_GROUPS)[:1]), None)
    own = dataset.items(PER_FRAME_FUNCTIONAL_GROUPS)[number - 1 : number]
    return Places(dataset, shared, own[0] if own else None)


def places_of(dataset: Dataset, frames: int) -> list[Places]:
    """Where to look for the attributes of each of the frames of an instance. PS3.3 C.7.6.16."""
    shared = next(iter(dataset.items(SHARED_FUNCTIONAL_GROUPS)[:1]), None)
    own: list[Dataset | None] = list(dataset.items(PER_FRAME_FUNCTIONAL_GROUPS)[:frames])
    own += [None] * (frames - len(own))
    return [Places(dataset, shared, each) for each in own]


def read_planes(dataset: Dataset, frames: int) -> list[FramePlane | None]:
    """The plane of each frame of an instance; None where it has none, as in projections and photographs."""
    if frames > 1 and _GRID_FRAME_OFFSET_VECTOR in dataset:
        return _dose_planes(dataset, frames)
    if frames > 1 and dataset.text(SOP_CLASS_UID) == _NUCLEAR_MEDICINE:
        return _reconstructed_planes(dataset, frames)
    return [_plane(each) for each in places_of(dataset, frames)]


def _plane(places: Places) -> FramePlane | None:
    position = first_decimals(places, _PLANE_POSITION_SEQUENCE, IMAGE_POSITION_PATIENT, 3)
    directions = first_decimals(places, _PLANE_ORIENTATION_SEQUENCE, IMAGE_ORIENTATION_PATIENT, 6)
    return make_plane(position, directions, _spacing(places))


def make_plane(
    position: tuple[float, ...] | None, directions: tuple[float, ...] | None, spacing_mm: tuple[float, float]
) -> FramePlane | None:
    """A plane from the values of its attributes; None if they are no plane."""
    if position is None or directions is None or max(map(abs, position)) > _FARTHEST_MM:
        return None
    row, column = unit(directions[:3]), unit(directions[3:6])
    if row is None or column is None or abs(dot(row, column)) > _PERPENDICULAR:
        return None
    return FramePlane((position[0], position[1], position[2]), row, column, spacing_mm)


def _spacing(places: Places) -> tuple[float, float]:
    """Pixel Spacing; 1 mm where it is missing or impossible, which `series` warns of."""
    found = first_decimals(places, PIXEL_MEASURES_SEQUENCE, PIXEL_SPACING, 2)
    found = found or decimals(places.top, _IMAGER_PIXEL_SPACING, 2)
    is_possible = found is not None and min(found) > 1e-6 and max(found) < _FARTHEST_MM
    return (found[0], found[1]) if found and is_possible else (1.0, 1.0)


def slice_spacing(places: Places) -> float | None:
    """The distance of slices that a frame claims, or its thickness; None if it claims none."""
    for tag in (SPACING_BETWEEN_SLICES, SLICE_THICKNESS):
        found = first_decimals(places, PIXEL_MEASURES_SEQUENCE, tag, 1)
        if found and abs(found[0]) > 0:
            return abs(found[0])
    return None


def _dose_planes(dataset: Dataset, frames: int) -> list[FramePlane | None]:
    """The planes of a dose: offsets from the first along the normal, or places on it. PS3.3 C.8.8.3.2."""
    first = _plane(Places(dataset))
    offsets = decimals(dataset, _GRID_FRAME_OFFSET_VECTOR, frames)
    if first is None or offsets is None:
        return [None] * frames
    start = offsets[0]  # Relative offsets begin with 0, the others with the position along the normal.
    return [moved(first, offset - start) for offset in offsets]


def _reconstructed_planes(dataset: Dataset, frames: int) -> list[FramePlane | None]:
    """The planes of a reconstructed tomogram of nuclear medicine. PS3.3 C.8.4.15."""
    first = _plane(Places(dataset))
    step = decimals(dataset, SPACING_BETWEEN_SLICES, 1) or decimals(dataset, SLICE_THICKNESS, 1)
    if first is None or step is None:
        return [None] * frames
    return [moved(first, step[0] * index) for index in range(frames)]


def moved(plane: FramePlane, distance_mm: float) -> FramePlane:
    """The plane at a distance along the normal."""
    x, y, z = (each + distance_mm * n for each, n in zip(plane.position, plane.normal, strict=True))
    return FramePlane((x, y, z), plane.row, plane.column, plane.spacing_mm)


def affine_of(plane: FramePlane, step: Vector) -> Matrix:
    """From (column, row, slice, 1) to LPS in mm, when slices follow each other at `step`. PS3.3 C.7.6.2.1.1.

    >>> plane = FramePlane((-10.0, -20.0, 5.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.25))
    >>> affine_of(plane, (0.0, 0.0, 3.0)) @ [4, 2, 1, 1]
    array([ -9., -19.,   8.,   1.])
    """
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(plane.row, plane.spacing_mm[1])
    affine[:3, 1] = np.multiply(plane.column, plane.spacing_mm[0])
    affine[:3, 2] = step
    affine[:3, 3] = plane.position
    return affine


def orientation_of(affine: Matrix) -> str:
    """Where columns, rows and slices grow to, roughly: L or R, P or A, S (head) or I.

    >>> orientation_of(np.eye(4)), orientation_of(np.diag([-1.0, -1.0, 1.0, 1.0]))
    ('LPS', 'RAS')
    """
    letters = ""
    for axis in range(3):
        direction = affine[:3, axis]
        main = int(np.argmax(np.abs(direction)))
        letters += ("LR", "PA", "SI")[main][int(direction[main] < 0)]
    return letters


def order_planes(planes: Sequence[FramePlane]) -> list[int] | None:
    """Indices of parallel planes along their normal; None if they are not parallel, or two are at the same place."""
    normal = planes[0].normal
    if any(abs(dot(plane.normal, normal)) < 1 - _PARALLEL for plane in planes):
        return None
    places = [dot(plane.position, normal) for plane in planes]
    if len(set(places)) < len(places):
        return None
    return sorted(range(len(planes)), key=places.__getitem__)


def first_decimals(places: Places, sequence: Tag, tag: Tag, count: int) -> tuple[float, ...] | None:
    """The first `count` values of an attribute of a frame, wherever it is."""
    for place in places.find(sequence):
        found = decimals(place, tag, count)
        if found is not None:
            return found
    return None


def decimals(dataset: Dataset, tag: Tag, count: int) -> tuple[float, ...] | None:
    """The first `count` values of a numeric attribute; None if there are fewer, or one is no finite number."""
    element = dataset.element(tag)
    if element is None or element.length > _LONGEST_NUMBERS:
        return None
    parts = (dataset.text(tag) or "").split("\\")[:count]
    try:
        values = tuple(float(part) for part in parts)
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def dot(a: Vector, b: Vector) -> float:
    """The scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """The vector product.

    >>> cross((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    (0.0, 0.0, 1.0)
    """
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def unit(vector: tuple[float, ...]) -> Vector | None:
    """The vector of length 1 in the same direction; None of a vector without direction."""
    length = math.hypot(*vector)
    if not 1e-6 < length < 1e6:
        return None
    return (vector[0] / length, vector[1] / length, vector[2] / length)

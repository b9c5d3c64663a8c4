"""Segmentations as pictures: each segment in its colour, on the image they were drawn on if it is at hand.

PS3.3 C.8.20 (Segmentation), C.10.7.1.1 (colours in CIELab).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag
from hounsfield.imaging.fusion import blend
from hounsfield.imaging.geometry import Places, places_of, read_planes
from hounsfield.imaging.grey_frames import GreyFrames, grey_frames, stored_values

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"

_SEGMENT_SEQUENCE: Tag = 0x00620002
_SEGMENT_NUMBER: Tag = 0x00620004
_SEGMENT_LABEL: Tag = 0x00620005
_SEGMENT_ALGORITHM: Tag = 0x00620008
_CIELAB: Tag = 0x0062000D
_IDENTIFICATION: Tag = 0x0062000A
_REFERENCED_SEGMENT: Tag = 0x0062000B
_MAXIMUM_FRACTION: Tag = 0x0062000E
_DERIVATION_SEQUENCE: Tag = 0x00089124
_SOURCE_SEQUENCE: Tag = 0x00082112
_REFERENCED_INSTANCE: Tag = 0x00081155
_REFERENCED_FRAME: Tag = 0x00081160
_OPACITY = 0.55

Coverage = NDArray[np.uint8] | NDArray[np.uint16]

# Where a segment has no colour: as different as can be.
_COLOURS = (
    (230, 25, 75),
    (60, 180, 75),
    (255, 225, 25),
    (0, 130, 200),
    (245, 130, 48),
    (145, 30, 180),
    (70, 240, 240),
    (240, 50, 230),
)


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment is."""

    number: int
    label: str
    algorithm: str
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedPlane:
    """The segments on one plane, and the image they were drawn on."""

    colours: NDArray[np.uint8]
    """Shape (rows, columns, 3)."""

    coverage: NDArray[np.uint8]
    """How much of a pixel is in a segment, 0 to 255; shape (rows, columns)."""

    source: tuple[str, int] | None
    """SOP Instance UID and frame number of the image, if it is told."""


def is_segmentation(dataset: Dataset) -> bool:
    """Whether an instance is a segmentation of pixels."""
    return (dataset.text(SOP_CLASS_UID) or "") in (SEGMENTATION_STORAGE, LABEL_MAP_STORAGE)


def read_segments(dataset: Dataset) -> list[Segment]:
    """The segments of an instance."""
    return [
        Segment(
            number=item.int(_SEGMENT_NUMBER) or index + 1,
            label=(item.text(_SEGMENT_LABEL) or "").strip(),
            algorithm=(item.text(_SEGMENT_ALGORITHM) or "").strip(),
            colour=_colour(item, index),
        )
        for index, item in enumerate(dataset.items(_SEGMENT_SEQUENCE))
    ]


def _colour(item: Dataset, index: int) -> tuple[int, int, int]:
    lab = item.numbers(_CIELAB)
    if len(lab) != 3:
        return _COLOURS[index % len(_COLOURS)]
    return rgb_of_cielab(lab[0] * 100 / 65535, lab[1] * 255 / 65535 - 128, lab[2] * 255 / 65535 - 128)


def rgb_of_cielab(lightness: float, a: float, b: float) -> tuple[int, int, int]:
    """CIELab of the white D50 as sRGB, by way of XYZ. PS3.3 C.10.7.1.1.

    >>> rgb_of_cielab(100, 0, 0), rgb_of_cielab(0, 0, 0)
    ((255, 255, 255), (0, 0, 0))
    """
    y = (lightness + 16) / 116
    x, z = y + a / 500, y - b / 200
    white = (0.96422, 1.0, 0.82521)
    xyz = [
        w * (t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29))
        for t, w in zip((x, y, z), white, strict=True)
    ]
    # Bradford's adaptation from D50 to D65 and the primaries of sRGB in one matrix.
    matrix = (
        (3.1338561, -1.6168667, -0.4906146),
        (-0.9787684, 1.9161415, 0.0334540),
        (0.0719453, -0.2289914, 1.4052427),
    )
    linear = [min(max(sum(m * each for m, each in zip(row, xyz, strict=True)), 0.0), 1.0) for row in matrix]
    red, green, blue = (
        round(255 * (12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055))
        for each in linear
    )
    return red, green, blue


def fullest_plane(data: Buffer, head: Head) -> SegmentedPlane:
    """The segments on the plane that has most of them.

    Raises
    ------
    Unsupported
        If there are no frames, or too many.
    Corrupt
        If one cannot be decoded.
    """
    frames = grey_frames(data, head)
    places = places_of(head.dataset, frames.count)
    planes: dict[object, list[int]] = {}
    for index, plane in enumerate(read_planes(head.dataset, frames.count)):
        planes.setdefault(index if plane is None else plane.position, []).append(index)
    # Looked at twice rather than kept: there may be thousands, large ones.
    sizes = [_size(_coverage(frames, index + 1), head) for index in range(frames.count)]
    fullest = max(planes.values(), key=lambda group: sum(sizes[index] for index in group))
    return _painted(head, [(places[index], _coverage(frames, index + 1)) for index in fullest])


def _coverage(frames: GreyFrames, number: int) -> Coverage:
    """What a frame holds: of fractions 0 to 255, of a label map the segments' numbers."""
    array, dataset = stored_values(frames, number), frames.head.dataset
    if _is_label_map(dataset):
        return np.asarray(array, np.uint16)  # PS3.3 C.8.20.2: 8 or 16 bits.
    highest = 1 if frames.description.bits_allocated == 1 else max(dataset.int(_MAXIMUM_FRACTION) or 1, 1)
    return np.asarray(np.clip(array * (255.0 / highest), 0, 255), np.uint8)


def _size(coverage: Coverage, head: Head) -> int:
    """How much of a plane is in segments."""
    return int(np.count_nonzero(coverage) * 255 if _is_label_map(head.dataset) else coverage.sum())


def _is_label_map(dataset: Dataset) -> bool:
    return dataset.text(SOP_CLASS_UID) == LABEL_MAP_STORAGE


def _painted(head: Head, frames: list[tuple[Places, Coverage]]) -> SegmentedPlane:
    """All segments of a plane in one picture; where two overlap the later one is seen."""
    colours = {segment.number: segment.colour for segment in read_segments(head.dataset)}
    shape = frames[0][1].shape
    picture, covered = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    is_label_map = _is_label_map(head.dataset)
    for places, coverage in frames:
        layers = (
            [(number, np.where(coverage == number, 255, 0)) for number in np.unique(coverage) if number]
            if is_label_map
            else [(_segment_of(places), coverage)]
        )
        for number, layer in layers:
            inside = layer > 0
            picture[inside] = colours.get(int(number), _COLOURS[0])
            covered[inside] = layer[inside]
    return SegmentedPlane(picture, covered, _source(frames[0][0]))


def _segment_of(places: Places) -> int:
    return next((item.int(_REFERENCED_SEGMENT) or 1 for item in places.find(_IDENTIFICATION)), 1)


def _source(places: Places) -> tuple[str, int] | None:
    for derivation in places.find(_DERIVATION_SEQUENCE):
        for source in derivation.items(_SOURCE_SEQUENCE)[:1]:
            uid = (source.text(_REFERENCED_INSTANCE) or "").strip()
            if uid:
                return uid, source.int(_REFERENCED_FRAME) or 1
    return None


def picture_of(plane: SegmentedPlane, under: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The segments on the image they were drawn on, or on black; shape (rows, columns, 3)."""
    if under is None or under.shape[:2] != plane.coverage.shape:
        return blend(np.zeros(plane.coverage.shape, np.uint8), plane.colours, 1.0, plane.coverage)
    return blend(under, plane.colours, _OPACITY, plane.coverage)

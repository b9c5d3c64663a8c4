"""Softcopy presentation states: how somebody wants an image to be seen. PS3.3 A.33, C.10.4 to C.10.6, C.7.6.11.

What is honoured: Modality LUT, VOI LUT, Presentation LUT, shutters, graphic annotations (points, lines, circles,
ellipses), the displayed area, rotation and flip. Text is not drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import SOP_INSTANCE_UID, Tag
from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.drawing import (
    Point,
    circle_points,
    draw_lines,
    draw_point,
    ellipse_points,
    polygon_mask,
)
from hounsfield.imaging.geometry import Places, decimals
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits
from hounsfield.imaging.lut import Rescale, VoiFunction, Window, modality_values
from hounsfield.imaging.overlays import paint
from hounsfield.imaging.presentation import (
    Presentation,
    Voi,
    is_inverse,
    picture,
    read_presentation_lut,
    read_voi,
    resized_grey_levels,
)
from hounsfield.imaging.render import AS_IT_IS, Box
from hounsfield.imaging.tables import LookupTable
from hounsfield.imaging.units import read_modality

_REFERENCED_SERIES_SEQUENCE = 0x00081115
_REFERENCED_IMAGE_SEQUENCE = 0x00081140
_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_REFERENCED_FRAME_NUMBER = 0x00081160
_RESCALE_SLOPE, _MODALITY_LUT_SEQUENCE = 0x00281053, 0x00283000
_SOFTCOPY_VOI_LUT_SEQUENCE = 0x00283110
_GRAPHIC_ANNOTATION_SEQUENCE, _GRAPHIC_OBJECT_SEQUENCE = 0x00700001, 0x00700009
_GRAPHIC_ANNOTATION_UNITS, _GRAPHIC_TYPE, _GRAPHIC_DATA = 0x00700005, 0x00700023, 0x00700022
_DISPLAYED_AREA_SELECTION_SEQUENCE = 0x0070005A
_TOP_LEFT, _BOTTOM_RIGHT = 0x00700052, 0x00700053
_IMAGE_HORIZONTAL_FLIP, _IMAGE_ROTATION = 0x00700041, 0x00700042
_SHUTTER_SHAPE = 0x00181600
_SHUTTER_EDGES = (0x00181602, 0x00181604, 0x00181606, 0x00181608)  # left, right, upper, lower
_CIRCULAR_SHUTTER_CENTER, _CIRCULAR_SHUTTER_RADIUS = 0x00181610, 0x00181612
_POLYGONAL_SHUTTER_VERTICES = 0x00181620
_MOST_OBJECTS = 2000
_MOST_POINTS = 5000
_WHITE = 255


@dataclass(frozen=True, slots=True)
class Shape:
    """A graphic object. C.10.5.1.2.

    Points are (column, row) from the corner of the first pixel of the image, or parts of the sides of what is displayed
    from its corner.
    """

    kind: str
    points: tuple[Point, ...]
    is_of_display: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """How a presentation state wants one frame to be seen."""

    presentation: Presentation
    shapes: tuple[Shape, ...] = ()
    shutter: NDArray[np.bool_] | None = None
    """Which pixels are seen; None for all."""

    area: tuple[int, int, int, int] | None = None
    """First and last row, first and last column, from 0; None for all."""

    rotation: int = 0
    """Degrees clockwise: 0, 90, 180 or 270."""

    is_flipped: bool = False
    """From left to right, after the rotation."""


def read_state(state: Dataset, image: Dataset, pixels: Pixels, number: int, own: Presentation) -> State:
    """What a presentation state says of frame `number` of an image, from 1.

    Parameters
    ----------
    state, image
        The top levels of the presentation state and of the image.
    pixels, number
        The frame, and which it is.
    own
        What the image says of itself, by `read_presentation`; its pixel padding, overlays and profile are kept.

    Raises
    ------
    BadRequest
        If the state is not about this frame.
    Corrupt
        If a table is broken.
    """
    uid = (image.text(SOP_INSTANCE_UID) or "").strip(" \0")
    references = [
        reference
        for series in state.items(_REFERENCED_SERIES_SEQUENCE)
        for reference in series.items(_REFERENCED_IMAGE_SEQUENCE)
    ]
    if not _is_meant(references, uid, number):
        raise errors.BadRequest("The presentation state is about other images")
    signed = pixels.description.is_signed
    has_modality = _RESCALE_SLOPE in state or _MODALITY_LUT_SEQUENCE in state
    modality = read_modality(Places(state), is_signed=signed) if has_modality else own.modality
    chosen = _one(state, _SOFTCOPY_VOI_LUT_SEQUENCE, uid, number)
    shape = pixels.array.shape[:2]
    return State(
        replace(
            own,
            modality=modality,
            choices=_voi(chosen, pixels, modality),
            presentation_lut=read_presentation_lut(state),
            is_inverted=is_inverse(state, ""),
        ),
        shapes=tuple(_shapes(state, uid, number)),
        shutter=_shutter(state, shape),
        area=_area(state, uid, number, shape),
        rotation=_rotation(state),
        is_flipped=(state.text(_IMAGE_HORIZONTAL_FLIP) or "").strip() == "Y",
    )


def _voi(chosen: Dataset | None, pixels: Pixels, modality: Rescale | LookupTable) -> tuple[Voi, ...]:
    """The state's transformations; without any, all values there may be. C.11.8."""
    signed = pixels.description.is_signed
    found = read_voi(Places(chosen), is_signed=signed) if chosen is not None else ()
    if found:
        return found
    bits = pixels.description.bits_stored
    first = -(1 << bits - 1) if signed else 0
    low, high = sorted(
        float(each) for each in modality_values(np.array([first, first + (1 << bits) - 1]), modality)
    )
    return (Window((low + high) / 2, max(high - low, 1e-9), VoiFunction.LINEAR_EXACT),)


def _is_meant(references: Sequence[Dataset], uid: str, number: int) -> bool:
    for reference in references:
        if (reference.text(_REFERENCED_SOP_INSTANCE_UID) or "").strip(" \0") == uid:
            frames = (reference.text(_REFERENCED_FRAME_NUMBER) or "").split("\\")
            return not frames[0].strip() or str(number) in [each.strip() for each in frames]
    return False


def _ours(state: Dataset, sequence: Tag, uid: str, number: int) -> list[Dataset]:
    """The items of a sequence that are for this frame: those that name no image are for all."""
    found = []
    for item in state.items(sequence)[:_MOST_OBJECTS]:
        references = item.items(_REFERENCED_IMAGE_SEQUENCE)
        if not references or _is_meant(references, uid, number):
            found.append(item)
    return found


def _one(state: Dataset, sequence: Tag, uid: str, number: int) -> Dataset | None:
    return next(iter(_ours(state, sequence, uid, number)), None)


def _shapes(state: Dataset, uid: str, number: int) -> list[Shape]:
    found: list[Shape] = []
    drawn = 0
    for annotation in _ours(state, _GRAPHIC_ANNOTATION_SEQUENCE, uid, number):
        for item in annotation.items(_GRAPHIC_OBJECT_SEQUENCE)[:_MOST_OBJECTS]:
            values = [float(each) for each in item.numbers(_GRAPHIC_DATA)[: 2 * _MOST_POINTS]]
            drawn += len(values) // 2
            if not np.isfinite(values).all() or drawn > _MOST_POINTS:
                continue
            is_display = (item.text(_GRAPHIC_ANNOTATION_UNITS) or "").strip() == "DISPLAY"
            points = tuple(zip(values[::2], values[1::2], strict=False))
            found.append(Shape((item.text(_GRAPHIC_TYPE) or "").strip(), points, is_display))
    return found


def _shutter(state: Dataset, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """What all shutters leave to be seen. C.7.6.11: rows and columns from 1."""
    kinds = [each.strip() for each in (state.text(_SHUTTER_SHAPE) or "").split("\\")]
    rows, columns = np.arange(1, shape[0] + 1)[:, np.newaxis], np.arange(1, shape[1] + 1)
    seen = np.ones(shape[:2], bool)
    if "RECTANGULAR" in kinds:
        left, right, upper, lower = (state.int(tag) for tag in _SHUTTER_EDGES)
        if None not in (left, right, upper, lower):
            seen &= (columns >= left) & (columns <= right) & (rows >= upper) & (rows <= lower)  # type: ignore[operator]
    center = decimals(state, _CIRCULAR_SHUTTER_CENTER, 2)
    radius = decimals(state, _CIRCULAR_SHUTTER_RADIUS, 1)
    if "CIRCULAR" in kinds and center is not None and radius is not None:
        seen &= np.hypot(rows - center[0], columns - center[1]) <= radius[0]
    vertices = [each.strip() for each in (state.text(_POLYGONAL_SHUTTER_VERTICES) or "").split("\\")]
    if "POLYGONAL" in kinds and 6 <= len(vertices) <= 2 * _MOST_POINTS and all(map(_is_number, vertices)):
        corners = [
            (int(column) - 0.5, int(row) - 0.5)
            for row, column in zip(vertices[::2], vertices[1::2], strict=False)
        ]
        seen &= polygon_mask((shape[0], shape[1]), corners)
    return None if seen.all() else seen


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdigit() and len(text) < 8


def _area(state: Dataset, uid: str, number: int, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    item = _one(state, _DISPLAYED_AREA_SELECTION_SEQUENCE, uid, number)
    if item is None:
        return None
    corners = [item.numbers(tag) for tag in (_TOP_LEFT, _BOTTOM_RIGHT)]
    if any(len(corner) != 2 for corner in corners):
        return None
    # Which corner of the image is on top depends on rotation and flip.
    left, right = sorted(int(corner[0]) - 1 for corner in corners)
    top, bottom = sorted(int(corner[1]) - 1 for corner in corners)
    area = max(top, 0), min(bottom, shape[0] - 1), max(left, 0), min(right, shape[1] - 1)
    if area[0] > area[1] or area[2] > area[3] or area == (0, shape[0] - 1, 0, shape[1] - 1):
        return None
    return area


def _rotation(state: Dataset) -> int:
    degrees = (state.int(_IMAGE_ROTATION) or 0) % 360
    return degrees if degrees in (90, 180, 270) else 0


def present_state(
    pixels: Pixels,
    state: State,
    *,
    voi: Voi | int = 0,
    box: Box = AS_IT_IS,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """Show a frame by a presentation state; parameters and errors as of `presentation.present`."""
    presentation = state.presentation
    image = picture(pixels, presentation, voi)
    for overlay in presentation.overlays:
        paint(image, overlay, _WHITE)
    if state.shutter is not None:
        image[~state.shutter] = 0
    for shape in state.shapes:
        if not shape.is_of_display:
            _draw(image, shape)
    if state.area is not None:
        top, bottom, left, right = state.area
        image = image[top : bottom + 1, left : right + 1]
    aspect = presentation.aspect
    if state.rotation:
        image = np.rot90(image, -state.rotation // 90)
        aspect = 1 / aspect if state.rotation != 180 else aspect
    if state.is_flipped:
        image = image[:, ::-1]
    image = np.array(image)
    for shape in state.shapes:
        if shape.is_of_display:
            rows, columns = image.shape[:2]
            _draw(image, replace(shape, points=tuple((x * columns, y * rows) for x, y in shape.points)))
    return resized_grey_levels(image, box, limits, aspect)


def _draw(image: NDArray[Any], shape: Shape) -> None:
    points = shape.points
    if shape.kind == "POINT":
        for point in points[:1]:
            draw_point(image, point, _WHITE)
    elif shape.kind in ("POLYLINE", "INTERPOLATED"):
        draw_lines(image, points, _WHITE)
    elif shape.kind == "CIRCLE" and len(points) == 2:
        draw_lines(image, circle_points(points[0], points[1]), _WHITE)
    elif shape.kind == "ELLIPSE" and len(points) == 4:
        draw_lines(image, ellipse_points((points[0], points[1]), (points[2], points[3])), _WHITE)

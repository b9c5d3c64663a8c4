"""Pictures of planes through volumes: windowed, coloured, with a second volume laid over."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.colour_maps import GREY, coloured, grey_of_values
from hounsfield.imaging.fusion import blend
from hounsfield.imaging.geometry import Vector, cross, dot, unit
from hounsfield.imaging.lut import Window
from hounsfield.imaging.projection import Projection, project
from hounsfield.imaging.reslice import (
    Axis,
    Interpolation,
    Plane,
    axis_plane,
    covering_plane,
    fitted,
)
from hounsfield.imaging.volume import Volume

_SAMPLED_VOXELS = 1 << 18
_DARKEST, _BRIGHTEST = 0.5, 99.5  # percent of the voxels, where nobody gives a window
_LEFT: Vector = (1.0, 0.0, 0.0)
_BACK: Vector = (0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class PlaneView:
    """Which plane of a volume to show, and how large.

    An axis and a position on it, or `origin`, a point, with `normal`, or with `row` and `column`. Without
    `spacing_mm` the plane covers the volume, and the picture fits into `columns` and `rows`, 0 for as many as there
    are; with it, the picture has just as many, and the point in its middle.
    """

    axis: Axis = Axis.AXIAL
    position_mm: float | None = None
    origin: Vector | None = None
    normal: Vector | None = None
    row: Vector | None = None
    column: Vector | None = None
    spacing_mm: float | None = None
    columns: int = 0
    rows: int = 0
    thickness_mm: float = 0.0
    projection: Projection = Projection.MAXIMUM
    interpolation: Interpolation = Interpolation.LINEAR


@dataclass(frozen=True, slots=True)
class Look:
    """How values become a picture: `window` in the units of the volume, None for its own; a colour map's name."""

    window: Window | None = None
    colours: str = GREY


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A second volume on top of the first, as opaque as its values are high, `opacity` at most."""

    volume: Volume
    look: Look
    opacity: float = 0.5


def view_plane(volume: Volume, view: PlaneView) -> Plane:
    """The plane that a view asks for.

    Raises
    ------
    BadRequest
        If its directions make none.

    >>> from hounsfield.imaging.phantom import sphere
    >>> plane = view_plane(sphere(), PlaneView(origin=(0.0, 0.0, 5.0), normal=(0.0, 0.0, 2.0), columns=32))
    >>> plane.shape, plane.row, plane.column
    ((32, 32), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    """
    directions = _directions(view)
    if directions is None:
        plane = axis_plane(volume, view.axis, view.position_mm)
    else:
        row, column = directions
        centre = view.origin or _middle(volume)
        if view.spacing_mm is not None:
            return _centred(centre, row, column, view)
        plane = covering_plane(volume, row, column, centre)
    return fitted(plane, view.rows, view.columns)


def _directions(view: PlaneView) -> tuple[Vector, Vector] | None:
    if view.row is not None and view.column is not None:
        row, column = unit(view.row), unit(view.column)
        if row is None or column is None or abs(dot(row, column)) > 1e-3:
            raise errors.BadRequest("the row and the column of a plane must be perpendicular")
        return row, column
    if view.normal is None:
        return None
    normal = unit(view.normal)
    if normal is None:
        raise errors.BadRequest("the normal of a plane must have a direction")
    return _upright(normal)


def _upright(normal: Vector) -> tuple[Vector, Vector]:
    """Directions for a plane with this normal, whichever way it points.

    The patient's left is on the right side, or else the back; the front or the head is at the top.
    """
    for towards in (_LEFT, _BACK):
        along = dot(towards, normal)
        row = unit(tuple(each - along * n for each, n in zip(towards, normal, strict=True)))
        # A direction that nearly is the normal would make the picture turn wildly.
        if row is not None and abs(along) < 0.8:
            column = cross(normal, row)
            is_upright = column[1] >= column[2]  # to the back more than to the head
            return row, column if is_upright else (-column[0], -column[1], -column[2])
    raise errors.BadRequest("the normal of a plane must have a direction")


def _middle(volume: Volume) -> Vector:
    slices, rows, columns = volume.array.shape
    place = float(volume.positions_mm[slices // 2]) / volume.spacing_mm[0]
    point = volume.affine @ np.array([columns // 2, rows // 2, place, 1.0])
    return (float(point[0]), float(point[1]), float(point[2]))


def _centred(centre: Vector, row: Vector, column: Vector, view: PlaneView) -> Plane:
    if not view.rows or not view.columns or view.spacing_mm is None:
        raise errors.BadRequest("a plane with a spacing needs a width and a height")
    right, down = (view.columns - 1) / 2 * view.spacing_mm, (view.rows - 1) / 2 * view.spacing_mm
    x, y, z = (c - right * r - down * d for c, r, d in zip(centre, row, column, strict=True))
    return Plane((x, y, z), row, column, (view.spacing_mm, view.spacing_mm), (view.rows, view.columns))


def plane_picture(
    volume: Volume,
    plane: Plane,
    view: PlaneView,
    look: Look,
    overlay: Overlay | None = None,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
) -> NDArray[np.uint8]:
    """The picture of a plane: shape (rows, columns), or (rows, columns, 3) if it has colours.

    Outside of the volume it is as the lowest value. `Cancelled` if `is_wanted`, asked from time to time, says no.
    """
    picture, _ = _looked_at(volume, plane, view, look, is_wanted)
    if overlay is None:
        return picture
    upper, levels = _looked_at(overlay.volume, plane, view, overlay.look, is_wanted)
    return blend(picture, upper, overlay.opacity, levels)


def _looked_at(
    volume: Volume, plane: Plane, view: PlaneView, look: Look, is_wanted: Callable[[], bool]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture, and the levels behind its colours."""
    values = project(
        volume, plane, view.thickness_mm, view.projection, view.interpolation, is_wanted=is_wanted
    )
    window = look.window or default_window(volume)
    low, high = window.center - window.width / 2, window.center + window.width / 2
    levels = grey_of_values(values, low, high)
    if volume.is_inverted:
        levels = np.where(np.isnan(values), np.uint8(0), 255 - levels)
    return coloured(levels, look.colours), levels


def default_window(volume: Volume) -> Window:
    """The window that the data set gives, else one over nearly all values that occur."""
    if volume.window is not None:
        return volume.window
    flat = volume.array.reshape(-1)
    sample = flat[:: max(len(flat) // _SAMPLED_VOXELS, 1)].astype(np.float64)
    ends = np.nanpercentile(sample, [_DARKEST, _BRIGHTEST]) if sample.size else np.zeros(2)
    low, high = sorted(float(each) * volume.rescale.slope + volume.rescale.intercept for each in ends)
    return Window((low + high) / 2, max(high - low, 1e-6))

"""Slabs: what lies in some depth around a plane as one picture. Maximum, minimum and mean intensity projection."""

import math
from collections.abc import Callable, Iterator
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.reslice import Interpolation, Plane, Sampler
from hounsfield.imaging.volume import Volume

_BAND_ROWS = 16
_SAMPLES_MAX = 4096


class Projection(Enum):
    """How the values along a line of sight become one."""

    MAXIMUM = "mip"
    MINIMUM = "minip"
    MEAN = "average"


def slab_depths(volume: Volume, plane: Plane, thickness_mm: float) -> list[float]:
    """At which depths a slab is sampled: around the plane, and at least as densely as the volume's voxels lie.

    Raises
    ------
    BadRequest
        If the thickness is negative or absurd.

    >>> from hounsfield.imaging.phantom import sphere
    >>> from hounsfield.imaging.reslice import Axis, axis_plane
    >>> volume = sphere(slices=8, spacing_mm=(2.0, 1.0, 1.0))
    >>> slab_depths(volume, axis_plane(volume, Axis.AXIAL), 4.0)
    [-2.0, 0.0, 2.0]
    """
    if not 0 <= thickness_mm < math.inf:
        raise errors.BadRequest(f"a slab of {thickness_mm} mm")
    spacing = _spacing_along(volume, plane)
    samples = max(math.floor(thickness_mm / spacing + 1e-6) + 1, 1)
    if samples > _SAMPLES_MAX:
        raise errors.BadRequest(f"a slab of {thickness_mm} mm is {samples} voxels thick")
    # A whole number of voxels behind each other, so that slabs along the slices are made of slices.
    first = -(samples // 2) * spacing
    return [first + index * spacing for index in range(samples)]


def _spacing_along(volume: Volume, plane: Plane) -> float:
    """The distance of voxels along the normal: along an axis its spacing, obliquely something in between."""
    direction = np.linalg.solve(volume.affine[:3, :3], np.array(plane.normal))
    return float(1 / np.abs(direction).max())


def project(
    volume: Volume,
    plane: Plane,
    thickness_mm: float,
    projection: Projection,
    interpolation: Interpolation = Interpolation.LINEAR,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
) -> NDArray[np.float32]:
    """Project a slab around a plane on it.

    Parameters
    ----------
    volume
        By `volume.load_volume`.
    plane
        The middle of the slab.
    thickness_mm
        Its depth, half of it on each side; 0 for the plane alone.
    projection
        What becomes of the values behind each other.
    interpolation
        Between voxels.
    is_wanted
        Asked from time to time; the work stops with `Cancelled` when it says no.

    Returns
    -------
    Shape (rows, columns), in the units of the volume; NaN where nothing of the volume is in the line of sight.
    """
    depths = slab_depths(volume, plane, thickness_mm)
    sampler = Sampler(volume, plane, interpolation)
    rows, columns = plane.shape
    out = np.empty((rows, columns), np.float32)
    for top in range(0, rows, _BAND_ROWS):
        if not is_wanted():
            raise errors.Cancelled("nobody waits for the picture")
        bottom = min(top + _BAND_ROWS, rows)
        bands = (sampler.band(depth, top, bottom) for depth in depths)
        out[top:bottom] = _mean(bands) if projection is Projection.MEAN else _extreme(bands, projection)
    return out


def _extreme(bands: Iterator[NDArray[np.float32]], projection: Projection) -> NDArray[np.float32]:
    """The highest or the lowest of the values behind each other; a number goes before NaN."""
    join = np.fmax if projection is Projection.MAXIMUM else np.fmin
    result = next(bands)
    for band in bands:
        join(result, band, out=result)
    return result


def _mean(bands: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean of those values behind each other that there are."""
    first = next(bands)
    total, count = np.nan_to_num(first), (~np.isnan(first)).astype(np.float32)
    for band in bands:
        total += np.nan_to_num(band)
        count += ~np.isnan(band)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float32)

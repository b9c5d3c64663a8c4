"""Planes through volumes whose values are known, and beside SciPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from tests.volumes import AXIAL, CORONAL, SAGITTAL, slices, tilted

from hounsfield import errors
from hounsfield.imaging.geometry import Vector, unit
from hounsfield.imaging.lut import Rescale
from hounsfield.imaging.phantom import gradient, sphere
from hounsfield.imaging.projection import Projection, project, slab_depths
from hounsfield.imaging.reslice import (
    Axis,
    Interpolation,
    Plane,
    axis_plane,
    covering_plane,
    fitted,
    plane_to_voxels,
    reslice,
)
from hounsfield.imaging.series import read_series
from hounsfield.imaging.volume import Volume, load_volume, plan_volume

HEAD, FRONT, LEFT = 1000, 100, 10


def load(files: list[bytes]) -> Volume:
    return load_volume(plan_volume(read_series(files)))


def marked(orientation: tuple[float, ...]) -> Volume:
    """A cube of 16 mm in any orientation, brighter to the head (1000), the front (100) and the left (10) half."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row, column, np.cross(row, column)
    affine[:3, 3] = -7.5 * affine[:3, :3].sum(axis=1)
    grid = np.indices((16, 16, 16)).reshape(3, -1)[::-1]
    points = (affine @ np.vstack([grid, np.ones(grid.shape[1])])).reshape(4, 16, 16, 16)
    array = HEAD * (points[2] > 0) + FRONT * (points[1] < 0) + LEFT * (points[0] > 0)
    return Volume(array.astype(np.int16), affine, np.arange(16.0), units="HU")


def quarters(picture: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[list[float]]:
    """The values at a quarter of the way from each corner."""
    rows, columns = picture.shape
    top, left = rows // 4, columns // 4
    return [[float(picture[row, column]) for column in (left, -left - 1)] for row in (top, -top - 1)]


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, (0.0, 0.0, 1.0, -1.0, 0.0, 0.0)])
def test_no_picture_is_upside_down(orientation: tuple[float, ...]) -> None:
    volume = marked(orientation)
    axial = reslice(volume, axis_plane(volume, Axis.AXIAL, 3.5))
    coronal = reslice(volume, axis_plane(volume, Axis.CORONAL, 3.5))
    sagittal = reslice(volume, axis_plane(volume, Axis.SAGITTAL, 3.5))
    # Front at the top, the patient's left on the right.
    assert quarters(axial) == [[HEAD + FRONT, HEAD + FRONT + LEFT], [HEAD, HEAD + LEFT]]
    # Head at the top, the patient's left on the right; y = 3.5 is at the back.
    assert quarters(coronal) == [[HEAD, HEAD + LEFT], [0, LEFT]]
    # Head at the top, front on the left; x = 3.5 is on the left.
    assert quarters(sagittal) == [[HEAD + FRONT + LEFT, HEAD + LEFT], [FRONT + LEFT, LEFT]]


def test_an_axial_plane_of_axial_slices_is_a_slice_to_the_bit() -> None:
    volume = load(slices([0, 3, 6], RescaleSlope=1.5, spacing=(1, 1)))
    plane = axis_plane(volume, Axis.AXIAL, 33)
    np.testing.assert_array_equal(reslice(volume, plane), volume.values()[1])


def test_the_plane_of_the_acquisition_is_a_slice_of_an_oblique_series() -> None:
    direction = (0.6, 0.8, 0.0, 0.0, 0.0, -1.0)
    volume = load(slices([0, 3, 6], orientation=direction, spacing=(1, 1)))
    plane = axis_plane(volume, Axis.ACQUISITION, 6)
    np.testing.assert_allclose(reslice(volume, plane), volume.values()[2], atol=1e-2)


def test_between_voxels_values_are_linear() -> None:
    volume = gradient(rescale=Rescale(2, -1000))
    row, column = unit((1, 2, 0.5)), unit((-2, 1, 0))
    assert row is not None
    assert column is not None
    plane = Plane((-3.2, 1.7, 4.1), row, column, (0.5, 0.7), (6, 7))
    found = reslice(volume, plane)
    for index_row, index_column in ((0, 0), (5, 6), (2, 3)):
        point = (
            np.array(plane.origin) + 0.5 * index_row * np.array(column) + 0.7 * index_column * np.array(row)
        )
        x, y, z = point + 16  # The voxel 16, 16, 16 is at the origin.
        expected = 2 * (100 * z + 10 * y + x) - 1000
        assert found[index_row, index_column] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("interpolation", "order"), [(Interpolation.LINEAR, 1), (Interpolation.NEAREST, 0)])
def test_oblique_planes_are_as_those_of_scipy(interpolation: Interpolation, order: int) -> None:
    noise = np.random.default_rng(1).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
    affine = np.diag([0.8, 0.9, 1.3, 1.0])
    affine[:3, 3] = -20, 10, 5
    volume = Volume(noise, affine, np.array([1.3 * index for index in range(40)]))
    row, column = unit((1.0, 0.3, 0.2)), unit((-0.2, 0.1, 0.85))
    assert row is not None
    assert column is not None
    plane = Plane((-15.0, 15.0, 8.0), row, column, (0.61, 0.73), (57, 63))
    matrix = plane_to_voxels(volume, plane)
    grid = np.mgrid[:57, :63]
    points = [matrix[axis, 0] * grid[1] + matrix[axis, 1] * grid[0] + matrix[axis, 3] for axis in (2, 1, 0)]
    expected = ndimage.map_coordinates(noise.astype(np.float64), points, order=order, cval=np.nan)
    found = reslice(volume, plane, interpolation)
    inside = ~np.isnan(expected)
    assert inside.mean() > 0.5
    if order:
        np.testing.assert_allclose(found[inside], expected[inside], atol=0.05)
    else:
        assert (found[inside] == expected[inside]).mean() > 0.999


def test_a_ball_is_round_in_every_plane() -> None:
    volume = sphere(slices=32, spacing_mm=(2.0, 1.0, 1.0), radius_mm=20)
    row, column = unit((1, 1, 1)), unit((1, -1, 0))
    assert row is not None
    assert column is not None
    area = math.pi * 20**2
    for directions in (((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)), (row, column)):
        plane = covering_plane(volume, *directions, centre=(0.0, 0.0, 0.0), spacing_mm=0.5)
        assert np.sum(reslice(volume, plane) > 500) * 0.25 == pytest.approx(area, rel=0.02)


def test_outside_there_is_nothing() -> None:
    volume = sphere(slices=8, rows=8, columns=8)
    plane = Plane((-4.6, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0), (1, 9))
    found = reslice(volume, plane)[0]
    # The first voxel is at -4 and reaches to -4.5.
    assert np.isnan(found).tolist() == [True] + [False] * 8
    far = Plane((0.0, 0.0, 1e5), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0), (4, 4))
    assert np.isnan(reslice(volume, far)).all()


def test_a_single_slice_is_a_volume_of_its_thickness() -> None:
    volume = load(slices([0], SliceThickness=5))
    plane = axis_plane(volume, Axis.AXIAL)
    assert not np.isnan(reslice(volume, plane.shifted(2.4))).any()
    assert np.isnan(reslice(volume, plane.shifted(2.6))).all()


def test_nothing_is_made_up_in_gaps() -> None:
    volume = load(slices([0, 3, 6, 15, 18], spacing=(1, 1)))
    found = reslice(volume, axis_plane(volume, Axis.SAGITTAL))
    # z goes down from 48 to 30 mm; between 36 and 45 nothing was acquired, up to half a slice.
    heights = 48 - np.arange(len(found))
    assert np.isnan(found[:, 0]).tolist() == [37.5 < height < 43.5 for height in heights]


def test_a_tilted_gantry_does_not_bend_the_patient() -> None:
    """The pixels of a bar along z move over the slices of a tilted series, and are straight in a sagittal plane."""
    volume = load(tilted(30, count=9, step_mm=2))
    step = 2.0
    bar = np.zeros((9, 64, 5), np.int16)
    normal = np.array([0, -math.sin(math.radians(30)), math.cos(math.radians(30))])
    # A point (0, y, z) is in slice k where the slice's plane, through (0, 0, 2 k), is hit.
    for k in range(9):
        for j in range(64):
            y = j * step * math.cos(math.radians(30))
            bar[k, j] = 1000 if 40 <= y <= 50 else 0
    straight = replace(volume, array=bar)
    assert abs(float(normal @ volume.affine[:3, 1])) < 1e-9
    plane = Plane((2.0, 0.0, 40.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 1.0), (20, 70))
    found = reslice(straight, plane)
    for line in found:
        bright = np.flatnonzero(np.nan_to_num(line) > 500)
        if len(bright) and not np.isnan(line[38:53]).any():
            assert abs(bright.min() - 40) <= 1
            assert abs(bright.max() - 50) <= 1


def test_a_smaller_picture_shows_the_same_rectangle() -> None:
    plane = axis_plane(sphere(), Axis.AXIAL)
    half = fitted(plane, 32, 0)
    assert half.shape == (32, 32)
    assert list(half.spacing_mm) == [2, 2]
    # The outer edge is at -32.5, and the first centre 1 mm inside of it.
    assert list(half.origin) == [-31.5, -31.5, 0]
    assert fitted(plane, 0, 0) == plane
    assert fitted(plane, 100, 50).shape == (50, 50)


def test_planes_that_make_no_sense_are_refused() -> None:
    x, y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    for origin, spacing, shape in (
        ((math.nan, 0.0, 0.0), 1.0, (4, 4)),
        ((0.0, 0.0, 0.0), 0.0, (4, 4)),
        ((0.0, 0.0, 0.0), 1.0, (0, 4)),
        ((0.0, 0.0, 0.0), 1.0, (1 << 13, 1 << 13)),
    ):
        place: Vector = origin
        with pytest.raises(errors.BadRequest):
            Plane(place, x, y, (spacing, spacing), shape)


def test_projections_take_the_highest_the_lowest_and_the_mean() -> None:
    volume = gradient(slices=9, rows=8, columns=8)
    plane = axis_plane(volume, Axis.AXIAL, 0)  # Slice 4.
    assert slab_depths(volume, plane, 4) == [-2, -1, 0, 1, 2]
    middle = volume.values()[4]
    np.testing.assert_array_equal(project(volume, plane, 4, Projection.MAXIMUM), middle + 200)
    np.testing.assert_array_equal(project(volume, plane, 4, Projection.MINIMUM), middle - 200)
    np.testing.assert_allclose(project(volume, plane, 4, Projection.MEAN), middle, rtol=1e-6)
    np.testing.assert_array_equal(project(volume, plane, 0, Projection.MEAN), middle)


def test_a_slab_beyond_the_volume_is_what_there_is() -> None:
    volume = gradient(slices=9, rows=8, columns=8)
    plane = axis_plane(volume, Axis.AXIAL, 4)  # The last slice.
    np.testing.assert_allclose(
        project(volume, plane, 4, Projection.MEAN), volume.values()[6:].mean(axis=0), rtol=1e-6
    )
    np.testing.assert_array_equal(project(volume, plane, 100, Projection.MINIMUM), volume.values()[0])


def test_slabs_that_make_no_sense_are_refused() -> None:
    volume = gradient()
    plane = axis_plane(volume, Axis.AXIAL)
    for thickness in (-1.0, math.nan, math.inf, 1e9):
        with pytest.raises(errors.BadRequest):
            project(volume, plane, thickness, Projection.MEAN)


def test_a_projection_stops_when_nobody_waits_for_it() -> None:
    volume = gradient()
    with pytest.raises(errors.Cancelled):
        project(volume, axis_plane(volume, Axis.AXIAL), 9.0, Projection.MEAN, is_wanted=lambda: False)

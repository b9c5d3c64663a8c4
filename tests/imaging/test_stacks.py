"""Geometry of series, with positions that were computed by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from tests.volumes import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    enhanced,
    image,
    part10,
    ramp,
    slices,
    tilted,
)

from hounsfield import errors
from hounsfield.imaging.geometry import orientation_of
from hounsfield.imaging.series import Series, read_series
from hounsfield.imaging.stacks import Stack


def stack_of(files: list[bytes]) -> Stack:
    series = read_series(files)
    assert len(series.stacks) == 1
    return series.stacks[0]


def order(series: Series, stack: int = 0) -> list[int]:
    """Instance numbers of a stack, in its order."""
    return [frame.instance_number for frame in series.stacks[stack].frames]


def test_slices_are_sorted_by_position_and_not_by_number() -> None:
    series = read_series(slices([9, 0, 6, 3]))
    assert order(series) == [2, 4, 3, 1]
    assert list(series.stacks[0].positions_mm) == [0, 3, 6, 9]
    assert series.stacks[0].warnings == ()


def test_a_series_numbered_from_the_head_is_turned_over() -> None:
    series = read_series(slices([9, 6, 3, 0]))
    assert order(series) == [4, 3, 2, 1]
    affine = series.stacks[0].affine
    assert affine is not None
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 3])
    np.testing.assert_allclose(affine[:3, 3], [-10, -20, 30])


@pytest.mark.parametrize(("orientation", "expected"), [(AXIAL, "LPS"), (CORONAL, "LIP"), (SAGITTAL, "PIR")])
def test_the_affine_follows_the_orientation(orientation: tuple[float, ...], expected: str) -> None:
    affine = stack_of(slices([0, 4, 8], orientation=orientation)).affine
    assert affine is not None
    assert orientation_of(affine) == expected
    # Spacing 2 mm between rows, 1 mm between columns; row 3, column 2, slice 1.
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    expected_point = np.array([-10, -20, 30]) + 2 * row + 6 * column + 4 * np.cross(row, column)
    np.testing.assert_allclose((affine @ [2, 3, 1, 1])[:3], expected_point)


def test_an_oblique_series_is_even_in_spite_of_rounded_directions() -> None:
    angle = math.radians(30)
    orientation = (round(math.cos(angle), 6), round(math.sin(angle), 6), 0.0, 0.0, 0.0, -1.0)
    stack = stack_of(slices([0, 1.5, 3, 4.5], orientation=orientation))
    assert stack.is_even
    assert stack.spacing_mm == pytest.approx(1.5)
    assert stack.tilt_degrees == 0


def test_missing_slices_are_told() -> None:
    stack = stack_of(slices([0, 3, 6, 15, 18]))
    (gap,) = stack.gaps
    assert (gap.after, gap.missing) == (2, 2)
    assert gap.distance_mm == pytest.approx(9)
    assert not stack.is_even
    assert stack.warnings == ("2 slices are missing in 1 gaps",)


def test_uneven_slices_are_told() -> None:
    stack = stack_of(slices([0, 3, 6, 10, 13]))
    assert not stack.gaps
    assert stack.warnings == ("slices are 3.000 to 4.000 mm apart",)


def test_distances_that_drift_are_not_even() -> None:
    """Each distance is nearly the usual one, and in the end the slices are beside the grid."""
    positions = [0.0]
    for index in range(40):
        positions.append(positions[-1] + (1.0 if index < 20 else 1.04))
    assert not stack_of(slices(positions)).is_even


def test_a_tilted_gantry_is_measured_and_in_the_affine() -> None:
    stack = stack_of(tilted(20, step_mm=5))
    assert stack.tilt_degrees == pytest.approx(20)
    assert stack.spacing_mm == pytest.approx(5)
    assert stack.is_even
    affine = stack.affine
    assert affine is not None
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 5], atol=1e-9)
    np.testing.assert_allclose(
        affine[:3, 1], [0, 2 * math.cos(math.radians(20)), 2 * math.sin(math.radians(20))]
    )


def test_slices_that_are_shifted_without_order_are_told() -> None:
    shifts = [0, 4, -3, 0]
    files = [
        part10(image(ramp(n), number=n + 1, position=(shift, 0, 3 * n))) for n, shift in enumerate(shifts)
    ]
    stack = stack_of(files)
    assert stack.tilt_degrees == 0
    assert stack.warnings == ("slices are shifted in their plane against each other, which is not corrected",)


def test_of_frames_at_one_place_the_first_is_kept() -> None:
    series = read_series([*slices([0, 3, 6]), part10(image(ramp(9), number=9, position=(-10, -20, 33)))])
    (stack,) = series.stacks
    assert order(series) == [1, 2, 3]
    assert [frame.instance_number for frame in stack.duplicates] == [9]
    assert stack.warnings == ("1 frames are at the place of another one and were left out",)


def test_phases_are_told_apart_by_what_the_scanner_varied() -> None:
    files = [
        part10(image(ramp(n), number=n + 1, position=(0, 0, 3 * (n // 2)), EchoTime=[10, 80][n % 2]))
        for n in range(8)
    ]
    series = read_series(files)
    assert [stack.phase for stack in series.stacks] == [(("EchoTime", "10.0"),), (("EchoTime", "80.0"),)]
    assert [order(series, index) for index in (0, 1)] == [[1, 3, 5, 7], [2, 4, 6, 8]]


def test_a_time_of_each_slice_does_not_make_phases() -> None:
    files = [
        part10(
            image(
                ramp(n),
                number=n + 1,
                position=(0, 0, 3 * (n % 4)),
                ContentTime=f"1200{n:02}",
                TriggerTime=str(100 * (n // 4)),
            )
        )
        for n in range(8)
    ]
    series = read_series(files)
    assert [stack.phase for stack in series.stacks] == [
        (("TriggerTime", "0"),),
        (("TriggerTime", "100"),),
    ]


def test_repetitions_that_nothing_tells_apart_are_in_the_order_of_their_numbers() -> None:
    files = [part10(image(ramp(n), number=n + 1, position=(0, 0, 3 * (n % 3)))) for n in range(6)]
    series = read_series(files)
    assert [order(series, index) for index in (0, 1)] == [[1, 2, 3], [4, 5, 6]]
    assert series.stacks[1].phase == (("Repetition", "2"),)


def test_mixed_orientations_make_stacks_the_largest_first() -> None:
    files = slices([0, 3, 6])
    files += [
        part10(image(ramp(n), number=10 + n, position=(n, 0, 0), orientation=SAGITTAL)) for n in range(4)
    ]
    series = read_series(files)
    assert [len(stack.frames) for stack in series.stacks] == [4, 3]
    assert series.warnings == ("2 stacks, which differ in orientation, size or phase",)


def test_a_single_slice_is_as_thick_as_it_says() -> None:
    stack = stack_of(slices([0]))
    assert list(stack.positions_mm) == [0]
    assert stack.spacing_mm == 3


def test_micro_ct_slices_are_not_taken_for_one() -> None:
    stack = stack_of(slices([0, 0.005, 0.01], spacing=(0.005, 0.005)))
    assert len(stack.frames) == 3


def test_frames_of_an_enhanced_instance_are_sorted_by_their_groups() -> None:
    series = read_series([enhanced([12, 4, 8])])
    (stack,) = series.stacks
    assert [frame.number for frame in stack.frames] == [2, 3, 1]
    affine = stack.affine
    assert affine is not None
    np.testing.assert_allclose(affine[:3, 3], [-10, -20, 4])
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 4])


def test_images_without_a_place_are_in_the_order_of_their_numbers() -> None:
    files = [part10(image(ramp(n), number=n, position=None, orientation=None)) for n in (3, 1, 2)]
    series = read_series(files)
    assert order(series) == [1, 2, 3]
    assert series.stacks[0].affine is None


@pytest.mark.parametrize("orientation", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0), (1, 0, 0, 0.5, 0.5, 0)])
def test_an_impossible_orientation_is_none(orientation: tuple[float, ...]) -> None:
    series = read_series([part10(image(ramp(0), orientation=orientation))])
    assert series.stacks[0].affine is None


def test_a_folder_is_read_without_what_is_not_dicom(tmp_path: Path) -> None:
    for index, data in enumerate(slices([0, 3, 6])):
        (tmp_path / f"{index}.dcm").write_bytes(data)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty").write_bytes(b"")
    assert len(read_series(tmp_path).members) == 3


def test_files_of_several_series_are_refused() -> None:
    with pytest.raises(errors.BadRequest, match="several series"):
        read_series([part10(image(ramp(0), series=name)) for name in ("1", "2")])


def test_an_instance_that_cannot_be_read_does_not_hide_the_others() -> None:
    series = read_series([*slices([0, 3]), part10(image(ramp(0), number=9, BitsAllocated=12))])
    assert len(series.stacks[0].frames) == 2
    assert "1 instances have images that cannot be read" in series.warnings

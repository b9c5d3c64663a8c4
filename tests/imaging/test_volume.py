from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import UID
from tests.volumes import enhanced, image, part10, ramp, slices

from hounsfield import errors
from hounsfield.imaging.lut import Rescale, VoiFunction, Window
from hounsfield.imaging.phantom import gradient
from hounsfield.imaging.series import read_series
from hounsfield.imaging.volume import (
    Volume,
    evenly_spaced,
    load_volume,
    plan_volume,
    slice_indices,
)


def load(files: list[bytes], stack: int = 0) -> Volume:
    return load_volume(plan_volume(read_series(files), stack))


def test_slices_are_stacked_in_their_order_as_stored() -> None:
    volume = load(slices([6, 0, 3]))
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, [ramp(1), ramp(2), ramp(0)])
    assert volume.rescale == Rescale(1, -1024)
    assert volume.units == "HU"


def test_values_are_hounsfield_units() -> None:
    volume = load(slices([0, 3], RescaleSlope=2, RescaleIntercept=-1000))
    assert volume.values().dtype == np.float32
    # Slice 1, row 2, column 3 is stored as 123.
    assert volume.values()[1, 2, 3] == 123 * 2 - 1000


def test_slopes_that_differ_from_slice_to_slice_are_applied() -> None:
    files = [
        part10(
            image(
                ramp(n),
                number=n + 1,
                position=(0, 0, n),
                Modality="PT",
                Units="BQML",
                RescaleSlope=slope,
                RescaleIntercept=0,
            )
        )
        for n, slope in enumerate((0.5, 2.0))
    ]
    volume = load(files)
    assert volume.array.dtype == np.float32
    assert volume.units == "BQML"
    assert volume.rescale == Rescale()
    np.testing.assert_array_equal(volume.values(), [ramp(0) * 0.5, ramp(1) * 2.0])


def test_an_enhanced_instance_is_a_volume() -> None:
    volume = load([enhanced([12, 4, 8])])
    np.testing.assert_array_equal(volume.array, [ramp(1), ramp(2), ramp(0)])
    assert volume.rescale == Rescale(2, -1000)
    assert volume.units == "HU"
    assert volume.spacing_mm == (4, 2, 1)


def test_a_dose_has_its_offsets_and_its_scaling() -> None:
    dataset = image(
        np.stack([ramp(n).astype(np.uint16) for n in range(3)]),
        position=(1, 2, 3),
        Modality="RTDOSE",
        SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.481.2"),
        GridFrameOffsetVector=[0, 2.5, 5],
        DoseUnits="GY",
        DoseGridScaling="0.001",
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    volume = load([part10(dataset)])
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 2.5])
    assert volume.units == "Gy"
    assert volume.values()[2, 1, 1] == pytest.approx(0.211)


def test_a_volume_that_is_too_large_is_refused_before_it_is_made() -> None:
    files = slices([0, 3], Rows=60000, Columns=60000)
    with pytest.raises(errors.Refused, match="14400000000 bytes"):
        plan_volume(read_series(files))


def test_what_is_no_volume_is_told() -> None:
    series = read_series([part10(image(ramp(0), position=None))])
    with pytest.raises(errors.Unsupported, match="Image Position"):
        plan_volume(series)
    with pytest.raises(errors.BadRequest, match="no stack 7"):
        plan_volume(series, 7)


def test_a_broken_frame_breaks_the_volume() -> None:
    files = slices([0, 3, 6])
    files[1] = files[1][:-10]
    with pytest.raises(errors.Corrupt):
        load(files)


def test_loading_stops_when_nobody_waits() -> None:
    plan = plan_volume(read_series(slices([0, 3, 6])))
    with pytest.raises(errors.Cancelled):
        load_volume(plan, is_wanted=lambda: False)


def test_gaps_are_filled_and_uneven_slices_interpolated() -> None:
    volume = load(slices([0, 3, 6, 15, 18]))
    even = evenly_spaced(volume, empty=-5)
    assert even.is_even
    assert even.array[:, 0, 0].tolist() == [0, 100, 200, -5, -5, 300, 400]
    uneven = replace(volume, positions_mm=np.array([0.0, 3.0, 6.0, 10.0, 13.0]))
    # At 9 mm, three quarters of the way from the third slice (200) to the fourth (300); at 12 mm two thirds.
    assert evenly_spaced(uneven).array[:, 0, 0].tolist() == [0, 100, 200, 275, 367]


def test_a_place_in_a_gap_has_no_slice() -> None:
    positions = np.array([0.0, 2.0, 4.0, 10.0])
    wanted = np.array([-0.9, -1.1, 3.0, 4.9, 5.1, 8.9, 9.1, 11.1])
    np.testing.assert_array_equal(
        slice_indices(positions, 2.0, wanted), [0, np.nan, 1.5, 2, np.nan, np.nan, 3, np.nan]
    )


def test_the_affine_to_ras_turns_x_and_y() -> None:
    np.testing.assert_array_equal(gradient().affine_ras, np.diag([-1, -1, 1, 1]) @ gradient().affine)


def test_the_window_is_that_of_the_middle_slice() -> None:
    files = [
        part10(image(ramp(n), number=n + 1, position=(0, 0, n), WindowCenter=10 * n, WindowWidth=100))
        for n in range(3)
    ]
    assert load(files).window == Window(10, 100, VoiFunction.LINEAR_EXACT)
    assert load(slices([0, 3])).window is None

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from tests.volumes import enhanced, image, part10, ramp

from hounsfield.imaging.frame_values import FrameValues, read_frame_values
from hounsfield.imaging.frames import NoSuchFrame
from hounsfield.imaging.series import read_member


def real(name: str, number: int = 1) -> FrameValues:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return read_frame_values(read_member(Path(path)), number)


def test_a_ct_is_in_hounsfield_units() -> None:
    frame = real("CT_small.dcm")
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    dataset = dcmread(path)
    np.testing.assert_array_equal(frame.values, dataset.pixel_array.astype(np.float32) - 1024)
    assert frame.units == "HU"
    assert frame.plane is not None
    assert list(frame.plane.position) == [float(each) for each in dataset.ImagePositionPatient]


def test_a_frame_of_many_has_its_own_place_and_rescaling() -> None:
    frame = read_frame_values(read_member(enhanced([12, 4, 8])), 2)
    np.testing.assert_array_equal(frame.values, ramp(1) * 2.0 - 1000)
    assert frame.plane is not None
    assert list(frame.plane.position) == [-10, -20, 4]


def test_colour_is_rgb_without_units() -> None:
    frame = real("SC_rgb_2frame.dcm", 2)
    assert frame.values.shape == (100, 100, 3)
    assert frame.values.dtype == np.uint8
    assert (frame.units, frame.plane) == ("", None)


def test_a_radiograph_keeps_its_values() -> None:
    data = part10(
        image(ramp(3), Modality="DX", position=None, RescaleIntercept=0, RescaleSlope=1, RescaleType="US")
    )
    frame = read_frame_values(read_member(data))
    np.testing.assert_array_equal(frame.values, ramp(3))
    assert (frame.units, frame.plane) == ("", None)


def test_there_is_no_frame_beyond_the_last() -> None:
    with pytest.raises(NoSuchFrame):
        real("CT_small.dcm", 2)

"""The modality and VOI transformations against their definitions in the standard."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import errors
from hounsfield.imaging.lut import (
    IDENTITY,
    Rescale,
    VoiFunction,
    Window,
    grey_levels,
    modality_values,
    voi_levels,
    window_linear,
    window_sigmoid,
)
from hounsfield.imaging.tables import LookupTable


def test_linear_is_the_identity_on_bytes_at_width_256_and_center_128() -> None:
    values = np.arange(256, dtype=np.float64)
    assert np.allclose(window_linear(values, center=128, width=256), values)


def test_linear_gives_the_points_printed_in_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1: center 2048, width 4096 maps 0 to black and 4095 to white; width 1 is a threshold.
    values = np.array([-1.0, 0.0, 4095.0, 5000.0])
    assert window_linear(values, center=2048, width=4096).tolist() == [0.0, 0.0, 255.0, 255.0]
    threshold = window_linear(np.array([9.4, 9.5, 9.6]), center=10, width=1)
    assert threshold.tolist() == [0.0, 0.0, 255.0]


def test_sigmoid_follows_its_formula_and_never_overflows() -> None:
    values = np.array([-1e300, 0.0, 50.0, 100.0, 1e300])
    expected = [0.0, 255 / (1 + math.exp(4 * 50 / 100)), 127.5, 255 / (1 + math.exp(-4 * 50 / 100)), 255.0]
    assert np.allclose(window_sigmoid(values, center=50, width=100), expected)


@pytest.mark.parametrize("function", list(VoiFunction))
@pytest.mark.parametrize("width", [0.0, -5.0])
def test_a_window_without_width_is_a_bad_request(function: VoiFunction, width: float) -> None:
    with pytest.raises(errors.BadRequest):
        voi_levels(np.zeros(3), Window(0.0, width, function))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_window_is_finite(number: float) -> None:
    with pytest.raises(errors.BadRequest):
        Window(number, 10)
    with pytest.raises(errors.BadRequest):
        Window(10, number)


def test_values_outside_a_modality_table_take_its_ends() -> None:
    table = LookupTable(first=10, bits=12, values=np.array([100, 200, 300], np.uint16))
    stored = np.array([-5, 9, 10, 11, 12, 13, 99], np.int16)
    assert modality_values(stored, table).tolist() == [100, 100, 100, 200, 300, 300, 300]


def test_a_voi_table_spans_black_to_white_by_its_bits() -> None:
    table = LookupTable(first=0, bits=10, values=np.array([0, 1023], np.uint16))
    assert voi_levels(np.array([-1.0, 0.0, 1.0]), table).tolist() == [0.0, 0.0, 255.0]


@given(
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=40),
    st.floats(0.1, 10),
    st.floats(-2000, 2000),
    st.floats(1, 5000),
)
def test_the_table_of_values_gives_what_the_formula_gives(
    stored: list[int], slope: float, center: float, width: float
) -> None:
    array = np.array(stored, np.int16)
    window = Window(center, width, VoiFunction.LINEAR_EXACT)
    direct = voi_levels(modality_values(array, Rescale(slope, -1024.0)), window).astype(np.uint8)
    assert (grey_levels(array, Rescale(slope, -1024.0), window) == direct).all()


def test_absurd_slopes_and_values_that_are_no_numbers_give_some_grey_without_a_warning() -> None:
    window = Window(40, 400, VoiFunction.LINEAR_EXACT)
    assert grey_levels(np.array([[0, 9]], np.uint16), Rescale(1e308, 1e308), window).shape == (1, 2)
    grey = grey_levels(np.array([[math.nan, -math.inf, math.inf]], np.float32), IDENTITY, window)
    assert grey.tolist() == [[0, 0, 255]]

"""What a viewer sees: stretched, windowed, resized, clipped, never inverted by mistake."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.decode import Pixels, decode
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.display import Display, read_display
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.limits import Limits
from hounsfield.imaging.lut import IDENTITY, Rescale, VoiFunction, Window
from hounsfield.imaging.render import Box, clip_int16, clip_uint8, clip_uint16, preview, render
from hounsfield.imaging.tables import LookupTable

Make = Callable[..., bytes]


def _pixels(array: NDArray[Any], photometric: str = "MONOCHROME2", bits_stored: int = 0) -> Pixels:
    bits = array.dtype.itemsize * 8
    stored = bits_stored or bits
    samples = 1 if array.ndim == 2 else array.shape[2]
    description = PixelDescription(
        array.shape[0],
        array.shape[1],
        samples,
        bits,
        stored,
        stored - 1,
        array.dtype.kind in "if",
        photometric,
        is_float=array.dtype.kind == "f",
    )
    return Pixels(array.reshape(*array.shape[:2], samples), photometric, description)


def _rendered(data: bytes, number: int = 1, **options: Any) -> NDArray[np.uint8]:
    head = read_head(data)
    frame = read_frame(data, head, number)
    return render(decode(frame), read_display(head.dataset, frame.description, number), **options)


@given(
    arrays.arrays(np.int16, (3, 5)) | arrays.arrays(np.uint16, (3, 5)) | arrays.arrays(np.uint8, (3, 5)),
)
def test_a_preview_is_the_exact_linear_stretch_rounded_half_up(array: NDArray[Any]) -> None:
    low, high = int(array.min()), int(array.max())
    if low == high:
        assert not preview(_pixels(array)).any()
        return
    exact = ((array.astype(int) - low) * 510 + (high - low)) // (2 * (high - low))
    assert (preview(_pixels(array)) == exact).all()


@pytest.mark.parametrize("dtype", ["u4", "i4", "f4", "f8"])
def test_wide_values_are_stretched_too(dtype: str) -> None:
    array = np.array([[0, 1_000_000, 2_000_000]], dtype)
    assert preview(_pixels(array)).tolist() == [[0, 128, 255]]


def test_values_that_are_no_numbers_are_black_and_infinite_ones_at_the_ends() -> None:
    array = np.array([[np.nan, 0, 10, np.inf, -np.inf]], np.float32)
    assert preview(_pixels(array)).tolist() == [[0, 0, 255, 255, 0]]
    assert not preview(_pixels(np.full((2, 2), np.nan, np.float32))).any()
    assert preview(_pixels(np.array([[-1.7e308, 1.7e308]]))).tolist() == [[0, 255]]


def test_monochrome1_is_inverted() -> None:
    array = np.array([[0, 100, 200]], np.uint8)
    assert preview(_pixels(array, "MONOCHROME1")).tolist() == [[255, 127, 0]]
    display = Display(IDENTITY, Window(100, 200, VoiFunction.LINEAR_EXACT))
    assert render(_pixels(array, "MONOCHROME1"), display).tolist() == [[255, 128, 0]]


def test_colour_is_kept_and_16_bits_are_reduced_to_8() -> None:
    array = np.array([[[1, 2, 3], [250, 251, 252]]], np.uint8)
    assert (preview(_pixels(array, "RGB")) == array).all()
    assert (render(_pixels(array, "RGB"), Display()) == array).all()
    assert (preview(_pixels(array.astype(np.uint16) * 257, "RGB")) == array).all()
    assert (preview(_pixels(array.astype(np.uint16) * 16, "RGB", 12)) == array).all()


def test_single_bits_are_black_and_white_even_if_all_are_set(make: Make) -> None:
    for values in (np.array([[0, 1, 1, 0, 0, 0, 0, 1]], np.uint8), np.ones((1, 8), np.uint8)):
        data = make(
            np.packbits(values, bitorder="little").tobytes(),
            like=values,
            BitsAllocated=1,
            BitsStored=1,
            HighBit=0,
        )
        pixels = decode(read_frame(data, read_head(data), 1))
        assert (clip_uint8(pixels) == values * 255).all()
        assert (_rendered(data) == values * 255).all()


def test_a_window_is_applied_after_rescaling_and_rounded_down() -> None:
    array = np.array([[824, 864, 1064, 1065, 1264, 5000]], np.uint16)
    display = Display(Rescale(1.0, -1024.0), Window(40, 400, VoiFunction.LINEAR_EXACT))
    assert render(_pixels(array), display).tolist() == [[0, 0, 127, 128, 255, 255]]


def test_the_callers_window_goes_before_the_data_sets() -> None:
    array = np.array([[0, 50, 100]], np.uint8)
    window = Window(50, 100, VoiFunction.LINEAR_EXACT)
    display = Display(IDENTITY, Window(9, 1, VoiFunction.LINEAR_EXACT))
    assert render(_pixels(array), display, window=window).tolist() == [[0, 127, 255]]


def test_without_a_window_all_values_that_could_be_are_shown() -> None:
    array = np.array([[0, 2048, 4095]], np.uint16)
    assert render(_pixels(array, bits_stored=12), Display()).tolist() == [[0, 127, 254]]


def test_the_window_of_the_data_set_is_its_first(make: Make) -> None:
    array = np.array([[0, 50, 100, 200]], np.uint8)
    data = make(array, WindowCenter=[50, 9], WindowWidth=[100, 9])
    assert _rendered(data).tolist() == [[0, 127, 255, 255]]


def test_each_frame_has_its_own_window_and_rescaling(make: Make) -> None:
    groups = []
    for number in range(2):
        voi, transformation, group = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = 100 * number + 50, 100
        transformation.RescaleSlope, transformation.RescaleIntercept = 1, 100 * number
        group.FrameVOILUTSequence = [voi]
        group.PixelValueTransformationSequence = [transformation]
        groups.append(group)
    array = np.array([[0, 50, 100]], np.uint8)
    per_frame = make(
        array.tobytes() * 2, like=array, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups
    )
    assert _rendered(per_frame, 1).tolist() == _rendered(per_frame, 2).tolist() == [[0, 127, 255]]
    shared = make(array, SharedFunctionalGroupsSequence=groups[:1])
    assert _rendered(shared).tolist() == [[0, 127, 255]]


def test_a_dose_is_not_rescaled(make: Make) -> None:
    array = np.array([[0, 50, 100]], np.uint8)
    attributes = {"WindowCenter": 50, "WindowWidth": 100, "RescaleSlope": 7, "RescaleIntercept": 7}
    dose = make(array, SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.481.2"), **attributes)
    assert _rendered(dose).tolist() == [[0, 127, 255]]


def test_a_dose_of_32_bits_without_a_window_is_not_black(make: Make) -> None:
    data = make(np.array([[0, 500_000, 1_000_000]], np.uint32))
    assert _rendered(data).tolist() == [[0, 128, 255]]


def test_tables_take_the_place_of_rescaling_and_window() -> None:
    array = np.array([[0, 1, 2]], np.uint8)
    modality = LookupTable(0, 8, np.array([2, 1, 0], np.uint16))
    voi = LookupTable(0, 8, np.array([0, 55, 255], np.uint16))
    assert render(_pixels(array), Display(modality, voi)).tolist() == [[255, 55, 0]]


def test_stored_values_are_clipped_and_neither_rescaled_nor_inverted() -> None:
    array = np.array([[-40000, -300, 0, 300, 70000]], np.int32)
    assert clip_uint8(_pixels(array, "MONOCHROME1")).tolist() == [[0, 0, 0, 255, 255]]
    assert clip_uint16(_pixels(array)).tolist() == [[0, 0, 0, 300, 65535]]
    assert clip_int16(_pixels(array)).tolist() == [[-32768, -300, 0, 300, 32767]]
    assert clip_int16(_pixels(np.array([[0, 255]], np.uint8))).tolist() == [[0, 255]]
    assert clip_uint8(_pixels(np.array([[np.nan, 3.7, 1e9]], np.float32))).tolist() == [[0, 3, 255]]


def test_colour_has_no_stored_values_to_clip() -> None:
    with pytest.raises(errors.Unsupported):
        clip_uint8(_pixels(np.zeros((2, 2, 3), np.uint8), "RGB"))


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        (Box(30, 0), (20, 30)),
        (Box(0, 100), (100, 150)),
        (Box(37, 0), (25, 37)),
        (Box(25, 11), (11, 17)),
        (Box(200, 100), (100, 150)),
        (Box(97, 0, True), (65, 97)),
        (Box(1, 1), (1, 1)),
        (Box(0, 0), (40, 60)),
    ],
)
def test_an_image_fits_its_box_and_keeps_its_aspect_ratio(box: Box, shape: tuple[int, int]) -> None:
    assert render(_pixels(np.zeros((40, 60), np.uint8)), Display(), box=box).shape == shape
    assert render(_pixels(np.zeros((40, 60, 3), np.uint8), "RGB"), Display(), box=box).shape == (*shape, 3)


def test_the_nearest_pixel_is_the_one_under_the_centre() -> None:
    array = np.array([[0, 50, 100, 150]], np.uint8)
    window = Window(127.5, 255, VoiFunction.LINEAR_EXACT)
    assert render(_pixels(array), Display(), window=window, box=Box(2)).tolist() == [[50, 150]]
    assert (
        render(_pixels(array), Display(), window=window, box=Box(8)).tolist()
        == [[0, 0, 50, 50, 100, 100, 150, 150]] * 2
    )


def test_smoothing_spreads_a_point_when_an_image_shrinks_and_leaves_it_when_it_grows() -> None:
    array = np.zeros((40, 60), np.uint8)
    array[20, 30] = 255
    window = Window(127.5, 255, VoiFunction.LINEAR_EXACT)
    small = render(_pixels(array), Display(), window=window, box=Box(30, is_smooth=True))
    assert small[9:11, 14:16].tolist() == [[15, 15], [15, 15]]
    large = render(_pixels(array), Display(), window=window, box=Box(120, is_smooth=True))
    assert sorted(np.unique(large).tolist()) == [0, 255]


def test_an_image_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(errors.Unsupported):
        render(_pixels(np.zeros((4, 4), np.uint8)), Display(), box=Box(2**31 - 1))
    with pytest.raises(errors.Unsupported):
        render(_pixels(np.zeros((4, 4), np.uint8)), Display(), box=Box(9), limits=Limits(image_pixels=80))


def test_palette_without_a_palette_is_corrupt() -> None:
    with pytest.raises(errors.Corrupt):
        preview(_pixels(np.zeros((4, 4), np.uint8), "PALETTE COLOR"))

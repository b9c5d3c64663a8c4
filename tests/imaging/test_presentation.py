"""Images as PS3.3 wants them shown, step by step, and presentation states."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset as Ours
from hounsfield.dicom.part10 import read_head, read_whole
from hounsfield.imaging.automatic_window import automatic_window
from hounsfield.imaging.decode import Pixels, decode
from hounsfield.imaging.drawing import circle_points, draw_lines, polygon_mask
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.lut import VoiFunction, Window
from hounsfield.imaging.overlays import embedded_overlays
from hounsfield.imaging.presentation import Presentation, present, read_presentation
from hounsfield.imaging.presentation_state import present_state, read_state
from hounsfield.imaging.render import Box

Make = Callable[..., bytes]
Grey = NDArray[np.uint16]
RAMP = np.tile(np.arange(256, dtype=np.uint16), (4, 1))
EXACT = {"WindowCenter": "128", "WindowWidth": "256"}


def opened(data: bytes) -> tuple[Ours, Pixels, Presentation]:
    head = read_head(data)
    frame = read_frame(data, head, 1)
    pixels = decode(frame)
    own = read_presentation(head.dataset, pixels.description, 1)
    return head.dataset, pixels, own


def shown(data: bytes, **options: Any) -> NDArray[np.uint8]:
    _, pixels, own = opened(data)
    return present(pixels, own, **options)


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def test_linear_has_the_half_unit_and_linear_exact_has_not(make: Make) -> None:
    linear = shown(make(RAMP, BitsStored=12, **EXACT))
    np.testing.assert_array_equal(linear[0], np.arange(256))
    exact = shown(make(RAMP, BitsStored=12, VOILUTFunction="LINEAR_EXACT", **EXACT))
    np.testing.assert_array_equal(exact[0], (np.arange(256) * 510 + 256) // 512)
    sigmoid = shown(make(RAMP, BitsStored=12, VOILUTFunction="SIGMOID", **EXACT))
    assert (sigmoid[0, 0], sigmoid[0, 128]) == (30, 128)


def test_a_window_can_be_chosen(make: Make) -> None:
    data = make(RAMP, BitsStored=12, WindowCenter=["128", "64"], WindowWidth=["256", "128"])
    assert shown(data, voi=1)[0, 128] == 255
    assert shown(data, voi=0)[0, 128] == 128
    assert shown(data, voi=Window(32, 64))[0, 70] == 255
    with pytest.raises(errors.BadRequest):
        shown(data, voi=2)


@pytest.mark.parametrize(
    ("photometric", "shape", "is_inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_the_presentation_lut_shape_decides_what_is_dark(
    make: Make, photometric: str, shape: str | None, is_inverted: bool
) -> None:
    extra = {"PresentationLUTShape": shape} if shape else {}
    image = shown(make(RAMP, BitsStored=12, PhotometricInterpretation=photometric, **EXACT, **extra))
    assert image[0, 255] == (0 if is_inverted else 255)


def test_padding_is_black_and_does_not_count_for_the_window(make: Make, grey: Grey) -> None:
    padded = grey.copy()
    padded[:10] = 0
    image = shown(make(padded, BitsStored=12, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1"))
    assert not image[:10].any()
    assert image[10:].max() > 250
    assert image[10:].min() < 5


@pytest.mark.parametrize(
    ("modality", "values", "expected"),
    [
        ("CT", np.arange(-1000, 3000), (-160, 240)),
        ("PT", np.r_[np.zeros(900), np.linspace(0, 9000, 100)], (0, 8800)),
        ("MR", np.r_[np.zeros(500), np.linspace(100, 1100, 500)], (110, 1095)),
        ("OT", np.linspace(0, 1000, 1001), (1, 999)),
    ],
)
def test_an_image_without_a_window_gets_one(
    modality: str, values: NDArray[Any], expected: tuple[int, int]
) -> None:
    window = automatic_window(values, modality, "HU" if modality == "CT" else "")
    found = window.center - window.width / 2, window.center + window.width / 2
    np.testing.assert_allclose(found, expected, atol=250 if modality == "PT" else 6)


def test_the_borders_of_an_x_ray_do_not_count() -> None:
    values = np.full((100, 100), 4000.0)
    values[15:85, 15:85] = np.linspace(500, 1500, 70)
    values[15:85, 15:85][0, :] = 500
    window = automatic_window(values[5:95, 5:95], "DX", "")
    assert window.center + window.width / 2 <= 4000
    assert automatic_window(values[20:80, 20:80], "DX", "").center < 1100


def test_overlays_are_painted(make: Make) -> None:
    data = make(np.zeros((8, 16), np.uint16), BitsStored=12, **EXACT)
    dataset = pydicom.dcmread(io.BytesIO(data))
    bits = np.zeros((4, 4), np.uint8)
    bits[1, 2] = 1
    for tag, vr, value in (
        (0x60000010, "US", 4),
        (0x60000011, "US", 4),
        (0x60000050, "SS", [3, 5]),
        (0x60000100, "US", 1),
        (0x60000102, "US", 0),
        (0x60003000, "OW", np.packbits(bits.ravel(), bitorder="little").tobytes()),
    ):
        dataset.add_new(tag, vr, value)
    written = io.BytesIO()
    dataset.save_as(written)
    image = shown(written.getvalue())
    assert np.argwhere(image == 255).tolist() == [[3, 6]]


def test_overlays_in_unused_bits_are_found(make: Make, grey: Grey) -> None:
    stamp = np.zeros(grey.shape, np.uint16)
    stamp[5:9, 7] = 1
    data = make(grey | stamp << 15, BitsStored=12)
    dataset = pydicom.dcmread(io.BytesIO(data))
    for tag, value in ((0x60000010, 48), (0x60000011, 64), (0x60000100, 16), (0x60000102, 15)):
        dataset.add_new(tag, "US", value)
    written = io.BytesIO()
    dataset.save_as(written)
    head = read_head(written.getvalue())
    [overlay] = embedded_overlays(head.dataset, read_frame(written.getvalue(), head, 1))
    np.testing.assert_array_equal(overlay.bits, stamp.astype(bool))


def test_pixels_become_square(make: Make, grey: Grey) -> None:
    assert shown(make(grey, BitsStored=12, PixelAspectRatio=["2", "1"])).shape == (96, 64)
    assert shown(make(grey, BitsStored=12, PixelSpacing=["0.5", "1"])).shape == (48, 128)
    assert shown(make(grey, BitsStored=12, PixelSpacing=["0.5", "0.5"])).shape == (48, 64)
    assert shown(make(grey, BitsStored=12, PixelSpacing=["0.5", "1"]), box=Box(64, 0)).shape == (24, 64)


def test_a_colour_profile_is_honoured(make: Make, rgb: NDArray[np.uint8]) -> None:
    import imagecodecs

    same = shown(make(rgb, ICCProfile=bytes(imagecodecs.cms_profile("srgb"))))
    np.testing.assert_allclose(same.astype(int), rgb, atol=1)
    other = shown(make(rgb, ICCProfile=bytes(imagecodecs.cms_profile("adobergb"))))
    assert np.abs(other.astype(int) - rgb).max() > 5
    np.testing.assert_array_equal(shown(make(rgb, ICCProfile=b"no profile at all")), rgb)


def state_file(**attributes: Any) -> bytes:
    """A presentation state about the instance 1.2.3.4."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.9"
    image = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.7", ReferencedSOPInstanceUID="1.2.3.4")
    dataset.ReferencedSeriesSequence = [item(SeriesInstanceUID="1", ReferencedImageSequence=[image])]
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    written = io.BytesIO()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def by_state(data: bytes, **attributes: Any) -> NDArray[np.uint8]:
    image, pixels, own = opened(data)
    state = read_whole(state_file(**attributes)).dataset
    return present_state(pixels, read_state(state, image, pixels, 1, own))


def test_a_state_brings_its_own_window_and_shape(make: Make) -> None:
    data = make(RAMP, BitsStored=12, WindowCenter="10", WindowWidth="20")
    voi = [item(WindowCenter="128", WindowWidth="256")]
    np.testing.assert_array_equal(by_state(data, SoftcopyVOILUTSequence=voi)[0], np.arange(256))
    inverse = by_state(data, SoftcopyVOILUTSequence=voi, PresentationLUTShape="INVERSE")
    np.testing.assert_array_equal(inverse[0], 255 - np.arange(256))
    whole = by_state(data)
    assert whole.max() == round(255 * 255 / 4096)


def test_a_state_turns_cuts_and_flips(make: Make) -> None:
    data = make(RAMP, BitsStored=12, **EXACT)
    voi = {"SoftcopyVOILUTSequence": [item(WindowCenter="128", WindowWidth="256")]}
    turned = by_state(data, ImageRotation=90, ImageHorizontalFlip="N", **voi)
    assert turned.shape == (256, 4)
    assert (turned[0, 0], turned[255, 0]) == (0, 255)
    flipped = by_state(data, ImageRotation=0, ImageHorizontalFlip="Y", **voi)
    assert flipped[0, 0] == 255
    area = item(DisplayedAreaTopLeftHandCorner=[11, 2], DisplayedAreaBottomRightHandCorner=[20, 3])
    part = by_state(data, DisplayedAreaSelectionSequence=[area], **voi)
    np.testing.assert_array_equal(part, RAMP[1:3, 10:20])


def test_a_state_draws_and_covers(make: Make) -> None:
    data = make(np.full((40, 40), 100, np.uint16), BitsStored=12, **EXACT)
    line = item(
        GraphicAnnotationUnits="PIXEL",
        GraphicDimensions=2,
        NumberOfGraphicPoints=2,
        GraphicData=[5.5, 5.5, 30.5, 5.5],
        GraphicType="POLYLINE",
        GraphicFilled="N",
    )
    image = by_state(
        data,
        SoftcopyVOILUTSequence=[item(WindowCenter="128", WindowWidth="256")],
        GraphicAnnotationSequence=[item(GraphicLayer="A", GraphicObjectSequence=[line])],
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=3,
        ShutterRightVerticalEdge=38,
        ShutterUpperHorizontalEdge=4,
        ShutterLowerHorizontalEdge=30,
    )
    assert (image[5, 5:31] == 255).all()
    assert image[5, 31] == 100
    assert not image[:3].any()
    assert not image[30:].any()
    assert not image[:, :2].any()


def test_a_state_is_only_for_its_images(make: Make, grey: Grey) -> None:
    image, pixels, own = opened(make(grey, SOPInstanceUID="9.9"))
    with pytest.raises(errors.BadRequest):
        read_state(read_whole(state_file()).dataset, image, pixels, 1, own)


def test_shapes_have_their_places() -> None:
    mask = polygon_mask((10, 10), [(2, 2), (8, 2), (8, 8), (2, 8)])
    assert mask.sum() == 36
    assert mask[2:8, 2:8].all()
    image = np.zeros((21, 21), np.uint8)
    draw_lines(image, circle_points((10.5, 10.5), (18.5, 10.5)), 255)
    assert image[10, 18] == image[10, 2] == image[2, 10] == 255
    assert image[10, 10] == 0
    draw_lines(image, [(-1e9, 0), (1e9, 5)], 255)
    assert Window(1, 1, VoiFunction.LINEAR).width == 1


def test_supplemental_colours_are_shown_beside_grey(make: Make) -> None:
    table = np.arange(4, dtype=np.uint16) << 14
    entries = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, scale in (("Red", 3), ("Green", 0), ("Blue", 1))
        for part, value in (("Descriptor", [4, 252, 16]), ("Data", (table * np.uint16(scale)).tobytes()))
    }
    image = shown(make(RAMP, BitsStored=12, PixelPresentation="COLOR", **EXACT, **entries))
    assert image.shape == (4, 256, 3)
    np.testing.assert_array_equal(image[0, :252], np.repeat(np.arange(252)[:, np.newaxis], 3, axis=1))
    assert image[0, 253].tolist() == [0xC0, 0, 0x40]
    grey = shown(make(RAMP, BitsStored=12, PixelPresentation="MONOCHROME", **EXACT, **entries))
    assert grey.shape == (4, 256)

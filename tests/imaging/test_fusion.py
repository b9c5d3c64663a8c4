import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_palette_files

from hounsfield import errors
from hounsfield.imaging.colour_maps import colour_map, colour_maps, coloured, grey_of_values
from hounsfield.imaging.fusion import blend, resample
from hounsfield.imaging.phantom import gradient, sphere

GREY = np.array([[0, 100], [200, 255]], np.uint8)


def test_a_coarse_volume_on_the_voxels_of_a_fine_one() -> None:
    pet = sphere(slices=16, rows=16, columns=16, spacing_mm=(4.0, 4.0, 4.0), radius_mm=20)
    ct = sphere(slices=40, rows=40, columns=40, radius_mm=5)
    fused = resample(pet, ct)
    np.testing.assert_array_equal(fused.affine, ct.affine)
    # The origin is voxel 8, 8, 8 of the one and 20, 20, 20 of the other; voxel 22 is half-way to the next.
    assert fused.array[20, 20, 20] == pet.values()[8, 8, 8]
    between = (pet.values()[8, 8, 12] + pet.values()[8, 8, 13]) / 2
    assert fused.array[20, 20, 38] == between


def test_beyond_the_volume_there_is_nothing() -> None:
    small = sphere(slices=8, rows=8, columns=8)
    fused = resample(small, gradient())
    assert np.isnan(fused.array[0]).all()
    assert fused.units == "HU"
    assert (~np.isnan(fused.array)).sum() == 8**3


def test_pictures_are_mixed() -> None:
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    assert blend(GREY, red, 0)[..., 1].tolist() == GREY.tolist()
    assert blend(GREY, red, 1).tolist() == red.tolist()
    # Half of 100 and of 200, and half of 100 and of 0.
    assert blend(GREY, red, 0.5)[0, 1].tolist() == [150, 50, 50]


def test_where_there_is_no_uptake_nothing_is_covered() -> None:
    red = np.full((2, 2, 3), [255, 0, 0], np.uint8)
    mixed = blend(GREY, red, 1.0, np.array([[0, 255], [0, 51]], np.uint8))
    assert mixed[0].tolist() == [[0, 0, 0], [255, 0, 0]]
    assert mixed[1].tolist() == [[200, 200, 200], [255, 204, 204]]
    with pytest.raises(errors.BadRequest):
        blend(GREY, red, 1.5)


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("hot-iron", "hotiron"),
        ("pet", "pet"),
        ("hot-metal-blue", "hotmetalblue"),
        ("pet-20-step", "pet20step"),
    ],
)
def test_palettes_are_those_of_the_standard(name: str, keyword: str) -> None:
    palette = dcmread(next(path for path in get_palette_files() if path.endswith(f"{keyword}.dcm")))
    for channel, colour in enumerate(("Red", "Green", "Blue")):
        expected = np.frombuffer(palette[f"{colour}PaletteColorLookupTableData"].value, np.uint8)
        np.testing.assert_array_equal(colour_map(name)[:, channel], expected)


def test_seasons_are_ramps() -> None:
    ramp = np.arange(256)
    np.testing.assert_array_equal(colour_map("spring"), np.stack([ramp * 0 + 255, ramp, 255 - ramp], axis=1))


def test_the_rainbow_goes_from_blue_over_green_to_red() -> None:
    rainbow = colour_map("rainbow")
    assert rainbow[[0, 1, 255]].tolist() == [[0, 0, 0], [0, 4, 255], [255, 0, 0]]
    assert rainbow[127][1] == 255


def test_a_map_can_be_inverted_and_an_unknown_one_is_refused() -> None:
    assert colour_map("grey-inverse")[0].tolist() == [255, 255, 255]
    with pytest.raises(errors.BadRequest, match="hot-iron"):
        colour_map("no-such-map")
    assert all(colours.shape == (256, 3) for colours in colour_maps().values())


def test_grey_stays_one_sample() -> None:
    assert coloured(GREY, "grey").shape == (2, 2)
    assert coloured(GREY, "hot-iron").shape == (2, 2, 3)


def test_a_range_of_nothing_is_refused() -> None:
    for low, high in ((1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(errors.BadRequest):
            grey_of_values(np.zeros((1, 1)), low, high)

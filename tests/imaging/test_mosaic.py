"""Siemens mosaics: by hand, and a real one beside nibabel."""

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.volumes import image, part10

from hounsfield.imaging.render import Box
from hounsfield.imaging.series import read_series
from hounsfield.imaging.thumbnails import series_pictures
from hounsfield.imaging.volume import Volume, load_volume, plan_volume


def mosaic(count: int = 5, normal: str = "", number: int = 1, **attributes: Any) -> bytes:
    """Tiles of 4 rows and 5 columns, each filled with its own number; the first pixel of the sheet is at 0, 0, 0."""
    side = int(np.ceil(np.sqrt(count)))
    sheet: NDArray[np.int16] = np.full((4 * side, 5 * side), -1, np.int16)
    for index in range(count):
        row, column = divmod(index, side)
        sheet[4 * row : 4 * row + 4, 5 * column : 5 * column + 5] = index + 100 * number
    dataset = image(
        sheet,
        number=number,
        Modality="MR",
        ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"],
        SpacingBetweenSlices=3,
        **attributes,
    )
    if normal:
        dataset.add_new(0x00290011, "LO", "SIEMENS CSA HEADER")
        dataset.add_new(
            0x00291110, "OB", csa(NumberOfImagesInMosaic=[str(count)], SliceNormalVector=normal.split())
        )
    else:
        dataset.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
        dataset.add_new(0x0019100A, "US", count)
    return part10(dataset)


def csa(**fields: list[str]) -> bytes:
    """A CSA header of the second kind."""
    body = b"SV10\4\3\2\1" + struct.pack("<II", len(fields), 77)
    for name, values in fields.items():
        body += struct.pack("<64sI4sIII", name.encode(), len(values), b"FD", 4, len(values), 77)
        for value in values:
            body += struct.pack("<4I", len(value), len(value), 77, len(value))
            body += value.encode() + b"\0" * (-len(value) % 4)
    return body + b"\0" * (len(body) % 2)


def load(data: bytes) -> Volume:
    return load_volume(plan_volume(read_series([data])))


@pytest.mark.parametrize("normal", ["", "0 0 1"])
def test_tiles_are_slices(normal: str) -> None:
    volume = load(mosaic(normal=normal))
    assert volume.array.shape == (5, 4, 5)
    assert volume.array[:, 0, 0].tolist() == [100, 101, 102, 103, 104]
    assert (volume.array == volume.array[:, :1, :1]).all()
    # 3 x 3 tiles of 4 rows of 2 mm and 5 columns of 1 mm: the sheet's centre is that of the first slice.
    np.testing.assert_allclose(volume.affine[:3, 3], [(15 - 5) / 2 * 1, (12 - 4) / 2 * 2, 0])
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 3])


def test_slices_may_go_against_the_normal() -> None:
    volume = load(mosaic(normal="0 0 -1"))
    assert volume.array[:, 0, 0].tolist() == [104, 103, 102, 101, 100]
    np.testing.assert_allclose(volume.affine[:3, 3], [5, 8, -12])


def test_mosaics_one_after_the_other_are_times() -> None:
    series = read_series([mosaic(number=number, AcquisitionNumber=number) for number in (2, 1)])
    assert [stack.phase for stack in series.stacks] == [
        (("AcquisitionNumber", "1"),),
        (("AcquisitionNumber", "2"),),
    ]
    assert load_volume(plan_volume(series, 1)).array[:, 0, 0].tolist() == [200, 201, 202, 203, 204]


def test_a_thumbnail_is_a_tile() -> None:
    series = read_series([mosaic()])
    assert series_pictures(series, Box())[0].shape == (4, 5)


def test_a_damaged_header_leaves_the_sheet_whole() -> None:
    data = mosaic(normal="0 0 1")
    volume = load(data.replace(b"NumberOfImagesInMosaic", b"NumberOfImagesInMosaiX"))
    assert volume.array.shape == (1, 12, 15)


def test_a_real_mosaic_is_where_nibabel_says() -> None:
    path = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / "siemens_dwi_1000.dcm.gz"
    volume = load(gzip.decompress(path.read_bytes()))
    assert volume.array.shape == (48, 128, 128)
    # As in nibabel's own test of this file: rows and columns change places, and LPS is RAS there.
    expected = np.array(
        [
            [1.796875, 0, 0, -115],
            [0, 1.7968, 0.0157, -135.0286],
            [0, -0.0094, 3, -78.7104],
            [0, 0, 0, 1],
        ]
    )
    np.testing.assert_allclose(volume.affine, expected, atol=1e-3)

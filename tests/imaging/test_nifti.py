"""NIfTI files, read by nibabel: every voxel must be where its pixel was in the patient."""

import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.volumes import AXIAL, CORONAL, SAGITTAL, image, part10, ramp, slices, tilted

from hounsfield import errors
from hounsfield.imaging.nifti import nifti_bytes, nifti_pieces
from hounsfield.imaging.series import read_series
from hounsfield.imaging.volume import Volume, load_volume, plan_volume

_ANGLE = math.radians(25)
OBLIQUE = (math.cos(_ANGLE), math.sin(_ANGLE), 0.0, 0.0, 0.0, -1.0)


def load(files: list[bytes]) -> Volume:
    return load_volume(plan_volume(read_series(files)))


def opened(data: bytes) -> Any:
    """An image of nibabel, which has no types."""
    return nibabel.Nifti1Image.from_bytes(data)


@pytest.mark.parametrize("files", [
    slices([0, 3, 6]),
    slices([6, 3, 0]),
    slices([0, 3, 6], orientation=CORONAL),
    slices([0, 3, 6], orientation=SAGITTAL),
    slices([0, 3, 6], orientation=OBLIQUE),
    tilted(15),
], ids=["axial", "flipped", "coronal", "sagittal", "oblique", "tilted"])  # fmt: skip
def test_every_value_is_where_it_was_in_the_patient(files: list[bytes]) -> None:
    volume = load(files)
    read = opened(nifti_bytes(volume))
    values = read.get_fdata()
    assert values.shape == volume.array.shape[::-1]
    for slice_index, row, column in ((0, 0, 0), (2, 3, 4), (1, 2, 0)):
        x, y, z, _ = volume.affine @ [column, row, slice_index, 1]
        i, j, k, _ = np.rint(np.linalg.inv(read.affine) @ [-x, -y, z, 1]).astype(int)
        assert values[i, j, k] == volume.values()[slice_index, row, column]
    np.testing.assert_allclose(read.header.get_zooms(), volume.spacing_mm[::-1], rtol=1e-6)


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
def test_both_forms_of_the_affine_agree(orientation: tuple[float, ...]) -> None:
    read = opened(nifti_bytes(load(slices([0, 3, 6], orientation=orientation))))
    (qform, qcode), (sform, scode) = read.get_qform(coded=True), read.get_sform(coded=True)
    assert (qcode, scode) == (1, 1)
    np.testing.assert_allclose(qform, sform, atol=1e-4)


def test_rows_are_written_from_the_bottom() -> None:
    """As dcm2niix does: an axial series of a patient on the back is RAS but for x."""
    read = opened(nifti_bytes(load(slices([0, 3]))))
    library: Any = nibabel
    assert library.aff2axcodes(read.affine) == ("L", "A", "S")


def test_stored_values_and_their_rescaling_are_kept_apart() -> None:
    read = opened(nifti_bytes(load(slices([0, 3], RescaleSlope=2))))
    assert read.get_data_dtype() == np.int16
    assert (read.dataobj.slope, read.dataobj.inter) == (2, -1024)
    assert read.header.get_xyzt_units() == ("mm", "sec")


def test_unsigned_pixels_stay_unsigned() -> None:
    read = opened(nifti_bytes(load([part10(image(ramp(600).astype(np.uint16)))])))
    assert read.get_data_dtype() == np.uint16
    assert read.get_fdata().max() == 60034 - 1024


def test_phases_are_the_fourth_dimension(tmp_path: Path) -> None:
    files = [
        part10(image(ramp(n), number=n + 1, position=(0, 0, 3 * (n // 2)), EchoTime=[10, 80][n % 2]))
        for n in range(6)
    ]
    series = read_series(files)
    volumes = [load_volume(plan_volume(series, index)) for index in (0, 1)]
    path = tmp_path / "four.nii"
    path.write_bytes(b"".join(nifti_pieces(volumes, 2, repetition_seconds=2.5, description="two echoes")))
    read: Any = nibabel.load(path)
    assert read.shape == (5, 4, 3, 2)
    assert read.header.get_zooms()[3] == 2.5
    assert read.header["descrip"] == b"two echoes"
    # Echo 1, slice 2 is the ramp 5; the first row is the last one in the file.
    assert read.get_fdata()[1, 3, 2, 1] == 501 - 1024
    assert read.get_fdata()[1, 0, 2, 1] == 531 - 1024


def test_missing_slices_are_filled_so_that_the_others_are_in_place() -> None:
    volume = load(slices([0, 3, 9]))
    read = opened(nifti_bytes(volume))
    assert read.shape == (5, 4, 4)
    assert read.get_fdata()[0, 3, :, ].tolist() == [-1024, 100 - 1024, -1024, 200 - 1024]  # fmt: skip


def test_volumes_of_different_shape_make_no_file() -> None:
    with pytest.raises(errors.BadRequest):
        list(nifti_pieces([load(slices([0, 3])), load(slices([0, 3, 6]))], 2))


@pytest.mark.parametrize(
    ("direction", "expected"), [("ROW", (1, 0, 2)), ("COL", (0, 1, 2)), ("", (None,) * 3)]
)
def test_the_direction_of_phases_is_told(direction: str, expected: tuple[int | None, ...]) -> None:
    read = opened(b"".join(nifti_pieces([load(slices([0, 3]))], phase_encoding=direction)))
    assert read.header.get_dim_info() == expected

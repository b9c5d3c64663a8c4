"""A file that lost its end is told from a whole one."""

from pathlib import Path

import pydicom.data
import pytest
from pydicom.data import get_testdata_file

from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.pixel_extent import is_cut_off
from hounsfield.errors import ArchiveError

CUT_OFF = {"MR_truncated.dcm"}


def cut_off_files() -> set[str]:
    found = set()
    for path in (Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"):
        data = path.read_bytes()
        try:
            head = read_head(data)
        except ArchiveError:
            continue
        if is_cut_off(head, data):
            found.add(path.name)
    return found


def test_of_real_files_only_the_cut_off_ones_are_found() -> None:
    assert cut_off_files() == CUT_OFF


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "ExplVR_BigEnd.dcm", "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm"]
)
def test_every_lost_byte_but_padding_is_noticed(name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    data = Path(path).read_bytes()
    head = read_head(data)
    assert not is_cut_off(head, data)
    begin = head.pixel_data_offset
    assert begin is not None
    last = len(data) if head.pixel_data_length is None else begin + 12 + head.pixel_data_length
    for end in range(begin + 40, last - 10, max(1, (last - begin) // 50)):
        assert is_cut_off(head, data[:end])

"""Headers kept apart from their files say what the files say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.data import get_testdata_files

from hounsfield.dicom import json
from hounsfield.dicom.packed_header import MAXIMUM_BINARY, MAXIMUM_VALUE, pack_header, unpack_header
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import ArchiveError, Corrupt

Write = Callable[..., bytes]
FILES = sorted(name for name in get_testdata_files() if name.endswith(".dcm"))


@pytest.mark.parametrize("path", FILES, ids=[Path(path).name for path in FILES])
def test_a_kept_header_says_what_the_file_says(path: str) -> None:
    try:
        head = read_head(Path(path).read_bytes())
    except ArchiveError:
        pytest.skip("no DICOM file")
    packed = pack_header(head)
    if packed is None or head.is_truncated:
        return
    kept = unpack_header(packed)
    wanted = [tag for tag in head.dataset if tag not in kept.omitted]
    assert json.full(kept.dataset, only=wanted) == json.full(head.dataset, only=wanted)
    if not kept.omitted:
        assert json.full(kept.dataset) == json.full(head.dataset)


def test_large_values_are_left_out_and_named(file: Write, dataset: Write) -> None:
    head = read_head(
        file(
            dataset(
                {
                    0x00420011: ("OB", b"x" * (MAXIMUM_BINARY + 2)),
                    0x0040A160: ("UT", b"y" * (MAXIMUM_VALUE + 2)),
                    0x00204000: ("LT", b"z" * MAXIMUM_BINARY * 2),
                }
            )
        )
    )
    packed = pack_header(head)
    assert packed is not None
    kept = unpack_header(packed)
    assert kept.omitted == {0x00420011, 0x0040A160}
    assert kept.dataset.text(0x00204000) == "z" * MAXIMUM_BINARY * 2
    assert not kept.has_all(frozenset((0x00420011, 0x00100010)))
    assert kept.has_all(frozenset((0x00100010,)))


@pytest.mark.parametrize("data", [b"", b"\1", b"\2" + b"\0" * 20, b"\1\1\0OW\xff\xff"])
def test_other_bytes_are_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        unpack_header(data)

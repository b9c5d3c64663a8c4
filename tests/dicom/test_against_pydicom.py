"""Every file that pydicom brings along is read as pydicom reads it."""

import logging
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import data_store  # type: ignore[import-untyped]
import pydicom
import pytest
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.multival import MultiValue

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.part10 import Head, read_head, read_whole
from hounsfield.errors import Corrupt

# Not DICOM at all, or with a space in front, or with a private syntax nobody knows and nothing else to go by.
NOT_DICOM = frozenset(
    (
        "README.txt",
        "README",
        "FileInfo.txt",
        "crayons.icc",
        "meta_missing_tsyntax.dcm",
        "no_meta.dcm",
        "rtplan.dump",
        "rtstruct.dump",
        "test1.json",
        "test_PN.json",
        "zipMR.gz",
    )
)
# pydicom fails on a cut inside the first item of encapsulated pixel data, and keeps half of a cut last element.
EXPLAINED = frozenset(("emri_small_jpeg_2k_lossless_too_short.dcm", "rtplan_truncated.dcm"))


def _files() -> list[Path]:
    found = {Path(name) for name in (*get_testdata_files(), *get_charset_files())}
    folder = Path(data_store.__file__).parent / "data"
    found |= {path for path in folder.rglob("*") if path.suffix not in (".json", ".md")}
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.name)
def test_the_same_elements_with_the_same_values(path: Path) -> None:
    data = path.read_bytes()
    if path.name in NOT_DICOM:
        with pytest.raises(Corrupt):
            read_head(data)
        return
    head = read_head(data)
    if path.name in EXPLAINED:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            theirs = pydicom.dcmread(BytesIO(data), force=True)
            assert list(_differences(theirs.file_meta, head.meta_dataset)) == []
            assert list(_differences(theirs, head.dataset)) == []
            _compare_pixels(theirs, head, data)
        finally:
            logging.disable(logging.NOTSET)


def _compare_pixels(theirs: pydicom.Dataset, head: Head, data: bytes) -> None:
    assert head.has_pixel_data == any(tag in theirs for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010))
    if not head.has_pixel_data or head.pixel_data_offset is None:
        return
    assert data[head.pixel_data_offset : head.pixel_data_offset + 2] in (b"\xe0\x7f", b"\x7f\xe0")
    assert head.pixel_data_tag is not None
    after = [tag for tag in read_whole(data).dataset if tag > head.pixel_data_tag]
    assert after == [int(element.tag) for element in theirs if element.tag > head.pixel_data_tag]


def _differences(theirs: pydicom.Dataset, ours: Dataset) -> Iterator[tuple[object, ...]]:
    """What differs before pixel data; group lengths are pydicom's to drop."""
    expected = [int(e.tag) for e in theirs if e.tag < 0x7FE00008 and e.tag.element]
    found = [tag for tag in ours if tag < 0x7FE00008 and tag & 0xFFFF]
    if expected != found:
        yield "tags", sorted(set(expected) ^ set(found))
    for element in theirs:
        tag = int(element.tag)
        if tag not in ours or tag >= 0x7FE00008:
            continue
        if str(element.VR) != ours.vr(tag):
            yield "vr", element.tag, element.VR, ours.vr(tag)
        elif element.VR == "SQ":
            items = ours.items(tag)
            if len(items) != len(element.value):
                yield "items", element.tag, len(element.value), len(items)
            for item, other in zip(element.value, items, strict=False):
                yield from _differences(item, other)
        elif isinstance(element.value, bytes):
            if element.value != ours.raw(tag):
                yield "bytes", element.tag
        elif element.VR in ("FL", "FD"):
            if _values(element.value) != list(ours.numbers(tag)):
                yield "numbers", element.tag, element.value, ours.numbers(tag)
        elif _text(element) != _comparable(ours.text(tag) or ""):
            yield "text", element.tag, _text(element), ours.text(tag)


def _values(value: object) -> list[object]:
    # Many numbers come as a list, or as a NumPy array when that is installed.
    to_list = getattr(value, "tolist", None)
    if to_list is not None:
        value = to_list()
    if isinstance(value, MultiValue | list):
        return list(value)
    return [] if value is None else [value]


def _text(element: pydicom.DataElement) -> str:
    values = _values(element.value)
    if element.VR == "AT":
        return "\\".join(f"{value:08x}" for value in values if isinstance(value, int))
    if element.VR == "PN":
        return _comparable("\\".join(map(str, values)))
    return _comparable("\\".join(str(getattr(value, "original_string", value)) for value in values))


def _comparable(text: str) -> str:
    """Without the padding of each value, which pydicom drops, and the empty last groups of names."""
    return "\\".join(part.strip(" \0").rstrip("=") for part in text.replace(",", "").split("\\"))

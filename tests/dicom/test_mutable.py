"""What is not changed stays as it is, byte for byte or value for value, with pydicom as the judge."""

import logging
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Literal

import data_store  # type: ignore[import-untyped]
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files, get_testdata_file, get_testdata_files
from pydicom.filereader import read_dataset

from hounsfield.dicom import uids
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.rewriting import read_for_change, write_changed
from hounsfield.errors import BadRequest, Corrupt

Write = Callable[..., bytes]
# pydicom keeps half of a last element that is cut off.
_CUT_OFF = frozenset(
    ("rtplan_truncated.dcm", "MR_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm")
)


def _files() -> list[Path]:
    folder = Path(data_store.__file__).parent / "data"
    found = {Path(name) for name in (*get_testdata_files(), *get_charset_files()) if name.endswith(".dcm")}
    return sorted(found | set(folder.rglob("*.dcm")))


def _touch(dataset: MutableDataset) -> None:
    """As if something had been changed in every item."""
    dataset.touch()
    for tag in dataset.tags():
        if dataset.vr(tag) == "SQ":
            for item in dataset.items(tag):
                _touch(item)


def _values(dataset: pydicom.Dataset) -> list[tuple[int, object]]:
    found: list[tuple[int, object]] = []
    for element in dataset:
        if element.tag.element:
            value: object = element.value
            if element.VR == "SQ":
                value = [_values(item) for item in element.value]
            found.append((int(element.tag), value if isinstance(value, list) else repr(value)))
    return found


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.name)
def test_a_data_set_written_again_has_the_same_values(path: Path) -> None:
    data = path.read_bytes()
    try:
        head, dataset = read_for_change(data)
    except Corrupt:
        return
    source = head.dataset
    assert dataset.to_bytes() == bytes(source.buffer[source.start : source.end])
    _touch(dataset)
    if path.name in _CUT_OFF:
        return
    is_implicit, is_little = not dataset.encoding.is_explicit, not dataset.encoding.is_big_endian
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            written = read_dataset(BytesIO(dataset.to_bytes()), is_implicit, is_little)
            theirs = _values(pydicom.dcmread(BytesIO(data), force=True))
        except (OSError, ValueError, KeyError, NotImplementedError, AttributeError):
            return
        finally:
            logging.disable(logging.NOTSET)
        assert _values(written) == theirs


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "image_dfl.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "JPEG2000.dcm",
        "rtplan.dcm",
    ],
)
def test_a_changed_file_is_read_by_others_in_its_transfer_syntax(name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    before = pydicom.dcmread(path)
    head, dataset = read_for_change(Path(path).read_bytes())
    dataset.set_text(0x00081030, "A new description")
    dataset.remove(0x00100030)
    after = pydicom.dcmread(BytesIO(write_changed(head, dataset).to_bytes()))
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID == before.SOPInstanceUID
    assert after.file_meta.ImplementationClassUID == uids.IMPLEMENTATION_CLASS_UID
    assert after.StudyDescription == "A new description"
    assert "PatientBirthDate" not in after
    del after[0x00081030]
    for keyword in ("StudyDescription", "PatientBirthDate"):
        if keyword in before:
            delattr(before, keyword)
    assert _values(after) == _values(before)


def test_a_label_that_is_wrong_is_set_right(dataset: Write, file: Write) -> None:
    head, changed = read_for_change(file(dataset(explicit=False), uids.EXPLICIT_VR_LITTLE_ENDIAN))
    changed.remove(0x00100010)
    written = write_changed(head, changed).to_bytes()
    assert read_head(written).transfer_syntax_uid == uids.IMPLICIT_VR_LITTLE_ENDIAN


def test_what_is_between_elements_and_group_lengths_are_left_out(element: Write, dataset: Write) -> None:
    second = element(0x00100010, "PN", b"SECRET^B")
    lengths = element(0x00100000, "UL", b"\x20\0\0\0")
    data = dataset()
    cut = data.index(b"\x10\0\x20\0")
    _, changed = read_for_change(data[:cut] + second + lengths + data[cut:])
    assert b"SECRET" in changed.to_bytes()
    changed.set_text(0x00081030, "x")
    assert b"SECRET" not in changed.to_bytes()
    assert 0x00100000 not in read_head(changed.to_bytes()).dataset


@pytest.mark.parametrize(("explicit", "big"), [(True, False), (False, False), (True, True)])
def test_undefined_lengths_without_delimiters_are_closed(
    dataset: Write, element: Write, explicit: bool, big: bool
) -> None:
    order: Literal["big", "little"] = "big" if big else "little"
    item = (0xFFFE).to_bytes(2, order) + (0xE000).to_bytes(2, order) + b"\xff\xff\xff\xff"
    inner = element(0x00081155, "UI", b"1.2.3\0", explicit=explicit, big=big)
    broken = element(0x00081140, "SQ", item + inner, explicit=explicit, big=big, length=0xFFFFFFFF)
    data = dataset(explicit=explicit, big=big) + broken
    changed = MutableDataset(read_head(data).dataset)
    changed.set_text(0x00100010, "NEW")
    again = read_head(changed.to_bytes()).dataset
    assert again.items(0x00081140)[0].text(0x00081155) == "1.2.3"
    assert again.text(0x00100010) == "NEW"


def test_items_of_an_unknown_vr_stay_readable_when_they_are_changed(dataset: Write, element: Write) -> None:
    inner = element(0x00081155, "UI", b"1.2.3\0", explicit=False)
    hidden = element(0x00081140, "UN", b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner)
    data = dataset()
    cut = data.index(b"\x10\0\x10\0")
    changed = MutableDataset(read_head(data[:cut] + hidden + data[cut:]).dataset)
    changed.items(0x00081140)[0].set_text(0x00081155, "4.5.6")
    written = changed.to_bytes()
    assert read_head(written).dataset.items(0x00081140)[0].text(0x00081155) == "4.5.6"
    theirs = read_dataset(BytesIO(written), False, True)
    assert theirs[0x00081140].value[0].ReferencedSOPInstanceUID == "4.5.6"


def test_folded_items_can_still_be_read_and_changed() -> None:
    path = get_testdata_file("rtplan.dcm")
    assert isinstance(path, str)
    head, dataset = read_for_change(Path(path).read_bytes())
    beams = 0x300A00B0
    dataset.items(beams)[0].set_text(0x300A00C2, "Ärger")
    before = [item.text(0x300A00C2) for item in dataset.items(beams)]
    dataset.fold(beams)
    written = write_changed(head, dataset).to_bytes()
    assert [item.text(0x300A00C2) for item in dataset.items(beams)] == before
    dataset.fold(beams)
    dataset.set_character_set("ISO_IR 192")
    again = read_head(write_changed(head, dataset).to_bytes()).dataset
    assert [item.text(0x300A00C2) for item in again.items(beams)] == before
    assert read_head(written).dataset.items(beams)[0].text(0x300A00C2) == before[0]
    dataset.fold(beams)
    dataset.remove(beams)
    assert beams not in read_head(write_changed(head, dataset).to_bytes()).dataset


def test_another_character_set_keeps_every_name() -> None:
    for name in get_charset_files("*.dcm"):
        head, dataset = read_for_change(Path(name).read_bytes())
        before = [dataset.text(tag) for tag in (0x00100010, 0x00081030)]
        items = [item.text(0x0040A123) for item in dataset.items(0x0040A073)]
        dataset.set_character_set("ISO_IR 192")
        again = read_head(write_changed(head, dataset).to_bytes()).dataset
        assert again.text(0x00080005) == "ISO_IR 192"
        assert [again.text(tag) for tag in (0x00100010, 0x00081030)] == before
        assert [item.text(0x0040A123) for item in again.items(0x0040A073)] == items


def test_a_value_that_does_not_fit_is_refused(dataset: Write) -> None:
    changed = MutableDataset(read_head(dataset()).dataset)
    with pytest.raises(BadRequest):
        changed.set_text(0x00280010, "many")


@given(
    st.dictionaries(
        st.sampled_from([0x00080050, 0x00081030, 0x00100030, 0x00102160, 0x00104000]),
        st.none()
        | st.text(
            st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\\\x7f"), max_size=40
        ),
    )
)
def test_what_was_put_in_place_is_read_again(changes: dict[int, str | None]) -> None:
    path = get_testdata_file("rtplan.dcm")
    assert isinstance(path, str)
    head, dataset = read_for_change(Path(path).read_bytes())
    dataset.set_character_set("ISO_IR 100")
    for tag, value in changes.items():
        if value is None:
            dataset.remove(tag)
        else:
            dataset.set_text(tag, value)
    again = read_head(write_changed(head, dataset).to_bytes()).dataset
    for tag, value in changes.items():
        expected = None if value is None else value.rstrip(" ").encode("latin_1", "ignore").decode("latin_1")
        assert again.text(tag) == expected
        assert dataset.text(tag) == expected
    untouched = [tag for tag in head.dataset if tag not in changes and tag & 0xFFFF and tag != 0x00080005]
    assert all(again.raw(tag) == head.dataset.raw(tag) for tag in untouched)

"""Each line of the tables does what it says, in the data set itself and in items of sequences."""

from functools import cache
from pathlib import Path

import pytest
from tests.deid.builders import IDENTITY, anonymize, dataset_of

from hounsfield.deid.profiles import EDITIONS, Action, profile
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.mutable import NewValue
from hounsfield.dicom.tags import is_private
from hounsfield.dicom.values import KINDS, Kind

_CARRIER = 0x00082112  # Source Image Sequence: kept by every edition.
_TABLE = Path(__file__).parents[2] / "src/hounsfield/deid/profiles.tsv"
_SECRET = {
    Kind.TEXT: "SECRET",
    Kind.BINARY: b"SECRET",
    Kind.NUMBERS: "5",
    Kind.TAGS: "0010,0010",
    Kind.SEQUENCE: [{0x00080104: "SECRET"}],
}
_UNTOUCHED = {0x00080008: "ORIGINAL\\PRIMARY", 0x00180050: "5.0", 0x00280010: "512", 0x00280011: "512"}


@cache
def _tags() -> tuple[int, ...]:
    """Every tag that some edition names, but group lengths and group 2, which no data set has."""
    lines = [line.split("\t")[0] for line in _TABLE.read_text().splitlines()[1:]]
    found = [int(tag.replace("xxxxxx", "020010").replace("x", "0"), 16) for tag in lines]
    return tuple(tag for tag in found if tag >> 16 not in (0, 2, 4, 0xFFFA, 0xFFFC))


def _value(tag: int) -> NewValue:
    vr = lookup.vr(tag)
    if vr == "UI":
        return f"1.2.3.{tag}"
    value = _SECRET[KINDS[vr]]
    assert isinstance(value, (str, bytes, list))
    return value


def _everything() -> dict[int, NewValue]:
    return {tag: _value(tag) for tag in _tags() if tag not in IDENTITY}


def _length(dataset: Dataset, tag: int) -> int:
    element = dataset.element(tag)
    assert element is not None, f"{tag:08x}"
    return element.length


def _check(before: Dataset, after: Dataset, edition: str, *, is_item: bool = False) -> None:
    act = profile(edition).action
    for tag in _tags():
        if tag not in before or tag in IDENTITY:
            continue
        action = act(tag)
        if action is Action.REMOVE or (
            action is Action.CLEAR and is_item and KINDS[before.vr(tag)] is not Kind.TEXT
        ):
            assert tag not in after, f"{tag:08x} is still there"
        elif action is Action.CLEAR:
            assert _length(after, tag) == 0, f"{tag:08x} has a value"
        elif action is Action.MAP_UID:
            text = after.text(tag)
            assert text, f"{tag:08x} is gone"
            assert text.startswith("2.25."), f"{tag:08x} is the old one"
        elif KINDS[before.vr(tag)] is not Kind.SEQUENCE:
            assert after.raw(tag) == before.raw(tag), f"{tag:08x} is changed"


@pytest.mark.parametrize("edition", EDITIONS)
def test_each_attribute_is_treated_as_its_edition_says(edition: str) -> None:
    before = dataset_of({**_everything(), **_UNTOUCHED})
    after = anonymize(before, {"DicomVersion": edition})
    _check(before, after, edition)
    for tag in _UNTOUCHED:
        assert after.raw(tag) == before.raw(tag)


@pytest.mark.parametrize("edition", EDITIONS)
def test_so_it_is_in_items_of_sequences(edition: str) -> None:
    before = dataset_of({_CARRIER: [{**_everything(), **_UNTOUCHED, **IDENTITY, 0x00080104: "kept"}]})
    after = anonymize(before, {"DicomVersion": edition})
    (old,), (new,) = before.items(_CARRIER), after.items(_CARRIER)
    _check(old, new, edition, is_item=True)
    assert new.text(0x00080104) == "kept"
    assert [new.text(tag) for tag in (0x00100010, 0x00100020)] == ["", ""]


@pytest.mark.parametrize("edition", EDITIONS)
def test_nothing_that_the_edition_names_is_left_in_the_bytes(edition: str) -> None:
    act = profile(edition).action
    named = {tag: value for tag, value in _everything().items() if act(tag) is not None}
    private = {0x00091010: "LO SECRET", 0x00090010: "ACME"}
    item = {**named, **private, 0x00100010: "SECRET^NAME", 0x00100020: "SECRET-ID"}
    before = dataset_of({**named, **private, _CARRIER: [{**item, 0x00089215: [item]}]})
    assert not any(is_private(tag) for tag in anonymize(before, {"DicomVersion": edition}))
    written = bytes(anonymize(before, {"DicomVersion": edition}).buffer)
    for secret in (b"SECRET", b"ACME", b"1.2.3"):
        assert secret in bytes(before.buffer)
        assert secret not in written


def test_editions_differ_where_they_should() -> None:
    def action(edition: str, tag: int) -> Action | None:
        return profile(edition).action(tag)

    study_date, device, label = 0x00080020, 0x00500020, 0x30060002
    assert [action(e, study_date) for e in EDITIONS] == [None, *[Action.CLEAR] * 3]
    assert [action(e, device) for e in EDITIONS] == [None, None, Action.REMOVE, Action.REMOVE]
    assert [action(e, label) for e in EDITIONS] == [None, None, Action.CLEAR, Action.CLEAR]
    assert [action(e, 0x04000100) for e in EDITIONS] == [None, Action.REMOVE, Action.MAP_UID, Action.MAP_UID]
    assert [action(e, 0x30100077) for e in EDITIONS] == [None, None, Action.CLEAR, Action.REMOVE]
    for tag in (0x50020010, 0x60003000, 0x60023000, 0x601E4000):
        assert [action(e, tag) for e in EDITIONS] == [None, *[Action.REMOVE] * 3]
    assert action("2023b", 0x60000010) is None


def test_the_tables_have_the_size_of_the_standard() -> None:
    def count(edition: str, action: Action) -> int:
        return list(profile(edition).actions.values()).count(action)

    assert [count("2023b", action) for action in Action] == [408, 138, 51]
    assert [count("2008", action) for action in Action] == [39, 0, 8]

"""What users ask for is what they get."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from tests.deid.builders import KEY, anonymize, dataset_of, modify

from hounsfield.deid.apply import Plan, new_identifiers
from hounsfield.deid.request import WrongValue, read_anonymization, read_modification
from hounsfield.deid.uid_map import UidMap, new_key
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import Identifiers, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import NewValue
from hounsfield.dicom.part10 import read_head, read_whole
from hounsfield.errors import BadRequest, Corrupt

STUDY, SERIES, SOP = 0x0020000D, 0x0020000E, 0x00080018
NAME, ID, DESCRIPTION = 0x00100010, 0x00100020, 0x00081030
OWN = Identifiers("SECRET-ID", "1.2.3", "1.2.3.1", "1.2.3.4")


def _changed(body: dict[str, Any], level: Level) -> list[bool]:
    """Which of Patient ID and the three UIDs a modification changes."""
    new = new_identifiers(Plan(read_modification(body, level), UidMap(KEY)), OWN)
    pairs = (
        (new.patient_id, OWN.patient_id),
        (new.study_instance_uid, OWN.study_instance_uid),
        (new.series_instance_uid, OWN.series_instance_uid),
        (new.sop_instance_uid, OWN.sop_instance_uid),
    )
    return [one != other for one, other in pairs]


def test_each_level_gets_new_identifiers_from_itself_down() -> None:
    assert _changed({}, Level.INSTANCE) == [False, False, False, True]
    assert _changed({}, Level.SERIES) == [False, False, True, True]
    assert _changed({}, Level.STUDY) == [False, True, True, True]
    assert _changed({}, Level.PATIENT) == [False, True, True, True]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("PatientID", [True, True, True, True]),
        ("StudyInstanceUID", [False, True, True, True]),
        ("SeriesInstanceUID", [False, False, True, True]),
        ("SOPInstanceUID", [False, False, False, True]),
    ],
)
def test_a_higher_identifier_brings_new_lower_ones(tag: str, expected: list[bool]) -> None:
    assert _changed({"Replace": {tag: "9.9"}, "Force": True}, Level.INSTANCE) == expected


def test_kept_identifiers_stay() -> None:
    uids = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    assert _changed({"Keep": uids, "Force": True}, Level.STUDY) == [False] * 4
    assert _changed({"Keep": uids[:1], "Force": True}, Level.STUDY) == [False, False, True, True]


@pytest.mark.parametrize("name", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize(
    ("field", "word"), [("Keep", "kept"), ("Remove", "removed"), ("Replace", "replaced")]
)
def test_identifiers_are_not_touched_without_force(name: str, field: str, word: str) -> None:
    body: dict[str, Any] = {field: {name: "1"} if field == "Replace" else [name]}
    expected = f'Marking tag "{name}" as to be {word} requires the "Force" option to be set to true'
    with pytest.raises(BadRequest) as error:
        read_modification(body, Level.STUDY)
    assert str(error.value) == expected
    with pytest.raises(BadRequest) as error:
        read_anonymization(body)
    assert str(error.value) == expected
    if field == "Remove":
        with pytest.raises(BadRequest):
            read_modification({**body, "Force": True}, Level.STUDY)


def test_an_anonymization_tells_that_it_is_one() -> None:
    after = anonymize(dataset_of({0x00081030: "SECRET"}))
    assert after.text(NAME) == "Anonymized7"
    assert len(after.text(ID) or "") == 36
    assert after.text(0x00120062) == "YES"
    assert after.text(0x00120063) == "Orthanc 1.13.0 - PS 3.15-2023b Table E.1-1 Basic Profile"
    assert anonymize(dataset_of({}), {"DicomVersion": "2008"}).text(0x00120063) == (
        "Orthanc 1.13.0 - PS 3.15-2008 Table E.1-1"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"Keep": ["StudyDescription"]},
        {"Replace": {"StationName": "x"}},
        {"Remove": ["Rows"]},
        {"KeepPrivateTags": True},
    ],
)
def test_more_than_the_profile_is_not_called_the_profile(body: dict[str, Any]) -> None:
    assert anonymize(dataset_of({}), body).text(0x00120063) == "Orthanc 1.13.0"


def test_keep_remove_and_replace_go_before_the_profile() -> None:
    before = dataset_of({DESCRIPTION: "kept", 0x00080080: "SECRET", 0x00280010: "5", 0x00080050: "A1"})
    after = anonymize(
        before,
        {
            "Keep": ["StudyDescription"],
            "Remove": ["Rows"],
            "Replace": {"AccessionNumber": "new", "PatientName": "P"},
        },
    )
    assert [after.text(tag) for tag in (DESCRIPTION, 0x00080050, NAME)] == ["kept", "new", "P"]
    assert 0x00280010 not in after
    assert 0x00080080 not in after


def test_private_tags_are_kept_one_by_one_with_their_creator_or_all() -> None:
    private: dict[int, NewValue] = {
        0x00E10010: "ELSCINT1",
        0x00E110C2: "kept",
        0x00E11099: b"other.",
        0x00E10011: "X",
    }
    before = dataset_of(private)
    assert [tag for tag in anonymize(before) if tag & 0x10000] == []
    one = anonymize(before, {"Keep": ["00e1,10c2"]})
    assert [tag for tag in one if tag & 0x10000] == [0x00E10010, 0x00E110C2]
    every = anonymize(before, {"KeepPrivateTags": True})
    assert [tag for tag in every if tag & 0x10000] == sorted(private)
    removed = modify(before, {"RemovePrivateTags": True})
    assert [tag for tag in removed if tag & 0x10000] == []


def test_references_follow_what_they_refer_to() -> None:
    reference = {0x00081155: "1.2.3.4", 0x00081150: "1.2.840.10008.5.1.4.1.1.2"}
    before = dataset_of(
        {
            0x00081115: [{SERIES: "1.2.3.1", 0x00081199: [reference]}],
            0x00081140: [reference, {0x00081155: "1.2.3.5"}],
            0x30060010: [
                {0x00200052: "1.2.9", 0x30060012: [{0x00081155: "1.2.3", 0x30060014: [{SERIES: "1.2.3.1"}]}]}
            ],
            0x00200052: "1.2.9",
        }
    )
    after = anonymize(before)
    (series,) = after.items(0x00081115)
    assert series.text(SERIES) == after.text(SERIES)
    assert series.items(0x00081199)[0].text(0x00081155) == after.text(SOP)
    assert series.items(0x00081199)[0].text(0x00081150) == "1.2.840.10008.5.1.4.1.1.2"
    other = Identifiers("SECRET-ID", "1.2.3", "1.2.3.1", "1.2.3.5")
    plan = Plan(read_anonymization({}), UidMap(KEY))
    assert after.items(0x00081140)[1].text(0x00081155) == new_identifiers(plan, other).sop_instance_uid
    (frame,) = after.items(0x30060010)
    (study,) = frame.items(0x30060012)
    assert study.text(0x00081155) == after.text(STUDY)
    assert study.items(0x30060014)[0].text(SERIES) == after.text(SERIES)
    assert frame.text(0x00200052) == after.text(0x00200052) != "1.2.9"


def test_references_follow_identifiers_that_are_given_or_kept() -> None:
    before = dataset_of(
        {0x30060010: [{0x30060012: [{0x00081155: "1.2.3"}]}], 0x00081140: [{0x00081155: "1.2.3.5"}]}
    )
    given = anonymize(before, {"Replace": {"StudyInstanceUID": "9.9"}, "Force": True})
    assert given.items(0x30060010)[0].items(0x30060012)[0].text(0x00081155) == "9.9" == given.text(STUDY)
    kept = anonymize(before, {"Keep": ["SOPInstanceUID"], "Force": True})
    assert kept.text(SOP) == "1.2.3.4"
    assert kept.items(0x00081140)[0].text(0x00081155) == "1.2.3.5"
    assert kept.items(0x30060010)[0].items(0x30060012)[0].text(0x00081155) == kept.text(STUDY) != "1.2.3"


def test_a_uid_of_the_standard_is_no_secret() -> None:
    atlas = "1.2.840.10008.1.4.1.1"
    assert anonymize(dataset_of({0x00200052: atlas})).text(0x00200052) == atlas


def test_a_kept_sequence_stays_as_it_is() -> None:
    content = [{0x0040A123: "SECRET^OBSERVER", 0x0040A160: "text", 0x00081155: "1.2.3.4"}]
    after = anonymize(dataset_of({0x0040A730: content}), {"Keep": ["ContentSequence"]})
    assert after.items(0x0040A730)[0].text(0x0040A123) == "SECRET^OBSERVER"
    assert after.items(0x0040A730)[0].text(0x00081155) == "1.2.3.4"
    nested = dataset_of({0x00082112: [{0x0040A123: "A", 0x00080050: "B"}]})
    part = anonymize(nested, {"Keep": ["SourceImageSequence[*].PersonName"]})
    assert [part.items(0x00082112)[0].text(tag) for tag in (0x0040A123, 0x00080050)] == ["A", ""]


def test_items_in_disguise_are_not_let_through() -> None:
    disguised = dataset_of({})
    element = b"\x08\x00\x12\x21OB\x00\x00\x06\x00\x00\x00SECRET"
    data = bytes(disguised.buffer)
    cut = data.index(b"\x10\x00\x10\x00PN")
    before = read_head(data[:cut] + element + data[cut:]).dataset
    assert b"SECRET" not in bytes(anonymize(before, {"Replace": {"PatientID": "x"}, "Force": True}).buffer)


def test_paths_reach_into_sequences() -> None:
    before = dataset_of(
        {0x00209222: [{0x00209421: "a"}, {0x00209421: "b", 0x00209165: "0020,9056"}], 0x00400275: [{}]}
    )
    one = modify(before, {"Replace": {"DimensionIndexSequence[1].DimensionDescriptionLabel": "new"}})
    assert [item.text(0x00209421) for item in one.items(0x00209222)] == ["a", "new"]
    every = modify(
        before, {"Replace": {"(0020,9222)[*].0020-9421": "new", "DimensionIndexSequence[7].Rows": "1"}}
    )
    assert [item.text(0x00209421) for item in every.items(0x00209222)] == ["new", "new"]
    removed = modify(
        before, {"Remove": ["DimensionIndexSequence[*].DimensionDescriptionLabel", "PatientSex"]}
    )
    assert [0x00209421 in item for item in removed.items(0x00209222)] == [False, False]
    inserted = modify(before, {"Replace": {"RequestAttributesSequence[0].ScheduledProcedureStepID": "7"}})
    assert inserted.items(0x00400275)[0].text(0x00400009) == "7"
    missing = modify(before, {"Replace": {"ReferencedStudySequence[*].ReferencedSOPInstanceUID": "1"}})
    assert 0x00081110 not in missing


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DimensionIndexPointer", "0020,9056", "0020,9056"),
        ("Rows", "512", "512"),
        ("VectorGridData", "1.5\\2.5", "1.5\\2.5"),
        ("ImageType", "DERIVED\\SECONDARY", "DERIVED\\SECONDARY"),
        ("PatientComments", "data:text/plain,x", "data:text/plain,x"),
        ("PatientName", None, ""),
        ("StudyDescription", "Hôpital", "Hôpital"),
        ("StudyDescription", "山田太郎", "山田太郎"),
    ],
)
def test_values_are_written_in_their_vr(name: str, value: str | None, expected: str) -> None:
    after = modify(dataset_of({0x00081010: "Müller"}), {"Replace": {name: value}})
    assert after.get(name) == expected
    assert after.text(0x00081010) == "Müller"


def test_a_name_never_loses_a_letter() -> None:
    after = modify(dataset_of({0x00081010: "Müller"}), {"Replace": {"PatientName": "Łucja^山田"}})
    assert after.text(0x00080005) == "ISO_IR 192"
    assert after.text(NAME) == "Łucja^山田"
    nested = modify(dataset_of({}), {"Replace": {"RequestAttributesSequence": [{"0040,0007": "東京"}]}})
    assert nested.items(0x00400275)[0].text(0x00400007) == "東京"


def test_a_character_set_that_was_presumed_is_named() -> None:
    before = dataset_of({0x00080005: "", 0x00081010: "Muller"})
    assert modify(before, {"Replace": {"PatientName": "ascii"}}).text(0x00080005) == ""
    bare = modify(before, {"Remove": ["SpecificCharacterSet"]})
    after = modify(bare, {"Replace": {"PatientName": "Jérôme"}})
    assert after.text(0x00080005) == "ISO_IR 100"
    assert after.raw(NAME) == "Jérôme".encode("latin_1")
    assert modify(bare, {"Replace": {"PatientName": "山田"}}).text(0x00080005) == "ISO_IR 192"


def test_a_new_character_set_is_that_of_all_text() -> None:
    before = dataset_of({0x00081030: "Müller", 0x00400275: [{0x00400007: "Jérôme"}]})
    after = modify(before, {"Replace": {"SpecificCharacterSet": "ISO_IR 192"}})
    assert after.raw(0x00081030) == "Müller".encode() + b" "
    assert after.items(0x00400275)[0].text(0x00400007) == "Jérôme"
    bare = modify(before, {"Remove": ["SpecificCharacterSet"]})
    assert 0x00080005 not in bare
    assert bare.text(0x00081030) == "Müller"


def test_binary_values_are_data_uris() -> None:
    uri = "data:application/octet-stream;base64,QUJDRA=="
    after = modify(dataset_of({}), {"Replace": {"IconImageSequence": [{"PixelData": uri}], "0029,1010": uri}})
    assert after.items(0x00880200)[0].raw(0x7FE00010) == b"ABCD"
    assert after.raw(0x00291010) == b"ABCD"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"Replace": {"Rows": "many"}}, Corrupt),
        ({"Replace": {"RequestAttributesSequence": "x"}}, Corrupt),
        ({"Replace": {"PatientName": [{"PatientID": "x"}]}}, BadRequest),
        ({"Replace": {"PixelData": "x"}}, Corrupt),
        ({"Replace": {"PatientName": 3}}, BadRequest),
        ({"Replace": {"Nope": "x"}}, lookup.UnknownTag),
        ({"Replace": []}, BadRequest),
        ({"Remove": "x"}, BadRequest),
        ({"Force": "x"}, Corrupt),
        ({"Transcode": 3}, Corrupt),
    ],
)
def test_what_makes_no_sense_is_refused(body: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        modify(dataset_of({}), body)


def test_a_private_tag_comes_with_the_reservation_of_its_block() -> None:
    lookup.declare([lookup.Declared(0x43211012, "LO", "RadioButton3", "RadioLogic")])
    for body in (
        {"Replace": {"RadioButton3": "on"}, "PrivateCreator": "RadioLogic"},
        {"Replace": {"4321,1012": "on"}, "PrivateCreator": "RadioLogic"},
        {"Replace": {"4321,0010": "RadioLogic", "4321,1012": "on"}},
    ):
        after = modify(dataset_of({}), body)
        assert after.text(0x43210010) == "RadioLogic"
        assert after.text(0x43211012) == "on"
        assert after.element(0x43211012).vr == "LO"  # type: ignore[union-attr]
    assert (
        modify(dataset_of({}), {"Replace": {"RadioButton3": "on"}}, creator="RadioLogic").text(0x43211012)
        == "on"
    )


def test_what_is_of_no_data_set_is_passed_over() -> None:
    odd = {"0002,0010": "x", "fffe,e00d": "x", "0010,0000": "x", "0000,0100": "x"}
    after = modify(dataset_of({}), {"Replace": {**odd, "RequestAttributesSequence": [{**odd, "Rows": "1"}]}})
    assert list(after.items(0x00400275)[0]) == [0x00280010]
    assert not [tag for tag in after if tag >> 16 in (0, 2, 0xFFFE) or not tag & 0xFFFF]


def test_an_unknown_character_set_is_refused() -> None:
    for name in ("nope", "ISO_IR 5", "ISO_IR 100\\nope"):
        with pytest.raises(WrongValue):
            modify(dataset_of({}), {"Replace": {"SpecificCharacterSet": name}})


def test_compressed_pixels_are_not_replaced_by_others() -> None:
    path = get_testdata_file("JPEG2000.dcm")
    assert isinstance(path, str)
    head = read_whole(Path(path).read_bytes())
    with pytest.raises(Corrupt):
        modify(head.dataset, {"Replace": {"PixelData": "data:application/octet-stream;base64,QUJD"}})


def test_a_modification_leaves_references_and_frames_alone() -> None:
    before = dataset_of({0x00081140: [{0x00081155: "1.2.3.5"}], 0x00200052: "1.2.9"})
    after = modify(before, {"Replace": {"PatientName": "x"}}, Level.STUDY)
    assert after.items(0x00081140)[0].text(0x00081155) == "1.2.3.5"
    assert after.text(0x00200052) == "1.2.9"
    assert identify(after).study_instance_uid != "1.2.3"


def test_new_identifiers_depend_on_the_job_and_lead_nowhere() -> None:
    one, other = (UidMap(bytes.fromhex(new_key())) for _ in range(2))
    assert one.uid("1.2.3") == one.uid("1.2.3") != other.uid("1.2.3")
    assert one.patient_id("A") != one.patient_id("B")
    assert one.patient_id("A") != other.patient_id("A")
    assert len({one.uid(f"1.2.{number}") for number in range(1000)}) == 1000

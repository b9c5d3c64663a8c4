"""C-FIND, as pynetdicom and DCMTK see it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from tests.conformance.peers import (
    CT,
    MR,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    association,
    find,
    identifier,
    make_file,
    upload,
)
from tests.servers import RunningServer, running

SUCCESS, CANCEL, CANNOT_UNDERSTAND = 0x0000, 0xFE00, 0xC000


def _files() -> list[bytes]:
    hello = {"PatientID": "HELLO", "PatientName": "Hello^World", "PatientBirthDate": "19600102"}
    zoe = {
        "PatientID": "ZOE",
        "PatientName": "Mülĺer^Zoé".replace("ĺ", "l"),
        "SpecificCharacterSet": "ISO_IR 192",
    }
    ct = {
        **hello,
        "StudyInstanceUID": "1.1",
        "StudyDate": "20200301",
        "AccessionNumber": "A1",
        "StationName": "S1",
    }
    mr = {**hello, "StudyInstanceUID": "1.2", "StudyDate": "20210401", "SOPClassUID": MR, "Modality": "MR"}
    other = {**zoe, "StudyInstanceUID": "2.1", "StudyDate": "20080520"}
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "T-1", "SRT"
    return [
        make_file(**ct, SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", NumberOfFrames=1),
        make_file(**ct, SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.2"),
        make_file(**ct, SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", Modality="PT"),
        make_file(**mr, SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1"),
        make_file(
            **other, SeriesInstanceUID="2.1.1", SOPInstanceUID="2.1.1.1", ProcedureCodeSequence=[code], Rows=8
        ),
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("find"), {"DicomAlwaysAllowFind": True}) as started:
        upload(started, *_files())
        yield started


def _found(server: RunningServer, level: str, keyword: str, **keys: Any) -> list[str]:
    status, answers = find(server, {"QueryRetrieveLevel": level, keyword: "", **keys})
    assert status == SUCCESS
    return sorted(str(answer[keyword].value) for answer in answers)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["1.1", "1.2", "2.1"]),
        ({"PatientID": "HELLO"}, ["1.1", "1.2"]),
        ({"PatientID": "hello"}, []),
        ({"PatientID": "*"}, ["1.1", "1.2", "2.1"]),
        ({"PatientName": "hello^world"}, ["1.1", "1.2"]),
        ({"PatientName": "HEL*"}, ["1.1", "1.2"]),
        ({"PatientName": "H?llo*"}, ["1.1", "1.2"]),
        ({"PatientName": "nobody*"}, []),
        ({"AccessionNumber": "A1"}, ["1.1"]),
        ({"AccessionNumber": "*"}, ["1.1"]),
        ({"StudyInstanceUID": ["1.1", "2.1"]}, ["1.1", "2.1"]),
        ({"StudyInstanceUID": "1.2"}, ["1.2"]),
        ({"StudyDate": "20200301"}, ["1.1"]),
        ({"StudyDate": "20200101-20201231"}, ["1.1"]),
        ({"StudyDate": "20200301-"}, ["1.1", "1.2"]),
        ({"StudyDate": "-20200301"}, ["1.1", "2.1"]),
        ({"ModalitiesInStudy": "PT"}, ["1.1"]),
        ({"ModalitiesInStudy": ["MR", "PT"]}, ["1.1", "1.2"]),
        ({"Modality": "MR"}, ["1.2"]),
        ({"Modality": "PT"}, ["1.1"]),
        ({"NumberOfStudyRelatedInstances": "3"}, ["1.1"]),
        ({"SOPClassesInStudy": MR}, ["1.2"]),
        ({"Rows": 8}, ["2.1"]),
        ({"StationName": "S*"}, ["1.1"]),
        ({"SOPInstanceUID": "1.1.1.2"}, ["1.1"]),
    ],
    ids=str,
)
def test_studies_are_matched(server: RunningServer, keys: dict[str, Any], expected: list[str]) -> None:
    assert _found(server, "STUDY", "StudyInstanceUID", **keys) == expected


def test_all_levels_are_answered_under_all_their_names(server: RunningServer) -> None:
    assert _found(server, "PATIENT", "PatientID") == ["HELLO", "ZOE"]
    assert _found(server, "SERIES", "SeriesInstanceUID", Modality=["MR", "PT"]) == ["1.1.2", "1.2.1"]
    for name in ("IMAGE", "INSTANCE", "IMAGES", "INSTANCES"):
        status, answers = find(
            server, {"QueryRetrieveLevel": name, "SOPInstanceUID": "", "SeriesInstanceUID": "1.1.1"}
        )
        assert status == SUCCESS
        assert {answer.QueryRetrieveLevel for answer in answers} == {name}
        assert sorted(answer.SOPInstanceUID for answer in answers) == ["1.1.1.1", "1.1.1.2"]


def test_a_list_of_uids_may_be_long(server: RunningServer) -> None:
    uids = [f"1.2.840.113619.2.176.2025.1499492.7391.1171285944.{number}" for number in range(60)]
    assert _found(server, "STUDY", "StudyInstanceUID", StudyInstanceUID=[*uids, "1.1"]) == ["1.1"]


def test_counters_and_what_a_study_holds_are_computed(server: RunningServer) -> None:
    _, (answer,) = find(
        server,
        {
            "QueryRetrieveLevel": "STUDY",
            "StudyInstanceUID": "1.1",
            "ModalitiesInStudy": "",
            "SOPClassesInStudy": "",
            "NumberOfStudyRelatedSeries": "",
            "NumberOfStudyRelatedInstances": "",
            "NumberOfPatientRelatedStudies": "",
            "InstanceAvailability": "",
        },
    )
    assert list(answer.ModalitiesInStudy) == ["CT", "PT"]
    assert answer.SOPClassesInStudy == CT
    assert (answer.NumberOfStudyRelatedSeries, answer.NumberOfStudyRelatedInstances) == (2, 3)
    assert answer["NumberOfPatientRelatedStudies"].value in (None, "")
    assert answer["InstanceAvailability"].value == ""


def test_an_answer_has_every_key_and_says_where_it_is_from(server: RunningServer) -> None:
    keys = {
        "QueryRetrieveLevel": "IMAGE",
        "SOPInstanceUID": "1.1.1.1",
        "SOPClassUID": "",
        "NumberOfFrames": "",
        "InstanceAvailability": "",
        "Rows": None,
        "WindowCenter": "",
        "ImageComments": "",
    }
    _, (answer,) = find(server, keys)
    assert answer.RetrieveAETitle == "HOUNSFIELD"
    assert answer.SpecificCharacterSet == "ISO_IR 100"
    assert (answer.SOPClassUID, answer.NumberOfFrames, answer.Rows) == (CT, 1, 4)
    assert answer.InstanceAvailability == "ONLINE"
    assert answer["ImageComments"].value == ""
    assert answer["WindowCenter"].value in (None, "")


def test_text_is_matched_and_given_whatever_its_character_set(server: RunningServer) -> None:
    asked = identifier(
        {"SpecificCharacterSet": "ISO_IR 192", "QueryRetrieveLevel": "STUDY", "PatientName": "MÜL*É"}
    )
    status, (answer,) = find(server, asked)
    assert status == SUCCESS
    assert answer.SpecificCharacterSet == "ISO_IR 100"
    assert answer.PatientName == "Müller^Zoé"


def test_sequences_never_constrain_and_are_given_whole(server: RunningServer) -> None:
    item = Dataset()
    item.CodeValue = "SOMETHING ELSE"
    asked = identifier({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.1"})
    asked.ProcedureCodeSequence = Sequence([item])
    _, (answer,) = find(server, asked)
    (code,) = answer.ProcedureCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("T-1", "SRT")


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientID": "HELLO"},
        {"QueryRetrieveLevel": "NOPE"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"},
        {"QueryRetrieveLevel": "STUDY", "StudyDate": "2008*"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom has remarks on such values.
def test_what_makes_no_sense_is_refused_without_answers(server: RunningServer, keys: dict[str, str]) -> None:
    assert find(server, keys) == (CANNOT_UNDERSTAND, [])


def test_patient_root_answers_too(server: RunningServer) -> None:
    status, answers = find(server, {"QueryRetrieveLevel": "PATIENT", "PatientID": ""}, PATIENT_ROOT_FIND)
    assert status == SUCCESS
    assert len(answers) == 2


def test_damaged_identifiers_are_refused_and_the_association_goes_on(server: RunningServer) -> None:
    good = identifier({"QueryRetrieveLevel": "STUDY", "PatientID": ""})
    with association(server.dicom_port, [(STUDY_ROOT_FIND, [])]) as opened:
        broken = identifier({"QueryRetrieveLevel": "STUDY"})
        broken.add_new(0x00100020, "UN", b"\xff" * 7)
        statuses = [status.Status for status, _ in opened.send_c_find(broken, STUDY_ROOT_FIND)]
        assert statuses[-1] in (SUCCESS, CANNOT_UNDERSTAND)
        statuses = [status.Status for status, _ in opened.send_c_find(good, STUDY_ROOT_FIND)]
        assert statuses[-1] == SUCCESS


def test_limits_end_the_answers(tmp_path: Path) -> None:
    options = {"DicomAlwaysAllowFind": True, "LimitFindResults": 2, "LimitFindInstances": 3}
    with running(tmp_path, options) as limited:
        upload(limited, *_files())
        assert [len(find(limited, {"QueryRetrieveLevel": "PATIENT"})[1])] == [2]
        for level, most in (("STUDY", 2), ("SERIES", 2), ("IMAGE", 3)):
            status, answers = find(limited, {"QueryRetrieveLevel": level})
            assert (status, len(answers)) == (CANCEL, most)
        assert find(limited, {"QueryRetrieveLevel": "PATIENT"})[0] == SUCCESS


def test_a_cancel_ends_the_answers(tmp_path: Path) -> None:
    with running(tmp_path, {"DicomAlwaysAllowFind": True}) as server:
        upload(
            server,
            *(
                make_file(
                    StudyInstanceUID=f"1.{n}", SeriesInstanceUID=f"1.{n}.1", SOPInstanceUID=f"1.{n}.1.1"
                )
                for n in range(400)
            ),
        )
        with association(server.dicom_port, [(STUDY_ROOT_FIND, [])]) as opened:
            # Files are read for each answer, so that there is time to cancel.
            asked = identifier({"QueryRetrieveLevel": "STUDY", "Rows": 4, "StudyInstanceUID": ""})
            statuses: list[int] = []
            for status, _ in opened.send_c_find(asked, STUDY_ROOT_FIND, msg_id=7):
                if not statuses:
                    opened.send_c_cancel(7, None, STUDY_ROOT_FIND)
                statuses.append(status.Status)
        assert statuses[-1] in (CANCEL, SUCCESS)
        assert statuses[-1] == CANCEL or len(statuses) == 401


def test_who_may_not_query_is_refused(tmp_path: Path) -> None:
    modality = {"AET": "MUTE", "Host": "127.0.0.1", "Port": 104, "AllowFind": False}
    options = {"DicomModalities": {"mute": modality, "good": ["GOOD", "127.0.0.1", 105]}}
    with running(tmp_path, options) as server:
        asked = identifier({"QueryRetrieveLevel": "PATIENT"})
        for calling, expected in (("MUTE", None), ("STRANGER", None), ("GOOD", SUCCESS)):
            with association(server.dicom_port, [(STUDY_ROOT_FIND, [])], calling=calling) as opened:
                statuses = [status.get("Status") for status, _ in opened.send_c_find(asked, STUDY_ROOT_FIND)]
                assert statuses[-1] == expected


def test_storage_access_never_answers_from_the_index_alone(tmp_path: Path) -> None:
    options = {"DicomAlwaysAllowFind": True, "StorageAccessOnFind": "Never"}
    with running(tmp_path, options) as server:
        upload(server, *_files())
        assert find(server, {"QueryRetrieveLevel": "STUDY", "Rows": 8})[1] == []
        _, answers = find(
            server, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.1", "ProtocolName": ""}
        )
        assert [answer["ProtocolName"].value for answer in answers] == [""]


@pytest.mark.dcmtk
def test_findscu_finds(server: RunningServer) -> None:
    command = ["/usr/bin/findscu", "-v", "-S", "-aec", "HOUNSFIELD", "127.0.0.1", str(server.dicom_port)]
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=hello*", "-k", "StudyInstanceUID"]
    result = subprocess.run([*command, *keys], capture_output=True, text=True, timeout=60, check=True)
    assert (result.stdout + result.stderr).count("(Pending)") == 2


def test_names_of_patients_are_not_in_the_log(server: RunningServer) -> None:
    find(server, {"QueryRetrieveLevel": "STUDY", "PatientName": "Hello^World"})
    assert "ello" not in server.log.read_text()

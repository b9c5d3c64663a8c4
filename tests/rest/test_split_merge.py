"""Studies are split and merged, as clients of Orthanc know it."""

from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.rest.builders import Server, ids, slice_file

from hounsfield.retrieve.files import read_file


def _reference(sop: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", sop
    return item


def _series(uid: str, sop: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID, item.ReferencedInstanceSequence = uid, [_reference(sop)]
    return item


def _fill(server: Server) -> list[str]:
    """Two series of two slices that refer to each other, in one study."""
    for series in (1, 2):
        for number in (1, 2):
            server.post(
                "/instances",
                slice_file(
                    series=f"1.1.{series}",
                    instance=f"1.1.{series}.{number}",
                    InstanceNumber=number,
                    StudyDescription="Before",
                    ReferringPhysicianName="Dr^Who",
                    ReferencedImageSequence=[_reference("1.1.1.1"), _reference("9.9")],
                    ReferencedSeriesSequence=[_series("1.1.1", "1.1.1.2")],
                ),
            )
    return [str(each) for each in ids()]


def _files(server: Server, level: str, public_id: str) -> list[pydicom.Dataset]:
    names = server.get(f"/{level}/{public_id}/instances?expand=false")
    return [pydicom.dcmread(BytesIO(read_file(server.archive, each))) for each in names]


def test_a_series_becomes_a_study(server: Server) -> None:
    _, study, series, _ = _fill(server)
    body = {
        "Series": [series],
        "Replace": {"PatientName": "New", "PatientID": "P9"},
        "Remove": ["ReferringPhysicianName"],
    }
    answer = server.post(f"/studies/{study}/split", body)
    target, uid = answer["TargetStudy"], answer["TargetStudyUID"]
    assert answer == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 2,
        "TargetStudy": target,
        "TargetStudyUID": uid,
    }
    made = _files(server, "studies", target)
    assert {(str(each.PatientName), each.PatientID, each.StudyInstanceUID) for each in made} == {
        ("New", "P9", uid)
    }
    assert sorted(each.InstanceNumber for each in made) == [1, 2]
    assert len({each.SeriesInstanceUID for each in made} | {"1.1.1"}) == 2
    assert not any("ReferringPhysicianName" in each for each in made)
    assert len(server.get(f"/studies/{study}")["Series"]) == 1
    assert "ModifiedFrom" not in server.get(f"/studies/{target}/metadata?expand")
    by_number = {each.InstanceNumber: each for each in made}
    for each in made:
        assert [item.ReferencedSOPInstanceUID for item in each.ReferencedImageSequence] == [
            by_number[1].SOPInstanceUID,
            "9.9",
        ]
        (item,) = each.ReferencedSeriesSequence
        assert item.SeriesInstanceUID == each.SeriesInstanceUID
        assert item.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == by_number[2].SOPInstanceUID


def test_an_instance_becomes_a_study_and_may_stay(server: Server) -> None:
    _, study, series, instance = _fill(server)
    answer = server.post(f"/studies/{study}/split", {"Instances": [instance], "KeepSource": True})
    assert len(server.get(f"/series/{series}")["Instances"]) == 2
    (made,) = _files(server, "studies", answer["TargetStudy"])
    assert made.InstanceNumber == 1
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.1.1"


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({}, (400, 8)),
        ({"Series": [], "Instances": []}, (400, 8)),
        ({"Series": ["nope"]}, (404, 17)),
        ({"Instances": ["nope"]}, (404, 17)),
        ({"Series": 3}, (400, 15)),
        ({"Series": [ids()[2]], "Replace": {"Modality": "x"}}, (400, 3)),
        ({"Series": [ids()[2]], "Replace": {"StudyInstanceUID": "1"}}, (400, 3)),
        ({"Series": [ids()[2]], "Remove": ["SeriesDescription"]}, (400, 3)),
        ({"Series": [ids()[2]], "KeepSource": "x"}, (400, 15)),
    ],
)
def test_mistakes_of_splitting(server: Server, body: dict[str, Any], failure: tuple[int, int]) -> None:
    _, study, *_ = _fill(server)
    assert server.failure("POST", f"/studies/{study}/split", body) == failure
    assert server.failure("POST", "/studies/nope/split", body) == (404, 17)
    assert len(server.get("/instances")) == 4


def test_a_series_of_another_study_is_not_split_off(server: Server) -> None:
    _, study, *_ = _fill(server)
    server.post("/instances", slice_file(study="1.2", series="1.2.1", instance="1.2.1.1"))
    assert server.failure("POST", f"/studies/{study}/split", {"Series": [ids("P1", "1.2", "1.2.1")[2]]}) == (
        404,
        17,
    )


def test_merged_instances_are_of_the_patient_and_study(server: Server) -> None:
    _, study, *_ = _fill(server)
    target = server.post(
        "/instances",
        slice_file(
            "P2",
            "2.1",
            "2.1.1",
            "2.1.1.1",
            PatientSex="F",
            StudyDescription="Höhe",
            SpecificCharacterSet="ISO_IR 100",
        ),
    )["ParentStudy"]
    answer = server.post(f"/studies/{target}/merge", {"Resources": [study], "KeepSource": True})
    assert answer == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 4,
        "TargetStudy": target,
    }
    merged = _files(server, "studies", target)
    assert len(merged) == 5
    assert {
        (each.PatientID, str(each.PatientName), each.PatientSex, each.StudyDescription) for each in merged
    } == {("P2", "DOE^P2", "F", "Höhe")}
    assert {each.StudyInstanceUID for each in merged} == {"2.1"}
    assert len({each.SeriesInstanceUID for each in merged}) == 3
    assert not any("ReferringPhysicianName" in each for each in merged)
    assert len(server.get("/instances")) == 9
    moved = {each.SOPInstanceUID for each in merged}
    for each in merged:
        if "ReferencedImageSequence" in each:
            assert each.ReferencedImageSequence[0].ReferencedSOPInstanceUID in moved
            assert (
                each.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
                in moved
            )


def test_what_was_merged_is_gone_by_default(server: Server) -> None:
    _, study, series, instance = _fill(server)
    target = server.post("/instances", slice_file("P2", "2.1", "2.1.1", "2.1.1.1"))["ParentStudy"]
    server.post(f"/studies/{target}/merge", {"Resources": [instance]})
    assert len(server.get(f"/series/{series}")["Instances"]) == 1
    server.post(f"/studies/{target}/merge", {"Resources": [study]})
    assert server.get("/studies") == [target]
    assert len(server.get("/instances")) == 5


def test_mistakes_of_merging(server: Server) -> None:
    patient, study, series, instance = _fill(server)
    target = server.post("/instances", slice_file("P2", "2.1", "2.1.1", "2.1.1.1"))["ParentStudy"]
    assert server.failure("POST", f"/studies/{target}/merge", {}) == (400, 15)
    assert server.failure("POST", f"/studies/{target}/merge", {"Resources": [3]}) == (400, 15)
    assert server.failure("POST", f"/studies/{target}/merge", {"Resources": ["nope"]}) == (404, 17)
    assert server.failure("POST", "/studies/nope/merge", {"Resources": []}) == (404, 17)
    for each in (patient, study, series, instance):
        assert server.failure("POST", f"/studies/{study}/merge", {"Resources": [each]}) == (404, 17)
    assert server.post(f"/studies/{target}/merge", {"Resources": []})["InstancesCount"] == 0

"""Modification and anonymization by every route, as clients of Orthanc know them."""

from io import BytesIO
from typing import Any

import orjson
import pydicom
import pytest
from tests.rest.builders import Builder, Server, ids, real_file, slice_file

from hounsfield.http.messages import FileBody
from hounsfield.ingest.intake import IngestOptions, Overwrite
from hounsfield.jobs.rewriting import LARGE
from hounsfield.rest.door import RestOptions
from hounsfield.retrieve.files import read_file

_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


def _fill(server: Server, count: int = 3, **attributes: Any) -> list[str]:
    """A study of two series; the public ids of patient, study, first series and first instance."""
    for number in range(1, count + 1):
        for series in (1, 2):
            server.post(
                "/instances",
                slice_file(
                    series=f"1.1.{series}",
                    instance=f"1.1.{series}.{number}",
                    **{"InstanceNumber": number, "StudyDescription": "Before", **attributes},
                ),
            )
    return [str(each) for each in ids()]


def _file(server: Server, instance: str) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(read_file(server.archive, instance)))


def _files(server: Server, level: str, public_id: str) -> list[pydicom.Dataset]:
    return [_file(server, each) for each in server.get(f"/{level}/{public_id}/instances?expand=false")]


def _answered(server: Server, target: str, body: object) -> pydicom.Dataset:
    response = server.ask("POST", target, orjson.dumps(body))
    assert response.status == 200, response.body
    assert response.headers == ((b"content-type", b"application/dicom"),)
    assert isinstance(response.body, bytes)
    return pydicom.dcmread(BytesIO(response.body))


# --- One instance ---


def test_an_instance_is_answered_modified_and_not_stored(server: Server) -> None:
    *_, series, instance = _fill(server, 1, StationName="SCANNER")
    body = {
        "Replace": {"PatientName": "New^Name", "InstitutionName": "Hôpital"},
        "Remove": ["StationName"],
        "Asynchronous": True,
        "Level": "Nope",
    }
    modified = _answered(server, f"/instances/{instance}/modify", body)
    assert modified.PatientName == "New^Name"
    assert modified.InstitutionName == "Hôpital"
    assert "StationName" not in modified
    original = _file(server, instance)
    assert original.PatientName == "DOE^P1"
    same = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "PixelData")
    assert [modified[word].value for word in same] == [original[word].value for word in same]
    assert modified.SOPInstanceUID == modified.file_meta.MediaStorageSOPInstanceUID != original.SOPInstanceUID
    assert len(server.get(f"/series/{series}/instances")) == 1
    assert server.get("/jobs") == []


def test_an_instance_is_answered_anonymized_with_a_number(server: Server) -> None:
    *_, instance = _fill(server, 1)
    first, second = (_answered(server, f"/instances/{instance}/anonymize", {}) for _ in range(2))
    assert (first.PatientName, second.PatientName) == ("Anonymized1", "Anonymized2")
    assert first.PatientIdentityRemoved == "YES"
    assert first.PatientID != second.PatientID
    assert len(first.PatientID) == 36
    assert first.PixelData == second.PixelData == _file(server, instance).PixelData
    assert "DOE" not in str(first)


def test_a_large_instance_is_answered_in_pieces(server: Server) -> None:
    pixels = bytes(range(256)) * (LARGE // 256) + b"end."
    file = slice_file(NumberOfFrames=len(pixels) // 8, PixelData=pixels)
    instance = server.post("/instances", file)["ID"]
    response = server.ask("POST", f"/instances/{instance}/modify", b'{"Replace": {"PatientName": "New"}}')
    assert not isinstance(response.body, (bytes, FileBody))
    modified = pydicom.dcmread(BytesIO(b"".join(response.body)))
    assert modified.PatientName == "New"
    assert modified.PixelData == pixels
    study = server.post(f"/studies/{ids()[1]}/modify", {"Replace": {"PatientName": "New"}})["ID"]
    (made,) = _files(server, "studies", study)
    assert made.PixelData == pixels


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"])
def test_an_instance_is_answered_in_the_transfer_syntax_asked_for(server: Server, syntax: str) -> None:
    instance = server.post("/instances", real_file("CT_small.dcm"))["ID"]
    keep = {"Keep": ["SOPInstanceUID"], "Force": True, "Transcode": syntax}
    modified = _answered(server, f"/instances/{instance}/modify", keep)
    assert modified.file_meta.TransferSyntaxUID == syntax
    assert modified.SOPInstanceUID == _file(server, instance).SOPInstanceUID


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, 15),
        (b"[]", 400, 15),
        ({"Replace": {"PatientID": "x"}}, 400, 8),
        ({"Keep": ["SOPInstanceUID"]}, 400, 8),
        ({"Remove": ["StudyInstanceUID"], "Force": True}, 400, 8),
        ({"Replace": {"PatientName": 3}}, 400, 5),
        ({"Replace": []}, 400, 8),
        ({"Remove": "PatientName"}, 400, 8),
        ({"Force": "yes"}, 400, 15),
        ({"Replace": {"Nope": "x"}}, 500, 27),
        ({"Remove": ["RequestAttributesSequence.PatientName"]}, 400, 3),
        ({"Replace": {"Rows": "many"}}, 400, 15),
        ({"Transcode": "nope"}, 400, 3),
        ({"Transcode": 3}, 400, 15),
        ({"Transcode": "1.2.840.10008.1.2.4.102"}, 500, 2),
    ],
)
def test_mistakes_are_answered_as_clients_know_them(
    server: Server, body: object, status: int, code: int
) -> None:
    *_, instance = _fill(server, 1)
    assert server.failure("POST", f"/instances/{instance}/modify", body) == (status, code)


def test_mistakes_of_anonymizations(server: Server) -> None:
    *_, study, _, instance = _fill(server, 1)
    for target in (f"/instances/{instance}/anonymize", f"/studies/{study}/anonymize"):
        assert server.failure("POST", target, {"DicomVersion": "nope"}) == (400, 3)
        assert server.failure("POST", target, {"DicomVersion": 2008}) == (400, 15)
        assert server.failure("POST", target, {"Keep": ["PatientID"]}) == (400, 8)
        assert server.failure("POST", target, b"") == (400, 15)


@pytest.mark.parametrize("word", ["modify", "anonymize"])
def test_unknown_resources(server: Server, word: str) -> None:
    assert server.failure("POST", f"/instances/nope/{word}", {}) == (404, 17)
    for level in ("patients", "studies", "series"):
        assert server.failure("POST", f"/{level}/nope/{word}", {}) == (400, 3)
    assert server.failure("POST", f"/tools/bulk-{word}", {"Resources": ["nope"]}) == (400, 3)
    assert server.failure("POST", f"/tools/bulk-{word}", {}) == (400, 15)


def test_a_read_only_server_modifies_only_what_it_does_not_store(build: Builder, server: Server) -> None:
    read_only = build(RestOptions(is_read_only=True))
    for target in (
        "/studies/x/modify",
        "/tools/bulk-modify",
        "/instances/x/anonymize",
        "/studies/x/anonymize",
    ):
        assert read_only.failure("POST", target, {"Resources": []}) == (500, 22)
    assert read_only.failure("POST", "/instances/x/modify", {}) == (404, 17)


# --- Jobs ---


def test_a_series_gets_new_identifiers_and_stays_in_its_study(server: Server) -> None:
    patient, study, series, _ = _fill(server)
    answer = server.post(f"/series/{series}/modify", {"Replace": {"SeriesDescription": "New"}})
    new = answer["ID"]
    assert answer == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "ID": new,
        "InstancesCount": 3,
        "IsAnonymization": False,
        "ParentResources": [series],
        "Path": f"/series/{new}",
        "PatientID": patient,
        "Resources": [{"ID": series, "Type": "Series"}],
        "Type": "Series",
    }
    assert new != series
    assert server.get(f"/series/{new}")["ParentStudy"] == study
    assert server.get(f"/series/{new}")["MainDicomTags"]["SeriesDescription"] == "New"
    before = {each.InstanceNumber: each for each in _files(server, "series", series)}
    for each in _files(server, "series", new):
        old = before[each.InstanceNumber]
        assert each.StudyInstanceUID == old.StudyInstanceUID
        assert each.SOPInstanceUID != old.SOPInstanceUID
        assert each.PixelData == old.PixelData
    assert len(server.get("/studies")) == 1


def _metadata(server: Server, level: str, public_id: str) -> dict[str, str]:
    found = server.get(f"/{level}/{public_id}/metadata?expand")
    assert isinstance(found, dict)
    return found


def test_what_was_modified_tells_what_it_was_made_of(server: Server) -> None:
    patient, study, series, instance = _fill(server)
    new = server.post(f"/studies/{study}/modify", {"Replace": {"StudyDescription": "New"}})["ID"]
    assert _metadata(server, "studies", new)["ModifiedFrom"] == study
    sources = {
        _metadata(server, "series", each)["ModifiedFrom"] for each in server.get(f"/studies/{new}")["Series"]
    }
    assert sources == set(server.get(f"/studies/{study}")["Series"])
    made = server.get(f"/studies/{new}/instances?expand=false")
    assert {_metadata(server, "instances", each)["ModifiedFrom"] for each in made} == set(
        server.get(f"/studies/{study}/instances?expand=false")
    )
    assert "ModifiedFrom" not in _metadata(server, "patients", patient)
    assert _metadata(server, "instances", made[0])["Origin"] == "RestApi"
    assert _metadata(server, "instances", made[0])["RemoteIP"] == "127.0.0.1"
    assert instance not in made
    assert series not in server.get(f"/studies/{new}")["Series"]


def test_an_anonymized_study_is_a_study_of_a_new_patient(server: Server) -> None:
    patient, study, *_ = _fill(server)
    answer = server.post(f"/studies/{study}/anonymize", {})
    assert answer["IsAnonymization"]
    assert answer["PatientID"] != patient
    for level, public_id in (("patients", answer["PatientID"]), ("studies", answer["ID"])):
        assert _metadata(server, level, public_id)["AnonymizedFrom"] in (patient, study)
    assert server.get(f"/patients/{answer['PatientID']}")["MainDicomTags"]["PatientName"] == "Anonymized1"
    files = _files(server, "studies", answer["ID"])
    assert len(files) == 6
    assert len({each.StudyInstanceUID for each in files}) == 1
    assert len({each.SeriesInstanceUID for each in files}) == 2
    assert len({each.SOPInstanceUID for each in files}) == 6
    assert len(server.get("/instances")) == 12


def test_originals_are_deleted_if_asked(server: Server) -> None:
    patient, study, *_ = _fill(server)
    new = server.post(f"/studies/{study}/anonymize", {"KeepSource": False})
    assert server.get("/patients") == [new["PatientID"]]
    assert server.get("/studies") == [new["ID"]]
    assert len(server.get("/instances")) == 6
    assert server.failure("GET", f"/patients/{patient}") == (404, None)


def test_a_failed_instance_fails_the_job_and_leaves_the_originals(server: Server) -> None:
    _, study, *_ = _fill(server, 3)
    before = set(server.get("/instances"))
    refused: list[str] = []

    def refuses(_incoming: object, head: Any) -> bool:
        is_new = "Anonymized" in head.dataset.get("PatientName") and head.dataset.get("InstanceNumber") == "2"
        if is_new:
            refused.append(head.dataset.get("SOPInstanceUID"))
        return not is_new

    server.host.filters.append(refuses)
    for target in ("anonymize", "modify"):
        body = {"KeepSource": False, "Replace": {"PatientName": "Anonymized"}}
        status, code = server.failure("POST", f"/studies/{study}/{target}", body)
        assert (status, code) == (500, 2018)
    assert refused
    assert before <= set(server.get("/instances"))
    permissive = server.post(f"/studies/{study}/anonymize", {"KeepSource": False, "Permissive": True})
    assert permissive["FailedInstancesCount"] == 2
    left = [_file(server, each).InstanceNumber for each in before & set(server.get("/instances"))]
    assert left == [2, 2]


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_originals_stay_if_their_copies_would_be_one(build: Builder, overwrite: Overwrite) -> None:
    server = build(ingest=IngestOptions(overwrite=overwrite))
    _, study, *_ = _fill(server, 3)
    before = set(server.get("/instances"))
    one = {"SeriesInstanceUID": "9.1", "SOPInstanceUID": "9.1.1"}
    body = {"Replace": one, "Force": True, "KeepSource": False}
    assert server.failure("POST", f"/studies/{study}/modify", body) == (500, 2018)
    assert before <= set(server.get("/instances"))


def test_in_place_the_same_resources_get_other_tags(build: Builder) -> None:
    server = build(ingest=IngestOptions(overwrite=Overwrite.ALWAYS))
    patient, study, series, _ = _fill(server)
    for level, public_id in (("patients", patient), ("studies", study), ("series", series)):
        assert server.ask("PUT", f"/{level}/{public_id}/labels/mine").status == 200
    before = server.get("/instances")
    body: dict[str, Any] = {
        "Replace": {"StudyDescription": "After", "PatientName": "Other"},
        "Keep": _UIDS,
        "Force": True,
    }
    assert server.failure("POST", f"/studies/{study}/modify", {**body, "KeepSource": False}) == (400, 8)
    answer = server.post(f"/studies/{study}/modify", {**body, "KeepLabels": True})
    assert answer["ID"] == study
    assert server.get("/instances") == before
    assert server.get(f"/studies/{study}")["MainDicomTags"]["StudyDescription"] == "After"
    assert server.get(f"/studies/{study}")["PatientMainDicomTags"]["PatientName"] == "Other"
    assert server.get(f"/patients/{patient}")["MainDicomTags"]["PatientName"] == "Other"
    assert {each.StudyDescription for each in _files(server, "studies", study)} == {"After"}
    assert server.get(f"/studies/{study}/labels") == server.get(f"/series/{series}/labels") == ["mine"]
    server.post(f"/studies/{study}/modify", body)
    assert server.get(f"/studies/{study}/labels") == []
    assert server.get(f"/patients/{patient}/labels") == ["mine"]


def test_a_study_of_one_instance_keeps_all_its_labels_in_place(build: Builder) -> None:
    server = build(ingest=IngestOptions(overwrite=Overwrite.ALWAYS))
    server.post("/instances", slice_file())
    levels = list(zip(("patients", "studies", "series", "instances"), ids(), strict=True))
    for level, public_id in levels:
        assert server.ask("PUT", f"/{level}/{public_id}/labels/mine").status == 200
    body = {"Replace": {"PatientName": "Other"}, "Keep": _UIDS, "Force": True, "KeepLabels": True}
    server.post(f"/studies/{ids()[1]}/modify", body)
    assert [server.get(f"/{level}/{public_id}/labels") for level, public_id in levels] == [["mine"]] * 4


def test_new_series_of_a_study_bring_its_new_tags(server: Server) -> None:
    patient, study, *_ = _fill(server)
    body = {
        "Replace": {"StudyInstanceUID": "1.1", "PatientName": "New", "StudyDescription": "New"},
        "Force": True,
    }
    assert server.post(f"/studies/{study}/modify", body)["ID"] == study
    assert server.get(f"/studies/{study}")["MainDicomTags"]["StudyDescription"] == "New"
    assert server.get(f"/patients/{patient}")["MainDicomTags"]["PatientName"] == "New"
    assert len(server.get(f"/studies/{study}")["Series"]) == 4


def test_a_study_may_be_asked_for_by_the_address_of_series(server: Server) -> None:
    _, study, series, _ = _fill(server)
    body = {"Replace": {"SeriesInstanceUID": "1.1.1", "StudyInstanceUID": "1.1"}, "Force": True}
    answer = server.post(f"/series/{study}/modify", body)
    assert (answer["ID"], answer["Type"], answer["ParentResources"]) == (series, "Series", [study])
    assert answer["Resources"] == [{"ID": study, "Type": "Study"}]


def test_in_place_needs_the_right_to_overwrite(server: Server) -> None:
    _, study, *_ = _fill(server, 1)
    body = {"Replace": {"StudyDescription": "After"}, "Keep": _UIDS, "Force": True}
    assert server.failure("POST", f"/studies/{study}/modify", body) == (400, 8)


def test_labels_are_copied_if_asked(server: Server) -> None:
    _, study, *_ = _fill(server)
    for level, public_id in zip(("patients", "studies", "series", "instances"), ids(), strict=True):
        assert server.ask("PUT", f"/{level}/{public_id}/labels/mine").status == 200
    new = server.post(f"/studies/{study}/modify", {"KeepLabels": True})["ID"]
    assert server.get(f"/studies/{new}/labels") == ["mine"]
    assert sorted(
        len(server.get(f"/series/{each}/labels")) for each in server.get(f"/studies/{new}")["Series"]
    ) == [0, 1]
    bare = server.post(f"/studies/{study}/modify", {})["ID"]
    assert server.get(f"/studies/{bare}/labels") == []


def test_other_identifiers_move_a_resource(server: Server) -> None:
    patient, study, series, _ = _fill(server)
    server.post("/instances", slice_file(patient="P2", study="2.1", series="2.1.1", instance="2.1.1.1"))
    moved = server.post(
        f"/series/{series}/modify",
        {"Replace": {"StudyInstanceUID": "2.1", "PatientID": "P2", "PatientName": "DOE^P2"}, "Force": True},
    )
    target = server.get(f"/series/{moved['ID']}")["ParentStudy"]
    assert target == ids("P2", "2.1")[1]
    assert "ModifiedFrom" not in _metadata(server, "studies", target)
    upper = server.post(f"/studies/{study}/modify", {"Replace": {"PatientID": "p1"}, "Force": True})
    assert upper["PatientID"] == ids("p1")[0] != patient


def test_a_patient_with_several_studies_is_renamed_as_a_whole(build: Builder) -> None:
    server = build(ingest=IngestOptions(overwrite=Overwrite.ALWAYS))
    patient, study, *_ = _fill(server, 1)
    server.post("/instances", slice_file(study="1.2", series="1.2.1", instance="1.2.1.1"))
    body = {"Replace": {"PatientName": "Renamed"}, "Keep": _UIDS, "Force": True}
    assert server.failure("POST", f"/studies/{study}/modify", body) == (400, 8)
    server.post(f"/patients/{patient}/modify", body)
    assert server.get(f"/patients/{patient}")["MainDicomTags"]["PatientName"] == "Renamed"
    for each in server.get("/studies?expand"):
        assert each["PatientMainDicomTags"]["PatientName"] == "Renamed"


@pytest.mark.parametrize(
    ("replaced", "is_fine"),
    [
        ({}, False),
        ({"PatientName": "DOE^P2", "PatientBirthDate": "19700101", "PatientSex": "F"}, True),
        ({"PatientName": "DOE^P2", "PatientBirthDate": "19700101", "PatientSex": "M"}, False),
        ({"PatientName": "DOE^P2", "PatientBirthDate": "19700101"}, False),
        (
            {
                "PatientName": "DOE^P2",
                "PatientBirthDate": "19700101",
                "PatientSex": "F",
                "OtherPatientIDs": "x",
            },
            False,
        ),
    ],
)
def test_a_study_joins_a_patient_only_as_that_patient(
    server: Server, replaced: dict[str, str], is_fine: bool
) -> None:
    _, study, *_ = _fill(server, 1)
    other = {"PatientBirthDate": "19700101", "PatientSex": "F"}
    server.post("/instances", slice_file("P2", "2.1", "2.1.1", "2.1.1.1", **other))
    body = {"Replace": {"PatientID": "P2", **replaced}, "Force": True}
    if is_fine:
        assert server.post(f"/studies/{study}/modify", body)["PatientID"] == ids("P2")[0]
        assert len(server.get(f"/patients/{ids('P2')[0]}")["Studies"]) == 2
    else:
        assert server.failure("POST", f"/studies/{study}/modify", body) == (400, 8)


def test_bulk_jobs_answer_all_they_made(server: Server) -> None:
    patient, study, series, instance = _fill(server, 1)
    one = server.post("/tools/bulk-modify", {"Resources": [instance], "Replace": {"SeriesDescription": "x"}})
    assert [each["Type"] for each in one["Resources"]] == ["Instance", "Series", "Study", "Patient"]
    assert [each["ID"] for each in one["Resources"][1:]] == [series, study, patient]
    assert one["ParentResources"] == [instance]
    assert "ID" not in one
    many = server.post("/tools/bulk-anonymize", {"Resources": [study, instance]})
    assert many["InstancesCount"] == 3
    assert [each["Path"] for each in many["Resources"]][-1].startswith("/patients/")
    empty = server.post("/tools/bulk-modify", {"Resources": []})
    assert (empty["InstancesCount"], empty["Resources"], "ParentResources" in empty) == (0, [], False)
    level = server.post("/tools/bulk-modify", {"Resources": [study], "Level": "Study"})
    assert {each["ID"] for each in level["Resources"] if each["Type"] == "Study"}.isdisjoint({study})


def test_a_job_may_be_left_alone(server: Server) -> None:
    _, study, *_ = _fill(server)
    job = server.post(f"/studies/{study}/modify", {"Asynchronous": True, "UserData": {"a": 1}, "Priority": 3})
    assert set(job) == {"ID", "Path"}
    server.engine.wait(job["ID"])
    told = server.get(job["Path"])
    assert (told["Type"], told["State"], told["Priority"]) == ("ResourceModification", "Success", 3)
    assert told["UserData"] == {"a": 1}
    assert told["Content"]["InstancesCount"] == 6
    assert told["Progress"] == 100


def test_options_of_jobs_have_their_types(server: Server) -> None:
    _, study, *_ = _fill(server, 1)
    for body in (
        {"Synchronous": "x"},
        {"Permissive": 1},
        {"Priority": "x"},
        {"KeepSource": "x"},
        {"Transcode": "nope"},
    ):
        assert server.failure("POST", f"/studies/{study}/modify", body) == (400, 15)


def test_a_study_without_patient_id_is_modified(server: Server) -> None:
    server.post("/instances", slice_file(PatientID=None))
    (study,) = server.get("/studies")
    new = server.post(f"/studies/{study}/modify", {})
    assert server.get(f"/studies/{new['ID']}")["PatientMainDicomTags"].get("PatientID", "") == ""


def test_results_are_transcoded_or_stored_as_they_are(server: Server) -> None:
    server.post("/instances", real_file("CT_small.dcm"))
    server.post("/instances", slice_file("1CT1", "9.9", "9.9.1", "9.9.1.1", PixelData=None))
    studies = server.get("/studies")
    answer = server.post(
        "/tools/bulk-modify", {"Resources": studies, "Level": "Study", "Transcode": "1.2.840.10008.1.2.4.80"}
    )
    assert answer["Transcode"] == "1.2.840.10008.1.2.4.80"
    made = [each["ID"] for each in answer["Resources"] if each["Type"] == "Instance"]
    assert {"1.2.840.10008.1.2.4.80"} <= {
        _metadata(server, "instances", each)["TransferSyntax"] for each in made
    }


def test_a_damaged_original_is_an_error(server: Server) -> None:
    *_, instance = _fill(server, 1)
    uuid = server.get(f"/instances/{instance}")["FileUuid"]
    path = server.area.path(uuid)
    assert path is not None
    path.write_bytes(b"x" * path.stat().st_size)
    assert server.failure("POST", f"/instances/{instance}/modify", {}) == (400, 15)

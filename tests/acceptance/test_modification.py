"""Section H: modifying, anonymizing, splitting, merging."""

import json
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from tests.acceptance.asking import end_of, failure, status_of, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

OPTIONS = {"OverwriteInstances": "Always"}
UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


def _answered(server: RunningServer, public_id: str, action: str, body: dict[str, Any]) -> Dataset:
    status, data = server.request("POST", f"/instances/{public_id}/{action}", json.dumps(body).encode())
    assert status == 200, data
    return pydicom.dcmread(BytesIO(data))


def _file(server: RunningServer, public_id: str) -> Dataset:
    return pydicom.dcmread(BytesIO(server.request("GET", f"/instances/{public_id}/file")[1]))


def _below(server: RunningServer, study: str) -> list[Dataset]:
    return [_file(server, each["ID"]) for each in server.json(f"/studies/{study}/instances")]


def _study(server: RunningServer, **attributes: Any) -> str:
    """Two series of two instances; the public id of the study."""
    for number in range(4):
        series = f"1.1.{number // 2}"
        upload(server, slice_file(series=series, instance=f"{series}.{number}", **attributes))
    return ids()[1]


def test_a_modified_instance_is_answered_and_not_stored(server: RunningServer) -> None:
    """Scenario 147."""
    dataset = pydicom.dcmread(BytesIO(slice_file(StationName="S")))
    dataset.private_block(0x0009, "MAKER", create=True).add_new(0x01, "LO", "secret")
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    instance = upload(server, written.getvalue())["ID"]
    body = {"Replace": {"PatientName": "hello"}, "Remove": ["StationName"], "RemovePrivateTags": True}
    made = _answered(server, instance, "modify", body)
    assert (made.PatientName, "StationName" in made, made.group_dataset(9)) == ("hello", False, Dataset())
    assert server.json("/instances") == [instance]
    assert server.request("GET", f"/instances/{instance}/file")[1] == written.getvalue()


def test_a_modified_series_is_another_one_of_the_same_study(server: RunningServer) -> None:
    """Scenarios 148 and 164."""
    upload(server, slice_file(FrameOfReferenceUID="1.2.3"))
    patient, study, series, instance = ids()
    told = server.json(f"/series/{series}/modify", {"Replace": {"SeriesDescription": "new"}})
    assert told["PatientID"] == patient
    made = server.json(f"/series/{told['ID']}")
    assert (made["ModifiedFrom"], made["ParentStudy"]) == (series, study)
    assert server.json(f"/instances/{made['Instances'][0]}")["ModifiedFrom"] == instance
    old, new = _file(server, instance), _file(server, made["Instances"][0])
    changed = {each.keyword for each in new if each.keyword not in old or old[each.tag] != each}
    assert changed == {"SeriesDescription", "SeriesInstanceUID", "SOPInstanceUID"}


def test_a_modified_study_names_what_it_was_made_of(server: RunningServer) -> None:
    """Scenarios 149 and 180."""
    study = _study(server, PatientID=None, patient="")
    told = server.json(f"/studies/{ids(patient='')[1]}/modify", {})
    assert told["ParentResources"] == [each["ID"] for each in told["Resources"]] == [ids(patient="")[1]]
    made = server.json(told["Path"])
    assert made["ModifiedFrom"] == ids(patient="")[1] != study
    sources = {each["ModifiedFrom"] for each in server.json(f"{told['Path']}/instances")}
    assert len(sources) == 4
    assert {each["ModifiedFrom"] for each in server.json(f"{told['Path']}/series")} == {
        ids(patient="", series=f"1.1.{number}")[2] for number in (0, 1)
    }
    assert "ModifiedFrom" not in server.json(f"/patients/{told['PatientID']}")


@pytest.mark.parametrize("uid", UIDS)
def test_identifiers_are_touched_by_force_only(server: RunningServer, uid: str) -> None:
    """Scenario 150."""
    level = {"StudyInstanceUID": "studies", "SeriesInstanceUID": "series", "SOPInstanceUID": "instances"}[uid]
    upload(server, slice_file())
    path = f"/{level}/{ids()[1 + UIDS.index(uid)]}"
    for action, body in (
        ("modify", {"Replace": {uid: "1.9"}}),
        ("anonymize", {"Replace": {uid: "1.9"}}),
        ("anonymize", {"Keep": [uid]}),
    ):
        assert failure(server, "POST", f"{path}/{action}", body) == (400, 8), (action, body)
        assert status_of(server, "POST", f"{path}/{action}", {**body, "Force": True}) == 200


def test_new_identifiers_of_an_instance_renew_those_below(server: RunningServer) -> None:
    """Scenario 151."""
    instance = upload(server, slice_file())["ID"]
    source = _file(server, instance)
    for keyword, renewed in (
        ("PatientID", UIDS),
        ("StudyInstanceUID", UIDS),
        ("SeriesInstanceUID", UIDS[1:]),
        ("SOPInstanceUID", UIDS[2:]),
    ):
        made = _answered(server, instance, "modify", {"Replace": {keyword: "1.9"}, "Force": True})
        assert [each for each in UIDS if made[each].value != source[each].value] == renewed


def test_originals_stay_unless_told(server: RunningServer) -> None:
    """Scenario 152."""
    study = _study(server)
    for action in ("modify", "anonymize"):
        kept = server.json(f"/studies/{study}/{action}", {"KeepSource": True})["ID"]
        assert status_of(server, "GET", f"/studies/{study}") == 200
        moved = server.json(f"/studies/{kept}/{action}", {"KeepSource": False})["ID"]
        assert status_of(server, "GET", f"/studies/{kept}") == 404
        assert len(server.json(f"/studies/{moved}/instances")) == 4
        old = [each["ID"] for each in server.json(f"/studies/{moved}/instances")]
        bulk = server.json(f"/tools/bulk-{action}", {"Resources": [moved], "KeepSource": False})
        assert {status_of(server, "GET", f"/instances/{each}") for each in old} == {404}
        assert len([each for each in bulk["Resources"] if each["Type"] == "Instance"]) == 4
    server.json(f"/studies/{study}/anonymize", {"KeepSource": False})
    assert status_of(server, "GET", f"/studies/{study}") == 404


def test_in_place_parents_get_the_new_tags(server: RunningServer) -> None:
    """Scenarios 153 and 154."""
    study = _study(server)
    labelled = [f"/{level}/{each}" for level, each in zip(("patients", "studies"), ids(), strict=False)]
    for path in labelled:
        assert status_of(server, "PUT", f"{path}/labels/mine") == 200
    body = {"Replace": {"StudyDescription": "new"}, "Keep": UIDS, "Force": True}
    assert failure(server, "POST", f"/studies/{study}/modify", {**body, "KeepSource": False}) == (400, 8)
    told = server.json(f"/studies/{study}/modify", {**body, "KeepLabels": True})
    assert told["ID"] == study
    assert server.json(f"/studies/{study}")["MainDicomTags"]["StudyDescription"] == "new"
    assert {each.StudyDescription for each in _below(server, study)} == {"new"}
    assert len(server.json("/instances")) == 4
    assert [server.json(f"{path}/labels") for path in labelled] == [["mine"]] * 2
    other = server.json(f"/studies/{study}/modify", {"KeepLabels": True})["ID"]
    assert server.json(f"/studies/{other}/labels") == ["mine"]
    other = server.json(f"/studies/{study}/modify", {})["ID"]
    assert server.json(f"/studies/{other}/labels") == []


def test_a_patient_is_renamed_as_a_whole(server: RunningServer) -> None:
    """Scenario 155."""
    upload(server, slice_file())
    upload(server, slice_file(study="2.1", series="2.1.1", instance="2.1.1.1"))
    patient, study = ids()[:2]
    body = {"Replace": {"PatientName": "NEW"}, "Keep": UIDS, "Force": True}
    assert failure(server, "POST", f"/studies/{study}/modify", body) == (400, 8)
    whole = {**body, "Replace": {"PatientName": "NEW", "PatientID": "P1"}}
    assert status_of(server, "POST", f"/patients/{patient}/modify", whole) == 200
    names = [each["PatientMainDicomTags"]["PatientName"] for each in server.json("/studies?expand")]
    assert names == ["NEW", "NEW"]


def test_a_study_joins_a_patient_with_all_his_tags(server: RunningServer) -> None:
    """Scenarios 156 and 157."""
    upload(server, slice_file("5Yp0E", PatientSex="F", PatientBirthDate="19700101", PatientName="B"))
    study = upload(server, slice_file("P2", "2.1", "2.1.1", "2.1.1.1"))["ParentStudy"]

    def attach(**tags: str) -> tuple[int, bytes]:
        body = {"Replace": tags, "Keep": ["StudyInstanceUID", "SeriesInstanceUID"], "Force": True}
        return server.request("POST", f"/studies/{study}/modify", json.dumps(body).encode())

    right = {"PatientID": "5Yp0E", "PatientName": "B", "PatientSex": "F", "PatientBirthDate": "19700101"}
    assert attach(**{**right, "PatientSex": "M"})[0] == 400
    assert attach(**{**right, "OtherPatientIDs": "X"})[0] == 400
    assert attach(PatientID="5Yp0E")[0] == 400
    status, answer = attach(**right)
    assert (status, json.loads(answer)["PatientID"]) == (200, ids("5Yp0E")[0])
    status, answer = attach(PatientID="5YP0E")
    assert (status, json.loads(answer)["PatientID"]) == (200, ids("5YP0E")[0])
    assert len(server.json("/patients")) == 3


def test_paths_reach_into_sequences(server: RunningServer) -> None:
    """Scenarios 158 and 159."""
    first, second = Dataset(), Dataset()
    for each in (first, second):
        each.DimensionDescriptionLabel = "old"
        each.DimensionIndexPointer = 0x00209056
    instance = upload(server, slice_file(DimensionIndexSequence=[first, second]))["ID"]

    def labels(body: dict[str, Any]) -> list[str | None]:
        made = _answered(server, instance, "modify", body)
        return [each.get("DimensionDescriptionLabel") for each in made.DimensionIndexSequence]

    one, every = (f"DimensionIndexSequence[{index}].DimensionDescriptionLabel" for index in ("1", "*"))
    assert labels({"Replace": {one: "new"}}) == ["old", "new"]
    assert labels({"Replace": {every: "new"}}) == ["new", "new"]
    assert labels({"Remove": [one]}) == ["old", None]
    assert labels({"Remove": [one.replace("1", "7")]}) == ["old", "old"]
    pointer = "DimensionIndexSequence[0].DimensionIndexPointer"
    made = _answered(server, instance, "modify", {"Replace": {pointer: "0020,9057"}})
    assert made.DimensionIndexSequence[0].DimensionIndexPointer == 0x00209057


def test_lossy_targets_renew_the_instance(server: RunningServer) -> None:
    """Scenarios 161 and 162."""
    instance = upload(server, _grey())["ID"]
    keep = {"Keep": ["SOPInstanceUID"], "Force": True}
    uid = _file(server, instance).SOPInstanceUID
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"):
        made = _answered(server, instance, "modify", {**keep, "Transcode": syntax})
        assert (made.file_meta.TransferSyntaxUID, made.SOPInstanceUID) == (syntax, uid)
    made = _answered(server, instance, "modify", {**keep, "Transcode": "1.2.840.10008.1.2.4.50"})
    assert made.SOPInstanceUID != uid
    sizes = []
    for quality in (40, 80):
        body = {"Transcode": "1.2.840.10008.1.2.4.50", "LossyQuality": quality}
        study = server.json(f"/studies/{ids()[1]}/modify", body)["ID"]
        only = server.json(f"/studies/{study}/instances")[0]
        sizes.append(only["FileSize"])
        assert only["ModifiedFrom"] == instance
        assert _file(server, only["ID"]).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert sizes[0] < sizes[1]


def _grey() -> bytes:
    pixels = bytes((x * y) % 251 for y in range(64) for x in range(64))
    return slice_file(Rows=64, Columns=64, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=pixels)


@pytest.mark.parametrize(
    ("version", "method", "date", "device"),
    [
        ("2008", "PS 3.15-2008", True, True),
        ("2017c", "2017c", False, True),
        ("2021b", "2021b", False, False),
        ("2023b", "2023b", False, False),
    ],
)
def test_profiles_of_anonymization(
    server: RunningServer, version: str, method: str, date: bool, device: bool
) -> None:
    """Scenarios 164 to 167."""
    instance = upload(server, slice_file(FrameOfReferenceUID="1.2.3", DeviceDescription="device"))["ID"]
    body = {} if version == "2023b" else {"DicomVersion": version}
    made = _answered(server, instance, "anonymize", body)
    assert str(made.PatientName).startswith("Anonymized")
    assert len(made.PatientID) == 36
    assert made.PatientIdentityRemoved == "YES"
    assert method in str(made.DeidentificationMethod)
    assert made.FrameOfReferenceUID != "1.2.3"
    assert (made.StudyDate == "20200102", "DeviceDescription" in made) == (date, device)
    other = _answered(server, instance, "anonymize", {**body, "Keep": ["StationName"]})
    assert "PS 3.15" not in str(other.DeidentificationMethod)
    assert status_of(server, "POST", f"/instances/{instance}/anonymize", {"DicomVersion": "nope"}) == 400


def test_private_tags_stay_if_asked(server: RunningServer) -> None:
    """Scenario 168."""
    dataset = pydicom.dcmread(BytesIO(slice_file()))
    block = dataset.private_block(0x00E1, "ELSCINT1", create=True)
    for element in (0xC2, 0xC3):
        block.add_new(element, "LO", "kept")
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    instance = upload(server, written.getvalue())["ID"]

    def private(body: dict[str, Any]) -> list[int]:
        made = _answered(server, instance, "anonymize", body)
        return [each.tag for each in made if each.tag.is_private and not each.tag.is_private_creator]

    assert private({}) == []
    assert private({"Keep": ["00e1,10c2"]}) == [0x00E110C2]
    assert private({"KeepPrivateTags": True}) == [0x00E110C2, 0x00E110C3]


def test_references_among_instances_lead_to_the_new_ones(server: RunningServer) -> None:
    """Scenarios 169 to 173, and overlapping jobs on one study."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.1.1.9",
    )
    for number in range(3):
        upload(server, slice_file(instance=f"1.1.1.{number}", ReferencedImageSequence=[reference]))
    upload(server, slice_file(instance="1.1.1.9"))
    told = server.json(f"/studies/{ids()[1]}/anonymize", {})
    made = _below(server, told["ID"])
    pointed = {
        each.ReferencedImageSequence[0].ReferencedSOPInstanceUID
        for each in made
        if "ReferencedImageSequence" in each
    }
    assert len(pointed) == 1
    assert pointed <= {each.SOPInstanceUID for each in made}


def test_many_jobs_on_one_study_at_once(server: RunningServer) -> None:
    """Modifications of one study that overlap make one whole study each, and the original stays as it was."""
    study = _study(server)
    before = {each: server.request("GET", f"/instances/{each}/file")[1] for each in server.json("/instances")}
    jobs = [
        server.json(
            f"/studies/{study}/{action}",
            {"Replace": {"StudyDescription": f"S{number}"}, "Asynchronous": True},
        )["ID"]
        for number, action in enumerate(["modify", "anonymize"] * 4)
    ]
    ends = [end_of(server, each) for each in jobs]
    assert {each["State"] for each in ends} == {"Success"}
    for number, each in enumerate(ends):
        made = _below(server, each["Content"]["ID"])
        assert [one.StudyDescription for one in made] == [f"S{number}"] * 4
        assert len({one.SeriesInstanceUID for one in made}) == 2
    for public_id, data in before.items():
        assert server.request("GET", f"/instances/{public_id}/file") == (200, data)


def test_many_changes_in_place_at_once(server: RunningServer) -> None:
    """Modifications in place that overlap leave one study that agrees with itself."""
    study = _study(server)
    jobs = [
        server.json(
            f"/studies/{study}/modify",
            {
                "Replace": {"StudyDescription": f"S{number}"},
                "Keep": UIDS,
                "Force": True,
                "Asynchronous": True,
            },
        )["ID"]
        for number in range(6)
    ]
    assert {end_of(server, each)["State"] for each in jobs} == {"Success"}
    assert len(server.json("/instances")) == 4
    told = server.json(f"/studies/{study}")["MainDicomTags"]["StudyDescription"]
    descriptions = [each.StudyDescription for each in _below(server, study)]
    assert told in descriptions


def test_bulk_jobs_tell_all_they_made(server: RunningServer) -> None:
    """Scenarios 175, 176 and 181."""
    patient, study, series, instance = ids()
    upload(server, slice_file())
    told = server.json("/tools/bulk-modify", {"Resources": [instance], "Replace": {"ImageComments": "x"}})
    kinds = {each["Type"]: each["ID"] for each in told["Resources"]}
    assert (kinds["Patient"], kinds["Study"], kinds["Series"]) == (patient, study, series)
    assert kinds["Instance"] != instance
    told = server.json("/tools/bulk-anonymize", {"Resources": [instance]})
    for each in told["Resources"]:
        assert server.json(each["Path"])["AnonymizedFrom"] in ids()
    assert len(told["Resources"]) == 4
    assert status_of(server, "POST", "/tools/bulk-anonymize", {"Resources": ["nope"]}) == 400
    data = {"Resources": [instance], "UserData": {"a": [1]}, "Asynchronous": True}
    job = server.json("/tools/bulk-anonymize", data)["ID"]
    assert end_of(server, job)["UserData"] == {"a": [1]}
    body: dict[str, Any] = {"Resources": [{"Level": "Instance", "ID": instance}, "nope", study]}
    assert server.request("POST", "/tools/bulk-delete", json.dumps(body).encode()) == (200, b"")
    assert status_of(server, "GET", f"/studies/{study}") == 404
    assert status_of(server, "POST", "/tools/bulk-delete", {"Resources": [{"ID": study}]}) == 400


def test_a_series_is_split_off(server: RunningServer) -> None:
    """Scenarios 177 and 178."""
    study = _study(server, ReferringPhysicianName="R")
    series = ids(series="1.1.1")[2]
    body = {
        "Series": [series],
        "Replace": {"PatientName": "NEW"},
        "Remove": ["ReferringPhysicianName"],
        "KeepSource": False,
    }
    told = server.json(f"/studies/{study}/split", body)
    made = _below(server, told["TargetStudy"])
    assert [(str(each.PatientName), "ReferringPhysicianName" in each) for each in made] == [
        ("NEW", False)
    ] * 2
    assert len(server.json("/studies")) == 2
    assert status_of(server, "GET", f"/series/{series}") == 404
    only = ids(series="1.1.0", instance="1.1.0.1")[3]
    told = server.json(f"/studies/{study}/split", {"Instances": [only]})
    assert len(server.json(f"/studies/{told['TargetStudy']}/instances")) == 1
    assert [each["ID"] for each in server.json(f"/studies/{study}/instances")] == [
        ids(series="1.1.0", instance="1.1.0.0")[3]
    ]
    path = f"/studies/{study}/split"
    assert status_of(server, "POST", path, {"Series": [], "Instances": []}) == 400
    assert status_of(server, "POST", path, {"Series": ["nope"]}) == 404
    left = ids(series="1.1.0")[2]
    assert status_of(server, "POST", path, {"Series": [left], "Replace": {"SeriesDescription": "x"}}) == 400


def test_a_study_is_merged_into_another(server: RunningServer) -> None:
    """Scenario 179."""
    source = _study(server)
    target = upload(
        server, slice_file("KNEE", "2.1", "2.1.1", "2.1.1.1", StudyDescription="knee", PatientName="KNEE")
    )["ParentStudy"]
    told = server.json(f"/studies/{target}/merge", {"Resources": [source], "KeepSource": True})
    assert told["TargetStudy"] == target
    made = _below(server, target)
    assert len(made) == 5
    assert {(str(each.PatientName), each.PatientID, each.StudyDescription) for each in made} == {
        ("KNEE", "KNEE", "knee")
    }
    assert len(_below(server, source)) == 4
    instance = server.json(f"/studies/{source}/instances")[0]["ID"]
    server.json(f"/studies/{target}/merge", {"Resources": [instance]})
    assert (len(_below(server, target)), len(_below(server, source))) == (6, 3)


def test_a_name_of_a_private_tag_needs_its_creator(server: RunningServer) -> None:
    """Scenario 160."""
    dataset = pydicom.dcmread(BytesIO(slice_file()))
    dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x01, "LO", "old")
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    instance = upload(server, written.getvalue())["ID"]
    body = {"Replace": {"0009,1001": "new"}, "PrivateCreator": "GEMS_PETD_01"}
    made = _answered(server, instance, "modify", body)
    assert made[0x00091001].value == "new"
    assert made[0x00090010].value == "GEMS_PETD_01"


def test_identifiers_of_new_studies_are_new(server: RunningServer) -> None:
    """Scenario 149: what was asked for by force is what it is afterwards."""
    upload(server, slice_file())
    wanted = str(generate_uid())
    told = server.json(
        f"/studies/{ids()[1]}/modify", {"Replace": {"StudyInstanceUID": wanted}, "Force": True}
    )
    assert server.json(told["Path"])["MainDicomTags"]["StudyInstanceUID"] == wanted


def test_a_protected_patient_stays_so_when_his_only_instance_is_replaced(server: RunningServer) -> None:
    """Scenario 90, with scenario 4: who sends an image again takes no protection away."""
    upload(server, slice_file())
    assert status_of(server, "PUT", f"/patients/{ids()[0]}/protected", "1") == 200
    upload(server, slice_file(StudyDescription="again"))
    assert server.json(f"/studies/{ids()[1]}")["MainDicomTags"]["StudyDescription"] == "again"
    assert server.request("GET", f"/patients/{ids()[0]}/protected") == (200, b"1")

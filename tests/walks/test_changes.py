"""A day at the archive: an instance is created, and studies are changed, split, merged and read again, over HTTP."""

import base64
import json
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from tests.rest.builders import slice_file
from tests.servers import RunningServer
from tests.walks.conftest import Start


def _post(server: RunningServer, path: str, body: bytes) -> Any:
    status, answer = server.request("POST", path, body)
    assert status == 200, (path, status, answer)
    return json.loads(answer) if answer else None


def _files(server: RunningServer, study: str) -> list[Dataset]:
    found: list[Dataset] = []
    for public_id in server.json(f"/studies/{study}/instances?expand=false"):
        status, data = server.request("GET", f"/instances/{public_id}/file")
        assert status == 200
        found.append(pydicom.dcmread(BytesIO(data)))
    return found


def _wait(server: RunningServer, job: dict[str, str]) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = server.json(job["Path"])
        if told["State"] in ("Success", "Failure"):
            return told


def test_a_study_is_made_changed_split_merged_and_read_again(start_server: Start) -> None:
    server = start_server({"OverwriteInstances": True})
    study = _made(server)
    study = _split_merged_and_renamed(server, study)
    _changed_by_levels(server, study)
    before = server.json("/studies?expand")
    for path in (f"/studies/{study}/reconstruct", "/tools/reconstruct"):
        assert server.request("POST", path, b'{"ReconstructFiles": true}') == (200, b"")
    assert [each["MainDicomTags"] for each in server.json("/studies?expand")] == [
        each["MainDicomTags"] for each in before
    ]
    count = int(server.json("/statistics")["CountInstances"])
    server.stop()
    again = start_server({"OverwriteInstances": True})
    assert int(again.json("/statistics")["CountInstances"]) == count
    assert len(again.json("/jobs")) >= 3


def _made(server: RunningServer) -> str:
    """A study of two series, and one more that is made of a picture."""
    for series in (1, 2):
        for number in (1, 2):
            study = _post(
                server,
                "/instances",
                slice_file(series=f"1.1.{series}", instance=f"1.1.{series}.{number}", InstanceNumber=number),
            )["ParentStudy"]
    picture = base64.b64encode(imagecodecs.png_encode(np.arange(64, dtype=np.uint8).reshape(8, 8))).decode()
    body = {"Tags": {"Modality": "OT"}, "Content": f"data:image/png;base64,{picture}", "Parent": study}
    made = server.json("/tools/create-dicom", body)
    assert made["ParentStudy"] == study
    assert server.request("GET", f"/instances/{made['ID']}/preview")[0] == 200
    return str(study)


def _split_merged_and_renamed(server: RunningServer, study: str) -> str:
    """The picture's series is split off and merged again, and the study modified; its new id."""
    (made,) = [each for each in server.json("/series?expand") if each["MainDicomTags"]["Modality"] == "OT"]
    series = server.json(f"/studies/{study}")["Series"]
    split = server.json(f"/studies/{study}/split", {"Series": [made["ID"]], "Asynchronous": True})
    told = _wait(server, split)
    assert (told["Type"], told["State"]) == ("SplitStudy", "Success")
    target = told["Content"]["TargetStudy"]
    assert [each.Modality for each in _files(server, target)] == ["OT"]
    assert set(server.json(f"/studies/{study}")["Series"]) == set(series) - {made["ID"]}

    merged = _wait(
        server, server.json(f"/studies/{study}/merge", {"Resources": [target], "Asynchronous": True})
    )
    assert (merged["Type"], merged["State"]) == ("MergeStudy", "Success")
    assert server.json("/studies") == [study]
    assert sorted(each.Modality for each in _files(server, study)) == ["CT"] * 4 + ["OT"]

    body = {
        "Replace": {"PatientName": "Łucja^Żółć"},
        "KeepSource": False,
        "UserData": "mine",
        "Asynchronous": True,
    }
    told = _wait(server, server.json(f"/studies/{study}/modify", body))
    assert (told["Type"], told["State"], told["UserData"]) == ("ResourceModification", "Success", "mine")
    (study,) = server.json("/studies")
    assert {str(each.PatientName) for each in _files(server, study)} == {"Łucja^Żółć"}
    assert server.json(f"/studies/{study}")["PatientMainDicomTags"]["PatientName"] == "Łucja^Żółć"
    return str(study)


def _changed_by_levels(server: RunningServer, study: str) -> None:
    """A series is modified and anonymized, a patient changed in place."""
    series = server.json(f"/studies/{study}")["Series"]
    changed = server.json(f"/series/{series[0]}/modify", {"Replace": {"SeriesDescription": "New"}})
    assert server.json(f"/series/{changed['ID']}")["MainDicomTags"]["SeriesDescription"] == "New"
    patient = server.json(f"/studies/{study}")["ParentPatient"]
    body = {
        "Replace": {"PatientSex": "F"},
        "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
    }
    answer = server.json(f"/patients/{patient}/modify", {**body, "Force": True})
    assert (answer["ID"], server.json("/studies")) == (patient, [study])
    assert server.json(f"/patients/{patient}")["MainDicomTags"]["PatientSex"] == "F"
    anonymous = server.json(f"/series/{series[0]}/anonymize", {"KeepSource": True})
    assert server.json(f"/patients/{anonymous['PatientID']}")["MainDicomTags"]["PatientName"] == "Anonymized1"

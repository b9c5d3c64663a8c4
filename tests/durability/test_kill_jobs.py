"""A server killed while it rewrites instances goes on after a restart: nothing is lost, and nothing is there twice."""

import json
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.rest.builders import slice_file
from tests.servers import RunningServer, start

_INSTANCES = 150


def _fill(server: RunningServer) -> str:
    answer = b""
    for number in range(1, _INSTANCES + 1):
        series = number % 3 + 1
        file = slice_file(series=f"1.1.{series}", instance=f"1.1.{series}.{number}", InstanceNumber=number)
        status, answer = server.request("POST", "/instances", file)
        assert status == 200
    return str(json.loads(answer)["ParentStudy"])


def _count(server: RunningServer) -> int:
    return int(server.json("/statistics")["CountInstances"])


def _wait(server: RunningServer, job: str) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = server.json(f"/jobs/{job}")
        if told["State"] in ("Success", "Failure"):
            return told


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 40, _INSTANCES - 1])
@pytest.mark.parametrize("keeps_source", [True, False])
def test_a_killed_anonymization_goes_on(tmp_path: Path, after: int, keeps_source: bool) -> None:
    server = start(tmp_path)
    study = _fill(server)
    body = {"Asynchronous": True, "KeepSource": keeps_source}
    job = server.json(f"/studies/{study}/anonymize", body)["ID"]
    while _count(server) < _INSTANCES + after and server.json(f"/jobs/{job}")["State"] in (
        "Pending",
        "Running",
    ):
        pass
    server.kill()
    server = start(tmp_path)
    told = _wait(server, job)
    assert told["State"] == "Success", told
    assert _count(server) == _INSTANCES * (1 + keeps_source)
    studies = server.json("/studies")
    assert len(studies) == 1 + keeps_source
    new = told["Content"]["ID"]
    assert new in studies
    assert new != study
    numbers: Counter[int] = Counter()
    for public_id in server.json(f"/studies/{new}/instances?expand=false"):
        status, data = server.request("GET", f"/instances/{public_id}/file")
        assert status == 200
        dataset = pydicom.dcmread(BytesIO(data))
        assert dataset.PatientName == "Anonymized1"
        numbers[int(dataset.InstanceNumber)] += 1
        assert "AnonymizedFrom" in server.json(f"/instances/{public_id}/metadata")
    assert numbers == Counter(range(1, _INSTANCES + 1))
    assert len(server.json(f"/studies/{new}")["Series"]) == 3
    assert server.json(f"/studies/{new}/metadata?expand")["AnonymizedFrom"] == study
    server.stop()


def _names(server: RunningServer, study: str) -> Counter[str]:
    names: Counter[str] = Counter()
    for public_id in server.json(f"/studies/{study}/instances?expand=false"):
        status, data = server.request("GET", f"/instances/{public_id}/file")
        assert status == 200
        names[str(pydicom.dcmread(BytesIO(data)).PatientName)] += 1
    return names


@pytest.mark.slow
@pytest.mark.parametrize("progress", [1, 45, 90])
@pytest.mark.parametrize("is_saved", [True, False])
def test_a_study_killed_while_it_is_changed_in_place_is_old_or_new(
    tmp_path: Path, progress: int, is_saved: bool
) -> None:
    options = {"OverwriteInstances": "Always", "SaveJobs": is_saved}
    server = start(tmp_path, options)
    study = _fill(server)
    (old,) = _names(server, study)
    body = {
        "Asynchronous": True,
        "Replace": {"PatientName": "New"},
        "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
        "Force": True,
    }
    job = server.json(f"/studies/{study}/modify", body)["ID"]
    while server.json(f"/jobs/{job}")["Progress"] < progress:
        pass
    server.kill()
    server = start(tmp_path, options)
    if is_saved:
        told = _wait(server, job)
        assert told["State"] == "Success", told
    names = _names(server, study)
    assert names == {"New": _INSTANCES} or (not is_saved and names == {old: _INSTANCES}), names
    patient = server.json(f"/studies/{study}")["PatientMainDicomTags"]["PatientName"]
    assert {patient} == names.keys()
    server.stop()

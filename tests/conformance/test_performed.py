"""Modality Performed Procedure Step, told by pynetdicom."""

import json
from pathlib import Path
from typing import Any

from pydicom import Dataset
from tests.conformance.peers import CT, association, identifier, make_file, upload
from tests.servers import RunningServer, running

MPPS = "1.2.840.10008.3.1.2.3.3"


def _options(**members: Any) -> dict[str, Any]:
    return {
        "DicomAlwaysAllowFindWorklist": True,
        "Worklists": {"Enable": True, "SaveInOrthancDatabase": True, **members},
    }


def _begun(**keys: Any) -> Dataset:
    scheduled = identifier(
        {"StudyInstanceUID": "1.1", "ScheduledProcedureStepID": "S1", "AccessionNumber": "A1"}
    )
    return identifier(
        {
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "PerformedProcedureStepID": "P1",
            "PatientName": "Müller^Zoé",
            "SpecificCharacterSet": "ISO_IR 192",
            "ScheduledStepAttributesSequence": [scheduled],
            **keys,
        }
    )


def _ended(status: str = "COMPLETED") -> Dataset:
    references = [
        identifier({"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": uid}) for uid in ("1.3", "1.4")
    ]
    series = identifier({"SeriesInstanceUID": "1.2", "ReferencedImageSequence": references})
    return identifier({"PerformedProcedureStepStatus": status, "PerformedSeriesSequence": [series]})


def _create(server: RunningServer, step: Dataset, uid: str | None = "9.1") -> int:
    with association(server.dicom_port, [(MPPS, [])]) as opened:
        return int(opened.send_n_create(step, MPPS, uid)[0].Status)


def _set(server: RunningServer, step: Dataset, uid: str = "9.1") -> int:
    with association(server.dicom_port, [(MPPS, [])]) as opened:
        return int(opened.send_n_set(step, MPPS, uid)[0].Status)


def test_a_step_begins_ends_and_is_then_closed(tmp_path: Path) -> None:
    with running(tmp_path, _options()) as server:
        assert _create(server, _begun()) == 0
        assert server.json("/mpps") == ["9.1"]
        begun = server.json("/mpps/9.1")
        assert (begun["Status"], begun["RemoteAET"], begun["InstancesCount"]) == (
            "IN PROGRESS",
            "PYNETDICOM",
            0,
        )
        assert begun["Tags"]["PatientName"] == "Müller^Zoé"
        upload(server, make_file(StudyInstanceUID="1.1", SeriesInstanceUID="1.2", SOPInstanceUID="1.3"))
        assert _set(server, _ended()) == 0
        ended = server.json("/mpps/9.1")
        assert (ended["Status"], ended["InstancesCount"], ended["MissingInstances"]) == (
            "COMPLETED",
            2,
            ["1.4"],
        )
        assert ended["Tags"]["PerformedProcedureStepID"] == "P1"
        assert _set(server, _ended("DISCONTINUED")) == 0x0110
        assert server.json("/mpps/9.1")["Status"] == "COMPLETED"
        assert server.json("/mpps?expand")[0]["ID"] == "9.1"
        assert server.request("DELETE", "/mpps/9.1")[0] == 200
        assert server.request("GET", "/mpps/9.1")[0] == 404


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, _options()) as server:
        assert _create(server, _begun(PerformedProcedureStepStatus="COMPLETED")) == 0x0106
        assert _create(server, _begun()) == 0
        assert _create(server, _begun()) == 0x0111
        assert _create(server, _begun(), None) == 0
        assert len(server.json("/mpps")) == 2
        assert _set(server, _ended(), "8.8") == 0x0112
        assert _set(server, _ended("NONSENSE")) == 0x0106
        assert server.json("/mpps/9.1")["Status"] == "IN PROGRESS"


def test_steps_survive_and_are_told_by_those_who_may(tmp_path: Path) -> None:
    with running(tmp_path, _options()) as server:
        assert _create(server, _begun()) == 0
    options = {"Worklists": {"Enable": True, "SaveInOrthancDatabase": True}}
    with running(tmp_path, options) as server:
        assert server.json("/mpps") == ["9.1"]
        with association(server.dicom_port, [(MPPS, [])]) as opened:
            assert opened.send_n_set(_ended(), MPPS, "9.1")[0].get("Status") is None


def test_a_completed_step_may_take_its_entry_from_the_worklist(tmp_path: Path) -> None:
    step = {"Modality": "CT", "ScheduledProcedureStepStartDate": "20261120"}
    with running(tmp_path, _options(DeleteWorklistsOnCompletedStep=True)) as server:
        for study, step_id in (("1.1", "S1"), ("1.1", "S2"), ("1.9", "S1")):
            scheduled = [{**step, "ScheduledProcedureStepID": step_id}]
            tags = {"StudyInstanceUID": study, "ScheduledProcedureStepSequence": scheduled}
            server.json("/worklists/create", {"Tags": tags})
        assert _create(server, _begun()) == 0
        assert len(server.json("/worklists")) == 3
        assert _set(server, _ended()) == 0
        left = [each["Tags"] for each in server.json("/worklists")]
        assert sorted(
            (each["StudyInstanceUID"], each["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"])
            for each in left
        ) == [("1.1", "S2"), ("1.9", "S1")]
        assert json.dumps(left)

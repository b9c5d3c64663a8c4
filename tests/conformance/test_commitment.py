"""Storage commitment: two of our own servers, and pynetdicom on either side."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from tests.conformance.peers import CT, MR, association, make_file, upload
from tests.servers import RunningServer, running

PUSH_MODEL = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
FILE = make_file(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1")


def _until(wanted: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """One that sends and wants commitment, and one that keeps."""
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    with running(tmp_path / "near", {"DicomAet": "NEAR"}) as near:
        modalities = {"near": ["NEAR", "127.0.0.1", near.dicom_port]}
        with running(tmp_path / "far", {"DicomAet": "FAR", "DicomModalities": modalities}) as far:
            body = json.dumps(["FAR", "127.0.0.1", far.dicom_port]).encode()
            assert near.request("PUT", "/modalities/far", body)[0] == 200
            yield near, far


def _report(server: RunningServer, path: str) -> dict[str, Any]:
    report: dict[str, Any] = _until(lambda: (found := server.json(path))["Status"] != "Pending" and found)
    return report


def test_what_was_sent_is_committed_and_may_then_be_removed(
    pair: tuple[RunningServer, RunningServer],
) -> None:
    near, far = pair
    (public_id,) = upload(near, FILE)
    content = near.json("/modalities/far/store", {"Resources": [public_id], "StorageCommitment": True})
    uid = content["StorageCommitmentTransactionUID"]
    assert uid.startswith("2.25.")
    report = _report(near, f"/storage-commitment/{uid}")
    assert report == {
        "Status": "Success",
        "RemoteAET": "FAR",
        "Success": [{"SOPClassUID": CT, "SOPInstanceUID": "1.1.1.1"}],
        "Failures": [],
    }
    job = _until(lambda: (jobs := far.json("/jobs?expand"))[0]["State"] == "Success" and jobs[0])
    assert job["Type"] == "StorageCommitmentScp"
    assert job["Content"] == {
        "CalledAet": "FAR",
        "Description": "",
        "RemoteAet": "NEAR",
        "RemoteIp": "127.0.0.1",
        "TransactionUid": uid,
    }
    assert near.json(f"/storage-commitment/{uid}/remove", {}) == {}
    assert near.json("/instances") == []
    assert far.json("/instances") == [public_id]


def test_what_is_not_kept_is_told_with_its_reason(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    upload(near, FILE)
    upload(far, FILE)
    asked = [[CT, "1.1.1.1"], {"SOPClassUID": CT, "SOPInstanceUID": "9.9"}, [MR, "1.1.1.1"]]
    answer = near.json("/modalities/far/storage-commitment", {"DicomInstances": asked})
    report = _report(near, answer["Path"])
    assert report["Status"] == "Failure"
    assert report["Success"] == [{"SOPClassUID": CT, "SOPInstanceUID": "1.1.1.1"}]
    assert [(each["SOPInstanceUID"], each["FailureReason"]) for each in report["Failures"]] == [
        ("9.9", 274),
        ("1.1.1.1", 281),
    ]
    status, error = near.request("POST", f"{answer['Path']}/remove", b"")
    assert (status, json.loads(error)["OrthancStatus"]) == (500, 6)
    assert len(near.json("/instances")) == 1


def test_errors_of_the_caller_are_told(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    path = "/modalities/far/storage-commitment"
    for body, expected in (
        ({}, (400, 15)),
        ({"Resources": ["00000000-" * 4 + "00000000"]}, (404, 17)),
        ({"DicomInstances": [["x"]]}, (400, 15)),
    ):
        status, error = near.request("POST", path, json.dumps(body).encode())
        assert (status, json.loads(error)["OrthancStatus"]) == expected
    for path in ("/storage-commitment/nope", "/storage-commitment/nope/remove"):
        method = "POST" if path.endswith("remove") else "GET"
        status, error = near.request(method, path, b"" if method == "POST" else None)
        assert (status, json.loads(error)["OrthancStatus"]) == (404, 7)


def _references(*uids: str) -> list[Dataset]:
    found = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
        found.append(item)
    return found


def test_a_stranger_gets_no_commitment(tmp_path: Path) -> None:
    known = {
        "good": ["GOOD", "127.0.0.1", 4],
        "mute": {"AET": "MUTE", "Host": "h", "Port": 4, "AllowNAction": False},
    }
    with running(tmp_path, {"DicomModalities": known}) as server:
        asked = Dataset()
        asked.TransactionUID, asked.ReferencedSOPSequence = "1.2.3", _references("1.1.1.1")
        for calling, expected in (("STRANGER", None), ("MUTE", None), ("GOOD", 0)):
            with association(server.dicom_port, [(PUSH_MODEL, [])], calling=calling) as opened:
                status, _ = opened.send_n_action(asked, 1, PUSH_MODEL, INSTANCE)
                assert status.get("Status") == expected
        with association(server.dicom_port, [(PUSH_MODEL, [])], calling="GOOD") as opened:
            assert opened.send_n_action(asked, 7, PUSH_MODEL, INSTANCE)[0].Status == 0x0123
            del asked.TransactionUID
            assert opened.send_n_action(asked, 1, PUSH_MODEL, INSTANCE)[0].Status == 0x0115


def test_a_report_counts_for_what_was_asked_alone(tmp_path: Path) -> None:
    asked: list[Any] = []
    entity = AE(ae_title="KEEPER")
    entity.add_supported_context(PUSH_MODEL)

    def act(event: Any) -> tuple[int, None]:
        asked.append(event.action_information)
        return 0, None

    handlers: Any = [(evt.EVT_N_ACTION, act)]
    keeper: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        modalities = {"keeper": ["KEEPER", "127.0.0.1", keeper.server_address[1]]}
        with running(tmp_path, {"DicomModalities": modalities}) as server:
            instances = [[CT, "1.1"], [CT, "1.2"]]
            answer = server.json("/modalities/keeper/storage-commitment", {"DicomInstances": instances})
            assert server.json(answer["Path"]) == {"Status": "Pending", "RemoteAET": "KEEPER"}
            report = Dataset()
            report.TransactionUID, report.ReferencedSOPSequence = (
                asked[0].TransactionUID,
                _references("1.1", "6.6"),
            )
            roles = [build_role(PUSH_MODEL, scp_role=True)]
            with association(
                server.dicom_port, [(PUSH_MODEL, [])], calling="KEEPER", ext_neg=roles
            ) as opened:
                assert opened.send_n_event_report(report, 1, PUSH_MODEL, INSTANCE)[0].Status == 0
                report.TransactionUID = "9.9"
                assert opened.send_n_event_report(report, 1, PUSH_MODEL, INSTANCE)[0].Status == 0x0110
            told = server.json(answer["Path"])
            assert told["Status"] == "Failure"
            assert [each["SOPInstanceUID"] for each in told["Success"]] == ["1.1"]
            assert [each["SOPInstanceUID"] for each in told["Failures"]] == ["1.2"]
    finally:
        keeper.shutdown()


def test_a_report_is_tried_again_while_the_modality_is_away(tmp_path: Path) -> None:
    heard = threading.Event()
    entity = AE(ae_title="AWAY")
    entity.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)

    def note(event: Any) -> tuple[int, None]:
        heard.set()
        return 0, None

    handlers: Any = [(evt.EVT_N_EVENT_REPORT, note)]
    first: Any = entity.start_server(("127.0.0.1", 0), block=False)
    port = first.server_address[1]
    first.shutdown()
    with running(tmp_path, {"DicomModalities": {"away": ["AWAY", "127.0.0.1", port]}}) as server:
        asked = Dataset()
        asked.TransactionUID, asked.ReferencedSOPSequence = "1.2.3", _references("1.1.1.1")
        with association(server.dicom_port, [(PUSH_MODEL, [])], calling="AWAY") as opened:
            assert opened.send_n_action(asked, 1, PUSH_MODEL, INSTANCE)[0].Status == 0
        _until(lambda: server.json("/jobs?expand")[0]["State"] == "Retry")
        second: Any = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            assert heard.wait(40)
        finally:
            second.shutdown()

"""Store-and-forward with real receivers that are down, come up, refuse and die, and with ourselves killed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from tests import instances
from tests.conformance.peers import CT, Receiver, make_file, upload
from tests.servers import RunningServer, free_port, running, start

_QUICK = {"StoreAndForward": {"FirstDelay": 1, "MaximumDelay": 1, "MaximumAttempts": 2}}
_PATIENCE_SECONDS = 60.0


def until(is_true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@contextmanager
def storescp(port: int, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """DCMTK's receiver, which puts what it gets into a folder."""
    folder.mkdir(exist_ok=True)
    command = ["/usr/bin/storescp", "-od", str(folder), *options, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def define(server: RunningServer, port: int, name: str = "pacs", **options: object) -> None:
    body = {"AET": "RECEIVER", "Host": "127.0.0.1", "Port": port, "StoreAndForward": True, **options}
    assert server.request("PUT", f"/modalities/{name}", json.dumps(body).encode())[0] == 200


def queue(server: RunningServer, name: str = "pacs", **body: object) -> dict[str, Any]:
    answer: dict[str, Any] = server.json(
        f"/modalities/{name}/store", {"Resources": server.json("/patients"), **body}
    )
    return answer


def state(server: RunningServer, path: str = "modalities/pacs") -> dict[str, Any]:
    found: dict[str, Any] = server.json(f"/forwarding/{path}")
    return found


def is_done(server: RunningServer, path: str = "modalities/pacs") -> bool:
    found = state(server, path)
    return (found["State"], found["Waiting"], found["Failed"], found["Held"]) == ("Idle", 0, 0, 0)


def act(
    server: RunningServer, action: str, body: object = None, path: str = "modalities/pacs"
) -> dict[str, Any]:
    sent = b"" if body is None else json.dumps(body).encode()
    status, answer = server.request("POST", f"/forwarding/{path}/{action}", sent)
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def arrived(folder: Path) -> set[str]:
    """The SOP Instance UIDs of what storescp wrote to the end."""
    return {path.name.partition(".")[2] for path in folder.glob("*.*")}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    (tmp_path / "near").mkdir()
    with running(tmp_path / "near", _QUICK) as started:
        upload(started, *(instances.file(number) for number in range(20)))
        yield started


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver((ExplicitVRLittleEndian,), sop_classes=(instances.SOP_CLASS_UID,))
    yield opened
    opened.stop()


@pytest.mark.dcmtk
def test_what_is_queued_for_a_receiver_that_is_down_survives_a_kill_and_arrives(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "got"
    options = {
        **_QUICK,
        "DicomModalities": {
            "pacs": {"AET": "RECEIVER", "Host": "127.0.0.1", "Port": port, "StoreAndForward": True}
        },
    }
    server = start(tmp_path, options)
    upload(server, *(instances.file(number) for number in range(60)))
    assert queue(server) == {"Queued": 60, "Path": "/forwarding/modalities/pacs"}
    until(lambda: state(server)["State"] == "Retrying")
    told = state(server)
    assert (told["Waiting"], told["Sent"], told["Target"]) == (60, 0, f"RECEIVER@127.0.0.1:{port}")
    assert "cannot be reached" in told["LastFailure"]["Reason"].lower() or told["Reason"]
    server.kill()
    server = start(tmp_path, options)
    assert state(server)["Waiting"] == 60
    with storescp(port, folder):
        until(lambda: is_done(server))
        assert arrived(folder) == {instances.uids(number)[2] for number in range(60)}
    assert (state(server)["Sent"], state(server)["FailuresInARow"]) == (60, 0)
    server.stop()


@pytest.mark.dcmtk
def test_a_receiver_that_dies_in_the_middle_and_we_as_well_lose_nothing(tmp_path: Path) -> None:
    port, folder, count = free_port(), tmp_path / "got", 400
    options = {**_QUICK, "DicomModalities": {"pacs": ["RECEIVER", "127.0.0.1", port]}}
    server = start(tmp_path, options)
    upload(server, *(instances.file(number, 60_000) for number in range(count)))
    with storescp(port, folder):
        assert queue(server, StoreAndForward=True)["Queued"] == count
        until(lambda: len(arrived(folder)) > 20)
    until(lambda: state(server)["State"] == "Retrying")
    assert 0 < state(server)["Waiting"] < count
    with storescp(port, folder):
        before = len(arrived(folder))
        until(lambda: len(arrived(folder)) > before + 20)
        server.kill()
        assert len(arrived(folder)) < count
        server = start(tmp_path, options)
        until(lambda: is_done(server))
    assert arrived(folder) == {instances.uids(number)[2] for number in range(count)}
    server.stop()


def test_without_being_asked_to_queue_a_store_is_a_job_that_fails(server: RunningServer) -> None:
    define(server, free_port(), StoreAndForward=False)
    body = json.dumps(server.json("/patients")).encode()
    assert server.request("POST", "/modalities/pacs/store", body)[0] == 500
    assert (state(server)["State"], server.json("/forwarding")) == ("Idle", [])
    assert server.request("GET", "/forwarding/modalities/nobody")[0] == 404
    assert server.request("POST", "/forwarding/peers/nobody/pause")[0] == 404
    assert "StoreAndForward" not in server.json("/modalities/pacs/configuration")


def test_a_request_has_the_last_word_on_queueing(server: RunningServer, receiver: Receiver) -> None:
    define(server, receiver.port)
    assert server.json("/modalities/pacs/configuration")["StoreAndForward"] is True
    assert queue(server, StoreAndForward=False)["InstancesCount"] == 20
    body = json.dumps({"Resources": server.json("/patients"), "CalledAet": "OTHER"}).encode()
    assert server.request("POST", "/modalities/pacs/store", body)[0] == 400


def test_instances_arrive_in_the_order_of_the_queue(server: RunningServer, receiver: Receiver) -> None:
    define(server, receiver.port)
    act_first = [instances.public_id(number) for number in (7, 3, 11)]
    for public_id in act_first:
        server.json("/modalities/pacs/store", {"Resources": [public_id], "LocalAet": "ME"})
    until(lambda: is_done(server))
    assert [dataset.SOPInstanceUID for dataset in receiver.received] == [
        instances.uids(number)[2] for number in (7, 3, 11)
    ]
    assert set(receiver.callers) == {"ME"}


def test_a_paused_queue_waits_and_may_be_purged(server: RunningServer, receiver: Receiver) -> None:
    define(server, receiver.port)
    assert act(server, "pause")["State"] == "Paused"  # Also before anything was queued.
    queue(server, StoreAndForward=True)
    assert state(server)["Waiting"] == 20
    act(server, "resume")
    until(lambda: is_done(server))
    assert act(server, "pause")["State"] == "Paused"
    queue(server)
    queue(server)  # Which waits already.
    assert (state(server)["State"], state(server)["Waiting"]) == ("Paused", 20)
    (one,) = server.json(f"/forwarding/modalities/pacs/deliveries?resource={instances.public_id(4)}")
    assert (one["Instance"], one["State"]) == (instances.public_id(4), "Waiting")
    listed = server.json("/forwarding/modalities/pacs/deliveries?limit=15")
    rest = server.json(f"/forwarding/modalities/pacs/deliveries?since={listed[-1]['Sequence']}")
    assert (len(listed), len(rest)) == (15, 5)
    assert act(server, "purge", {"What": "All"})["Waiting"] == 0
    queue(server)
    assert act(server, "resume")["Waiting"] == 20
    until(lambda: is_done(server))
    assert len(receiver.received) == 40
    assert server.request("POST", "/forwarding/modalities/pacs/purge", b"{}")[0] == 400


def test_what_was_queued_for_another_place_is_held_until_somebody_decides(
    server: RunningServer, receiver: Receiver
) -> None:
    first = free_port()
    define(server, first)
    queue(server)
    until(lambda: state(server)["State"] == "Retrying")
    define(server, receiver.port)  # The same name is another machine from now on.
    act(server, "retry")
    held = state(server)
    assert (held["State"], held["Held"], held["Waiting"]) == ("Held", 20, 0)
    assert held["HeldFor"] == {f"RECEIVER@127.0.0.1:{first}": 20}
    server.json("/modalities/pacs/store", [instances.public_id(0)])  # Which is for the new place.
    until(lambda: state(server)["Waiting"] == 0)
    assert len(receiver.received) == 1
    assert server.request("DELETE", "/modalities/pacs")[0] == 200
    assert state(server)["Held"] == 20
    assert "not defined" in state(server)["Reason"]
    define(server, receiver.port)
    assert len(receiver.received) == 1
    act(server, "redirect")
    until(lambda: is_done(server))
    assert {dataset.SOPInstanceUID for dataset in receiver.received} == {
        instances.uids(number)[2] for number in range(20)
    }


def test_what_is_held_goes_on_when_its_place_is_defined_again(
    server: RunningServer, receiver: Receiver
) -> None:
    define(server, receiver.port)
    act_on = "/forwarding/modalities/pacs"
    queue(server)
    until(lambda: is_done(server))
    act(server, "pause")
    queue(server)
    define(server, free_port())
    act(server, "resume")
    assert server.json(act_on)["Held"] == 20
    define(server, receiver.port)
    act(server, "retry")
    until(lambda: is_done(server))
    assert len(receiver.received) == 40
    queue(server)
    act(server, "purge", {"What": "Held"})


def test_an_instance_that_is_refused_does_not_stop_the_others_and_is_kept_as_failed(
    server: RunningServer, receiver: Receiver
) -> None:
    (other,) = upload(
        server, make_file(StudyInstanceUID="9", SeriesInstanceUID="9.1", SOPInstanceUID="9.1.1")
    )
    define(server, receiver.port)  # It does not take CT.
    queue(server)
    until(lambda: state(server)["Failed"] == 1)
    until(lambda: state(server)["State"] == "Idle")
    assert len(receiver.received) == 20
    (failed,) = server.json("/forwarding/modalities/pacs/deliveries")
    assert (failed["Instance"], failed["State"], failed["Attempts"]) == (other, "Failed", 2)
    assert CT in failed["LastFailure"]
    metrics = server.request("GET", "/tools/metrics-prometheus")[1].decode()
    assert 'hounsfield_forwarding_failed{kind="modality",destination="pacs"} 1 ' in metrics
    assert 'hounsfield_forwarding_sent_total{kind="modality",destination="pacs"} 20 ' in metrics
    assert act(server, "retry")["Waiting"] == 1
    until(lambda: state(server)["Failed"] == 1)
    assert act(server, "purge", {"What": "Failed"})["Failed"] == 0
    assert server.json(f"/instances/{other}")["ID"] == other


def test_a_receiver_without_room_is_left_alone_for_some_time(
    server: RunningServer, receiver: Receiver
) -> None:
    receiver.statuses = [0, 0, 0xA700]
    define(server, receiver.port)
    queue(server)
    until(lambda: state(server)["FailuresInARow"] == 1)
    assert "out of resources" in state(server)["LastFailure"]["Reason"]
    until(lambda: is_done(server))
    uids = [dataset.SOPInstanceUID for dataset in receiver.received]
    assert len(uids) == 21
    assert len(set(uids)) == 20


def test_an_instance_that_is_deleted_before_it_was_sent_is_told_of(server: RunningServer) -> None:
    define(server, free_port())
    server.json("/modalities/pacs/store", [instances.public_id(3)])
    assert server.request("DELETE", f"/instances/{instances.public_id(3)}")[0] == 200
    with_receiver = Receiver((ExplicitVRLittleEndian,), sop_classes=(instances.SOP_CLASS_UID,))
    define(server, with_receiver.port)
    act(server, "redirect")
    until(lambda: state(server)["Failed"] == 1)
    with_receiver.stop()
    (failed,) = server.json("/forwarding/modalities/pacs/deliveries")
    assert "deleted" in failed["LastFailure"]


def test_a_slow_or_silent_destination_holds_up_no_other(server: RunningServer, receiver: Receiver) -> None:
    sockets = []
    import socket

    for number in range(5):
        silent = socket.create_server(("127.0.0.1", 0))
        sockets.append(silent)
        define(server, silent.getsockname()[1], f"silent{number}", Timeout=5)
        queue(server, f"silent{number}")
    define(server, receiver.port)
    began = time.monotonic()
    queue(server)
    until(lambda: is_done(server))
    assert time.monotonic() - began < 5
    assert len(receiver.received) == 20
    for silent in sockets:
        silent.close()


def test_a_peer_that_is_down_gets_it_later(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    port = free_port()
    body = {"Url": f"http://127.0.0.1:{port}", "StoreAndForward": True}
    assert server.request("PUT", "/peers/far", json.dumps(body).encode())[0] == 200
    asked = {"Resources": server.json("/patients"), "Compress": True}
    answer = server.json("/peers/far/store", asked)
    assert answer == {"Queued": 20, "Path": "/forwarding/peers/far"}
    until(lambda: state(server, "peers/far")["State"] == "Retrying")
    with running(tmp_path / "far", {"HttpPort": port}) as far:
        until(lambda: is_done(server, "peers/far"))
        assert far.json("/instances") == server.json("/instances")
    assert [each["Name"] for each in server.json("/forwarding")] == ["far"]
    assert server.json("/peers?expand")["far"]["StoreAndForward"] is True


def test_patients_that_wait_to_be_forwarded_are_not_recycled(tmp_path: Path) -> None:
    with running(tmp_path, {**_QUICK, "MaximumPatientCount": 2}) as server:
        upload(server, *(instances.file(number) for number in (0, 40)))
        define(server, free_port())
        server.json("/modalities/pacs/store", [instances.public_id(0)])
        upload(server, instances.file(80))
        assert {instances.public_id(number) for number in (0, 80)} == set(server.json("/instances"))


@pytest.mark.slow
@pytest.mark.dcmtk
@pytest.mark.parametrize("seed", range(int(os.environ.get("HOUNSFIELD_FORWARD_KILLS", "2"))))
def test_kills_of_either_side_at_any_time_lose_nothing(tmp_path: Path, seed: int) -> None:
    import random

    chance = random.Random(seed)
    port, folder, count = free_port(), tmp_path / "got", 200
    options = {**_QUICK, "DicomModalities": {"pacs": ["RECEIVER", "127.0.0.1", port]}}
    server = start(tmp_path, options)
    upload(server, *(instances.file(number, 30_000) for number in range(count)))
    assert queue(server, StoreAndForward=True)["Queued"] == count
    for _ in range(3):
        with storescp(port, folder) as process:
            goal = len(arrived(folder)) + chance.randrange(1, 50)
            until(lambda goal=goal: len(arrived(folder)) >= min(goal, count))  # type: ignore[misc]
            if chance.random() < 0.5:
                server.kill()
                server = start(tmp_path, options)
            else:
                process.send_signal(signal.SIGKILL)
    with storescp(port, folder):
        until(lambda: is_done(server))
    assert arrived(folder) == {instances.uids(number)[2] for number in range(count)}
    server.stop()


@pytest.mark.parametrize(
    "path",
    [
        "/deliveries?since=x",
        "/deliveries?limit=-1",
        "/deliveries?resource=nope",
        "/deliveries?since=99999999999999999999",
    ],
)
def test_questions_that_make_no_sense_are_refused(server: RunningServer, path: str) -> None:
    define(server, free_port())
    assert server.request("GET", f"/forwarding/modalities/pacs{path}")[0] == 400

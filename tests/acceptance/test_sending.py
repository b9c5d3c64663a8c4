"""Section K: sending to modalities and peers while others change what is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.asking import end_of, status_of, until, upload
from tests.conformance.peers import Receiver
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer, running

COUNT = 6


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A modality that takes everything."""
    started = Receiver(["1.2.840.10008.1.2.1"])
    yield started
    started.stop()


def _fill(server: RunningServer, receiver: Receiver) -> str:
    """A study of some instances, and a modality to send it to."""
    for number in range(COUNT):
        upload(server, slice_file(instance=f"1.1.1.{number}", InstanceNumber=number + 1))
    definition = ["RECEIVER", "127.0.0.1", receiver.port]
    assert status_of(server, "PUT", "/modalities/receiver", definition) == 200
    return ids()[1]


@pytest.fixture
def study(server: RunningServer, receiver: Receiver) -> str:
    """A study of some instances, and a modality to send it to."""
    return _fill(server, receiver)


def _instance(number: int) -> str:
    return ids(instance=f"1.1.1.{number}")[3]


def _paused_amid(server: RunningServer, receiver: Receiver, body: dict[str, Any]) -> str:
    """A job that sent some of its instances, and waits."""
    receiver.delay_seconds = 0.2
    job = str(server.json("/modalities/receiver/store", {**body, "Asynchronous": True})["ID"])
    until(lambda: len(receiver.received) >= 2)
    assert status_of(server, "POST", f"/jobs/{job}/pause") == 200
    until(lambda: server.json(f"/jobs/{job}")["State"] == "Paused")
    receiver.delay_seconds = 0.0
    assert 2 <= len(receiver.received) < COUNT
    return job


def test_what_comes_and_goes_while_a_job_waits_changes_nothing_that_it_sends(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Scenarios 208 and 224: a job goes on after a restart, and each instance that is still there arrives, once."""
    with running(tmp_path) as before:
        _fill(before, receiver)
        job = _paused_amid(before, receiver, {"Resources": [ids()[1]]})
        assert status_of(before, "DELETE", f"/instances/{_instance(0)}") == 200
        upload(before, slice_file(instance="1.1.1.99", InstanceNumber=0))
    with running(tmp_path) as server:
        assert status_of(server, "POST", f"/jobs/{job}/resume") == 200
        assert end_of(server, job)["State"] == "Success"
    arrived = sorted(str(each.SOPInstanceUID) for each in receiver.received)
    assert arrived == [f"1.1.1.{number}" for number in range(COUNT)]


@pytest.mark.parametrize("is_permissive", [False, True])
def test_what_is_deleted_before_it_is_sent_is_a_failure(
    server: RunningServer, receiver: Receiver, study: str, is_permissive: bool
) -> None:
    """Scenario 208, with a deletion before the sending: nobody is told that all arrived."""
    job = _paused_amid(server, receiver, {"Resources": [study], "Permissive": is_permissive})
    assert status_of(server, "DELETE", f"/instances/{_instance(COUNT - 1)}") == 200
    assert status_of(server, "POST", f"/jobs/{job}/resume") == 200
    ended = end_of(server, job)
    wanted = ("Success", 0) if is_permissive else ("Failure", 17)
    assert (ended["State"], ended["ErrorCode"]) == wanted
    assert ended["Content"]["InstancesCount"] == COUNT
    arrived = {str(each.SOPInstanceUID) for each in receiver.received}
    assert f"1.1.1.{COUNT - 1}" not in arrived
    if is_permissive:
        assert ended["Content"]["FailedInstancesCount"] == 1
        assert len(arrived) == COUNT - 1


def test_what_is_deleted_before_a_peer_has_it_is_a_failure(server: RunningServer, study: str) -> None:
    """Scenario 66, with a deletion: a job that failed is tried again when a part of the study is gone."""
    dead, alive = "http://127.0.0.1:9/", f"http://127.0.0.1:{server.http_port}/"
    assert status_of(server, "PUT", "/peers/changing", [dead]) == 200
    job = server.json("/peers/changing/store", {"Resources": [study], "Asynchronous": True})["ID"]
    assert end_of(server, job)["State"] == "Failure"
    assert status_of(server, "DELETE", f"/instances/{_instance(3)}") == 200
    assert status_of(server, "PUT", "/peers/changing", [alive]) == 200
    assert status_of(server, "POST", f"/jobs/{job}/resubmit") == 200
    ended = end_of(server, job)
    assert (ended["State"], ended["ErrorCode"]) == ("Failure", 17)

"""Servers that are stopped, restarted or told to change nothing."""

import contextlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests import instances
from tests.servers import RunningServer, running, start
from tests.walks.samples import Sample

from hounsfield.errors import ArchiveError
from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, associate

_PATIENCE_SECONDS = 30


def _post(server: RunningServer, samples: list[Sample]) -> None:
    for sample in samples:
        status, answer = server.request("POST", "/instances", sample.data)
        assert (status, json.loads(answer)["Status"]) == (200, "Success"), sample.name


def _snapshot(server: RunningServer) -> dict[str, object]:
    """What the server says of everything, apart from what a restart may change."""
    found: dict[str, object] = {"statistics": server.json("/statistics")}
    for level in ("patients", "studies", "series", "instances"):
        found[level] = server.json(f"/{level}?expand")
    found["changes"] = server.json("/changes?limit=10000")
    return found


def test_a_restart_in_the_middle_keeps_everything(tmp_path: Path, samples: list[Sample]) -> None:
    half = len(samples) // 2
    with running(tmp_path) as server:
        _post(server, samples[:half])
        before = _snapshot(server)
    assert server.process.returncode == 0
    with running(tmp_path) as server:
        assert _snapshot(server) == before
        _post(server, samples[half:])
        assert set(server.json("/instances")) == {sample.public_id for sample in samples}
    with running(tmp_path) as server:
        for sample in samples:
            assert server.request("GET", f"/instances/{sample.public_id}/file") == (200, sample.data)


def test_a_stop_during_uploads_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    server = start(tmp_path)
    stored: list[int] = []
    lock = threading.Lock()
    numbers = iter(range(1_000_000))

    def take() -> int:
        with lock:
            return next(numbers)

    def post() -> None:
        while True:
            number = take()
            try:
                status, _ = server.request("POST", "/instances", instances.file(number, 100_000))
            except OSError:
                return
            if status != 200:
                return
            stored.append(number)

    def store() -> None:
        node = RemoteNode("127.0.0.1", server.dicom_port, "HOUNSFIELD")
        proposal = Proposal("WALKER", [(instances.SOP_CLASS_UID, [instances.TRANSFER_SYNTAX_UID])])
        with associate(node, proposal, AssociationOptions()) as association:
            context = association.find_context(instances.SOP_CLASS_UID)
            assert context is not None
            while True:
                number = take()
                data = instances.dataset(number, 100_000)
                answer = association.store(context, instances.uids(number)[2], data)
                if answer.status != 0:
                    return
                stored.append(number)

    threads = [threading.Thread(target=_until_the_end, args=(work,)) for work in (post, post, store, store)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(stored) < 100:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.stop() == 0
    for thread in threads:
        thread.join(_PATIENCE_SECONDS)
        assert not thread.is_alive()
    with running(tmp_path) as restarted:
        present = set(restarted.json("/instances"))
        assert {instances.public_id(number) for number in stored} <= present
        for number in stored:
            found = restarted.request("GET", f"/instances/{instances.public_id(number)}/file")[1]
            assert found.endswith(instances.dataset(number, 100_000))


def _until_the_end(work: Callable[[], None]) -> None:
    """Run a client until the server goes away."""

    with contextlib.suppress(OSError, ArchiveError, http.client.HTTPException):
        work()


def test_an_interrupt_is_a_clean_stop_too(tmp_path: Path) -> None:
    server = start(tmp_path)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(_PATIENCE_SECONDS) == 0


def test_an_idle_association_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    server = start(tmp_path)
    node = RemoteNode("127.0.0.1", server.dicom_port, "HOUNSFIELD")
    proposal = Proposal("WALKER", [(instances.SOP_CLASS_UID, [instances.TRANSFER_SYNTAX_UID])])
    with contextlib.suppress(ArchiveError), associate(node, proposal, AssociationOptions()):
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15


def test_a_read_only_server_shows_everything_and_takes_nothing(tmp_path: Path, samples: list[Sample]) -> None:
    slices = [sample for sample in samples if sample.name.startswith(("ct-", "mr-"))]
    with running(tmp_path) as server:
        _post(server, slices[:-1])
        before = _snapshot(server)
    with running(tmp_path, {"ReadOnly": True}) as server:
        assert _snapshot(server) == before
        public_id = slices[0].public_id
        assert server.request("GET", f"/instances/{public_id}/file") == (200, slices[0].data)
        assert server.request("GET", f"/instances/{public_id}/preview")[0] == 200
        refused = [
            server.request("POST", "/instances", slices[-1].data),
            server.request("DELETE", f"/instances/{public_id}"),
            server.request("DELETE", f"/patients/{server.json('/patients')[0]}"),
            server.request("PUT", f"/instances/{public_id}/metadata/5555", b"text"),
            server.request("PUT", f"/instances/{public_id}/labels/label", b""),
            server.request("DELETE", "/changes"),
        ]
        assert [status for status, _ in refused if status < 400] == []
        node = RemoteNode("127.0.0.1", server.dicom_port, "HOUNSFIELD")
        proposal = Proposal("WALKER", [(instances.SOP_CLASS_UID, [instances.TRANSFER_SYNTAX_UID])])
        with associate(node, proposal, AssociationOptions()) as association:
            context = association.find_context(instances.SOP_CLASS_UID)
            assert context is not None
            answer = association.store(context, instances.uids(1)[2], instances.dataset(1))
            assert answer.status != 0
        assert _snapshot(server) == before

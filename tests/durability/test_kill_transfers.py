"""A server that is killed while it sends to a peer, or fetches from one, goes on with the buckets that are left."""

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import instances
from tests.conformance.peers import upload
from tests.proxy import Fault, How, Proxy
from tests.servers import RunningServer, free_port, start

_INSTANCES = 60
_SIZE = 6_000
_STALLED = 40
"""The connection that goes silent: each bucket comes on one of its own."""
_OPTIONS = {
    "Transfers": {"BucketSize": 6, "Threads": 1},
}
_FILES = {str(instances.public_id(number)): instances.file(number, _SIZE) for number in range(_INSTANCES)}


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _stored(server: RunningServer) -> dict[str, bytes]:
    found = server.json("/instances")
    return {public_id: server.request("GET", f"/instances/{public_id}/file")[1] for public_id in found}


def _state(folder: Path, job: str) -> dict[str, Any]:
    """What the index remembers of a job."""
    (index,) = folder.rglob("hounsfield.db")
    with sqlite3.connect(f"file:{index}?mode=ro", uri=True) as connection:
        (text,) = connection.execute("SELECT state_json FROM jobs WHERE id = ?", (job,)).fetchone()
    connection.close()
    found: dict[str, Any] = json.loads(text)
    return found


def _end(server: RunningServer, job: str) -> dict[str, Any]:
    _until(lambda: server.json(f"/jobs/{job}")["State"] in ("Success", "Failure"))
    told: dict[str, Any] = server.json(f"/jobs/{job}")
    return told


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    return tmp_path / "near", tmp_path / "far"


def _begin(proxy: Proxy, near: RunningServer, owner: RunningServer, path: str) -> str:
    """Start a transfer that stops at the stalled bucket."""
    proxy.reset(Fault(How.STALL, is_to_target=True, offset=0, connection=_STALLED))
    wanted = [{"Level": "Patient", "ID": each} for each in owner.json("/patients")]
    body = {"Resources": wanted, "Compression": "none", "Peer": "far"}
    return str(near.json(path, body)["ID"])


@pytest.mark.slow
@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_killed_push_sends_only_the_buckets_that_are_left(tmp_path: Path, *, is_forgotten: bool) -> None:
    near_folder, far_folder = _folders(tmp_path)
    port = free_port()
    with Proxy(port) as proxy:
        peers = {"OrthancPeers": {"far": {"Url": f"http://127.0.0.1:{proxy.port}/", "Timeout": 60}}}
        near = start(near_folder, {**_OPTIONS, **peers})
        far = start(far_folder, {**_OPTIONS, "HttpPort": port})
        upload(near, *_FILES.values())
        job = _begin(proxy, near, near, "/transfers/send")
        _until(lambda: proxy.has_struck)
        done = len(proxy.counts()) - 2  # But for the announcement, and what is silent.
        assert done > _STALLED // 2
        _until(lambda: len(_state(near_folder, job).get("Sent", ())) == done)
        near.kill()
        if is_forgotten:
            assert far.request("DELETE", f"/{_state(near_folder, job)['Path']}")[0] == 200
        proxy.reset(None)
        near = start(near_folder, {**_OPTIONS, **peers})
        told = _end(near, job)
        assert told["State"] == "Success", told
        assert told["Content"]["TotalInstances"] == _INSTANCES
        assert _stored(far) == _FILES
        begun = len(proxy.counts())
        sent = sum(up for up, _ in proxy.counts())
        left = _INSTANCES if is_forgotten else _INSTANCES - done
        assert begun <= left + 6
        assert left * _SIZE < sent < (left + 6) * (_SIZE + 1_000)
        assert near.stop() == far.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("is_spoiled", [False, True])
def test_a_killed_pull_fetches_only_the_buckets_that_are_left(tmp_path: Path, *, is_spoiled: bool) -> None:
    near_folder, far_folder = _folders(tmp_path)
    port = free_port()
    with Proxy(port) as proxy:
        peers = {"OrthancPeers": {"far": {"Url": f"http://127.0.0.1:{proxy.port}/", "Timeout": 60}}}
        near = start(near_folder, {**_OPTIONS, **peers})
        far = start(far_folder, {**_OPTIONS, "HttpPort": port})
        upload(far, *_FILES.values())
        job = _begin(proxy, near, far, "/transfers/pull")

        def kept() -> list[Path]:
            return [path for path in near_folder.rglob(f"transfers/{job}/*") if path.stat().st_size]

        _until(lambda: proxy.has_struck)
        done = len(kept())
        assert done > _STALLED // 2
        near.kill()
        if is_spoiled:  # As by a power cut.
            kept()[3].write_bytes(bytes(kept()[3].stat().st_size))
        proxy.reset(None)
        near = start(near_folder, {**_OPTIONS, **peers})
        told = _end(near, job)
        assert told["State"] == "Success", told
        assert _stored(near) == _FILES
        left = _INSTANCES - done + (_INSTANCES if is_spoiled else 0)
        received = sum(down for _, down in proxy.counts())
        assert left * _SIZE < received < (left + 6) * (_SIZE + 1_000)
        assert not kept()
        assert near.stop() == far.stop() == 0


@pytest.mark.slow
def test_what_a_cancelled_pull_had_fetched_is_deleted(tmp_path: Path) -> None:
    near_folder, far_folder = _folders(tmp_path)
    port = free_port()
    with Proxy(port) as proxy:
        peers = {"OrthancPeers": {"far": {"Url": f"http://127.0.0.1:{proxy.port}/", "Timeout": 5}}}
        near = start(near_folder, {**_OPTIONS, **peers})
        far = start(far_folder, {**_OPTIONS, "HttpPort": port})
        upload(far, *_FILES.values())
        job = _begin(proxy, near, far, "/transfers/pull")

        def folders() -> list[Path]:
            return list(near_folder.rglob(f"transfers/{job}"))

        _until(lambda: len(list(near_folder.rglob(f"transfers/{job}/*"))) > 5)
        assert near.request("POST", f"/jobs/{job}/cancel", b"{}")[0] == 200
        _until(lambda: not folders())
        assert _stored(near) == {}
        assert near.stop() == far.stop() == 0

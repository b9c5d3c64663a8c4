"""Links that are cut, reset, truncated, silenced or slowed at any byte, in every way that instances travel.

Whatever happens: the job ends in time, well or with a reason; nothing that is no whole instance is ever seen; nothing
is there twice; and once the link is back, asking again brings everything. `HOUNSFIELD_CUTS=500` makes a long run of it,
and `HOUNSFIELD_SEED` another one; what was done is printed (`pytest -s`).
"""

import http.client
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests import instances
from tests.conformance.peers import upload
from tests.proxy import Fault, How, Proxy
from tests.servers import RunningServer, free_port, start

_CUTS = int(os.environ.get("HOUNSFIELD_CUTS", "16"))
_SEED = int(os.environ.get("HOUNSFIELD_SEED", "1"))
_SIZES = (20_000, 400, 90_000, 20_000, 3_000, 300_000)
_DATA_SETS = {
    str(instances.public_id(number)): instances.dataset(number, size) for number, size in enumerate(_SIZES)
}
_FILES = {
    str(instances.public_id(number)): instances.file(number, size) for number, size in enumerate(_SIZES)
}
_ENDS_WITHIN_SECONDS = 40.0
_WAITS = {
    "DicomScuTimeout": 2,
    "DicomScpTimeout": 3,
    "HttpTimeout": 3,
    "HttpRequestTimeout": 3,
    "JobsHistorySize": 10_000,
    "Transfers": {"BucketSize": 32, "PeerCommitTimeout": 15},
    "StoreAndForward": {"FirstDelay": 1, "MaximumDelay": 1},
    "DicomAlwaysAllowGet": True,
    "DicomAlwaysAllowMove": True,
}


def until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _ENDS_WITHIN_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@dataclass(slots=True)
class World:
    """`near` speaks with `far` through `dicom` and `web`; what `far` sends back by itself goes through `back`."""

    near: RunningServer
    far: RunningServer
    dicom: Proxy
    web: Proxy
    back: Proxy
    own: Proxy
    """To the HTTP door of `near`, for clients."""
    outcomes: Counter[str] = field(default_factory=Counter)

    def proxies(self) -> tuple[Proxy, ...]:
        return self.dicom, self.web, self.back, self.own


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = [free_port() for _ in range(4)]
    with Proxy(ports[3]) as dicom, Proxy(ports[2]) as web, Proxy(ports[1]) as back, Proxy(ports[0]) as own:
        folders = [tmp_path_factory.mktemp(name) for name in ("near", "far")]
        near = start(
            folders[0],
            {
                **_WAITS,
                "HttpPort": ports[0],
                "DicomPort": ports[1],
                "DicomAet": "NEAR",
                "DicomModalities": {
                    "far": ["FAR", "127.0.0.1", dicom.port],
                    "wide": {"AET": "FAR", "Host": "127.0.0.1", "Port": dicom.port, "StoreAssociations": 3},
                },
                "OrthancPeers": {"far": {"Url": f"http://127.0.0.1:{web.port}/", "Timeout": 3}},
            },
        )
        far = start(
            folders[1],
            {
                **_WAITS,
                "HttpPort": ports[2],
                "DicomPort": ports[3],
                "DicomAet": "FAR",
                "DicomModalities": {"near": ["NEAR", "127.0.0.1", back.port]},
            },
        )
        made = World(near, far, dicom, web, back, own)
        yield made
        sys.stdout.write(json.dumps(made.outcomes, indent=1, sort_keys=True) + "\n")
        assert near.stop() == 0
        assert far.stop() == 0
        for folder in folders:
            log = (folder / "log").read_text()
            assert "Traceback" not in log, log


def resources(server: RunningServer) -> list[str]:
    found: list[str] = server.json("/patients")
    return found


def job(server: RunningServer, path: str, body: dict[str, object]) -> str:
    """Submit; the id of the job."""
    return str(server.json(path, {**body, "Asynchronous": True})["ID"])


def ended(server: RunningServer, job_id: str) -> bool:
    """Wait for the end of a job, which is well, or with a reason; which of them it was."""
    until(lambda: server.json(f"/jobs/{job_id}")["State"] in ("Success", "Failure"), "a job hangs")
    told: dict[str, Any] = server.json(f"/jobs/{job_id}")
    if told["State"] == "Failure":
        assert told["ErrorCode"] != 0, told
        assert told["ErrorDescription"] or told["ErrorDetails"], told
        sys.stdout.write(f"  {told['ErrorDescription']}: {told['ErrorDetails']}\n")
    failed = told["Content"].get("FailedInstancesCount", 0)
    return (
        told["State"] == "Success"
        and not failed
        and told["Content"].get("DimseErrorStatus", 0) in (0, 0xFF00)
    )


_WANTED = [{"PatientID": "P0"}]


def store(world: World) -> bool:
    body: dict[str, object] = {"Resources": resources(world.near)}
    return ended(world.near, job(world.near, "/modalities/far/store", body))


def store_wide(world: World) -> bool:
    """On three associations."""
    body: dict[str, object] = {"Resources": resources(world.near)}
    return ended(world.near, job(world.near, "/modalities/wide/store", body))


def get(world: World) -> bool:
    body: dict[str, object] = {"Level": "Patient", "Resources": _WANTED}
    return ended(world.near, job(world.near, "/modalities/far/get", body))


def move(world: World) -> bool:
    body: dict[str, object] = {"Level": "Patient", "Resources": _WANTED, "TargetAet": "NEAR"}
    return ended(world.near, job(world.near, "/modalities/far/move", body))


def post(world: World) -> bool:
    body: dict[str, object] = {"Resources": resources(world.near), "Compress": True}
    return ended(world.near, job(world.near, "/peers/far/store", body))


def _transfer(server: RunningServer, owner: RunningServer, path: str, compression: str) -> bool:
    wanted = [{"Level": "Patient", "ID": each} for each in resources(owner)]
    body = {"Resources": wanted, "Compression": compression, "Peer": "far"}
    return ended(server, server.json(path, body)["ID"])


def push(world: World) -> bool:
    return _transfer(world.near, world.near, "/transfers/send", "none")


def pull(world: World) -> bool:
    return _transfer(world.near, world.far, "/transfers/pull", "gzip")


def queue(world: World) -> bool:
    """Through the queue: it always arrives, without anybody asking again."""
    body = {"Resources": resources(world.near), "StoreAndForward": True}
    world.near.json("/modalities/far/store", body)
    path = "/forwarding/modalities/far"
    until(lambda: (told := world.near.json(path))["Waiting"] + told["Failed"] == 0, "the queue hangs")
    return True


def queue_peer(world: World) -> bool:
    body = {"Resources": resources(world.near), "StoreAndForward": True}
    world.near.json("/peers/far/store", body)
    path = "/forwarding/peers/far"
    until(lambda: (told := world.near.json(path))["Waiting"] + told["Failed"] == 0, "the queue hangs")
    return True


def _header(answer: http.client.HTTPResponse, name: str) -> str:
    """A header of an answer. KeyError without it, as where headers are cut off, which `http.client` does not notice."""
    value = answer.headers[name]
    if value is None:
        raise KeyError(name)
    return str(value)


def tus(world: World) -> bool:
    """A client that uploads through the proxy, and after a cut asks how far it came and goes on."""
    headers = {"Tus-Resumable": "1.0.0"}
    bodies = list(_FILES.values())
    for body in bodies:
        path = ""
        offset, tries = 0, 0
        while offset < len(body) or not path:
            tries += 1
            assert tries < 10
            connection = http.client.HTTPConnection("127.0.0.1", world.own.port, timeout=5)
            try:
                if not path:
                    connection.request("POST", "/uploads", None, {**headers, "Upload-Length": str(len(body))})
                    answer = connection.getresponse()
                    answer.read()
                    path = "/" + _header(answer, "Location")
                connection.request("HEAD", path, None, headers)
                answer = connection.getresponse()
                answer.read()
                offset = int(_header(answer, "Upload-Offset"))
                if offset == len(body):
                    break
                sent = {
                    **headers,
                    "Upload-Offset": str(offset),
                    "Content-Type": "application/offset+octet-stream",
                }
                connection.request("PATCH", path, body[offset:], sent)
                answer = connection.getresponse()
                answer.read()
                offset = int(answer.headers.get("Upload-Offset", "0"))
            except (OSError, http.client.HTTPException, KeyError):
                continue
            finally:
                connection.close()
        until(lambda path=path: world.near.json(path)["State"] in ("Success", "Failure"), "an upload hangs")  # type: ignore[misc]
        assert world.near.json(path)["State"] == "Success"
    return True


@dataclass(frozen=True, slots=True)
class Way:
    """One way: what does it, where its bytes go through, and whether `near` sends or receives."""

    go: Callable[[World], bool]
    proxy: str
    is_near_source: bool
    always_arrives: bool = False


_WAYS = {
    "C-STORE": Way(store, "dicom", True),
    "C-STORE on several associations": Way(store_wide, "dicom", True),
    "C-GET": Way(get, "dicom", False),
    "C-MOVE, the request": Way(move, "dicom", False),
    "C-MOVE, the instances": Way(move, "back", False),
    "peer": Way(post, "web", True),
    "push": Way(push, "web", True),
    "pull": Way(pull, "web", False),
    "queue to a modality": Way(queue, "dicom", True, always_arrives=True),
    "queue to a peer": Way(queue_peer, "web", True, always_arrives=True),
    "resumable upload": Way(tus, "own", False, always_arrives=True),
}


def _empty(server: RunningServer) -> None:
    for public_id in server.json("/patients"):
        assert server.request("DELETE", f"/patients/{public_id}")[0] == 200


def _check_whole(server: RunningServer, *, is_complete: bool, is_exact: bool) -> None:
    """Whatever is there is whole, and there once; and everything is there if it should be."""
    found: list[str] = []

    def is_quiet() -> bool:
        """What came in before the cut may still be on its way into the archive."""
        found[:] = server.json("/instances")
        return len(found) == int(server.json("/statistics")["CountInstances"])

    until(is_quiet, "the archive does not agree with itself")
    assert len(found) == len(set(found))
    assert set(found) <= set(_FILES)
    if is_complete:
        assert set(found) == set(_FILES)
    for public_id in found:
        data = server.request("GET", f"/instances/{public_id}/file")[1]
        assert data == _FILES[public_id] if is_exact else data.endswith(_DATA_SETS[public_id])


@pytest.mark.slow
@pytest.mark.timeout(300 + 30 * _CUTS)
@pytest.mark.parametrize("name", _WAYS)
def test_a_link_that_breaks_anywhere_loses_and_doubles_nothing(world: World, name: str) -> None:
    way, chance = _WAYS[name], random.Random(f"{_SEED} {name}")
    source, sink = (world.near, world.far) if way.is_near_source else (world.far, world.near)
    proxy: Proxy = getattr(world, way.proxy)
    is_exact = "C-" not in name and "modality" not in name
    _empty(world.near)
    _empty(world.far)
    if way.go is not tus:
        upload(source, *_FILES.values())
    for each in world.proxies():
        each.reset(None)
    assert way.go(world)
    sizes = proxy.counts()
    assert sizes
    _check_whole(sink, is_complete=True, is_exact=is_exact)
    for _ in range(max(1, _CUTS // len(_WAYS))):
        fault = _fault(chance, sizes)
        _empty(sink)
        proxy.reset(fault)
        sys.stdout.write(f"{name}: {fault}\n")
        began = time.monotonic()
        has_arrived = way.go(world)
        seconds = time.monotonic() - began
        outcome = "arrived" if has_arrived else "failed clearly"
        struck = "" if proxy.has_struck else ", not reached"
        world.outcomes[f"{name}: {fault.how.name.lower()}: {outcome}{struck}"] += 1
        world.outcomes["longest, in s"] = max(world.outcomes["longest, in s"], round(seconds))
        _check_whole(sink, is_complete=has_arrived, is_exact=is_exact)
        assert has_arrived or not way.always_arrives
        assert has_arrived or proxy.has_struck, fault
        if not has_arrived:
            proxy.reset(None)
            assert way.go(world), fault
        _check_whole(sink, is_complete=True, is_exact=is_exact)
    world.outcomes["cuts"] += max(1, _CUTS // len(_WAYS))


def _fault(chance: random.Random, sizes: list[tuple[int, int]]) -> Fault:
    """Any byte of any connection of a run that went well."""
    connection = chance.randrange(len(sizes))
    is_to_target = chance.random() < 0.5
    total = sizes[connection][0 if is_to_target else 1]
    # Beginnings and ends are where protocols say something: they are chosen more often than by chance.
    offset = chance.choice(
        (
            chance.randrange(total + 1),
            chance.randrange(min(total, 300) + 1),
            max(total - chance.randrange(300), 0),
        )
    )
    return Fault(chance.choice(list(How)), is_to_target, offset, connection)

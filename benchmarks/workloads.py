"""What is asked of a server, and how long it takes: one function a workload."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.servers import ADDRESS, AE_TITLE, Server

REQUESTS = Path(__file__).with_name("requests.lua")
_QUIET_SECONDS, _PATIENCE_SECONDS = 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `value` is in `unit`; `cpu_ms` is of the server, for each instance or request."""

    workload: str
    unit: str
    server: str
    value: float
    cpu_ms: float | None = None
    p99_ms: float | None = None


class MissingTool(Exception):
    """A program that a workload needs is not installed."""


def find_storescu() -> str:
    """DCMTK's `storescu`; pynetdicom puts one of the same name beside Python."""
    folders = [folder for folder in os.get_exec_path() if Path(folder) != Path(sys.executable).parent]
    return _find("storescu", os.pathsep.join(folders))


def find_wrk() -> str:
    """The HTTP client `wrk`."""
    return _find("wrk", None)


def _find(name: str, folders: str | None) -> str:
    found = shutil.which(name, path=folders)
    if found is None:
        raise MissingTool(f"{name} is not installed")
    return found


def store(server: Server, files: Sequence[Path], associations: int, environ: Mapping[str, str]) -> None:
    """Send files by C-STORE, each association with its share of them at the same time as the others."""
    start = [find_storescu(), "-q", "-aec", AE_TITLE, ADDRESS, str(server.dicom_port)]
    senders = [
        subprocess.Popen([*start, *map(str, files[number::associations])], env=dict(environ))
        for number in range(associations)
    ]
    statuses = [sender.wait() for sender in senders]
    if any(statuses):
        raise RuntimeError(f"storescu could not send everything to {server.kind.name}")


def post(server: Server, files: Sequence[Path], connections: int) -> None:
    """Upload files by `POST /instances`, over so many connections that are kept open."""
    with ThreadPoolExecutor(connections) as pool:
        shares = [files[number::connections] for number in range(connections)]
        list(pool.map(lambda share: _post_all(server, share), shares))


def _post_all(server: Server, files: Sequence[Path]) -> None:
    connection = http.client.HTTPConnection(ADDRESS, server.http_port, timeout=60)
    try:
        for file in files:
            connection.request("POST", "/instances", file.read_bytes())
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or json.loads(body)["Status"] != "Success":
                raise RuntimeError(f"{server.kind.name} answered {response.status} to POST /instances")
    finally:
        connection.close()


def measure_ingest(server: Server, name: str, count: int, work: Callable[[], None]) -> list[Sample]:
    """How fast `count` instances come in, and the memory afterwards; checks that all of them are there.

    The processor time includes what a server leaves for later, until it is quiet.
    """
    os.sync()
    cpu, began = server.cpu_seconds(), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    wait_until_quiet(server)
    cpu_ms = (server.cpu_seconds() - cpu) * 1e3 / count
    found = server.instance_count()
    if found != count:
        raise RuntimeError(f"{server.kind.name} has {found} instances of {count} after {name}")
    return [
        Sample(name, "/s", server.kind.name, count / seconds, cpu_ms),
        Sample(f"memory after {name}", "MB", server.kind.name, server.resident_mb()),
    ]


def wait_until_quiet(server: Server) -> None:
    """Wait until a server does nothing any more, at most half a minute."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    busy = -1.0
    while time.monotonic() < deadline and server.cpu_seconds() - busy > 0.03:
        busy = server.cpu_seconds()
        time.sleep(_QUIET_SECONDS)


def measure_get(server: Server, name: str, paths: Sequence[str], connections: int, seconds: int) -> Sample:
    """How many requests a second `wrk` gets answered, over connections that are kept open."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(paths) + "\n")
        listed.flush()
        threads = str(min(connections, 2))
        command = [find_wrk(), "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s"]
        url = f"http://{ADDRESS}:{server.http_port}"
        cpu = server.cpu_seconds()
        done = subprocess.run(
            [*command, "-s", str(REQUESTS), url, "--", listed.name],
            capture_output=True,
            text=True,
            check=True,
        )
        cpu_ms = (server.cpu_seconds() - cpu) * 1e3
    result: dict[str, Any] = json.loads(done.stdout.rpartition("JSON ")[2])
    if result["failed"] or not result["requests"]:
        raise RuntimeError(f"{server.kind.name} failed {result['failed']} requests of {name}")
    requests = result["requests"]
    rate = requests / result["seconds"]
    return Sample(name, "/s", server.kind.name, rate, cpu_ms / requests, result["p99_ms"])


def measure_once(server: Server, name: str, paths: Sequence[str]) -> Sample:
    """How many requests a second are answered if each path is asked for once: no server has the answers at hand.

    A client in Python takes longer than the servers do: compare the processor time.
    """
    cpu, began = server.cpu_seconds(), time.perf_counter()
    connection = http.client.HTTPConnection(ADDRESS, server.http_port, timeout=60)
    try:
        for path in paths:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{server.kind.name} answered {response.status} to GET {path}")
    finally:
        connection.close()
    seconds = time.perf_counter() - began
    cpu_ms = (server.cpu_seconds() - cpu) * 1e3
    return Sample(name, "/s", server.kind.name, len(paths) / seconds, cpu_ms / len(paths))


_SMALLEST = 20_000  # Bytes of a slice in an archive, however it was compressed: none was left out.


def measure_archive(server: Server, name: str, study: str, instances: int, query: str = "") -> list[Sample]:
    """How many instances a second come in the archive of a study, and its size; `wrk` is for short answers."""
    cpu, began = server.cpu_seconds(), time.perf_counter()
    connection = http.client.HTTPConnection(ADDRESS, server.http_port, timeout=300)
    try:
        connection.request("GET", f"/studies/{study}/archive{query}")
        response = connection.getresponse()
        is_zip = response.status == 200 and response.read(2) == b"PK"
        size = 2
        while piece := response.read(1 << 20):
            size += len(piece)
    finally:
        connection.close()
    seconds = time.perf_counter() - began
    if not is_zip or size < instances * _SMALLEST:
        raise RuntimeError(f"{server.kind.name} answered {response.status} to {name}")
    cpu_ms = (server.cpu_seconds() - cpu) * 1e3
    return [
        Sample(name, "/s", server.kind.name, instances / seconds, cpu_ms / instances),
        Sample("size of this archive", "MB", server.kind.name, size / (1 << 20)),
    ]


def measure_change(
    server: Server, name: str, path: str, body: Mapping[str, object], instances: int
) -> Sample:
    """How many instances a second a job makes of a study, until it answers; what it made is deleted again."""
    wait_until_quiet(server)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    made = _ask(server, "POST", path, json.dumps(body).encode())
    seconds = time.perf_counter() - began
    cpu_ms = (server.cpu_seconds() - cpu) * 1e3
    if json.loads(made)["InstancesCount"] != instances or json.loads(made)["FailedInstancesCount"]:
        raise RuntimeError(f"{server.kind.name} did not change all of {instances} instances")
    _ask(server, "DELETE", json.loads(made)["Path"], b"")
    return Sample(name, "/s", server.kind.name, instances / seconds, cpu_ms / instances)


def _ask(server: Server, method: str, path: str, body: bytes) -> bytes:
    connection = http.client.HTTPConnection(ADDRESS, server.http_port, timeout=300)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{server.kind.name} answered {response.status} to {method} {path}")
    return answer

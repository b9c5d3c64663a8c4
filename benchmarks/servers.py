"""Start servers with the same configuration, and see from outside what they use."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADDRESS = "127.0.0.1"
AE_TITLE = "ORTHANC"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.002
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Kind:
    """A server that can be started: by `command` and the path of its configuration."""

    name: str
    command: Sequence[str]


HOUNSFIELD = Kind("Hounsfield", (sys.executable, "-m", "hounsfield"))


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    kind: Kind
    pid: int
    http_port: int
    dicom_port: int
    start_seconds: float
    """From its execution to its first answer to `GET /system`."""

    def cpu_seconds(self) -> float:
        """User and system time of its threads and processes so far, to the tick (usually 10 ms)."""
        ticks = 0
        for pid in self._processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS

    def resident_mb(self) -> float:
        """The resident memory of its processes, in MiB, with the pages of files that they have mapped."""
        return (
            sum(
                int(line.split()[1])
                for pid in self._processes()
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("VmRSS:")
            )
            / 1024
        )

    def _processes(self) -> list[int]:
        """The server, and those it started."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError):  # A thread that has just ended.
                    found += map(int, (task / "children").read_text().split())
        return found

    def get_json(self, path: str) -> Any:
        """The answer to a GET."""
        connection = http.client.HTTPConnection(ADDRESS, self.http_port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{self.kind.name} answered {response.status} to GET {path}")
        return json.loads(body)

    def instance_count(self) -> int:
        """How many instances it says it has."""
        return int(self.get_json("/statistics")["CountInstances"])


def environment(*, nagle: bool) -> dict[str, str]:
    """What servers and clients are started with.

    DCMTK's network code, which Orthanc has in it, leaves Nagle's algorithm on in Debian's builds unless TCP_NODELAY
    says otherwise; small messages then wait for delayed acknowledgements.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return inherited if nagle else {**inherited, "TCP_NODELAY": "1"}


@contextmanager
def running(
    kind: Kind, folder: Path, environ: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[Server]:
    """A server that runs as long as the block, with its archive in `folder`, which is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = _free_ports(2)
    configuration = {**_configuration(folder, http_port, dicom_port), **options}
    path = folder / "configuration.json"
    path.write_text(json.dumps(configuration, indent=2))
    log = folder / "log.txt"
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*kind.command, str(path)],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_ready(kind, process, http_port, log)
        seconds = time.perf_counter() - began
        yield Server(kind, process.pid, http_port, dicom_port, seconds)
    finally:
        _stop(process)


@contextmanager
def fresh(
    kind: Kind, folder: Path, environ: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[Server]:
    """The same, with an archive that is empty, and removed afterwards."""
    try:
        with running(kind, folder, environ, options) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configuration(folder: Path, http_port: int, dicom_port: int) -> dict[str, Any]:
    """What all servers are told; whatever is not here is left as each of them ships it."""
    return {
        "Name": "Benchmark",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": AE_TITLE,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server((ADDRESS, 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _wait_until_ready(kind: Kind, process: subprocess.Popen[bytes], http_port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(ADDRESS, http_port, timeout=5)
        try:
            connection.request("GET", "/system")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(_POLL_SECONDS)
        finally:
            connection.close()
    ending = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{kind.name} did not start; the end of its log:\n{ending}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Many associations at once, of good and bad clients: every good one succeeds, and the REST interface stays quick.

40 clients for 10 seconds in every run of the tests. `HOUNSFIELD_CROWD_SECONDS=600 HOUNSFIELD_CROWD_CLIENTS=200` is the
soak run; it prints its figures (`pytest -s`), and there the limits of the time to answer and of memory count.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import instances
from tests.conformance.peers import upload
from tests.servers import RunningServer, running

_SECONDS = int(os.environ.get("HOUNSFIELD_CROWD_SECONDS", "10"))
_CLIENTS = int(os.environ.get("HOUNSFIELD_CROWD_CLIENTS", "40"))
_IS_SOAK = _SECONDS >= 120
_PROBES = (
    "/system",
    "/statistics",
    "/studies?limit=10&since=0&expand",
    "/changes?limit=20",
    "{one}/simplified-tags",
)
_GROWTH = 1.15
_SLACK_MIB = 24


@dataclass(slots=True)
class _Watch:
    """What is measured meanwhile: milliseconds of each answer, MiB of the server."""

    answers_ms: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        found = sorted(self.answers_ms)
        return found[min(int(len(found) * share), len(found) - 1)]


def _resident_mib(server: RunningServer) -> float:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError


def _watch(server: RunningServer, crowd: subprocess.Popen[bytes]) -> _Watch:
    """Ask again and again until the crowd has gone, each time something else."""
    watch, began, sampled = _Watch(), time.monotonic(), 0.0
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    number = 0
    while crowd.poll() is None:
        path = _PROBES[number % len(_PROBES)].format(one=f"/instances/{instances.public_id(0)}")
        number += 1
        asked = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        watch.answers_ms.append((time.perf_counter() - asked) * 1000)
        assert answer.status == 200, path
        if time.monotonic() - sampled > max(1.0, _SECONDS / 60):
            sampled = time.monotonic()
            watch.resident_mib.append(_resident_mib(server))
            watch.loads.append(os.getloadavg()[0])
        time.sleep(0.05)  # The pace of the questions, not a wait for anything.
        assert time.monotonic() - began < _SECONDS + 150, "the clients do not come to an end"
    connection.close()
    return watch


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path, {"DicomScpTimeout": 30, "DicomAlwaysAllowFind": True}) as started:
        upload(started, *(instances.file(number) for number in range(200)))
        yield started


@pytest.mark.slow
@pytest.mark.timeout(300 + _SECONDS)
def test_good_clients_succeed_among_bad_ones_and_rest_stays_quick(
    server: RunningServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.crowd"]
    arguments = [str(each) for each in (server.dicom_port, _SECONDS, _CLIENTS, 1)]
    with (tmp_path / "crowd.json").open("wb") as output:
        crowd = subprocess.Popen(
            ["nice", "-n", "10", *command, *arguments], stdout=output, cwd=Path(__file__).parents[2]
        )
        watch = _watch(server, crowd)
    assert crowd.returncode == 0
    told: dict[str, Any] = json.loads((tmp_path / "crowd.json").read_text())
    stored = told.pop("stored")
    _report(told, watch, len(stored))
    assert told["failures"] == 0, told["examples"]
    assert server.json("/statistics")["CountInstances"] >= len(stored) + 200
    for number in stored[:: max(1, len(stored) // 200)]:
        assert server.request("GET", f"/instances/{instances.public_id(number)}/file")[0] == 200
    names = ("slow C-STORE", "fast C-STORE", "C-ECHO", "C-FIND", "aborted", "garbage")
    assert all(told["done"].get(name) for name in names), told["done"]
    errors = [line for line in server.log.read_text().splitlines() if "Traceback" in line]
    assert errors == []
    if _IS_SOAK:
        third = len(watch.resident_mib) // 3
        early, late = statistics.mean(watch.resident_mib[third : 2 * third]), watch.resident_mib[-third:]
        assert statistics.mean(late) < early * _GROWTH + _SLACK_MIB, watch.resident_mib
        assert watch.percentile(0.99) < 100


def _report(told: dict[str, Any], watch: _Watch, stored: int) -> None:
    shown = {
        **told,
        "stored": stored,
        "REST requests": len(watch.answers_ms),
        "REST ms": {f"p{share}": round(watch.percentile(share / 100), 1) for share in (50, 90, 99, 99.9)},
        "REST slowest ms": round(max(watch.answers_ms), 1),
        "MiB": [round(each) for each in watch.resident_mib],
        "load average": [round(min(watch.loads), 1), round(max(watch.loads), 1)],
    }
    sys.stdout.write(json.dumps(shown, indent=1) + "\n")

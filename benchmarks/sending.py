"""Measure what goes out by DICOM, beside Orthanc: C-GET, C-MOVE, and C-STORE to DCMTK's storescp.

The clients are processes of DCMTK whose own time counts. How much that is shows the `floor`: getscu against a program
that repeats, byte for byte and without thinking, what Hounsfield said to it before.
"""

import argparse
import http.client
import json
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.servers import ADDRESS, AE_TITLE, HOUNSFIELD, Kind, Server, environment, fresh
from benchmarks.slices import write_slices
from benchmarks.workloads import store, wait_until_quiet

BESIDE = Path("/usr/sbin/Orthanc")
WHOLE_STUDY = ("-k", "QueryRetrieveLevel=STUDY")


@dataclass(slots=True)
class Rounds:
    """What was measured of one server: instances a second, and processor milliseconds an instance."""

    rates: list[float] = field(default_factory=list)
    server_ms: list[float] = field(default_factory=list)
    client_ms: list[float] = field(default_factory=list)


Work = Callable[[Server], int]
"""Does it once; how many instances went out."""


def measure(server: Server, work: Work, rounds: Rounds) -> None:
    cpu, children, began = server.cpu_seconds(), _children_seconds(), time.perf_counter()
    count = work(server)
    seconds = time.perf_counter() - began
    rounds.rates.append(count / seconds)
    rounds.server_ms.append((server.cpu_seconds() - cpu) * 1000 / count)
    rounds.client_ms.append((_children_seconds() - children) * 1000 / count)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def getscu(environ: Mapping[str, str], folder: Path, port: int, study_uid: str) -> int:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = ["/usr/bin/getscu", "-S", "-aec", AE_TITLE, "-od", output, *WHOLE_STUDY]
        command += ["-k", f"StudyInstanceUID={study_uid}", ADDRESS, str(port)]
        subprocess.run(command, env=dict(environ), check=True, capture_output=True)
        return sum(1 for _ in Path(output).iterdir())


def movescu(environ: Mapping[str, str], folder: Path, port: int, study_uid: str, sink: int) -> int:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = ["/usr/bin/movescu", "-S", "-aet", "MOVESCU", "-aem", "MOVESCU", "-aec", AE_TITLE]
        command += ["+P", str(sink), "-od", output, *WHOLE_STUDY]
        command += ["-k", f"StudyInstanceUID={study_uid}", ADDRESS, str(port)]
        subprocess.run(command, env=dict(environ), check=True, capture_output=True)
        return sum(1 for _ in Path(output).iterdir())


@contextmanager
def storescp(environ: Mapping[str, str], folder: Path, *options: str) -> Iterator[int]:
    """DCMTK's storescp while the block lasts; its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = ["/usr/bin/storescp", "-od", output, *options, "-aet", "SINK", str(port)]
        process = subprocess.Popen(
            command, env=dict(environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def send(server: Server, sink: int, **options: object) -> int:
    """All studies, by one job that is waited for."""
    define = {"AET": "SINK", "Host": ADDRESS, "Port": sink, **options}
    request(server, "PUT", "/modalities/sink", define)
    body = {"Resources": server.get_json("/studies"), "Synchronous": True}
    return int(json.loads(request(server, "POST", "/modalities/sink/store", body))["InstancesCount"])


def request(server: Server, method: str, path: str, body: object) -> bytes:
    connection = http.client.HTTPConnection(ADDRESS, server.http_port, timeout=600)
    try:
        connection.request(method, path, json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{server.kind.name}: {method} {path}: {answer.status} {content[:300]!r}")
    return content


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((ADDRESS, port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Replay:
    """What a server said in one conversation, said again to whoever connects.

    `turns` are how many bytes came from the client before, and what the server then said.
    """

    def __init__(self) -> None:
        self.turns: list[tuple[int, bytes]] = []
        self._listener = socket.create_server((ADDRESS, 0))
        self.port: int = self._listener.getsockname()[1]

    def record(self, server_port: int) -> threading.Thread:
        """Listen to the next conversation, with the server behind that port."""
        thread = threading.Thread(target=self._pass_on, args=(server_port,), daemon=True)
        thread.start()
        return thread

    def play(self) -> threading.Thread:
        """Have the next conversation alone."""
        thread = threading.Thread(target=self._play, daemon=True)
        thread.start()
        return thread

    def _pass_on(self, server_port: int) -> None:
        client = self._listener.accept()[0]
        server = socket.create_connection((ADDRESS, server_port))
        heard, said = 0, bytearray()
        with client, server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 20)
                    if not data:
                        self.turns.append((heard, bytes(said)))
                        return
                    if ready is server:
                        client.sendall(data)
                        said += data
                        continue
                    if said:
                        self.turns.append((heard, bytes(said)))
                        heard, said = 0, bytearray()
                    server.sendall(data)
                    heard += len(data)

    def _play(self) -> None:
        client = self._listener.accept()[0]
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client:
            for heard, said in self.turns:
                while heard > 0:
                    data = client.recv(min(heard, 1 << 16))
                    if not data:
                        return
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                    heard -= len(data)
                client.sendall(said)


def floor(environ: Mapping[str, str], folder: Path, server: Server, study_uid: str, repeat: int) -> Rounds:
    """What getscu reaches when nobody thinks on the other side."""
    replay = Replay()
    recording = replay.record(server.dicom_port)
    getscu(environ, folder, replay.port, study_uid)
    recording.join()
    rounds = Rounds()
    for _ in range(repeat):
        playing, children, began = replay.play(), _children_seconds(), time.perf_counter()
        count = getscu(environ, folder, replay.port, study_uid)
        rounds.rates.append(count / (time.perf_counter() - began))
        rounds.client_ms.append((_children_seconds() - children) * 1000 / count)
        playing.join()
    return rounds


def table(name: str, measured: Mapping[str, Rounds]) -> None:
    for server, rounds in measured.items():
        ordered = sorted(rounds.rates)
        row = [name, server, *(f"{x:.0f}" for x in (ordered[0], statistics.median(ordered), ordered[-1]))]
        used = (rounds.server_ms, rounds.client_ms)
        row += [f"{statistics.median(values):.2f}" if values else "" for values in used]
        print("| " + " | ".join(row) + " |", flush=True)
    medians = [statistics.median(rounds.rates) for rounds in measured.values()]
    if len(medians) > 1:
        print(f"{name}: {medians[0] / medians[1]:.2f} times the second server's rate (medians)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--slices", type=int, default=1000, help="CT slices of 0.5 MB; a tenth of them is a study"
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where archives and what clients receive are put")
    parser.add_argument("--only", default="get,move,ignore,write,floor")
    parser.add_argument(
        "--nagle", action="store_true", help="leave Nagle's algorithm as each program is shipped"
    )
    arguments = parser.parse_args()
    kinds = [HOUNSFIELD, *([Kind("Orthanc", (str(BESIDE),))] if BESIDE.exists() else [])]
    environ = environment(nagle=arguments.nagle)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        slices = write_slices(folder / "slices", arguments.slices)
        sink = free_port()
        options = {
            "DicomAlwaysAllowMove": True,
            "DicomAlwaysAllowGet": True,
            "DicomModalities": {"movescu": ["MOVESCU", ADDRESS, sink]},
        }
        servers = [stack.enter_context(fresh(kind, folder / kind.name, environ, options)) for kind in kinds]
        for server in servers:
            store(server, slices, 1, environ)
            wait_until_quiet(server)
        shutil.rmtree(folder / "slices")
        study = servers[0].get_json("/studies")[0]
        uid = servers[0].get_json(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"]
        print("| what | server | min /s | median /s | max /s | server CPU ms | client CPU ms |")
        _run_all(arguments, environ, folder, servers, uid, sink)


def _run_all(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    folder: Path,
    servers: Sequence[Server],
    uid: str,
    sink: int,
) -> None:
    wanted = arguments.only.split(",")
    works: dict[str, Work] = {
        "get": lambda server: getscu(environ, folder, server.dicom_port, uid),
        "move": lambda server: movescu(environ, folder, server.dicom_port, uid, sink),
    }
    for name, work in works.items():
        if name in wanted:
            table(name, _in_turns(servers, work, arguments.repeat))
    for name, flags in (("ignore", ("--ignore",)), ("write", ())):
        if name in wanted:
            with storescp(environ, folder, *flags) as port:
                measured = _in_turns(servers, lambda server, port=port: send(server, port), arguments.repeat)
            table(f"storescp {name}", measured)
    if "floor" in wanted:
        rounds = floor(environ, folder, servers[0], uid, arguments.repeat)
        table("get", {"floor": rounds})


def _in_turns(servers: Sequence[Server], work: Work, repeat: int) -> dict[str, Rounds]:
    measured = {server.kind.name: Rounds() for server in servers}
    for _ in range(repeat):
        for server in servers:
            measure(server, work, measured[server.kind.name])
    return measured


if __name__ == "__main__":
    main()

"""Measure what several associations, and several requests on each, are worth when the modality is far away.

Two servers of ours, and between them a proxy that delays every byte in both directions.
"""

import argparse
import json
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sending import request
from benchmarks.servers import ADDRESS, HOUNSFIELD, environment, fresh
from benchmarks.slices import write_slices
from benchmarks.workloads import store, wait_until_quiet


@dataclass(slots=True)
class Direction:
    """Bytes on their way from one socket to another, and when they are to arrive."""

    source: socket.socket
    target: socket.socket
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)


class FarAway:
    """Passes on to a port of this machine, each way `seconds` later."""

    def __init__(self, target_port: int, seconds: float) -> None:
        self._target_port, self._seconds = target_port, seconds
        self._listener = socket.create_server((ADDRESS, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client = self._listener.accept()[0]
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.create_connection((ADDRESS, self._target_port))
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, server, selectors.DefaultSelector() as selector:
            ways = [Direction(client, server), Direction(server, client)]
            for way in ways:
                selector.register(way.source, selectors.EVENT_READ, way)
            while selector.get_map() or any(way.waiting for way in ways):
                due = min((way.waiting[0][0] for way in ways if way.waiting), default=None)
                for key, _ in selector.select(None if due is None else max(due - time.monotonic(), 0)):
                    data = key.data.source.recv(1 << 20)
                    key.data.waiting.append((time.monotonic() + self._seconds, data))
                    if not data:
                        selector.unregister(key.data.source)
                self._deliver(ways)

    def _deliver(self, ways: list[Direction]) -> None:
        for way in ways:
            while way.waiting and way.waiting[0][0] <= time.monotonic():
                data = way.waiting.popleft()[1]
                if data:
                    way.target.sendall(data)
                else:
                    with suppress(OSError):  # The other end has gone too.
                        way.target.shutdown(socket.SHUT_WR)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=200, help="CT slices of 0.5 MB")
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[0, 5, 20], help="each way")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    environ = environment(nagle=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        slices = write_slices(folder / "slices", arguments.slices)
        print("| each way, ms | window | associations | instances/s |")
        for window in (1, 8):
            options = {"DicomAsynchronousWindow": window}
            with (
                fresh(HOUNSFIELD, folder / "near", environ, options) as near,
                fresh(HOUNSFIELD, folder / "far", environ, options) as far,
            ):
                store(near, slices, 1, environ)
                wait_until_quiet(near)
                for milliseconds in arguments.milliseconds:
                    between = FarAway(far.dicom_port, milliseconds / 1000)
                    for count in (1, 2, 4, 8):
                        define = {
                            "AET": "ANY",
                            "Host": ADDRESS,
                            "Port": between.port,
                            "StoreAssociations": count,
                        }
                        request(near, "PUT", "/modalities/far", define)
                        body = {"Resources": near.get_json("/studies"), "Synchronous": True}
                        began = time.perf_counter()
                        sent = json.loads(request(near, "POST", "/modalities/far/store", body))
                        seconds = time.perf_counter() - began
                        arrived = far.get_json("/statistics")["CountInstances"]
                        if arrived != arguments.slices or sent["FailedInstancesCount"]:
                            raise RuntimeError(f"{arrived} of {arguments.slices} arrived")
                        rate = arguments.slices / seconds
                        print(f"| {milliseconds:g} | {window} | {count} | {rate:.0f} |", flush=True)
                        for patient in far.get_json("/patients"):
                            request(far, "DELETE", f"/patients/{patient}", None)


if __name__ == "__main__":
    main()

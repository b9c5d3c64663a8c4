"""Starting, filling and killing real servers."""

import atexit
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PATIENCE_SECONDS = 60
# An installed server need not be compiled when it starts, which would take half of the time.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


_alive: set[subprocess.Popen[bytes]] = set()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class RunningServer:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    http_port: int
    dicom_port: int
    log: Path
    tls: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        """A new connection, by HTTP or HTTPS."""
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=_PATIENCE_SECONDS)
        return http.client.HTTPSConnection(
            "127.0.0.1", self.http_port, timeout=_PATIENCE_SECONDS, context=self.tls
        )

    def json(self, path: str, question: object = None) -> Any:
        """What a GET answers, or a POST of `question`."""
        body = None if question is None else json.dumps(question).encode()
        status, answer = self.request("GET" if body is None else "POST", path, body)
        assert status == 200, (path, status, answer[:300])
        return json.loads(answer)

    def kill(self) -> None:
        """SIGKILL, to the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.process.wait(_PATIENCE_SECONDS)


def start(
    folder: Path,
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    storage: str = "storage",
    tls: ssl.SSLContext | None = None,
) -> RunningServer:
    """Start a server on `folder`/`storage`, and wait until it answers; `tls` is how to speak to it.

    Its ports are free ones, unless they are among the options.
    """
    given = options or {}
    http_port, dicom_port = (int(str(given.get(name, free_port()))) for name in ("HttpPort", "DicomPort"))
    configuration = folder / "hounsfield.json"
    chosen = {
        "StorageDirectory": storage,
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "HOUNSFIELD",
        **given,
    }
    configuration.write_text(json.dumps(chosen))
    log = folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hounsfield", "serve", str(configuration)],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**_ENVIRONMENT, **(environment or {})},
        )
    _alive.add(process)
    server = RunningServer(process, http_port, dicom_port, log, tls)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if server.request("GET", "/system")[0] in (200, 401):
                return server
        except OSError:
            pass
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.02)


@contextmanager
def running(
    folder: Path, options: Mapping[str, object] | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[RunningServer]:
    """A server for the length of a block, stopped cleanly."""
    server = start(folder, options, tls=tls)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


@atexit.register
def _kill_all() -> None:
    """No server outlives the tests, however they end."""
    for process in _alive:
        if process.poll() is None:
            process.kill()

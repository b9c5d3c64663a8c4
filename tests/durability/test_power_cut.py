"""Whatever was acknowledged survives a power cut, at whatever moment it happens.

A real server is recorded (`recorder.c`) while clients store, overwrite and delete. Then, for every moment at which
the disk or the promises change, the state that survives is built (`power_cut`) and a server's start-up is run on it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from tests import instances
from tests.durability.power_cut import Disk, Entry, Op, read_log
from tests.servers import RunningServer, start

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS
from hounsfield.events import EventBus
from hounsfield.index.insertion import find_main_tags_version
from hounsfield.index.resources import list_ids
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.intake import IngestOptions, Intake
from hounsfield.ingest.recovery import recover
from hounsfield.ingest.settling import Settling
from hounsfield.retrieve.files import read_file
from hounsfield.store.filesystem import FilesystemArea

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="recording needs Linux and gcc"
)
_SIZES = (0, 300, 5_000, 70_000)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)
    return library


@contextmanager
def recorded(folder: Path, recorder: Path, options: dict[str, object]) -> Iterator[RunningServer]:
    storage = folder / "storage"
    storage.mkdir()
    environment = {
        "LD_PRELOAD": str(recorder),
        "RECORD_ROOT": str(storage),
        "RECORD_LOG": str(folder / "record"),
    }
    server = start(folder, options, environment)
    try:
        yield server
    finally:
        server.kill()


def _size(number: int) -> int:
    return _SIZES[number % len(_SIZES)]


def _post(server: RunningServer, number: int, version: int = 0) -> None:
    status, body = server.request("POST", "/instances", instances.file(number, _size(number), version))
    assert status == 200, body
    assert json.loads(body)["ID"] == instances.public_id(number)


class _Promises:
    """What the server had promised at a moment of the log, by the bytes it sent."""

    def __init__(self, deletions: list[PublicId]) -> None:
        self.stored: set[str] = set()
        self.deleted: set[str] = set()
        self.to_delete = set(deletions)
        self._deletions = list(deletions)

    def hear(self, entry: Entry) -> bool:
        """Whether an entry is an answer that promises something."""
        if b'"Status":"Success"' in entry.data:
            answer = json.loads(entry.data[entry.data.index(b"{") : entry.data.rindex(b"}") + 1])
            self.stored.add(answer["ID"])
            return True
        if b"RemainingAncestor" in entry.data:
            self.deleted.add(self._deletions.pop(0))
            return True
        return False


def _survivors(folder: Path) -> dict[PublicId, bytes]:
    """Start on what survived, as a server does, and read every instance back."""
    database = SqliteDatabase(folder / "hounsfield.db")
    area = FilesystemArea(folder, batch=2)
    try:
        area.spool.clear()
        archive = Archive(database, area, EventBus())
        patient, study, series, instance = (DEFAULT_MAIN_TAGS.signature(level) for level in Level)
        version = database.write(lambda tx: find_main_tags_version(tx, (patient, study, series, instance)))
        settling = Settling(archive)
        recover(Intake(archive, IngestOptions(), version, settling))
        settling.settle()
        with database.read() as tx:
            public_ids = list_ids(tx, Level.INSTANCE)
        found = {public_id: read_file(archive, public_id) for public_id in public_ids}
        assert len(list(area.keys())) == len(found), "a file without a row, or a row without a file"
        return found
    finally:
        database.close()
        area.close()


def _check(
    disk: Disk, promises: _Promises, valid: dict[PublicId, set[bytes]], scratch: Path, random: Random | None
) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    disk.surviving(scratch, random)
    if not (scratch / "hounsfield.db").exists() and not promises.stored:
        return
    found = _survivors(scratch)
    # A deletion that was asked for and not answered may have happened or not.
    missing = promises.stored - promises.to_delete - found.keys()
    assert not missing, f"acknowledged and lost: {missing}"
    returned = promises.deleted & found.keys()
    assert not returned, f"deleted and back again: {returned}"
    for public_id, content in found.items():
        assert content in valid[public_id], f"{public_id} is not what was sent"


def _replay(
    folder: Path, valid: dict[PublicId, set[bytes]], deletions: list[PublicId], scratch: Path, seed: int
) -> int:
    """Cut the power after each entry that changes what is durable or promised; the number of cuts."""
    promises = _Promises(deletions)
    disk = Disk(str(folder / "storage"))
    random = Random(seed)
    cuts = 0
    for entry in read_log(folder / "record"):
        disk.replay(entry)
        if entry.op is Op.SYNC or (entry.op is Op.SEND and promises.hear(entry)):
            _check(disk, promises, valid, scratch, None)
            _check(disk, promises, valid, scratch, random)
            cuts += 2
    assert promises.stored == valid.keys()
    assert promises.deleted == set(deletions)
    return cuts


def _scratch(tmp_path: Path) -> Path:
    memory = Path("/dev/shm")
    return (memory if os.access(memory, os.W_OK) else tmp_path) / f"hounsfield-cut-{os.getpid()}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_acknowledged_instance_survives_every_power_cut(tmp_path: Path, recorder: Path) -> None:
    numbers = range(24)
    deletions = [instances.public_id(number) for number in (3, 11, 20)]
    with recorded(tmp_path, recorder, {"StableAge": 1}) as server:
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(lambda number: _post(server, number), numbers))
        for public_id in deletions:
            status, _ = server.request("DELETE", f"/instances/{public_id}")
            assert status == 200
    valid = {instances.public_id(number): {instances.file(number, _size(number))} for number in numbers}
    scratch = _scratch(tmp_path)
    try:
        assert _replay(tmp_path, valid, deletions, scratch, seed=1) > 50
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("compressed", [False, True])
def test_an_overwritten_instance_is_the_old_or_the_new_one(
    tmp_path: Path, recorder: Path, compressed: bool
) -> None:
    options: dict[str, object] = {"OverwriteInstances": True, "StorageCompression": compressed}
    with recorded(tmp_path, recorder, options) as server:
        for version in range(3):
            for number in range(5):
                _post(server, number, version)
    valid = {
        instances.public_id(number): {instances.file(number, _size(number), version) for version in range(3)}
        for number in range(5)
    }
    scratch = _scratch(tmp_path)
    try:
        assert _replay(tmp_path, valid, [], scratch, seed=2) > 30
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

"""A job, and a piece of an upload, that was acknowledged survives a power cut, at whatever moment it happens."""

import json
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from tests import instances
from tests.durability import test_power_cut as cut
from tests.durability.power_cut import Disk, Entry, Op, read_log
from tests.durability.test_power_cut import recorded
from tests.servers import RunningServer

from hounsfield.index.jobs import JobState, list_jobs, release_all
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.resumable import ResumableOptions, ResumableUploads

recorder = cut.recorder
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("gcc") is None, reason="recording needs Linux and gcc"
    ),
]
_PIECES = [bytes([number]) * 50_000 for number in range(4)]
_JOB = re.compile(rb'"Path":"/jobs/([0-9a-f-]+)"')
_OFFSET = re.compile(rb"upload-offset: (\d+)")


@dataclass(slots=True)
class _Promises:
    """What the server had promised at a moment of the log, by the bytes it sent."""

    jobs: set[str] = field(default_factory=set)
    offset: int = 0

    def hear(self, entry: Entry) -> bool:
        """Whether an entry is an answer that promises something."""
        job, offset = _JOB.search(entry.data), _OFFSET.search(entry.data)
        if job is not None:
            self.jobs.add(job[1].decode())
        if offset is not None:
            self.offset = max(self.offset, int(offset[1]))
        return job is not None or offset is not None


def _submit(server: RunningServer) -> None:
    for number in range(0, 80, 20):
        study = server.json(f"/instances/{instances.public_id(number)}/study")["ID"]
        server.json(f"/studies/{study}/modify", {"Replace": {"StudyDescription": "x"}, "Asynchronous": True})


def _send_pieces(server: RunningServer) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    connection = server.connection()
    connection.request("POST", "/uploads", None, {**tus, "Upload-Length": "1000000"})
    path = "/" + connection.getresponse().headers["Location"]
    connection.close()
    for number, piece in enumerate(_PIECES):
        place = {"Upload-Offset": str(number * 50_000), "Content-Type": "application/offset+octet-stream"}
        assert server.request("PATCH", path, piece, {**tus, **place})[0] == 204


def _check(folder: Path, promises: _Promises) -> None:
    """Start on what survived, as a server does."""
    database = SqliteDatabase(folder / "hounsfield.db")
    try:
        with database.read() as tx:
            before = {job.id: job for job in list_jobs(tx)}
        assert promises.jobs <= before.keys(), "acknowledged and lost"
        for job in before.values():
            json.loads(job.parameters), json.loads(job.state_json), json.loads(job.content)
            assert job.state is not JobState.FAILURE
        database.write(release_all)
        with database.read() as tx:
            assert JobState.RUNNING not in {job.state for job in list_jobs(tx)}
    finally:
        database.close()
    if promises.offset:
        uploads = ResumableUploads(ResumableOptions(folder / ".hounsfield" / "uploads", is_synced=False))
        (upload,) = uploads
        assert upload.offset >= promises.offset, "acknowledged and lost"
        sent = b"".join(_PIECES)
        assert uploads.data(upload.id).read_bytes()[: upload.offset] == sent[: upload.offset]


def test_acknowledged_jobs_and_pieces_survive_every_power_cut(tmp_path: Path, recorder: Path) -> None:
    with recorded(tmp_path, recorder, {}) as server:
        for number in range(0, 80, 20):
            assert server.request("POST", "/instances", instances.file(number, 300))[0] == 200
        _submit(server)
        _send_pieces(server)
        while {job["State"] for job in server.json("/jobs?expand")} != {"Success"}:
            time.sleep(0.02)
    promises, disk, random, cuts = _Promises(), Disk(str(tmp_path / "storage")), Random(3), 0
    scratch = cut._scratch(tmp_path)
    try:
        for entry in read_log(tmp_path / "record"):
            disk.replay(entry)
            if (entry.op is Op.SEND and promises.hear(entry)) or (entry.op is Op.SYNC and promises.jobs):
                for generator in (None, random):
                    shutil.rmtree(scratch, ignore_errors=True)
                    disk.surviving(scratch, generator)
                    _check(scratch, promises)
                    cuts += 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    assert len(promises.jobs) == 4
    assert promises.offset == 200_000
    assert cuts > 20

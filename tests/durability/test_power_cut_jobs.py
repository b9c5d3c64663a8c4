"""A study whose originals are not kept is there after a power cut, old or new, at whatever moment it happens."""

import json
import os
import shutil
from io import BytesIO
from pathlib import Path
from random import Random

import pydicom
import pytest
from tests import instances
from tests.durability import test_power_cut as cuts
from tests.durability.power_cut import Disk, Op, read_log

pytestmark = cuts.pytestmark
_COUNT = 10
recorder = cuts.recorder


def _check(disk: Disk, scratch: Path, random: Random | None, *, is_done: bool, is_at_once: bool) -> None:
    """Every instance is there, whole, as the original or as what was made of it; after the answer, as the latter.

    With `is_at_once` all are the one or the other.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    disk.surviving(scratch, random)
    old, new = set(), set()
    for content in cuts._survivors(scratch).values():
        dataset = pydicom.dcmread(BytesIO(content))
        number = int(dataset.InstanceNumber)
        original = pydicom.dcmread(BytesIO(instances.file(number - 1, 5_000)))
        assert dataset.PixelData == original.PixelData
        if dataset.PatientName == "New^Name":
            assert number not in new, "made twice"
            new.add(number)
        else:
            assert content == instances.file(number - 1, 5_000)
            old.add(number)
    wanted = set(range(1, _COUNT + 1))
    assert old | new == wanted, f"lost: {wanted - old - new}"
    assert not is_done or new == wanted
    assert not is_done or not old
    assert not is_at_once or not (old and new)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("word", ["modify", "split", "in place"])
def test_no_instance_is_lost_while_a_study_is_changed(tmp_path: Path, recorder: Path, word: str) -> None:
    is_at_once = word == "in place"
    options: dict[str, object] = {"StableAge": 1, "OverwriteInstances": "Always" if is_at_once else "Never"}
    with cuts.recorded(tmp_path, recorder, options) as server:
        for number in range(_COUNT):
            status, answer = server.request("POST", "/instances", instances.file(number, 5_000))
            assert status == 200
        study = json.loads(answer)["ParentStudy"]
        body: dict[str, object] = {"Replace": {"PatientName": "New^Name"}, "KeepSource": False}
        if word == "split":
            body["Series"] = server.json(f"/studies/{study}")["Series"]
        if is_at_once:
            kept = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
            body |= {"Keep": kept, "Force": True, "KeepSource": True}
            word = "modify"
        status, answer = server.request("POST", f"/studies/{study}/{word}", json.dumps(body).encode())
        assert status == 200, answer
    memory = Path("/dev/shm")
    scratch = (memory if os.access(memory, os.W_OK) else tmp_path) / f"hounsfield-cut-job-{os.getpid()}"
    disk, random, moments = Disk(str(tmp_path / "storage")), Random(3), 0
    stored, is_done = 0, False
    try:
        for entry in read_log(tmp_path / "record"):
            disk.replay(entry)
            is_answer = entry.op is Op.SEND and b"InstancesCount" in entry.data
            is_done = is_done or is_answer
            stored += entry.op is Op.SEND and b'"Status":"Success"' in entry.data
            if stored >= _COUNT and (entry.op is Op.SYNC or is_answer):
                _check(disk, scratch, None, is_done=is_done, is_at_once=is_at_once)
                _check(disk, scratch, random, is_done=is_done, is_at_once=is_at_once)
                moments += 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    assert is_done
    assert moments > 5

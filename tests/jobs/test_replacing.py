"""Jobs that change instances in place: all of a study is changed, or nothing of it, wherever they are stopped."""

import errno
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from io import BytesIO
from itertools import count
from pathlib import Path

import pydicom
import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.deid.uid_map import new_key
from hounsfield.dicom.levels import Level
from hounsfield.errors import Corrupt, DatabaseUnavailable, NotFound, StorageFull
from hounsfield.index.database import Transaction
from hounsfield.index.replacing import Replacement
from hounsfield.ingest.intake import IngestOptions, Intake, Overwrite
from hounsfield.ingest.replacing import replace_all
from hounsfield.jobs import replacing
from hounsfield.jobs.kinds import JobRun, TryAgain
from hounsfield.jobs.modify import Task, instances_of, labels_around, run_modification
from hounsfield.jobs.rewriting import Workshop
from hounsfield.retrieve.files import find_dicom
from hounsfield.store import filesystem
from hounsfield.store.area import FileKey
from hounsfield.store.durable import write_all

_COUNT = 24
_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
_BODY = {
    "Replace": {"PatientName": "New", "StudyDescription": "New"},
    "Keep": [*_UIDS, "PatientID"],
    "Force": True,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    builder = Builder(tmp_path)
    made = builder(ingest=IngestOptions(overwrite=Overwrite.ALWAYS))
    for number in range(_COUNT):
        made.post("/instances", _file(number))
    assert made.ask("PUT", f"/studies/{ids()[1]}/labels/mine").status == 200
    yield made
    builder.close()


def _file(number: int) -> bytes:
    return slice_file(
        series=f"1.1.{number % 3 + 1}",
        instance=f"1.1.1.{number}",
        FrameOfReferenceUID="1.7",
        StudyDescription="Old",
    )


def _run(server: Server, *, is_anonymization: bool = False) -> JobRun:
    study = ids()[1]
    with server.database.read() as tx:
        instances = instances_of(tx, [(Level.STUDY, study)])
        labels = labels_around(tx, [(Level.STUDY, study)])
    task = Task(
        body={"Keep": _BODY["Keep"], "Force": True} if is_anonymization else _BODY,
        level=Level.STUDY,
        is_anonymization=is_anonymization,
        single_level=Level.STUDY,
        resources=[(Level.STUDY, study)],
        instances=instances,
        labels=labels,
        key=new_key(),
        patient_name="New",
        method="Orthanc",
        private_creator="",
        remote_ip="",
        http_username="",
    )
    return JobRun("job", task.to_json())


def _finish(server: Server, run: JobRun) -> None:
    for _ in run_modification(Workshop(server.door.intake, threads=3), run):
        pass


def _versions(server: Server) -> set[str]:
    """The names in the files of the study."""
    found = set()
    instances = server.get(f"/studies/{ids()[1]}/instances?expand=false")
    assert len(instances) == _COUNT
    for each in instances:
        dataset = pydicom.dcmread(BytesIO(server.bytes_of("GET", f"/instances/{each}/file")))
        found.add(str(dataset.PatientName))
    return found


def _assert_untouched(server: Server) -> None:
    """All is as it was, and no file is left of what was made."""
    assert _versions(server) == {"DOE^P1"}
    told = server.get(f"/studies/{ids()[1]}")
    assert told["MainDicomTags"]["StudyDescription"] == "Old"
    assert told["PatientMainDicomTags"]["PatientName"] == "DOE^P1"
    assert told["Labels"] == ["mine"]
    server.settling.settle()
    assert len(list(server.area.keys())) == _COUNT


def _assert_replaced(server: Server) -> None:
    assert _versions(server) == {"New"}
    told = server.get(f"/studies/{ids()[1]}")
    assert told["MainDicomTags"]["StudyDescription"] == "New"
    assert told["PatientMainDicomTags"]["PatientName"] == "New"
    assert told["Labels"] == []
    server.settling.settle()
    assert len(list(server.area.keys())) == _COUNT


def test_a_disk_that_becomes_full_leaves_all_originals(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = count()

    def write_until_full(fd: int, parts: list[memoryview]) -> int:
        if next(written) >= _COUNT // 2:
            raise OSError(errno.ENOSPC, "full")
        return write_all(fd, parts)

    with monkeypatch.context() as patched:
        patched.setattr(filesystem, "write_all", write_until_full)
        with pytest.raises(StorageFull):
            _finish(server, _run(server))
    _assert_untouched(server)


def test_one_damaged_file_leaves_all_originals(server: Server) -> None:
    run = _run(server)
    instances = run.parameters["Instances"]
    assert isinstance(instances, list)
    path = server.area.path(FileKey(find_dicom(server.archive, instances[-2]).uuid))
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(Corrupt):
        _finish(server, run)
    path.write_bytes(whole)
    _assert_untouched(server)


@pytest.mark.parametrize("yields", [0, 1, 3])
def test_a_job_that_is_stopped_early_leaves_all_originals(server: Server, yields: int) -> None:
    run = _run(server)
    steps = run_modification(Workshop(server.door.intake, threads=3), run)
    for _, _ in zip(range(yields), steps, strict=False):
        assert _versions(server) == {"DOE^P1"}
    steps.close()  # type: ignore[attr-defined]
    _assert_untouched(server)
    _finish(server, JobRun("job", run.parameters, run.state))
    _assert_replaced(server)


def test_nobody_sees_a_study_half_changed(server: Server) -> None:
    steps = run_modification(Workshop(server.door.intake, threads=3), _run(server))
    seen = [_versions(server) for _ in steps]
    assert {len(each) for each in seen} == {1}
    assert seen[-1] == {"New"}
    _assert_replaced(server)


def test_a_job_that_forgot_how_it_ended_changes_nothing_twice(server: Server) -> None:
    run = _run(server)
    saved: list[dict[str, object]] = []
    for _ in run_modification(Workshop(server.door.intake, threads=3), run):
        if run.is_save_wanted:
            saved.append(deepcopy(run.state))
            run.is_save_wanted = False
    assert len(saved) == 1
    changes = server.get("/changes?last")["Last"]
    _finish(server, JobRun("job", run.parameters, saved[0]))
    _assert_replaced(server)
    assert server.get("/changes?last")["Last"] == changes


def test_references_are_anonymized_once_though_the_job_begins_anew(server: Server) -> None:
    run = _run(server, is_anonymization=True)
    steps = run_modification(Workshop(server.door.intake, threads=3), run)
    for _, _ in zip(range(3), steps, strict=False):
        pass
    steps.close()  # type: ignore[attr-defined]
    _finish(server, JobRun("job", run.parameters, run.state))
    frames = {
        str(pydicom.dcmread(BytesIO(server.bytes_of("GET", f"/instances/{each}/file"))).FrameOfReferenceUID)
        for each in server.get("/instances")
    }
    assert len(frames) == 1


def _begun(server: Server) -> tuple[Iterator[None], str]:
    """A job, what is left of it, and an instance of which it made a copy already."""
    run = _run(server)
    steps = run_modification(Workshop(server.door.intake, threads=3), run)
    next(steps)
    results = run.state["results"]
    assert isinstance(results, list)
    return steps, results[0]


def test_an_original_that_is_deleted_meanwhile_stays_so_and_the_others_stay_as_they_are(
    server: Server,
) -> None:
    steps, public_id = _begun(server)
    assert server.ask("DELETE", f"/instances/{public_id}").status == 200
    before = {each: server.bytes_of("GET", f"/instances/{each}/file") for each in server.get("/instances")}
    with pytest.raises(NotFound):
        for _ in steps:
            pass
    assert before == {
        each: server.bytes_of("GET", f"/instances/{each}/file") for each in server.get("/instances")
    }
    assert len(before) == _COUNT - 1


def test_an_original_that_is_replaced_meanwhile_is_changed_in_its_turn(server: Server) -> None:
    steps, public_id = _begun(server)
    dataset = pydicom.dcmread(BytesIO(server.bytes_of("GET", f"/instances/{public_id}/file")))
    dataset.ImageComments, written = "Newer", BytesIO()
    dataset.save_as(written)
    assert server.post("/instances", written.getvalue())["Status"] == "Success"
    for _ in steps:
        pass
    _assert_replaced(server)
    changed = pydicom.dcmread(BytesIO(server.bytes_of("GET", f"/instances/{public_id}/file")))
    assert changed.ImageComments == "Newer"


def test_a_database_that_is_away_at_the_end_is_asked_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(server)

    def lost(intake: Intake, staged: Sequence[Replacement], complete: Callable[[Transaction], None]) -> None:
        replace_all(intake, staged, complete)
        raise DatabaseUnavailable("gone while it committed")

    with monkeypatch.context() as patched:
        patched.setattr(replacing, "replace_all", lost)
        with pytest.raises(TryAgain):
            _finish(server, run)
    _finish(server, JobRun("job", run.parameters, run.state))
    _assert_replaced(server)

"""Jobs that make new instances of old ones, stopped and run again from what was saved last."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.deid.uid_map import new_key
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.jobs.kinds import JobRun
from hounsfield.jobs.modify import Task, instances_of, run_modification
from hounsfield.jobs.rewriting import Workshop

_COUNT = 120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    builder = Builder(tmp_path)
    made = builder()
    for number in range(_COUNT):
        made.post("/instances", slice_file(instance=f"1.1.1.{number}", InstanceNumber=number))
    yield made
    builder.close()


def _run(server: Server, *, keeps_source: bool = False) -> JobRun:
    study = ids()[1]
    with server.database.read() as tx:
        instances = instances_of(tx, [(Level.STUDY, study)])
    task = Task(
        body={"KeepSource": keeps_source},
        level=Level.PATIENT,
        is_anonymization=True,
        single_level=Level.STUDY,
        resources=[(Level.STUDY, study)],
        instances=instances,
        labels={},
        key=new_key(),
        patient_name="Anonymized1",
        method="Orthanc",
        private_creator="",
        remote_ip="",
        http_username="",
    )
    return JobRun("job", task.to_json())


def _count(server: Server) -> int:
    return len(server.get("/instances"))


@pytest.mark.parametrize("yields", [0, 1, 3, 10, 1000])
def test_a_job_that_lost_its_memory_makes_nothing_twice(server: Server, yields: int) -> None:
    run = _run(server, keeps_source=True)
    workshop = Workshop(server.door.intake, threads=3)
    steps = run_modification(workshop, run)
    for _, _ in zip(range(yields), steps, strict=False):
        pass
    steps.close()  # type: ignore[attr-defined]
    again = JobRun("job", run.parameters)
    for _ in run_modification(workshop, again):
        pass
    assert _count(server) == 2 * _COUNT
    assert len(server.get("/studies")) == 2


def test_a_job_stopped_while_it_deletes_originals_goes_on(server: Server) -> None:
    run = _run(server)
    workshop = Workshop(server.door.intake, threads=3)
    steps = run_modification(workshop, run)
    saved: dict[str, object] = {}
    for _ in steps:
        if run.is_save_wanted:
            saved, run.is_save_wanted = deepcopy(run.state), False
        if _count(server) < 2 * _COUNT and saved:
            break
    steps.close()  # type: ignore[attr-defined]
    assert _COUNT < _count(server) < 2 * _COUNT
    again = JobRun("job", run.parameters, saved)
    for _ in run_modification(workshop, again):
        pass
    (study,) = server.get("/studies")
    assert study != ids()[1]
    assert _count(server) == _COUNT


def test_originals_stay_if_a_new_instance_is_gone(server: Server) -> None:
    run = _run(server)
    steps = run_modification(Workshop(server.door.intake, threads=3), run)
    for _ in steps:
        results = run.state.get("results")
        if isinstance(results, list) and len(results) == _COUNT:
            break
    assert isinstance(results, list)
    server.ask("DELETE", f"/instances/{results[5]}")
    with pytest.raises(NotFound, match="no longer there"):
        for _ in steps:
            pass
    assert len(server.get(f"/studies/{ids()[1]}/instances")) == _COUNT

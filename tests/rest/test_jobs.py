"""The list of jobs, and what may be asked of one, as clients of Orthanc know them."""

import re
import threading
from collections.abc import Iterator

import pytest
from tests.rest.builders import Builder, Server

from hounsfield.errors import BadRequest
from hounsfield.http.messages import FileBody
from hounsfield.jobs.kinds import JobKind, JobOutput, JobRun
from hounsfield.jobs.ledger import EngineOptions
from hounsfield.rest.job_options import answer_job

_DATE = re.compile(r"\d{8}T\d{6}\.\d{6}")


class Kinds:
    """Kinds of jobs for tests, and what they wait for."""

    def __init__(self, server: Server) -> None:
        self.server, self.gate = server, threading.Event()
        kinds = {"Wait": self.wait, "Fail": self.fail, "Write": self.write}
        for name, run in kinds.items():
            server.host.job_kinds[name] = JobKind(name, run, is_resubmittable=name != "Write")

    def wait(self, run: JobRun) -> Iterator[None]:
        run.content["Seen"] = run.parameters.get("seen", 0)
        run.progress = 0.5
        yield
        while not self.gate.wait(0.002):
            yield

    def fail(self, run: JobRun) -> Iterator[None]:
        run.error_payload = {"Type": "Dimse", "Content": {"DimseErrorStatus": 49152}}
        yield
        raise BadRequest("no")

    def write(self, run: JobRun) -> Iterator[None]:
        file = self.server.area.spool.create()
        file.write(b"0123456789")
        run.outputs["archive"] = JobOutput(file, "application/zip", "my.zip")
        yield


@pytest.fixture
def kinds(server: Server) -> Iterator[Kinds]:
    made = Kinds(server)
    yield made
    made.gate.set()


def test_a_job_is_told_member_by_member(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Wait", {"seen": 3}, description="REST API", user_data={"a": 1})
    kinds.gate.set()
    server.engine.wait(job_id)
    assert server.get("/jobs") == [job_id]
    job = server.get(f"/jobs/{job_id}")
    assert server.get("/jobs?expand")[0]["ID"] == job_id
    for date in ("CreationTime", "CompletionTime", "Timestamp"):
        assert _DATE.fullmatch(job.pop(date))
    assert job.pop("EffectiveRuntime") >= 0
    assert job == {
        "ID": job_id,
        "Type": "Wait",
        "State": "Success",
        "Priority": 0,
        "Progress": 100,
        "ErrorCode": 0,
        "ErrorDescription": "Success",
        "ErrorDetails": "",
        "Content": {"Description": "REST API", "Seen": 3},
        "UserData": {"a": 1},
    }


def test_a_running_job_tells_when_it_will_end(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Wait", {})
    while server.get(f"/jobs/{job_id}")["Progress"] != 50:
        pass
    job = server.get(f"/jobs/{job_id}")
    assert job["State"] == "Running"
    assert _DATE.fullmatch(job["EstimatedTimeOfArrival"])
    assert "CompletionTime" not in job
    assert server.failure("DELETE", f"/jobs/{job_id}") == (404, 7)


def test_a_failed_job_tells_its_payload(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Fail", {})
    server.engine.wait(job_id)
    job = server.get(f"/jobs/{job_id}")
    assert (job["State"], job["ErrorCode"], job["ErrorDetails"]) == ("Failure", 8, "no")
    assert job["ErrorPayload"] == {"Type": "Dimse", "Content": {"DimseErrorStatus": 49152}}


def test_what_makes_no_sense_is_a_bare_refusal(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Wait", {})
    assert server.failure("POST", f"/jobs/{job_id}/resume") == (400, None)
    assert server.post(f"/jobs/{job_id}/pause", b"") == {}
    kinds.gate.set()
    server.post(f"/jobs/{job_id}/resume", b"")
    server.engine.wait(job_id)
    assert server.post(f"/jobs/{job_id}/cancel", b"") == {}
    assert server.post(f"/jobs/{job_id}/pause", b"") == {}
    assert server.failure("POST", f"/jobs/{job_id}/resume") == (400, None)
    assert server.failure("POST", f"/jobs/{job_id}/resubmit") == (400, None)
    for operation in ("cancel", "pause", "resume", "resubmit"):
        assert server.failure("POST", f"/jobs/nope/{operation}") == (400, None)
    answer = server.ask("POST", f"/jobs/{job_id}/foo")
    assert (answer.status, answer.header(b"allow")) == (405, b"GET,DELETE")


def test_an_archive_cannot_be_resubmitted(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Write", {})
    server.engine.pause(job_id)
    server.engine.cancel(job_id)
    if server.engine.wait(job_id).error_code:
        assert server.failure("POST", f"/jobs/{job_id}/resubmit") == (500, 6)


def test_an_unknown_job_is_not_found(server: Server) -> None:
    assert server.failure("GET", "/jobs/nope") == (404, None)
    assert server.failure("DELETE", "/jobs/nope") == (404, 7)
    assert server.failure("GET", "/jobs/nope/archive") == (404, 7)


def test_a_finished_job_is_deleted_with_its_outputs(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Write", {})
    server.engine.wait(job_id)
    assert server.failure("GET", f"/jobs/{job_id}/nope") == (404, 7)
    answer = server.ask("DELETE", f"/jobs/{job_id}")
    assert (answer.status, answer.body, answer.header(b"content-type")) == (200, b"", b"text/plain")
    assert server.failure("GET", f"/jobs/{job_id}/archive") == (404, 7)
    assert server.get("/jobs") == []


def test_an_output_is_downloaded_whole_and_in_parts(server: Server, kinds: Kinds) -> None:
    job_id = server.engine.submit("Write", {})
    server.engine.wait(job_id)
    path = f"/jobs/{job_id}/archive"
    answer = server.ask("GET", path)
    assert isinstance(answer.body, FileBody)
    assert answer.body.path.read_bytes() == b"0123456789"
    assert answer.header(b"content-disposition") == b'filename="my.zip"'
    assert answer.header(b"content-type") == b"application/zip"
    assert answer.header(b"accept-ranges") == b"bytes"
    version = answer.header(b"etag")
    assert version is not None
    part = server.ask("GET", path, b"", range="bytes=4-", if_range=version.decode())
    assert (part.status, part.header(b"content-range")) == (206, b"bytes 4-9/10")
    assert isinstance(part.body, FileBody)
    assert (part.body.offset, part.body.length) == (4, 6)
    assert server.ask("GET", path, b"", range="bytes=4-", if_range='"other"').status == 200
    assert server.ask("GET", path, b"", range="bytes=40-").status >= 400
    assert server.ask("DELETE", path).status == 200
    assert server.failure("GET", path) == (404, 7)


def test_a_client_may_wait_or_not(server: Server, kinds: Kinds) -> None:
    kinds.gate.set()
    body = {"seen": 1}
    for options in ({}, {"Synchronous": True, "Asynchronous": True}, {"Asynchronous": False}):
        answer = answer_job(server.door, "Wait", {"seen": 1}, {**body, **options})
        assert answer.body == b'{"Description":"REST API","Seen":1}'
    for options in ({"Synchronous": False}, {"Asynchronous": True}):
        answer = answer_job(server.door, "Wait", {}, options)
        assert isinstance(answer.body, bytes)
        assert b'"Path":"/jobs/' in answer.body


@pytest.mark.parametrize(
    "options", [{"Synchronous": 1}, {"Asynchronous": "a"}, {"Priority": 1.5}, {"Permissive": 1}]
)
def test_options_of_a_wrong_type_are_refused(server: Server, options: dict[str, object]) -> None:
    with pytest.raises(Exception, match="value expected in field"):
        answer_job(server.door, "Wait", {}, options)


def test_without_history_nobody_can_wait(build: Builder) -> None:
    server = build(jobs=EngineOptions(history=0))
    kinds = Kinds(server)
    kinds.gate.set()
    with pytest.raises(Exception, match="JobsHistorySize"):
        answer_job(server.door, "Wait", {}, {})

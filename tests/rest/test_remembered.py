"""Answers from memory are the answers of this moment."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.rest.builders import Server, slice_file

from hounsfield.errors import ArchiveError
from hounsfield.http.messages import Request
from hounsfield.http.routing import Found
from hounsfield.rest.door import RestOptions

Builder = Callable[[RestOptions], Server]
FIND: dict[str, Any] = {"Level": "Study", "Query": {"PatientID": "P1"}, "Expand": True}


@pytest.fixture
def server(build: Builder) -> Server:
    made = build(RestOptions())
    if made.database.state is None:
        pytest.skip("other servers may write to this index too")
    made.post("/instances", slice_file())
    return made


def at_once(server: Server, method: str, target: str, body: bytes = b"") -> Any:
    """What is given without a thread; None if it takes one."""
    path, _, query = target.partition("?")
    request = Request(method, path, query, body=body)
    found: Found = server.dispatcher.router.find(method, path)
    request.values = found.values
    assert found.at_once is not None
    try:
        response = found.at_once(request)
    except ArchiveError:
        return None
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)


def test_what_was_asked_before_is_answered_at_once_until_something_changes(server: Server) -> None:
    target = "/studies?expand"
    assert at_once(server, "GET", target) is None
    answer = server.get(target)
    assert at_once(server, "GET", target) == answer
    server.ask("PUT", f"/studies/{answer[0]['ID']}/labels/new")
    assert at_once(server, "GET", target) is None
    assert server.get(target)[0]["Labels"] == ["new"]


def test_a_new_instance_is_found_by_the_next_question(server: Server) -> None:
    body = orjson.dumps({"Level": "Instance", "Query": {}})
    assert len(server.post("/tools/find", orjson.loads(body))) == 1
    assert len(at_once(server, "POST", "/tools/find", body)) == 1
    server.post("/instances", slice_file(instance="1.1.1.9"))
    assert at_once(server, "POST", "/tools/find", body) is None
    assert len(server.post("/tools/find", orjson.loads(body))) == 2


def test_a_query_by_an_identifier_is_answered_at_once(server: Server) -> None:
    answer = at_once(server, "POST", "/tools/find", orjson.dumps(FIND))
    assert [study["PatientMainDicomTags"]["PatientID"] for study in answer] == ["P1"]
    for other in ({"PatientName": "D*"}, {"PatientID": "P*"}, {"StudyDate": "20200102"}, {"Rows": "2"}):
        assert at_once(server, "POST", "/tools/find", orjson.dumps({**FIND, "Query": other})) is None


def test_errors_and_questions_that_mean_nothing_are_left_to_the_handler(server: Server) -> None:
    for body in (
        b"",
        b"[]",
        b"{}",
        orjson.dumps({**FIND, "Level": 1}),
        orjson.dumps({**FIND, "Query": {"x": "y"}}),
    ):
        assert at_once(server, "POST", "/tools/find", body) is None


def test_another_question_has_another_answer(server: Server) -> None:
    server.post("/instances", slice_file(study="1.2", series="1.2.1", instance="1.2.1.1"))
    server.get("/studies?expand&since=0&limit=1")
    assert len(server.get("/studies?expand&since=0&limit=2")) == 2
    assert len(at_once(server, "GET", "/studies?since=0&limit=1")) == 1

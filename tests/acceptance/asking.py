"""What acceptance tests ask of a server again and again."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import Any, TypeVar

from tests.servers import RunningServer

_PATIENCE_SECONDS = 20

T = TypeVar("T")


def upload(server: RunningServer, data: bytes) -> dict[str, Any]:
    """Post one file that is taken; the answer."""
    status, answer = server.request("POST", "/instances", data)
    assert status == 200, answer
    told: dict[str, Any] = json.loads(answer)
    return told


def status_of(
    server: RunningServer,
    method: str,
    path: str,
    question: object = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """The HTTP status alone; bytes and texts are sent as they are, anything else as JSON."""
    return server.request(method, path, _body(question), headers)[0]


def failure(server: RunningServer, method: str, path: str, question: object = None) -> tuple[int, int | None]:
    """The HTTP status of a failure, and Orthanc's code if there is a body."""
    status, answer = server.request(method, path, _body(question))
    return status, json.loads(answer)["OrthancStatus"] if answer else None


def full(
    server: RunningServer,
    method: str,
    path: str,
    question: object = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Message, bytes]:
    """Status, headers and body of an answer."""
    connection = server.connection()
    try:
        connection.request(method, path, _body(question), headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def find(server: RunningServer, level: str, query: Mapping[str, str], **more: object) -> Any:
    """What `/tools/find` answers."""
    return server.json("/tools/find", {"Level": level, "Query": query, **more})


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def at_once(work: Callable[[int], T], count: int) -> list[T]:
    """What a function gives for each number below `count`, each called in a thread of its own."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def end_of(server: RunningServer, job: str) -> dict[str, Any]:
    """A job after its end."""
    until(lambda: server.json(f"/jobs/{job}")["State"] in ("Success", "Failure"))
    told: dict[str, Any] = server.json(f"/jobs/{job}")
    return told


def _body(question: object) -> bytes | None:
    if question is None or isinstance(question, bytes):
        return question
    return question.encode() if isinstance(question, str) else json.dumps(question).encode()

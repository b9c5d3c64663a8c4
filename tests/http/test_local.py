import pytest

from hounsfield.errors import NotFound
from hounsfield.http.dispatch import Dispatcher
from hounsfield.http.errors import NoAnswer
from hounsfield.http.local import LocalCalls, whole_body
from hounsfield.http.messages import Request, Response, answer_text
from hounsfield.http.routing import Route, Router


def _echo(request: Request) -> Response:
    body = request.body if isinstance(request.body, bytes) else b""
    return answer_text(f"{request.origin} {dict(request.arguments)} {dict(request.headers)} {body.decode()}")


def _scripted(_request: Request) -> Response:
    return Response(200, (), iter((b"script", b"ed")))


def _nothing(_request: Request) -> Response:
    raise NoAnswer


@pytest.fixture
def calls() -> LocalCalls:
    builtin = [Route("GET", "/a", _echo), Route("POST", "/a", _echo), Route("POST", "/b", _nothing)]
    bound = LocalCalls()
    bound.bind(Dispatcher(Router([*builtin, Route("GET", "/a", _scripted)])), Dispatcher(Router(builtin)))
    return bound


def test_scripts_ask_the_routes_of_the_server(calls: LocalCalls) -> None:
    assert calls.call("POST", "/a", b"x", {"Accept": "y"}, origin="lua").body == b"lua {} {'accept': 'y'} x"
    assert calls.call("GET", "/a?b=c", is_builtin=True).body == b"plugin {'b': 'c'} {} "


def test_a_script_may_ask_for_the_routes_that_no_script_registered(calls: LocalCalls) -> None:
    assert whole_body(calls.call("GET", "/a")) == b"scripted"
    assert whole_body(calls.call("GET", "/a", is_builtin=True)).startswith(b"plugin")


def test_every_failure_has_an_error(calls: LocalCalls) -> None:
    for method, target, status, code in (
        ("GET", "/nope", 404, 17),
        ("POST", "/b", 400, 17),
        ("DELETE", "/a", 405, -1),
    ):
        answer = calls.call(method, target)
        assert answer.error is not None
        assert (answer.status, answer.error.code) == (status, code)


def test_nothing_answers_before_the_server_is_wired() -> None:
    with pytest.raises(NotFound):
        LocalCalls().call("GET", "/system")

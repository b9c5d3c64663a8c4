import re

import orjson
import pytest

from hounsfield.http.errors import NoAnswer, UnknownResource
from hounsfield.http.messages import Request, Response
from hounsfield.http.routing import ExpressionRoute, Handler, Route, Router


def named(name: str) -> Handler:
    def handler(request: Request) -> Response:
        return Response(200, body=(name + ":" + ",".join(request.values.values())).encode())

    return handler


PATTERNS = [
    ("GET", "/"),
    ("GET", "/system"),
    ("GET", "/instances"),
    ("POST", "/instances"),
    ("GET", "/instances/{id}"),
    ("DELETE", "/instances/{id}"),
    ("POST", "/instances/{id}/modify"),
    ("GET", "/instances/{id}/content/{path...}"),
    ("GET", "/instances/{id}/frames"),
    ("GET", "/instances/{id}/frames/{number}/preview"),
    ("GET", "/instances/{id}/frames/{number}/raw"),
    ("GET", "/plugins/{id}"),
    ("GET", "/plugins/explorer.js"),
    ("GET", "/tools/now"),
    ("POST", "/tools/find"),
    ("GET", "/storage-commitment/{id}"),
    ("GET", "/app/{path...}"),
]
ROUTER = Router([Route(method, pattern, named(pattern)) for method, pattern in PATTERNS])


def ask(method: str, path: str, router: Router = ROUTER) -> Response:
    found = router.find(method, path)
    return found.handler(Request(method, path, values=found.values))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", b"/:"),
        ("/system", b"/system:"),
        ("/system/", b"/system:"),
        ("//system", b"/system:"),
        ("/tools/../system", b"/system:"),
        ("/instances/a-b", b"/instances/{id}:a-b"),
        ("/instances/a%20b", b"/instances/{id}:a b"),
        ("/instances/x/content", b"/instances/{id}/content/{path...}:x,"),
        ("/instances/x/content/0008-1140/0", b"/instances/{id}/content/{path...}:x,0008-1140/0"),
        ("/plugins/explorer.js", b"/plugins/explorer.js:"),
        ("/plugins/other", b"/plugins/{id}:other"),
        ("/instances/x/frames/3/raw", b"/instances/{id}/frames/{number}/raw:x,3"),
        ("/app/a/b", b"/app/{path...}:a/b"),
    ],
)
def test_a_path_reaches_its_handler(path: str, expected: bytes) -> None:
    assert ask("GET", path).body == expected


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/tools", ["find", "now"]),
        ("/instances/x/frames/9", ["preview", "raw"]),
        ("/instances/nope/frames/%20", ["preview", "raw"]),
    ],
)
def test_a_path_that_only_leads_on_lists_its_children(path: str, names: list[str]) -> None:
    body = ask("GET", path).body
    assert isinstance(body, bytes)
    assert orjson.loads(body) == names


@pytest.mark.parametrize(
    "path", ["/nope", "/system/a", "/storage-commitment", "/plugins/a/b", "/instances/a/b/c"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_path_that_leads_nowhere_is_unknown(path: str, method: str) -> None:
    with pytest.raises(UnknownResource):
        ask(method, path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/system", b"GET"),
        ("DELETE", "/instances", b"GET,POST"),
        ("PUT", "/instances/x", b"GET,DELETE"),
        ("POST", "/tools", b"GET"),
        ("GET", "/instances/x/modify", b"POST"),
    ],
)
def test_an_unsupported_verb_is_told_the_supported_ones(method: str, path: str, allowed: bytes) -> None:
    response = ask(method, path)
    assert (response.status, response.headers, response.body) == (405, ((b"allow", allowed),), b"")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PROPFIND", "LOCK"])
@pytest.mark.parametrize("path", ["/system", "/nope"])
def test_verbs_of_webdav_find_nothing_outside_it(method: str, path: str) -> None:
    with pytest.raises(NoAnswer):
        ask(method, path)


def test_the_later_of_two_equal_routes_wins() -> None:
    router = Router([Route("GET", "/system", named("first")), Route("GET", "/system", named("second"))])
    assert ask("GET", "/system", router).body == b"second:"


def test_an_expression_comes_before_every_route_and_gives_its_groups() -> None:
    expression = ExpressionRoute(re.compile("/sys(.*)"), named("expression"))
    router = Router(
        [Route("GET", "/system", named("plain")), Route("GET", "/other", named("other"))], [expression]
    )
    assert ask("DELETE", "/system/", router).body == b"expression:tem"
    assert ask("GET", "/other", router).body == b"other:"

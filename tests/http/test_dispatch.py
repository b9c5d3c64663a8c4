from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import errors
from hounsfield.http import errors as narrow
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_json, answer_text, body_bytes
from hounsfield.http.partial import PartialUploads
from hounsfield.http.routing import Route, Router
from hounsfield.http.status import STATUSES, status_of
from hounsfield.http.xml import json_to_xml
from hounsfield.store.spool import FolderSpool


def failing(error: Exception) -> Route:
    def handler(request: Request) -> Response:
        raise error

    return Route("GET", "/fail/{x}", handler)


def echo(request: Request) -> Response:
    return answer_text(request.method + " " + body_bytes(request.body).decode("latin-1"))


ROUTES = [
    Route("GET", "/system", lambda _: answer_json({"b": 1, "a": [1, None, "<&>"]})),
    *[Route(method, "/echo", echo) for method in ("GET", "POST", "PUT", "DELETE")],
]
DISPATCHER = Dispatcher(Router(ROUTES))


def ask(method: str, target: str, *, dispatcher: Dispatcher = DISPATCHER, **more: object) -> Response:
    path, _, query = target.partition("?")
    headers = more.get("headers", {})
    body = more.get("body", b"")
    assert isinstance(headers, dict)
    assert isinstance(body, bytes)
    return dispatch(dispatcher, Request(method, path, query, headers, body))


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def test_an_unknown_path_is_described() -> None:
    response = ask("GET", "//nope/?a=b")
    assert response.status == 404
    assert response.headers == ((b"content-type", b"text/plain"),)
    assert orjson.loads(text(response)) == {
        "HttpError": "Not Found",
        "HttpStatus": 404,
        "Message": "Unknown resource",
        "Method": "GET",
        "OrthancError": "Unknown resource",
        "OrthancStatus": 17,
        "Uri": "/nope",
    }


def test_details_are_the_message_of_the_error() -> None:
    dispatcher = Dispatcher(Router([failing(errors.BadRequest('Field "Level" is missing'))]))
    described = orjson.loads(text(ask("GET", "/fail/x", dispatcher=dispatcher)))
    assert described["Details"] == 'Field "Level" is missing'
    assert (described["OrthancStatus"], described["OrthancError"]) == (8, "Bad request")


def test_without_descriptions_only_the_status_is_sent() -> None:
    dispatcher = Dispatcher(Router([failing(errors.NotFound("x"))]), describes_errors=False)
    response = ask("GET", "/fail/x", dispatcher=dispatcher)
    assert (response.status, response.headers, response.body) == (404, (), b"")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NotFound("x"), 404, 17),
        (errors.BadRequest("x"), 400, 8),
        (errors.Conflict("x"), 409, 46),
        (errors.Refused("x"), 403, 45),
        (errors.Unsupported("x"), 500, 2),
        (errors.Corrupt("x"), 400, 15),
        (errors.StorageFull("x"), 507, 19),
        (errors.PeerFailure("x"), 500, 9),
        (errors.TimedOut("x"), 500, 16),
        (errors.Cancelled("x"), 500, 37),
        (narrow.InexistentItem("x"), 404, 7),
        (narrow.ParameterOutOfRange("x"), 400, 3),
        (narrow.BadParameterType("x"), 400, 5),
        (narrow.UnknownDicomTag("x"), 500, 27),
        (narrow.InexistentTag("x"), 404, 21),
        (narrow.RangeNotSatisfiable("x"), 416, 41),
        (narrow.WrongRevision("x"), 409, 43),
        (ValueError("secret"), 500, -1),
    ],
)
def test_every_error_has_its_status_and_code(error: Exception, status: int, code: int) -> None:
    response = ask("GET", "/fail/x", dispatcher=Dispatcher(Router([failing(error)])))
    described = orjson.loads(text(response))
    assert (response.status, described["HttpStatus"], described["OrthancStatus"]) == (status, status, code)
    assert response.error is not None
    assert response.error.code == code
    assert "secret" not in text(response)


def test_every_class_of_error_has_a_line_of_its_own_or_of_an_ancestor() -> None:
    pending = [errors.ArchiveError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind is not errors.ArchiveError:
            assert status_of(kind("told")).code != -1
    for kind in vars(narrow).values():
        if isinstance(kind, type) and kind.__module__ == narrow.__name__:
            assert kind in STATUSES


@pytest.mark.parametrize(
    ("error", "method", "status"),
    [
        (narrow.NoAnswer(), "GET", 404),
        (narrow.NoAnswer(), "POST", 400),
        (narrow.Forbidden(), "GET", 403),
        (narrow.UnsupportedMediaType(), "GET", 415),
    ],
)
def test_some_errors_have_no_body(error: Exception, method: str, status: int) -> None:
    route = failing(error)
    dispatcher = Dispatcher(Router([route, Route("POST", route.pattern, route.handler)]))
    response = ask(method, "/fail/x", dispatcher=dispatcher)
    assert (response.status, response.headers, response.body) == (status, (), b"")


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "FOO", "", "get"])
def test_other_verbs_are_a_bare_bad_request(method: str) -> None:
    for target in ("/system", "/nope", "/system?a"):
        response = ask(method, target)
        assert (response.status, response.body) == (400, b"")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PROPFIND"])
def test_verbs_of_webdav_are_a_bare_not_found(method: str) -> None:
    response = ask(method, "/system")
    assert (response.status, response.body) == (404, b"")


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("POST", "/echo", {"x-http-method-override": "PUT"}, "PUT "),
        ("POST", "/echo", {"x-http-method-override": "DELETE"}, "DELETE "),
        ("GET", "/echo", {"x-http-method-override": "PUT"}, "PUT "),
        ("GET", "/echo?_method=delete", {}, "DELETE "),
        ("GET", "/echo?_method=PuT", {}, "PUT "),
        ("GET", "/echo?my_method=put", {}, "GET "),
        ("POST", "/echo?_method=put", {}, "POST "),
    ],
)
def test_a_method_can_be_overridden(method: str, target: str, headers: dict[str, str], expected: str) -> None:
    assert text(ask(method, target, headers=headers)) == expected


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/echo", {"x-http-method-override": "FOO"}), ("/echo?_method=foo", {}), ("/echo?_method", {})],
)
def test_another_override_is_a_bare_bad_request(target: str, headers: dict[str, str]) -> None:
    response = ask("GET", target, headers=headers)
    assert (response.status, response.body) == (400, b"")


def test_an_overridden_get_has_no_arguments() -> None:
    seen: list[object] = []

    def handler(request: Request) -> Response:
        seen.append(dict(request.arguments))
        return EMPTY_TEXT

    ask("GET", "/x?_method=put&a=b", dispatcher=Dispatcher(Router([Route("PUT", "/x", handler)])))
    assert seen == [{}]


@pytest.mark.parametrize(
    ("accept", "is_xml"),
    [
        ("application/xml", True),
        ("text/html,application/xml;q=0.9", True),
        ("text/html;application/xml", True),
        ("application/xml+x", False),
        ("text/html, application/xml", False),
        ("*/*", False),
    ],
)
def test_json_is_converted_for_who_accepts_xml(accept: str, is_xml: bool) -> None:
    response = ask("GET", "/system", headers={"accept": accept})
    assert (response.header(b"content-type") == b"application/xml; charset=utf-8") is is_xml


def test_xml_holds_the_same_values() -> None:
    root = ElementTree.fromstring(text(ask("GET", "/system", headers={"accept": "application/xml"})))
    assert root.tag == "root"
    assert [child.tag for child in root] == ["a", "b"]
    assert [(item.tag, item.text) for item in root[0]] == [("item", "1"), ("item", None), ("item", "<&>")]


def test_only_json_is_converted() -> None:
    assert text(ask("GET", "/echo", headers={"accept": "application/xml"})) == "GET "
    assert text(ask("GET", "/nope", headers={"accept": "application/xml"})).startswith("{")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abcXYZ_"), inner),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_gives_well_formed_xml(value: object) -> None:
    ElementTree.fromstring(json_to_xml(value))


def form(*parts: bytes, boundary: bytes = b"zz") -> bytes:
    pieces = [
        b'--%s\r\nContent-Disposition: form-data; name="f"\r\n\r\n%s\r\n' % (boundary, part) for part in parts
    ]
    return b"preamble\r\n" + b"".join(pieces) + b"--" + boundary + b"--\r\nepilogue"


FORM = {"content-type": "multipart/form-data; boundary=zz"}


def collecting(seen: list[bytes]) -> Dispatcher:
    def handler(request: Request) -> Response:
        seen.append(body_bytes(request.body))
        if seen[-1] == b"bad":
            raise errors.Corrupt("not DICOM")
        return answer_json([])

    return Dispatcher(Router([Route("POST", "/instances", handler)]), partial_uploads=PartialUploads())


def test_each_part_of_a_form_is_a_post_of_its_own() -> None:
    seen: list[bytes] = []
    response = ask(
        "POST", "/instances", dispatcher=collecting(seen), headers=FORM, body=form(b"one", b"", b"t\r\n--z\0")
    )
    assert seen == [b"one", b"", b"t\r\n--z\0"]
    assert (response.status, response.headers, response.body) == (200, (), b"")


def test_a_spooled_form_is_cut_without_copying(tmp_path: Path) -> None:
    seen: list[bytes] = []
    file = FolderSpool(tmp_path).create()
    file.write(form(b"x" * 100_000, b"two"))
    dispatch(collecting(seen), Request("POST", "/instances", headers=FORM, body=file))
    file.close()
    assert [len(part) for part in seen] == [100_000, 3]


def test_the_first_failure_is_the_answer_to_a_form() -> None:
    seen: list[bytes] = []
    response = ask(
        "POST", "/instances", dispatcher=collecting(seen), headers=FORM, body=form(b"ok", b"bad", b"late")
    )
    assert seen == [b"ok", b"bad"]
    assert (response.status, orjson.loads(text(response))["OrthancStatus"]) == (400, 15)


def test_a_form_to_an_unknown_path_is_not_found() -> None:
    assert ask("POST", "/nope", headers=FORM, body=form(b"one")).status == 404


def test_a_form_without_boundary_is_a_plain_body() -> None:
    assert text(ask("POST", "/echo", headers={"content-type": "multipart/form-data"}, body=b"a")) == "POST a"


def test_a_put_is_never_a_form() -> None:
    assert text(ask("PUT", "/echo", headers=FORM, body=b"a")) == "PUT a"


def test_a_form_whose_boundary_never_occurs_is_empty() -> None:
    seen: list[bytes] = []
    response = ask("POST", "/instances", dispatcher=collecting(seen), headers=FORM, body=b"a")
    assert (response.status, response.body, seen) == (200, b"", [])


@pytest.mark.parametrize("cut", [5, 30, 50, 54])
def test_a_form_that_is_cut_off_is_refused(cut: int) -> None:
    seen: list[bytes] = []
    whole = form(b"one")[10:]
    assert (
        ask("POST", "/instances", dispatcher=collecting(seen), headers=FORM, body=whole[:cut]).status == 500
    )
    assert seen == []


def test_a_form_from_another_requester_is_refused() -> None:
    headers = {**FORM, "x-requested-with": "foo"}
    response = ask("POST", "/instances", dispatcher=collecting([]), headers=headers, body=form(b"one"))
    described = orjson.loads(text(response))
    assert (response.status, described["OrthancStatus"]) == (500, 9)
    assert 'should be "XMLHttpRequest"' in described["Details"]
    headers["x-requested-with"] = "XMLHttpRequest"
    assert (
        ask("POST", "/instances", dispatcher=collecting([]), headers=headers, body=form(b"one")).status == 200
    )


def test_chunks_of_a_file_are_joined_until_its_declared_size() -> None:
    seen: list[bytes] = []
    dispatcher = collecting(seen)
    headers = {**FORM, "x-file-name": "a.dcm", "x-file-size": "6"}
    for chunk in (b"ab", b"cd"):
        assert (
            ask("POST", "/instances", dispatcher=dispatcher, headers=headers, body=form(chunk)).status == 200
        )
        assert seen == []
    ask("POST", "/instances", dispatcher=dispatcher, headers=headers, body=form(b"ef"))
    assert seen == [b"abcdef"]


def test_more_chunks_than_declared_are_refused() -> None:
    headers = {**FORM, "x-file-name": "a.dcm", "x-file-size": "3"}
    assert (
        ask("POST", "/instances", dispatcher=collecting([]), headers=headers, body=form(b"abcd")).status
        == 500
    )


def test_unfinished_uploads_are_bounded_and_forgotten() -> None:
    uploads = PartialUploads(maximum_bytes=10, patience_seconds=0.0)
    assert uploads.add("a", 100, memoryview(b"12345678")) is None
    assert uploads.add("b", 100, memoryview(b"12345678")) is None
    uploads = PartialUploads(maximum_bytes=10)
    assert uploads.add("a", 100, memoryview(b"12345678")) is None
    with pytest.raises(narrow.ProtocolViolation):
        uploads.add("b", 100, memoryview(b"12345678"))


@given(st.binary(), st.sampled_from(["zz", "-", "a b"]))
def test_any_form_is_answered(body: bytes, boundary: str) -> None:
    headers = {"content-type": f'multipart/form-data; boundary="{boundary}"'}
    response = ask("POST", "/echo", headers=headers, body=body + b"--" + boundary.encode() + body)
    assert response.status in (200, 500)


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "FOO"]),
    st.text(),
    st.dictionaries(
        st.sampled_from(["accept", "content-type", "x-http-method-override", "x-file-size"]), st.text()
    ),
    st.binary(),
)
def test_any_request_is_answered(method: str, target: str, headers: dict[str, str], body: bytes) -> None:
    response = ask(method, "/" + target, headers=headers, body=body)
    assert response.error is None or response.error.code != -1


def test_an_iterator_of_a_handler_is_handed_through() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"

    dispatcher = Dispatcher(Router([Route("GET", "/x", lambda _: Response(200, body=pieces()))]))
    response = ask("GET", "/x", dispatcher=dispatcher)
    assert not isinstance(response.body, bytes)

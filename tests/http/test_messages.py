from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.http.errors import BadParameterType, ParameterOutOfRange
from hounsfield.http.messages import (
    Request,
    body_bytes,
    body_length,
    body_view,
    components,
    content_disposition,
    header_value,
    parse_arguments,
    unsigned,
)
from hounsfield.store.spool import FolderSpool


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/patients/", ["patients"]),
        ("/patients%2F", ["patients"]),
        ("/a//b", ["a", "b"]),
        ("/tools/../system", ["system"]),
        ("/..", []),
        ("/../../system", ["system"]),
        ("/tools/%00/a", ["tools"]),
        ("/system%3Fa", ["system?a"]),
        ("/instances/a%2Fb", ["instances", "a", "b"]),
        ("/%zz", ["%zz"]),
        ("/caf%C3%A9", ["café"]),
        ("/tools/%2e%2e/system", ["system"]),
        ("", []),
        ("/", []),
        ("/a/", ["a"]),
        ("/a/./b", ["a", "b"]),
        ("/.a/b.", [".a", "b."]),
        ("a/b", ["a", "b"]),
    ],
)
def test_a_path_is_normalised_after_decoding(path: str, expected: list[str]) -> None:
    assert components(path) == expected


@given(st.text("/.a%2fFeE\0") | st.text())
def test_any_path_gives_components_that_cannot_climb(path: str) -> None:
    for part in components(path):
        assert part not in ("", ".", "..")
        assert "\0" not in part
        assert "/" not in part


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("key=value&key2", {"key": "value", "key2": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("&&a=1=2", {"a": "1=2"}),
        ("a=b+c%20d%2B", {"a": "b c d+"}),
        ("=x", {"": "x"}),
        ("a=1;b=2", {"a": "1;b=2"}),
    ],
)
def test_arguments_are_read(query: str, expected: dict[str, str]) -> None:
    assert parse_arguments(query) == expected


@given(st.text())
def test_any_query_gives_arguments(query: str) -> None:
    parse_arguments(query)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_get_has_arguments(method: str) -> None:
    assert Request(method, "/", "expand").arguments == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("expand", True),
        ("expand=1", True),
        ("expand=true", True),
        ("expand=0", False),
        ("expand=false", False),
    ],
)
def test_a_flag_follows_the_boolean_convention(query: str, expected: bool | None) -> None:
    for default in (True, False):
        assert Request("GET", "/", query).flag("expand", default) is (
            default if expected is None else expected
        )


@pytest.mark.parametrize("value", ["foo", "True", "2", "yes", " 1"])
def test_a_flag_refuses_anything_else(value: str) -> None:
    with pytest.raises(ParameterOutOfRange, match=f'GET argument "expand", found: {value}$'):
        Request("GET", "/", f"expand={value}").flag("expand")


@pytest.mark.parametrize("text", ["", "a", "-1", "1.0", "+1", "٣", "9" * 19, "0x1"])
def test_only_digits_are_a_number(text: str) -> None:
    with pytest.raises(BadParameterType):
        unsigned(text)


def test_blanks_around_a_number_are_tolerated() -> None:
    assert unsigned(" 12 ") == 12


@given(st.text())
def test_no_text_can_leave_its_header(text: str) -> None:
    for value in (header_value(text), content_disposition(text)[10:-1]):
        assert b"\r" not in value
        assert b"\n" not in value
        assert b"\0" not in value
    assert b'"' not in content_disposition(text)[10:-1]


def test_a_quote_in_a_file_name_is_removed() -> None:
    assert content_disposition('"toto".dcm') == b'filename="toto.dcm"'


def test_a_spooled_body_reads_like_one_in_memory(tmp_path: Path) -> None:
    file = FolderSpool(tmp_path).create()
    file.write(b"abc")
    for body in (b"abc", memoryview(b"abc"), file):
        assert body_bytes(body) == b"abc"
        assert bytes(body_view(body)) == b"abc"
        assert body_length(body) == 3
    file.close()

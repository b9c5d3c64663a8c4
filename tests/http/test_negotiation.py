import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.http.errors import BadSequenceOfCalls, RangeNotSatisfiable
from hounsfield.http.messages import Response, answer_json, answer_text
from hounsfield.http.negotiation import compress, preferred
from hounsfield.http.ranges import content_range, parse_range

IMAGES = ["image/png", "image/jpeg", "image/x-portable-arbitrarymap"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/png;q=0.5, image/jpeg", "image/jpeg"),
        ("image/jpeg;q=0.2,*/*;q=0.1", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("text/html", None),
        ("image/png;q=0", None),
        ("image/png;q=nan", None),
        ("image/png;q=7", None),
    ],
)
def test_the_best_liked_type_is_chosen(accept: str, expected: str | None) -> None:
    assert preferred(accept, IMAGES) == expected


@given(st.text())
def test_any_accept_header_gives_a_type_or_none(accept: str) -> None:
    assert preferred(accept, IMAGES) in [*IMAGES, None]


LONG = answer_json(["x" * 5000])


def test_a_long_body_is_compressed_for_who_accepts_it() -> None:
    zipped = compress(LONG, "deflate, gzip")
    assert zipped.header(b"content-encoding") == b"gzip"
    assert isinstance(zipped.body, bytes)
    assert gzip.decompress(zipped.body) == LONG.body
    deflated = compress(LONG, "deflate")
    assert deflated.header(b"content-encoding") == b"deflate"
    assert isinstance(deflated.body, bytes)
    assert zlib.decompress(deflated.body) == LONG.body


@pytest.mark.parametrize("accept", ["", "br", "gzip;q=0", "identity"])
def test_a_body_stays_as_it_is_for_others(accept: str) -> None:
    assert compress(LONG, accept) is LONG


def test_short_and_incompressible_bodies_stay_as_they_are() -> None:
    for response in (answer_text("x" * 2047), Response(200, ((b"content-type", b"image/png"),), b"x" * 5000)):
        assert compress(response, "gzip") is response


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("bytes=5-", (5, 5)),
        ("bytes=-3", (0, 4)),
        ("bytes=-", (0, 10)),
    ],
)
def test_a_range_is_read(header: str, expected: tuple[int, int]) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    "header", ["bytes=0-10", "bytes=a-b", "octets=0-1", "bytes=0-1,3-4", "", "bytes=5", "bytes=0-٣"]
)
def test_a_range_that_makes_no_sense_is_not_satisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 10)


def test_a_range_that_ends_before_it_starts_is_an_error() -> None:
    with pytest.raises(BadSequenceOfCalls):
        parse_range("bytes=5-2", 10)


@given(st.text(alphabet="bytes=-0123456789, "), st.integers(0, 100))
def test_any_range_stays_inside(header: str, total: int) -> None:
    try:
        start, length = parse_range(header, total)
    except (RangeNotSatisfiable, BadSequenceOfCalls):
        return
    assert 0 <= start <= start + length <= total


def test_the_answer_names_the_bytes_it_holds() -> None:
    assert content_range(2, 4, 10) == (b"content-range", b"bytes 2-5/10")

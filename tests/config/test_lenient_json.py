import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.config.lenient_json import Json, decode, parse
from hounsfield.errors import Corrupt

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_strings = st.text(st.characters(exclude_categories=["Cs"]))
_values = st.recursive(
    _scalars | _strings,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_strings, inner, max_size=5),
    max_leaves=30,
)


@given(_values)
def test_whatever_is_json_reads_the_same(value: Json) -> None:
    assert parse(json.dumps(value)).value == value
    assert parse(json.dumps(value, indent=1, ensure_ascii=False)).value == value


@given(st.text(alphabet='{}[]",:/*\\\n eE+-.0123456789truefalsnd', max_size=60))
def test_any_text_gives_a_value_or_corrupt(text: str) -> None:
    try:
        parse(text)
    except Corrupt as fault:
        assert str(fault).startswith("line ")


def test_comments_and_trailing_commas_are_accepted() -> None:
    text = """// before
    { /* inside **/ "a" : [1, 2, ] , // after
      "b" : {"c": null,},
    } /* at the end */ // and once more"""
    assert parse(text).value == {"a": [1, 2], "b": {"c": None}}


def test_what_looks_like_a_comment_in_a_string_stays() -> None:
    assert parse(r'{"url": "http://a/*b*/", "q": "\"//"}').value == {"url": "http://a/*b*/", "q": '"//'}


def test_raw_control_characters_in_strings_are_accepted() -> None:
    assert parse('"a\tb\nc"').value == "a\tb\nc"


def test_escapes_and_surrogate_pairs_are_read() -> None:
    assert parse(r'"\u00e9\n\ud83d\ude00\/"').value == "é\n😀/"


def test_a_repeated_name_is_told_and_the_last_one_counts() -> None:
    document = parse('{\n "Name": 1,\n "Name": 2}')
    assert document.value == {"Name": 2}
    assert document.repeated == ("line 3, column 2: Name is given twice, the last one counts",)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1, column 1"),
        ('{"a": 1\n "b": 2}', "line 2, column 2"),
        ('{"a": 1,,}', "line 1, column 9"),
        ("{} x", "line 1, column 4"),
        ('{"a": "C:\\Users"}', "line 1, column 10"),
        ('{"a": 0x12}', "line 1, column 7"),
        ('{"a": 01}', "line 1, column 7"),
        ('{"a": yes}', "line 1, column 7"),
        ("{'a': 1}", "line 1, column 2"),
        ('\n\n{"a": "b', "line 3, column 7"),
        ("/* open", "line 1, column 1"),
        ("[1e999]", "line 1, column 2"),
        (r'"\ud800"', "line 1, column 2"),
        ("[" * 200, "line 1, column 102"),
        ("9" * 5000, "line 1, column 1"),
    ],
)
def test_an_error_says_line_and_column(text: str, place: str) -> None:
    with pytest.raises(Corrupt, match=place):
        parse(text)


def test_an_error_does_not_quote_the_text() -> None:
    with pytest.raises(Corrupt) as fault:
        parse('{"RegisteredUsers": {"alice": "secret" "bob": "x"}}')
    assert "secret" not in str(fault.value)


def test_bytes_that_are_not_utf_8_are_latin_1() -> None:
    assert decode(b'\xef\xbb\xbf{"a": "\xc3\xa9"}') == ('{"a": "é"}', False)
    assert decode(b'{"a": "\xe9"}') == ('{"a": "é"}', True)

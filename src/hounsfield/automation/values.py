"""Values of Lua and of JSON.

As in Orthanc: numbers of JSON become floats of Lua; in the other direction a table whose keys are 1 to n is an array,
an empty one too, and a text that Lua would take for a number is one, unless texts are to be kept.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import orjson

MAXIMUM_DEPTH = 200
_NUMBER = re.compile(
    rb"\s*([+-]?(?:0[xX](?:[0-9a-fA-F]+)|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))\s*", re.ASCII
)
_SMALL = range(-(2**31), 2**31)

Json = Any
"""What the module `json` reads and writes."""
LuaValue = Any
"""What the interpreter gives and takes: None, Booleans, numbers, bytes, and tables."""
MakeTable = Callable[[], LuaValue]


class NotJson(ValueError):
    """A value of Lua that JSON has no word for."""


def to_lua(value: Json, make_table: MakeTable, depth: int = MAXIMUM_DEPTH) -> LuaValue:
    """A value for Lua: text in UTF-8, null as nil, which leaves a hole in a table."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if value is None or isinstance(value, (bool, bytes)):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    if depth == 0:
        raise NotJson("The document is nested too deeply")
    table = make_table()
    if isinstance(value, dict):
        for name, item in value.items():
            table[name.encode("utf-8", "surrogateescape")] = to_lua(item, make_table, depth - 1)
    else:
        for position, item in enumerate(value, 1):
            table[position] = to_lua(item, make_table, depth - 1)
    return table


def parse_json(text: bytes, make_table: MakeTable) -> LuaValue:
    """Read a document; None if it is none."""
    try:
        return to_lua(orjson.loads(text), make_table)
    except (ValueError, OverflowError, RecursionError):
        return None


def from_lua(value: LuaValue, *, keeps_texts: bool = False, depth: int = MAXIMUM_DEPTH) -> Json:
    """A value of Lua as JSON has it; functions are null.

    Raises
    ------
    NotJson
        If tables are nested too deeply, or in themselves, or have keys that are neither texts nor numbers.
    """
    if isinstance(value, bytes):
        return _text(value) if keeps_texts else _text_or_number(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return number_text(value) if keeps_texts else _number(value)
    if not hasattr(value, "items"):
        return None
    if depth == 0:
        raise NotJson("The table is nested too deeply")
    items = [(key, from_lua(item, keeps_texts=keeps_texts, depth=depth - 1)) for key, item in value.items()]
    numbered = {key: item for key, item in items if isinstance(key, int) and not isinstance(key, bool)}
    if len(numbered) == len(items) and all(position in numbered for position in range(1, len(items) + 1)):
        return [numbered[position] for position in range(1, len(items) + 1)]
    return {_key(key): item for key, item in items}


def dump_json(value: LuaValue, *, keeps_texts: bool) -> bytes:
    """Write a value of Lua as a document.

    Raises
    ------
    NotJson
        As `from_lua`.
    """
    found = from_lua(value, keeps_texts=keeps_texts)
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def number_text(value: int | float) -> str:
    """A number as Lua prints it.

    >>> number_text(42), number_text(42.0), number_text(1e100), number_text(1 / 3)
    ('42', '42.0', '1e+100', '0.33333333333333')
    """
    if isinstance(value, int):
        return str(value)
    text = f"{value:.14g}"
    return text if any(c in ".einf" for c in text) else text + ".0"


def _key(key: LuaValue) -> str:
    if isinstance(key, bytes):
        return _text(key)
    if isinstance(key, (int, float)) and not isinstance(key, bool):
        return number_text(key)
    raise NotJson("A key of the table is neither a text nor a number")


def _number(value: int | float) -> int | float | None:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if value.is_integer() and int(value) in _SMALL:
            return int(value)
    return value


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _text_or_number(value: bytes) -> str | int | float | None:
    match = _NUMBER.fullmatch(value)
    if match is None:
        return _text(value)
    digits = match[1].lower()
    if b"x" in digits:
        return _number(int(digits, 16))
    return _number(float(digits))

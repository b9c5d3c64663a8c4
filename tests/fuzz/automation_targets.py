"""Values on their way between JSON and Lua."""

import json
from collections.abc import Callable

import orjson

from hounsfield.automation.functions import Functions
from hounsfield.automation.interpreter import Interpreter
from hounsfield.automation.operations import parameters
from hounsfield.automation.values import NotJson, dump_json, from_lua, parse_json, to_lua
from hounsfield.automation.web_client import WebOptions
from hounsfield.errors import BadRequest
from hounsfield.http.local import LocalCalls

_FUNCTIONS = Functions(LocalCalls(), {}, WebOptions())
_INTERPRETER = Interpreter(_FUNCTIONS.by_name(), ())
_FUNCTIONS.attach(_INTERPRETER)


def document(data: bytes) -> None:
    """A JSON document from anywhere, to Lua and back."""
    value = parse_json(data, _INTERPRETER.table)
    for keeps_texts in (False, True):
        json.loads(dump_json(value, keeps_texts=keeps_texts))


def text(data: bytes) -> None:
    """A text of Lua, which may look like a number."""
    json.loads(dump_json(data, keeps_texts=False))
    table = _INTERPRETER.table()
    table[data] = data
    json.loads(dump_json(table, keeps_texts=True))


def orders(data: bytes) -> None:
    """What a callback orders, which may be anything that Lua can say."""
    try:
        value = orjson.loads(data)
        parameters(from_lua(to_lua(value, _INTERPRETER.table), keeps_texts=True))
    except (orjson.JSONDecodeError, NotJson, BadRequest):
        pass


TARGETS: dict[str, Callable[[bytes], None]] = {
    "automation.document": document,
    "automation.text": text,
    "automation.orders": orders,
}
SEEDS: dict[str, list[bytes]] = {
    "automation.document": [b'{"a":[1,2.5,null,true,{"1":"007"}],"b":"-1e5","c":[]}', b"[[[[1]]]]", b"1e999"],
    "automation.text": [b"0x10", b" 5 ", b"-3.25e7", b"1e309", "é".encode(), b"\xff\0"],
    "automation.orders": [
        b'[{"Operation":"store-scu","Resource":"a","Modality":"b"},{"Operation":"delete","Resource":""}]',
        b'[{"Operation":"call-system","Resource":"a","Command":"c","Arguments":[1]}]',
    ],
}

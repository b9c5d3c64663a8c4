"""JSON in Lua, printed as Orthanc 1.10.1 printed it."""

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.automation.functions import Functions
from hounsfield.automation.interpreter import Interpreter, ScriptFailed
from hounsfield.automation.values import dump_json, from_lua, parse_json
from hounsfield.automation.web_client import WebOptions
from hounsfield.http.local import LocalCalls


def _new_interpreter() -> Interpreter:
    functions = Functions(LocalCalls(), {"HttpPort": 8042}, WebOptions())
    interpreter = Interpreter(functions.by_name(), ("OnHeartBeat",))
    functions.attach(interpreter)
    return interpreter


_INTERPRETER = _new_interpreter()


@pytest.fixture(scope="module")
def run() -> Callable[[str], str]:
    return lambda script: _INTERPRETER.execute(script.encode()).decode()


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        ("print(42, 42.5, 1/3, 10/2, 'a', nil, true)", "42, 42.5, 0.33333333333333, 5.0, a, nil, true"),
        ("print('', 'a')", "a"),
        ("print()", ""),
        ("print(10//3, 3 & 1, 7 // 2.0, 2^53)", "3, 1, 3.0, 9.007199254741e+15"),
        ("local j = ParseJson('{\"a\":1,\"b\":[1,\"x\"]}') print(j.a, #j.b, j.b[2])", "1.0, 2, x"),
        ("print(ParseJson('nope'), ParseJson('5'), ParseJson('null'), ParseJson(nil))", "nil, 5.0, nil, nil"),
        (
            'print(DumpJson({a=1,b={1,2,3},c="x",d=true,e={},f=1.5,g="42"}))',
            '{"a":1,"b":[1,2,3],"c":"x","d":true,"e":[],"f":1.5,"g":42}',
        ),
        ("print(DumpJson({a=1,f=1.5,g='42'}, true))", '{"a":"1","f":"1.5","g":"42"}'),
        ("print(DumpJson({1,2,nil,4}), DumpJson({[1]=1,x=3}))", '{"1":1,"2":2,"4":4}, {"1":1,"x":3}'),
        ("print(DumpJson({[0]=1}), DumpJson({[1.5]=2}), DumpJson({a=print}))", '{"0":1}, {"1.5":2}, {"a":null}'),
        (
            "print(DumpJson('007'), DumpJson(' 5'), DumpJson('-3.25'), DumpJson('true'), DumpJson('0x10'))",
            '7, 5, -3.25, "true", 16',
        ),
        ("print(DumpJson(nil), DumpJson(), DumpJson('ñ'))", 'null, nil, "\\u00f1"'),
        ("print(GetOrthancConfiguration().HttpPort)", "8042.0"),
        ("PrintRecursive({a={[3]=4}})", "table\n\t[a], table\n\t[a]\t[3], number, 4"),
        ("print(type(RestApiGet), type(print), python)", "function, function, nil"),
        ("print(pcall(SendToModality, nil))", "false, Cannot send a nonexistent resource"),
        ("print(RestApiGet('/system'), RestApiGet(nil), RestApiPost('/x'))", "nil, nil, nil"),
        ("local p = io.popen('printf \"1 two\\\\nthree\\\\n\"') print(p:read('n', 'l', 'a'))", "1,  two, three\n"),
        ("for line in io.popen('echo a; echo b'):lines() do print(line) end", "a\nb"),
        ("print(os.execute('exit 3')) print(os.execute('true'))", "nil, exit, 3\ntrue, exit, 0"),
    ],
)  # fmt: skip
def test_values_are_printed_as_orthanc_prints_them(
    run: Callable[[str], str], script: str, printed: str
) -> None:
    assert run(script) == printed + "\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("error('boum')", '[string "line"]:1: boum'),
        ("error('boum', 0)", "boum"),
        ("x = = 5", "[string \"line\"]:1: unexpected symbol near '='"),
        ("nope()", "[string \"line\"]:1: attempt to call a nil value (global 'nope')"),
        ("local t = {} t.t = t DumpJson(t)", '[string "line"]:1: The table is nested too deeply'),
        ("DumpJson({[true]=1})", '[string "line"]:1: A key of the table is neither a text nor a number'),
        ("error({})", "An error that is a table"),
        ("\x1bLua", "attempt to load a binary chunk (mode is 't')"),
    ],
)
def test_errors_are_told_in_the_words_of_lua(run: Callable[[str], str], script: str, message: str) -> None:
    with pytest.raises(ScriptFailed) as failed:
        run(script)
    assert str(failed.value) == message


_LEAVES = (
    st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", min_codepoint=33), min_size=1).map(lambda text: "t" + text)
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, min_size=1)
    ),
    max_leaves=20,
)


@given(_JSON)
def test_json_goes_through_lua_unchanged(value: object) -> None:
    text = orjson.dumps(value)
    through = dump_json(parse_json(text, _INTERPRETER.table), keeps_texts=False)
    assert orjson.loads(through) == orjson.loads(text)


@given(st.binary(max_size=200))
def test_what_is_no_json_is_nil(text: bytes) -> None:
    parsed = from_lua(parse_json(text, _INTERPRETER.table))
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        assert parsed is None

"""Every route, argument and event is documented."""

import ast
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import hounsfield
from hounsfield import events

_ROOT = Path(__file__).parents[2]
_REST = Path(hounsfield.__file__).parent / "rest"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_rest_docs", _ROOT / "tools" / "make_rest_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_routes_is_up_to_date(tool: ModuleType) -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `python3 tools/make_rest_docs.py`"


def test_the_descriptions_of_the_routes_are_up_to_date(tool: ModuleType) -> None:
    assert tool.DESCRIPTIONS.read_text(encoding="utf-8") == tool.descriptions(), (
        "run `python3 tools/make_rest_docs.py`"
    )


def test_every_route_has_a_sentence(tool: ModuleType) -> None:
    silent = [(route.method, route.pattern) for route in tool.routes() if not tool.sentence_of(route)]
    assert silent == []


def test_every_argument_has_a_meaning_and_a_use(tool: ModuleType) -> None:
    asked, strings = set(), set()
    for path in _REST.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        strings |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        asked |= {name for node in ast.walk(tree) if (name := _argument(node)) is not None}
    assert asked - set(tool.ARGUMENTS) == set()
    assert set(tool.ARGUMENTS) - strings == set()


def _argument(node: ast.AST) -> str | None:
    """The name of the query argument that an expression asks for."""
    if isinstance(node, ast.Subscript) and _is_arguments(node.value):
        return _literal(node.slice)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
        return None
    receiver, method = node.func.value, node.func.attr
    is_asking = (method in ("flag", "has") and _is_named(receiver, "request")) or (
        method == "get" and _is_arguments(receiver)
    )
    return _literal(node.args[0]) if is_asking else None


def _is_arguments(node: ast.expr) -> bool:
    return _is_named(node, "arguments") or (isinstance(node, ast.Attribute) and node.attr == "arguments")


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_every_event_says_what_happened() -> None:
    records = {
        value
        for value in vars(events).values()
        if inspect.isclass(value) and value.__module__ == events.__name__ and value is not events.EventBus
    }
    assert records == set(get_args(events.Event)), (
        "a record that is no event, or an event that is not in the union"
    )
    own_words = [record for record in records if not (record.__doc__ or "").startswith(record.__name__ + "(")]
    assert len(own_words) == len(records), "an event without a docstring"
    page = (_ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
    assert [record.__name__ for record in records if f"`{record.__name__}`" not in page] == []

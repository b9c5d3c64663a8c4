"""Every option does what the table says: it is documented, and it has an effect unless it says that it has none."""

import ast
from pathlib import Path

import hounsfield
from hounsfield.config import documents
from hounsfield.config.option import Effect
from hounsfield.config.options import OPTIONS

_ROOT = Path(__file__).parents[2]
_SOURCES = Path(hounsfield.__file__).parent


# Where options become records of the rooms.
_HANDING_ON = (
    "config/automation.py",
    "config/records.py",
    "config/system.py",
    "config/dicom.py",
    "config/dicomweb.py",
    "config/worklist_settings.py",
    "opening.py",
    "server.py",
)


def _tree(name: str) -> ast.AST:
    return ast.parse((_SOURCES / name).read_text(encoding="utf-8"))


def _strings(name: str) -> set[str]:
    constants = (node.value for node in ast.walk(_tree(name)) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def test_the_page_of_the_documentation_is_up_to_date() -> None:
    page = (_ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == documents.markdown(), "run `python3 tools/make_docs.py`"


def test_an_option_with_effect_is_handed_to_a_room() -> None:
    used = {text for name in _HANDING_ON for text in _strings(name)}
    acting = [option.name for option in OPTIONS.values() if option.effect is Effect.ACTS]
    assert [name for name in acting if name not in used] == []


def test_what_is_handed_on_as_a_record_is_used_by_the_wiring() -> None:
    wiring = {
        node.attr
        for name in _HANDING_ON[1:]
        for node in ast.walk(_tree(name))
        if isinstance(node, ast.Attribute)
    }
    own = {node.name for node in ast.walk(_tree("config/records.py")) if isinstance(node, ast.ClassDef)}
    unused = {
        keyword.arg
        for call in ast.walk(_tree("config/records.py"))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in own
        for keyword in call.keywords
        if keyword.arg not in wiring
    }
    assert unused == set()


def test_nobody_but_config_reads_options() -> None:
    room = _SOURCES / "config"
    readers = [
        str(path)
        for path in _SOURCES.rglob("*.py")
        if room not in path.parents and path.name not in ("cli.py", "keeping.py", "opening.py", "server.py")
        if "hounsfield.config" in path.read_text(encoding="utf-8")
    ]
    assert readers == []

"""Every option does what the table says: it is documented, and it has an effect unless it says that it has none."""

import ast
from pathlib import Path

import hounsfield
from hounsfield.config import documents
from hounsfield.config.option import Effect
from hounsfield.config.options import OPTIONS

_ROOT = Path(__file__).parents[2]
_SOURCES = Path(hounsfield.__file__).parent


def _strings(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_page_of_the_documentation_is_up_to_date() -> None:
    page = (_ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == documents.markdown(), "run `python3 tools/make_docs.py`"


def test_an_option_with_effect_is_handed_to_a_room() -> None:
    used = _strings(_SOURCES / "config" / "records.py")
    acting = [option.name for option in OPTIONS.values() if option.effect is Effect.ACTS]
    assert [name for name in acting if name not in used] == []


def test_nobody_but_config_reads_options() -> None:
    room = _SOURCES / "config"
    readers = [
        str(path)
        for path in _SOURCES.rglob("*.py")
        if room not in path.parents and path.name not in ("cli.py", "server.py")
        if "hounsfield.config" in path.read_text(encoding="utf-8")
    ]
    assert readers == []

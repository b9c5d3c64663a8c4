"""The walk through the sources leads to what is there."""

import ast
import re
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[2] / "docs" / "walk.md"
_LINKS = re.findall(r"\[`([\w.]+)`\]\((\.\./src/[^)#]+\.py)\)", _PAGE.read_text(encoding="utf-8"))


def _names(path: Path) -> set[str]:
    """What a module defines, `Class.method` too, and the module itself."""
    found = {path.stem}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        found |= _defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for child in node.body for name in _defined(child)}
    return found


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return set()


def test_the_walk_has_many_stops() -> None:
    assert len(_LINKS) > 40
    assert len({link for _, link in _LINKS}) > 25


@pytest.mark.parametrize("link", sorted({link for _, link in _LINKS}))
def test_every_stop_is_there(link: str) -> None:
    path = _PAGE.parent / link
    assert path.is_file()
    wanted = {name for name, of in _LINKS if of == link}
    assert wanted - _names(path) == set()


def test_every_link_to_the_sources_names_what_it_leads_to() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    assert text.count("](../src/") == len(_LINKS)

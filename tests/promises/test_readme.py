"""What the README tells people to type and to open is there."""

import ast
import re
from pathlib import Path

import pytest

from hounsfield.automation import toolbox
from hounsfield.config.options import OPTIONS
from hounsfield.config.table.database import POSTGRES_MEMBERS
from hounsfield.config.table.network import FORWARDING_MEMBERS
from hounsfield.ingest.intake import Outcome
from hounsfield.remote.modality import STORE_ASSOCIATIONS

_ROOT = Path(__file__).parents[2]
# Of these, the first is made from the options themselves; the others name members of answers and classes too.
_GENERAL = ("configuration.md", "modification.md", "rest-api.md", "walk.md")
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_of_the_readme_is_understood() -> None:
    text = (_ROOT / "README.md").read_text(encoding="utf-8")
    words = set(re.findall(r"python3 run\.py ([a-z]+)", text))
    constants = ast.walk(ast.parse((_ROOT / "run.py").read_text(encoding="utf-8")))
    understood = {node.value for node in constants if isinstance(node, ast.Constant)} | {"config"}
    assert words
    assert words <= understood


def test_options_that_the_pages_name_exist() -> None:
    named = {
        word
        for page in _PAGES
        if page.name not in _GENERAL
        for word in re.findall(r"`([A-Z][a-z]+(?:[A-Z][A-Za-z0-9]+)+)`", page.read_text(encoding="utf-8"))
    }
    members = {member.name for member in (*POSTGRES_MEMBERS, *FORWARDING_MEMBERS)}
    functions = set(re.findall(r"\w+", toolbox.SOURCE.decode()))
    known = {
        *OPTIONS,
        *(outcome.value for outcome in Outcome),
        *members,
        *functions,
        STORE_ASSOCIATIONS,
        "FailedInstancesCount",
        "HeldFor",
        "NextAttempt",
        "DicomWeb",
        "IfChanged",
        "HounsfieldStorage",
        "OrthancStorage",
    }
    assert named - known == set()

import json
from pathlib import Path

from hounsfield.config import documents
from hounsfield.config.configuration import load
from hounsfield.config.lenient_json import parse
from hounsfield.config.options import OPTIONS
from hounsfield.config.sources import Origin


def test_the_sample_reads_back_to_the_defaults() -> None:
    assert parse(documents.sample()).value == {
        name: option.default for name, option in OPTIONS.items() if option.default is not None
    }


def test_the_sample_starts_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(documents.sample())
    assert load(Origin((Path("c.json"),), {}, tmp_path, tmp_path / "none")).warnings == ()


def test_the_two_halves_of_the_sample_fit_together(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(documents.sample(documents.MAIN_SECTIONS))
    (tmp_path / "b.json").write_text(documents.sample(documents.ADVANCED_SECTIONS))
    given = load(Origin((tmp_path,), {}, tmp_path, tmp_path / "none")).given
    assert json.dumps(given, sort_keys=True) == json.dumps(parse(documents.sample()).value, sort_keys=True)


def test_the_page_names_every_option() -> None:
    page = documents.markdown()
    assert [name for name in OPTIONS if f"| `{name}` |" not in page] == []

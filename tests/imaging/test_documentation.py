"""The examples of docs/imaging.md are run."""

import doctest
from pathlib import Path

from tests.rest.test_volumes import ball, pet

from hounsfield.imaging.series import read_series

_PAGE = Path(__file__).parents[2] / "docs" / "imaging.md"


def test_the_examples_of_the_page_are_true(tmp_path: Path) -> None:
    for index, data in enumerate(ball()):
        (tmp_path / f"{index}.dcm").write_bytes(data)
    failed, tried = doctest.testfile(
        str(_PAGE), module_relative=False, globs={"folder": tmp_path, "pet": read_series(pet())}
    )
    assert tried > 20
    assert failed == 0


def test_the_pictures_of_the_page_are_there() -> None:
    text = _PAGE.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("!["):
            assert (_PAGE.parent / line.partition("](")[2].removesuffix(")")).is_file()

"""Write the pages of the documentation that are made from tables: `python3 tools/make_docs.py`."""

from pathlib import Path

from hounsfield.config import documents

PAGES = Path(__file__).parents[1] / "docs"


def main() -> None:
    (PAGES / "configuration.md").write_text(documents.markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()

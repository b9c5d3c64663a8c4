"""Write `docs/clients.md`: `python3 tools/make_clients.py`, in the environment of the tests."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from tests.conformance.matrix import markdown  # noqa: E402

if __name__ == "__main__":
    (_ROOT / "docs" / "clients.md").write_text(markdown(), encoding="utf-8")

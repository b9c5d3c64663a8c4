"""Which routes of Orthanc are there; run as a program it writes `docs/coverage.md`."""

import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.servers import running

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
_ROUTES = Path(__file__).with_name("orthanc_routes.txt")

Operation = tuple[str, str]

NOT_YET: tuple[Operation, ...] = ()


def wanted() -> list[Operation]:
    """The operations of Orthanc's core, from its list of routes."""
    lines = _ROUTES.read_text(encoding="utf-8").splitlines()
    return [(line.split()[0], line.split()[1]) for line in lines]


def described(document: dict[str, Any]) -> set[Operation]:
    """Those of `wanted` that a description has, whatever it calls the parameters."""
    there = {
        (method.upper(), _plain(path))
        for path, operations in document["paths"].items()
        for method in operations
    }
    return {
        (method, path) for method, path in wanted() if (method, _plain(path.replace("*", "{path}"))) in there
    }


def _plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def page(missing: Collection[Operation]) -> str:
    """The table, by the first component of the address."""
    rows: dict[str, list[tuple[Operation, bool]]] = {}
    for operation in wanted():
        first = operation[1].split("/")[1] or "/"
        rows.setdefault(first, []).append((operation, operation not in missing))
    lines = [
        "# Coverage of Orthanc's REST API",
        "",
        "<!-- Made by `python3 -m tests.promises.coverage`: do not edit. -->",
        "",
        f"Of the {len(wanted())} operations of Orthanc 1.13 (API version 31),"
        f" {len(wanted()) - len(missing)} are there.",
        "",
        "| Address | Operations | There | Missing |",
        "|---|---|---|---|",
    ]
    for first, operations in rows.items():
        absent = ", ".join(f"`{method} {path}`" for (method, path), is_there in operations if not is_there)
        count = sum(is_there for _, is_there in operations)
        lines.append(f"| `/{first.strip('/')}` | {len(operations)} | {count} | {absent} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        there = described(server.json("/openapi.json"))
        missing = []
        for method, pattern in wanted():
            path = re.sub(r"\{[^}]*\}", "x", pattern)
            is_directory = method == "GET" and server.request(method, path)[0] == 200
            if (method, pattern) not in there and not is_directory:
                missing.append((method, pattern))
    PAGE.write_text(page(missing), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Every route of Orthanc is there: `docs/coverage.md` says which, and this server answers what it describes."""

import re
from pathlib import Path

from tests.promises.coverage import NOT_YET, PAGE, described, page, wanted
from tests.servers import running


def test_every_route_of_orthanc_is_described(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        there = described(server.json("/openapi.json"))
        missing = [route for route in wanted() if route not in there]
        for method, pattern in missing:
            if method == "GET":  # A directory needs no description.
                path = re.sub(r"\{[^}]*\}", "x", pattern)
                if server.request(method, path)[0] == 200:
                    missing = [route for route in missing if route != (method, pattern)]
        assert set(missing) == set(NOT_YET)
        assert PAGE.read_text(encoding="utf-8") == page(missing), "run `python3 -m tests.promises.coverage`"


def test_no_route_is_a_stub(tmp_path: Path) -> None:
    """No route says that it is not implemented when it is asked about what does not exist."""
    with running(tmp_path) as server:
        for method, pattern in wanted():
            if pattern in ("/tools/shutdown", "/tools/reset"):
                continue
            path = re.sub(r"\{[^}]*\}", "1", pattern).replace("*", "x")
            status, answer = server.request(method, path, None if method == "GET" else b"{}")
            assert status != 501, (method, path)
            assert b'"OrthancStatus": 2,' not in answer, (method, path)
            assert b'"OrthancStatus": -1,' not in answer, (method, path, answer)

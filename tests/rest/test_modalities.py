"""Defining modalities."""

import json
from pathlib import Path

from tests.servers import RunningServer, running


def _put(server: RunningServer, name: str, body: object) -> tuple[int, int]:
    status, answer = server.request("PUT", f"/modalities/{name}", json.dumps(body).encode())
    return status, json.loads(answer)["OrthancStatus"] if answer else 0


def test_modalities_are_defined_shown_and_forgotten(tmp_path: Path) -> None:
    with running(tmp_path, {"DicomModalities": {"file": ["FILE", "localhost", 104]}}) as server:
        assert _put(server, "a", ["AET", "127.0.0.1", "2000", "GE"]) == (200, 0)
        assert _put(server, "b", {"AET": "B", "Host": "h", "Port": 11, "AllowStorageCommitment": False}) == (
            200,
            0,
        )
        assert _put(server, "old", ["AET", "h", 104, "MedInria"]) == (200, 0)
        assert server.json("/modalities") == ["a", "b", "file", "old"]
        assert server.json("/modalities/a/configuration") == {
            "AET": "AET",
            "Host": "127.0.0.1",
            "Port": 2000,
            "Manufacturer": "GE",
            **dict.fromkeys(
                (
                    "AllowEcho",
                    "AllowStore",
                    "AllowFind",
                    "AllowFindWorklist",
                    "AllowMove",
                    "AllowGet",
                    "AllowNAction",
                    "AllowEventReport",
                    "AllowTranscoding",
                ),
                True,
            ),
            "UseDicomTls": False,
            "LocalAet": "",
            "Timeout": 0,
            "RetrieveMethod": "SystemDefault",
        }
        expanded = server.json("/modalities?expand")
        assert expanded["a"] == server.json("/modalities/a/configuration")
        assert (expanded["b"]["AllowNAction"], expanded["b"]["AllowEventReport"]) == (False, False)
        assert expanded["old"]["Manufacturer"] == "Generic"
        assert "store-straight" in server.json("/modalities/a")
        assert server.request("DELETE", "/modalities/a", None) == (200, b"")
        assert server.request("GET", "/modalities/a") == (404, b"")
        assert server.request("DELETE", "/modalities/a")[0] == 404


def test_wrong_definitions_are_refused(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert _put(server, "a%20b", ["A", "h", 104]) == (400, 15)
        assert _put(server, "a", ["A", "h", 0]) == (400, 3)
        assert _put(server, "a", ["A", "h", 65535]) == (400, 3)
        assert _put(server, "a", ["A", "h", 104, "ge"]) == (400, 3)
        assert _put(server, "a", {"AET": "A", "Host": "h", "Port": 1, "RetrieveMethod": "X"}) == (400, 3)
        assert _put(server, "a", ["A", "h"]) == (400, 15)
        assert _put(server, "a", {"AET": "A", "Host": "h"}) == (400, 15)
        assert _put(server, "a", {"AET": "A", "Host": "h", "Port": 1, "AllowEcho": 1}) == (400, 15)
        assert server.request("PUT", "/modalities/a", b"{")[0] == 400
        assert server.json("/modalities") == []


def test_modalities_in_the_index_survive_and_hide_those_of_the_file(tmp_path: Path) -> None:
    options = {"DicomModalitiesInDatabase": True, "DicomModalities": {"file": ["FILE", "localhost", 104]}}
    with running(tmp_path, options) as server:
        assert server.json("/modalities") == []
        assert _put(server, "kept", ["KEPT", "h", 104]) == (200, 0)
    with running(tmp_path, options) as server:
        assert server.json("/modalities") == ["kept"]
        assert server.json("/modalities/kept/configuration")["AET"] == "KEPT"

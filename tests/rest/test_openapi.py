"""The description of the REST API is true and complete."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.servers import RunningServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running(tmp_path_factory.mktemp("openapi")) as started:
        yield started


@pytest.fixture(scope="module")
def document(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = server.json("/openapi.json")
    return found


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) > 250
    assert [each["operationId"] for each in operations if not each["summary"]] == []
    assert len({each["operationId"] for each in operations}) == len(operations)


def test_the_parameters_of_a_route_are_told_with_their_types(document: dict[str, Any]) -> None:
    parameters = {
        each["name"]: each for each in document["paths"]["/studies/{id}/series"]["get"]["parameters"]
    }
    assert parameters["id"] == {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    assert parameters["expand"]["schema"] == {"type": "boolean"}
    find = document["paths"]["/tools/find"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert find["properties"]["Query"]["type"] == "object"
    assert set(document["paths"]["/instances/{id}/preview"]["get"]["responses"]["200"]["content"]) >= {
        "image/png"
    }


def test_what_is_described_is_there(server: RunningServer, document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path and "websocket" not in path:
            status, answer = server.request("GET", path)
            assert status in (200, 307, 400, 404), (path, status, answer[:200])
            assert b'"OrthancStatus": -1' not in answer, path


def test_the_page_brings_all_it_needs(server: RunningServer) -> None:
    connection = server.connection()
    connection.request("GET", "/openapi")
    answer = connection.getresponse()
    page = answer.read().decode()
    policy = answer.headers["Content-Security-Policy"]
    connection.close()
    assert "default-src 'none'" in policy
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize("option", ["--openapi", "--cheatsheet"])
def test_the_command_writes_descriptions(tmp_path: Path, option: str) -> None:
    target = tmp_path / "file"
    command = [sys.executable, "-m", "hounsfield", f"{option}={target}"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    text = target.read_text()
    if option == "--openapi":
        assert "/tools/find" in json.loads(text)["paths"]
    else:
        assert text.splitlines()[0] == "Path,GET,POST,DELETE,PUT,Summary"
        assert any(line.startswith("/instances/{id}/file,x,,,,") for line in text.splitlines())

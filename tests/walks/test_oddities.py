"""Files as careless devices write them are the same instance, and are kept as they came."""

import json
import tomllib
from pathlib import Path

import pytest
from tests.servers import RunningServer

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level

_DATA = Path(__file__).parents[1] / "data"
_MANIFEST = tomllib.loads((_DATA / "MANIFEST.toml").read_text())
_ROOT = "1.2.826.0.1.3680043.10.1200.88"
_PUBLIC_ID = Identifiers("ODD1", f"{_ROOT}.11", f"{_ROOT}.21", f"{_ROOT}.31").public_id(Level.INSTANCE)


def test_every_file_has_its_source_licence_and_point() -> None:
    files = {path.relative_to(_DATA).as_posix() for path in _DATA.rglob("*.dcm")}
    assert files == set(_MANIFEST)
    assert all(entry.keys() == {"source", "licence", "point"} for entry in _MANIFEST.values())
    assert sum((_DATA / name).stat().st_size for name in files) < 100_000


@pytest.mark.parametrize("name", sorted(_MANIFEST))
def test_an_odd_file_is_the_instance_that_it_means(server: RunningServer, name: str) -> None:
    data = (_DATA / name).read_bytes()
    status, answer = server.request("POST", "/instances", data)
    assert (status, json.loads(answer)["ID"]) == (200, _PUBLIC_ID)
    assert server.request("GET", f"/instances/{_PUBLIC_ID}/file") == (200, data)
    syntax = server.request("GET", f"/instances/{_PUBLIC_ID}/metadata/TransferSyntax")
    assert syntax == (200, b"1.2.840.10008.1.2.1")
    kind = server.request("GET", f"/instances/{_PUBLIC_ID}/metadata/SopClassUid")
    assert kind == (200, b"1.2.840.10008.5.1.4.1.1.7")
    assert server.request("DELETE", f"/instances/{_PUBLIC_ID}")[0] == 200

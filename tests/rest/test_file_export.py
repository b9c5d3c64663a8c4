from pathlib import Path

from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.rest.door import RestOptions

INSTANCE = ids()[3]


def test_nobody_writes_files_unless_it_is_allowed(server: Server, tmp_path: Path) -> None:
    server.post("/instances", slice_file())
    target = tmp_path / "a.dcm"
    assert server.failure("POST", f"/instances/{INSTANCE}/export", str(target).encode()) == (403, None)
    assert not target.exists()


def test_an_instance_is_written_to_a_file(build: Builder, tmp_path: Path) -> None:
    server = build(RestOptions(may_write_files=True))
    server.post("/instances", slice_file())
    target = tmp_path / "é.dcm"
    assert server.post(f"/instances/{INSTANCE}/export", str(target).encode()) == {}
    assert target.read_bytes() == slice_file()


def test_what_cannot_be_written_is_told(build: Builder, tmp_path: Path) -> None:
    server = build(RestOptions(may_write_files=True))
    server.post("/instances", slice_file())
    for path in (b"", str(tmp_path).encode(), b"/nonexistent/a.dcm", b"/tmp/a\0b"):
        assert server.failure("POST", f"/instances/{INSTANCE}/export", path) == (500, 14)
    assert server.failure("POST", "/instances/nope/export", str(tmp_path / "b").encode()) == (404, 17)

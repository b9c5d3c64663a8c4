"""The protocol of resumable uploads, header by header, and what becomes of the files."""

import base64
import hashlib
import io
import time
import zipfile
import zlib
from dataclasses import replace
from typing import Any

import orjson
import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.http.dispatch import dispatch
from hounsfield.http.messages import FileBody, Request, Response

_OCTETS = "application/offset+octet-stream"


def ask(
    server: Server, method: str, path: str, body: bytes = b"", user: str = "", **headers: Any
) -> Response:
    named = {"tus-resumable": "1.0.0", **{k.replace("_", "-"): str(v) for k, v in headers.items()}}
    return dispatch(server.dispatcher, Request(method, path, "", named, body, username=user))


def create(server: Server, length: int, **headers: Any) -> str:
    answer = ask(server, "POST", "/uploads", upload_length=length, **headers)
    assert answer.status == 201
    location = answer.header(b"location")
    assert location is not None
    return "/" + location.decode()


def patch(server: Server, path: str, offset: int, body: bytes, **headers: Any) -> Response:
    return ask(server, "PATCH", path, body, upload_offset=offset, content_type=_OCTETS, **headers)


def offset_of(server: Server, path: str) -> int:
    answer = ask(server, "HEAD", path)
    assert answer.status == 200
    return int(answer.header(b"upload-offset") or b"")


def results(server: Server, path: str) -> list[dict[str, str]]:
    body = server.ask("GET", path + "/results").body
    assert not isinstance(body, bytes)
    found: list[dict[str, str]] = orjson.loads(b"".join(body))  # type: ignore[arg-type]
    return found


def zipped(**files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def test_the_server_tells_what_it_understands(server: Server) -> None:
    answer = dispatch(server.dispatcher, Request("OPTIONS", "/uploads"))
    assert answer.status == 204
    assert answer.header(b"tus-version") == b"1.0.0"
    assert b"checksum" in (answer.header(b"tus-extension") or b"")


def test_a_file_in_two_pieces_is_taken_in(server: Server) -> None:
    file = slice_file()
    path = create(server, len(file), upload_metadata="filename " + base64.b64encode(b"a.dcm").decode())
    assert offset_of(server, path) == 0
    answer = patch(server, path, 0, file[:100])
    assert (answer.status, answer.header(b"upload-offset")) == (204, b"100")
    assert server.get(path)["State"] == "Receiving"
    assert patch(server, path, 100, file[100:]).status == 204
    told = server.get(path)
    assert (told["State"], told["Offset"], told["Metadata"]) == ("Success", len(file), {"filename": "a.dcm"})
    assert server.get("/instances") == [ids()[3]]
    assert [each["Status"] for each in results(server, path)] == ["Success"]
    stored = server.ask("GET", f"/instances/{ids()[3]}/file").body
    assert isinstance(stored, FileBody)
    assert stored.path.read_bytes()[: stored.length] == file


def test_an_archive_is_taken_in_by_a_job_with_a_result_for_each_file(server: Server) -> None:
    first, second = slice_file(), slice_file(instance="1.1.1.2")
    body = zipped(a=first, readme=b"hello there" * 99, b=second, again=first, bad=first[:300])
    path = create(server, len(body))
    patch(server, path, 0, body)
    (job_id,) = server.get("/jobs")
    job = server.engine.wait(job_id)
    assert (job.kind, job.error_code) == ("UploadImport", 0)
    assert server.get(path)["State"] == "Success"
    assert server.get(path)["Job"] == job_id
    assert [(each["Name"], each["Status"]) for each in results(server, path)] == [
        ("a", "Success"),
        ("readme", "Skipped"),
        ("b", "Success"),
        ("again", "AlreadyStored"),
        ("bad", "Failure"),
    ]
    content = orjson.loads(job.content)
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (3, 1)


def test_what_is_no_dicom_file_fails(server: Server) -> None:
    path = create(server, 5)
    assert patch(server, path, 0, b"hello").status == 204
    assert server.get(path)["State"] == "Failure"
    assert [each["Status"] for each in results(server, path)] == ["Failure"]
    assert server.get("/instances") == []


def test_a_piece_at_another_place_is_refused(server: Server) -> None:
    path = create(server, 10)
    patch(server, path, 0, b"abc")
    for offset in (0, 2, 4, 10):
        assert patch(server, path, offset, b"x").status == 409
    assert offset_of(server, path) == 3


def test_more_than_was_announced_is_refused(server: Server) -> None:
    path = create(server, 3)
    answer = patch(server, path, 0, b"abcd")
    assert answer.status in (400, 413)
    assert offset_of(server, path) in (0, 3)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("sha1", hashlib.sha1(b"abc").digest()),
        ("sha256", hashlib.sha256(b"abc").digest()),
        ("md5", hashlib.md5(b"abc").digest()),
        ("crc32", zlib.crc32(b"abc").to_bytes(4, "big")),
    ],
)
def test_a_piece_that_changed_on_its_way_is_not_kept(server: Server, name: str, digest: bytes) -> None:
    path = create(server, 6)
    good = f"{name} {base64.b64encode(digest).decode()}"
    assert patch(server, path, 0, b"abX", upload_checksum=good).status == 460
    assert offset_of(server, path) == 0
    assert patch(server, path, 0, b"abc", upload_checksum=good).status == 204
    assert offset_of(server, path) == 3


@pytest.mark.parametrize("checksum", ["sha1", "nope YWJj", "sha1 ***"])
def test_a_checksum_nobody_understands_is_refused(server: Server, checksum: str) -> None:
    path = create(server, 6)
    assert patch(server, path, 0, b"abc", upload_checksum=checksum).status in (400, 460)
    assert offset_of(server, path) == 0


def test_the_length_may_come_later(server: Server) -> None:
    file = slice_file()
    answer = ask(server, "POST", "/uploads", upload_defer_length=1)
    path = "/" + (answer.header(b"location") or b"").decode()
    assert ask(server, "HEAD", path).header(b"upload-defer-length") == b"1"
    patch(server, path, 0, file[:50])
    patch(server, path, 50, file[50:], upload_length=len(file))
    assert server.get(path)["State"] == "Success"


@pytest.mark.parametrize(
    "headers",
    [{}, {"upload_length": "x"}, {"upload_length": -1}, {"upload_length": 3, "upload_defer_length": 1}],
)
def test_an_upload_needs_a_length_or_a_promise(server: Server, headers: dict[str, Any]) -> None:
    assert ask(server, "POST", "/uploads", **headers).status == 400


def test_another_version_is_refused(server: Server) -> None:
    path = create(server, 3)
    for method, target in (("POST", "/uploads"), ("HEAD", path), ("PATCH", path), ("DELETE", path)):
        answer = ask(server, method, target, tus_resumable="0.2")
        assert (answer.status, answer.header(b"tus-version")) == (412, b"1.0.0")


def test_a_piece_must_say_what_it_is_and_where(server: Server) -> None:
    path = create(server, 3)
    assert ask(server, "PATCH", path, b"abc", upload_offset=0).status == 415
    assert ask(server, "PATCH", path, b"abc", content_type=_OCTETS).status == 400


def test_an_upload_that_is_given_up_is_gone(server: Server) -> None:
    path = create(server, 3)
    patch(server, path, 0, b"ab")
    assert ask(server, "DELETE", path).status == 204
    assert ask(server, "HEAD", path).status == 404
    assert server.failure("GET", path) == (404, 17)
    assert server.get("/uploads") == []
    assert not any(server.area.spool.folder.parent.joinpath("uploads").iterdir())


@pytest.mark.parametrize(
    "name", ["nope", "..%2f..%2fuploads%2fx", "00000000-0000-0000-0000-000000000000", "*"]
)
def test_an_unknown_upload_is_not_found(server: Server, name: str) -> None:
    assert ask(server, "HEAD", f"/uploads/{name}").status == 404
    assert patch(server, f"/uploads/{name}", 0, b"x").status == 404
    assert ask(server, "DELETE", f"/uploads/{name}").status == 404


def test_nobody_sees_the_uploads_of_another(server: Server) -> None:
    answer = ask(server, "POST", "/uploads", user="alice", upload_length=3)
    path = "/" + (answer.header(b"location") or b"").decode()
    assert ask(server, "HEAD", path, user="bob").status == 404
    assert ask(server, "DELETE", path, user="bob").status == 404
    assert ask(server, "HEAD", path, user="alice").status == 200
    assert orjson.loads(ask(server, "GET", "/uploads", user="bob").body) == []  # type: ignore[arg-type]


def test_there_are_limits(build: Builder) -> None:
    server = build()
    resumable = server.host.uploads.resumable
    assert resumable is not None
    uploads = server.imports.uploads
    uploads.options = replace(resumable, maximum_size=100, maximum_count=2)
    assert ask(server, "POST", "/uploads", upload_length=101).status == 413
    assert ask(server, "POST", "/uploads", upload_length=1 << 58).status == 413
    create(server, 100)
    create(server, 100)
    assert ask(server, "POST", "/uploads", upload_length=1).status == 429
    uploads.options = replace(resumable, maximum_size=0)
    assert ask(server, "POST", "/uploads", upload_length=1 << 59).status == 507


def test_what_expires_is_deleted(server: Server) -> None:
    path = create(server, 10)
    patch(server, path, 0, b"abc")
    uploads = server.imports.uploads
    record = uploads.find(path.rpartition("/")[2])
    uploads.save(replace(record, touched_ns=time.time_ns() - 90_000 * 1_000_000_000))
    assert ask(server, "HEAD", path).status == 404
    uploads.sweep()
    assert not any(uploads.options.folder.iterdir())


def test_a_complete_upload_may_be_tried_again_when_there_is_room(server: Server) -> None:
    """A failure for want of room keeps the bytes; an empty piece at the end has them taken in again."""
    file = slice_file()
    path = create(server, len(file))
    uploads = server.imports.uploads
    patch(server, path, 0, file[:-1])
    record = uploads.find(path.rpartition("/")[2])
    writer = uploads.open(record, len(file) - 1)
    writer.write(file[-1:])
    writer.finish()
    assert server.get("/instances") == []
    assert patch(server, path, len(file), b"").status == 204
    assert server.get(path)["State"] == "Success"
    assert patch(server, path, len(file), b"").status == 204
    assert len(server.get("/instances")) == 1

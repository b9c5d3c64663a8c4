"""Metadata, labels and attachments, which resources of every level have."""

import hashlib

import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.http.local import whole_body
from hounsfield.http.messages import FileBody
from hounsfield.ingest.intake import IngestOptions
from hounsfield.rest.door import RestOptions

IDS = dict(zip(("patients", "studies", "series", "instances"), ids(), strict=True))
LEVELS = tuple(IDS)
FILE = slice_file()
MD5 = hashlib.md5(FILE, usedforsecurity=False).hexdigest()
DICOM = f"/instances/{IDS['instances']}/attachments/dicom"


@pytest.fixture
def filled(build: Builder) -> Server:
    server = build(RestOptions(user_metadata={"my-metadata": 1098}))
    server.post("/instances", FILE)
    return server


def test_metadata_are_listed_by_number(filled: Server) -> None:
    path = f"/instances/{IDS['instances']}/metadata"
    names = [
        "ReceptionDate",
        "RemoteAET",
        "Origin",
        "TransferSyntax",
        "SopClassUid",
        "RemoteIP",
        "HttpUsername",
    ]
    names += ["PixelDataOffset", "MainDicomTagsSignature"]
    assert filled.get(path) == names
    assert filled.get(path + "?numeric") == [2, 3, 8, 9, 10, 11, 13, 14, 15]
    assert filled.get(path + "?expand")["TransferSyntax"] == "1.2.840.10008.1.2.1"
    assert filled.get(path + "?expand&numeric")["9"] == "1.2.840.10008.1.2.1"
    assert filled.get(path.replace("instances", "studies").replace(IDS["instances"], IDS["studies"])) == [
        "LastUpdate",
        "MainDicomTagsSignature",
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_users_may_set_read_and_delete_their_metadata(filled: Server, level: str) -> None:
    path = f"/{level}/{IDS[level]}/metadata"
    for name in ("my-metadata", "1024", "65535"):
        assert filled.failure("GET", f"{path}/{name}") == (404, None)
        for revision, value in enumerate((b"one", "zwölf".encode(), b"")):
            etag = f'"{revision}-{hashlib.md5(value, usedforsecurity=False).hexdigest()}"'.encode()
            assert filled.ask("PUT", f"{path}/{name}", value).header(b"etag") == etag
            response = filled.ask("GET", f"{path}/{name}")
            assert (response.body, response.header(b"etag")) == (value, etag)
        assert filled.ask("DELETE", f"{path}/{name}").status == 200
        assert filled.failure("DELETE", f"{path}/{name}") == (404, 17)
    assert {each["ChangeType"] for each in filled.get("/changes?since=4")["Changes"]} == {"UpdatedMetadata"}


@pytest.mark.parametrize("name", ["TransferSyntax", "9", "1023", "65536", "999999"])
def test_the_metadata_of_the_system_are_not_theirs(filled: Server, name: str) -> None:
    path = f"/instances/{IDS['instances']}/metadata/{name}"
    for method in ("PUT", "DELETE"):
        assert filled.failure(method, path, b"x") == (403, None)


def test_unknown_metadata_and_resources_are_told_apart(filled: Server) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert filled.failure(method, f"/series/{IDS['series']}/metadata/nope", b"") == (404, 7)
        assert filled.failure(method, "/series/nope/metadata/my-metadata", b"") == (404, 17)
    assert filled.failure("GET", f"/series/{IDS['series']}/metadata/Origin") == (404, None)
    assert filled.failure("GET", "/series/nope/metadata") == (404, 17)


def test_a_version_that_is_known_is_not_sent_again(filled: Server) -> None:
    path = f"/studies/{IDS['studies']}/metadata/my-metadata"
    etag = filled.ask("PUT", path, b"a").header(b"etag")
    assert etag is not None
    response = filled.ask("GET", path, if_none_match=etag.decode())
    assert (response.status, response.body, response.header(b"etag")) == (304, b"", etag)
    assert filled.ask("GET", path, if_none_match='"1-x"'.replace("x", "00")).status == 200
    for wrong in ("aaa-bbb", '"aaa-bbb"', "*", ""):
        assert filled.failure("GET", path, b"", if_none_match=wrong) == (400, 3)


def test_a_version_that_was_not_seen_is_not_overwritten(build: Builder) -> None:
    server = build(RestOptions(check_revisions=True))
    server.post("/instances", FILE)
    path = f"/studies/{IDS['studies']}/metadata/1024"
    first = server.ask("PUT", path, b"a").header(b"etag")
    assert first is not None
    assert server.failure("PUT", path, b"b") == (409, 43)
    assert server.failure("DELETE", path) == (409, 43)
    assert server.failure("PUT", path, b"b", if_match='"7-00"') == (409, 43)
    assert server.failure("PUT", path, b"b", if_match="nope") == (400, 3)
    second = server.ask("PUT", path, b"b", if_match=first.decode()).header(b"etag")
    assert second is not None
    assert server.failure("DELETE", path, b"", if_match=first.decode()) == (409, 43)
    assert server.ask("DELETE", path, b"", if_match=second.decode()).status == 200


@pytest.mark.parametrize("level", LEVELS)
def test_labels_are_put_and_taken_away(filled: Server, level: str) -> None:
    path = f"/{level}/{IDS[level]}/labels"
    for label in ("zeta", "Alpha_1-x", "a" * 64, "zeta"):
        response = filled.ask("PUT", f"{path}/{label}")
        assert (response.status, response.body) == (200, b"")
    assert (
        filled.get(path) == filled.get(f"/{level}/{IDS[level]}")["Labels"] == ["Alpha_1-x", "a" * 64, "zeta"]
    )
    assert filled.get("/tools/labels") == ["Alpha_1-x", "a" * 64, "zeta"]
    assert filled.ask("GET", f"{path}/zeta").status == 200
    for _ in range(2):
        assert filled.ask("DELETE", f"{path}/zeta").status == 200
    assert filled.failure("GET", f"{path}/zeta") == (404, None)


@pytest.mark.parametrize("label", ["a b", "a.b", "é", "a" * 65, "a%0Ab"])
def test_a_label_is_a_short_word(filled: Server, label: str) -> None:
    path = f"/studies/{IDS['studies']}/labels/{label}"
    assert filled.failure("PUT", path) == (400, 3)
    assert filled.failure("DELETE", path) == (400, 3)
    assert filled.failure("GET", path) == (404, None)


def test_labels_of_an_unknown_resource_are_an_error(filled: Server) -> None:
    for method, path in (("GET", ""), ("GET", "/a"), ("PUT", "/a"), ("DELETE", "/a")):
        assert filled.failure(method, f"/studies/nope/labels{path}") == (404, 17)


def test_the_file_is_an_attachment(filled: Server) -> None:
    path = f"/instances/{IDS['instances']}/attachments"
    assert filled.get(path) == ["dicom"]
    assert filled.get(path + "?full") == {"dicom": 1}
    assert filled.get(f"/patients/{IDS['patients']}/attachments") == []
    assert {"data", "info", "md5", "verify-md5", "compressed-data"} <= set(filled.get(DICOM))
    assert filled.get(f"{path}/1") == filled.get(DICOM)
    info = filled.get(f"{DICOM}/info")
    assert info == {
        "Uuid": filled.get(f"/instances/{IDS['instances']}")["FileUuid"],
        "ContentType": 1,
        "UncompressedSize": len(FILE),
        "CompressedSize": len(FILE),
        "UncompressedMD5": MD5,
        "CompressedMD5": MD5,
    }
    for name, expected in (
        ("size", str(len(FILE))),
        ("compressed-size", str(len(FILE))),
        ("md5", MD5),
        ("compressed-md5", MD5),
        ("is-compressed", "0"),
    ):
        response = filled.ask("GET", f"{DICOM}/{name}")
        assert response.body == expected.encode()
        assert response.header(b"etag") == f'"0-{MD5}"'.encode()
    assert filled.post(f"{DICOM}/verify-md5", b"") == {}


def read(server: Server, target: str, **headers: str) -> tuple[int, bytes]:
    response = server.ask("GET", target, b"", **headers)
    body = response.body
    if isinstance(body, FileBody):
        return response.status, body.path.read_bytes()[body.offset : body.offset + body.length]
    assert isinstance(body, bytes)
    return response.status, body


@pytest.mark.parametrize("is_compressed", [False, True])
def test_the_bytes_of_an_attachment_can_be_cut(build: Builder, is_compressed: bool) -> None:
    server = build(ingest=IngestOptions(is_compressed=is_compressed))
    server.post("/instances", FILE)
    assert read(server, f"{DICOM}/data") == (200, FILE)
    assert read(server, f"{DICOM}/data", range="bytes=2-5") == (206, FILE[2:6])
    assert read(server, f"{DICOM}/data", range="bytes=-5") == (206, FILE[:6])
    assert read(server, f"{DICOM}/data", range="bytes=100-") == (206, FILE[100:])
    assert server.failure("GET", f"{DICOM}/data", range=f"bytes=0-{len(FILE)}") == (416, 41)
    assert server.failure("GET", f"{DICOM}/data", range="bytes=5-2")[0] == 500
    stored = int(read(server, f"{DICOM}/compressed-size")[1])
    assert len(read(server, f"{DICOM}/compressed-data")[1]) == stored
    assert (stored != len(FILE)) is is_compressed
    assert read(server, f"{DICOM}/is-compressed")[1] == (b"1" if is_compressed else b"0")
    assert read(server, f"{DICOM}/md5")[1] == MD5.encode()


def test_an_attachment_is_named_by_its_uuid_unless_told(filled: Server) -> None:
    uuid = filled.get(f"/instances/{IDS['instances']}")["FileUuid"]
    assert filled.ask("GET", f"{DICOM}/data").header(b"content-disposition") == f'filename="{uuid}"'.encode()
    assert filled.ask("GET", f"{DICOM}/data?filename=a").header(b"content-disposition") == b'filename="a"'


def test_an_attachment_that_is_known_is_not_sent_again(filled: Server) -> None:
    for name in ("data", "size", "info"):
        assert read(filled, f"{DICOM}/{name}", if_none_match=f'"0-{MD5}"') == (304, b"")
        assert read(filled, f"{DICOM}/{name}", if_none_match=f'"1-{MD5}"')[0] == 200


def test_unknown_attachments_are_told_apart(filled: Server) -> None:
    for name, code in (("nope", 7), ("dicom-as-json", 17), ("1024", 17)):
        for part in ("", "/data", "/info"):
            assert filled.failure("GET", f"/instances/{IDS['instances']}/attachments/{name}{part}") == (
                404,
                code,
            )
    assert filled.failure("GET", "/instances/nope/attachments") == (404, 17)


def test_without_md5_there_is_none(build: Builder) -> None:
    server = build(RestOptions(store_md5=False))
    server.post("/instances", FILE)
    assert "md5" not in server.get(DICOM)
    assert server.failure("GET", f"{DICOM}/md5") == (404, None)
    assert server.failure("POST", f"{DICOM}/verify-md5") == (400, None)
    assert server.get(f"{DICOM}/info")["UncompressedMD5"] == ""
    assert server.ask("GET", f"{DICOM}/size").header(b"etag") == b'"0-"'


def test_a_file_that_rots_is_found_out(filled: Server) -> None:
    filled.get(f"{DICOM}/info")
    body = filled.ask("GET", f"{DICOM}/data").body
    assert isinstance(body, FileBody)
    damaged = bytearray(body.path.read_bytes())
    damaged[200] ^= 1
    body.path.chmod(0o600)
    body.path.write_bytes(damaged)
    assert filled.failure("POST", f"{DICOM}/verify-md5") == (400, None)


@pytest.mark.parametrize("level", LEVELS)
def test_users_may_attach_files_and_delete_them(filled: Server, level: str) -> None:
    path = f"/{level}/{IDS[level]}/attachments/1024"
    before = filled.get("/statistics")["TotalDiskSize"]
    for revision, content in enumerate((b"one", b"two" * 100_000, b"")):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        response = filled.ask("PUT", path, content)
        assert (response.status, response.body) == (200, b"{}")
        assert response.header(b"etag") == f'"{revision}-{md5}"'.encode()
        assert whole_body(filled.ask("GET", path + "/data")) == content
        assert filled.get("/statistics")["TotalDiskSize"] == str(int(before) + len(content))
        info = filled.get(path + "/info")
        assert (info["UncompressedMD5"], info["CompressedSize"]) == (md5, len(content))
    deleted = filled.ask("DELETE", path)
    assert (deleted.status, deleted.body) == (200, b"")
    assert filled.failure("DELETE", path) == (404, 17)
    assert filled.get("/statistics")["TotalDiskSize"] == before
    assert {each["ChangeType"] for each in filled.get("/changes?since=4")["Changes"]} == {"UpdatedAttachment"}


def test_attachments_that_replace_others_leave_no_files_behind(filled: Server) -> None:
    path = f"/studies/{IDS['studies']}/attachments/1024"
    for number in range(5):
        filled.ask("PUT", path, b"%d" % number)
    filled.ask("DELETE", path)
    filled.settling.settle()
    assert len(list(filled.area.keys())) == 1
    assert filled.ask("GET", f"/instances/{IDS['instances']}/file").status == 200


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("PUT", "/studies/{studies}/attachments/dicom", (403, None)),
        ("PUT", "/studies/{studies}/attachments/70000", (403, None)),
        ("PUT", "/studies/{studies}/attachments/5", (403, None)),
        ("PUT", "/studies/{studies}/attachments/nope", (404, 7)),
        ("PUT", "/studies/nope/attachments/1024", (404, 7)),
        ("DELETE", "/instances/{instances}/attachments/dicom", (403, None)),
        ("DELETE", "/instances/{instances}/attachments/dicom-as-json", (404, 17)),
        ("DELETE", "/instances/{instances}/attachments/1025", (404, 17)),
        ("DELETE", "/instances/{instances}/attachments/nope", (404, 7)),
        ("POST", "/instances/{instances}/attachments/1025/compress", (404, 17)),
        ("POST", "/instances/{instances}/attachments/nope/compress", (404, 7)),
    ],
)
def test_attachments_of_the_system_are_not_for_users(
    filled: Server, method: str, target: str, expected: tuple[int, int | None]
) -> None:
    assert filled.failure(method, target.format(**IDS), b"x") == expected
    assert filled.get(f"/instances/{IDS['instances']}/attachments") == ["dicom"]


def test_nobody_overwrites_an_attachment_that_he_has_not_seen(build: Builder) -> None:
    server = build(RestOptions(check_revisions=True))
    server.post("/instances", FILE)
    path = f"/series/{IDS['series']}/attachments/1024"
    seen = server.ask("PUT", path, b"one").header(b"etag")
    assert seen is not None
    assert server.failure("PUT", path, b"two") == (409, 43)
    assert server.failure("DELETE", path) == (409, 43)
    assert server.failure("DELETE", path, if_match='"1-aa"') == (409, 43)
    assert server.failure("DELETE", path, if_match="x") == (400, 3)
    assert server.ask("PUT", path, b"two", if_match=seen.decode()).status == 200
    assert server.ask("DELETE", path, if_match=seen.decode()).status == 409


def test_files_are_compressed_and_expanded_in_place(filled: Server) -> None:
    for path, content in ((DICOM, FILE), (f"/series/{IDS['series']}/attachments/1024", b"text " * 1000)):
        filled.ask("PUT", path, content)
        plain = filled.get(path + "/info")
        assert filled.ask("POST", path + "/compress").body == b"{}"
        compressed = filled.get(path + "/info")
        assert compressed["Uuid"] != plain["Uuid"]
        assert compressed["CompressedSize"] < plain["CompressedSize"]
        assert compressed["UncompressedMD5"] == plain["UncompressedMD5"]
        stored = whole_body(filled.ask("GET", path + "/compressed-data"))
        assert hashlib.md5(stored, usedforsecurity=False).hexdigest() == compressed["CompressedMD5"]
        assert whole_body(filled.ask("GET", path + "/data")) == content
        assert filled.ask("POST", path + "/verify-md5").body == b"{}"
        assert filled.ask("POST", path + "/compress").body == b"{}"
        assert filled.get(path + "/info")["Uuid"] == compressed["Uuid"]
        assert filled.ask("POST", path + "/uncompress").body == b"{}"
        assert filled.get(path + "/info") == {**plain, "Uuid": filled.get(path + "/info")["Uuid"]}
        assert whole_body(filled.ask("GET", path + "/data")) == content


def test_a_read_only_server_attaches_nothing(build: Builder) -> None:
    server = build(RestOptions(is_read_only=True))
    path = f"/series/{IDS['series']}/attachments/1024"
    assert server.ask("PUT", path).header(b"allow") == b"GET"
    assert server.failure("DELETE", path)[0] == 405
    assert server.failure("POST", path + "/compress") == (404, 17)


def test_attached_files_are_compressed_as_instances_are(build: Builder) -> None:
    server = build(ingest=IngestOptions(is_compressed=True))
    server.post("/instances", FILE)
    path = f"/studies/{IDS['studies']}/attachments/1024"
    server.ask("PUT", path, b"text " * 1000)
    assert server.bytes_of("GET", path + "/is-compressed") == b"1"
    assert whole_body(server.ask("GET", path + "/data")) == b"text " * 1000

import gzip
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, IngestOptions
from hounsfield.ingest.receive import receive

PATIENT, STUDY, SERIES, INSTANCE = ids()
FORM = {"content_type": "multipart/form-data; boundary=zz"}


def zipped(*files: bytes) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number}.dcm", content)
    return written.getvalue()


def test_an_upload_tells_what_it_became(server: Server) -> None:
    for status in ("Success", "AlreadyStored"):
        assert server.post("/instances", slice_file()) == {
            "ID": INSTANCE,
            "Path": f"/instances/{INSTANCE}",
            "Status": status,
            "ParentPatient": PATIENT,
            "ParentStudy": STUDY,
            "ParentSeries": SERIES,
        }
    assert (
        server.ask("GET", f"/instances/{INSTANCE}/attachments/dicom/size").body
        == str(len(slice_file())).encode()
    )


def test_who_sent_it_is_kept(server: Server) -> None:
    server.post("/instances", slice_file())
    found = server.get(f"/instances/{INSTANCE}/metadata?expand")
    assert (found["Origin"], found["RemoteIP"], found["HttpUsername"]) == ("RestApi", "127.0.0.1", "")


def test_an_archive_is_stored_file_by_file(server: Server) -> None:
    second = slice_file(instance="1.1.1.2")
    found = server.post("/instances", zipped(slice_file(), b"no DICOM", second))
    assert [each["ID"] for each in found] == [INSTANCE, ids(instance="1.1.1.2")[3]]
    assert server.post("/instances", zipped()) == []


def test_gzip_is_expanded_if_the_header_says_so(server: Server) -> None:
    body = gzip.compress(slice_file())
    assert server.post("/instances", body, content_encoding="gzip")["Status"] == "Success"
    assert server.failure("POST", "/instances", body) == (400, 15)
    assert server.failure("POST", "/instances", body, content_encoding="nope") == (400, 15)
    assert server.post("/instances", slice_file(), content_encoding="nope")["Status"] == "AlreadyStored"


def test_a_form_stores_each_of_its_files(server: Server) -> None:
    parts = [
        b"--zz\r\nContent-Disposition: form-data\r\n\r\n%s\r\n" % slice_file(instance=f"1.1.1.{n}")
        for n in (1, 2)
    ]
    response = server.ask("POST", "/instances", b"".join([*parts, b"--zz--"]), **FORM)
    assert (response.status, response.body) == (200, b"")
    assert server.get("/statistics")["CountInstances"] == 2


def test_a_large_part_of_a_form_goes_through_the_spool(server: Server) -> None:
    file = slice_file(Rows=2048, Columns=2048, PixelData=bytes(8 << 20))
    body = b"--zz\r\nContent-Disposition: form-data\r\n\r\n%s\r\n--zz--" % file
    assert server.ask("POST", "/instances", body, **FORM).status == 200
    assert server.get(f"/instances/{INSTANCE}")["FileSize"] == len(file)
    assert not list(server.area.spool.folder.iterdir())


@pytest.mark.parametrize(
    ("body", "expected", "details"),
    [
        (b"", (400, 15), "Received an empty DICOM file"),
        (b"x", (400, 15), "Cannot parse an invalid DICOM file (size: 1 bytes)"),
        (slice_file(StudyInstanceUID=""), (404, 21), "0020,000d"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    server: Server, body: bytes, expected: tuple[int, int], details: str
) -> None:
    assert server.failure("POST", "/instances", body) == expected
    assert details.encode() in server.bytes_of("POST", "/instances", body)


def test_a_file_without_patient_id_is_stored(server: Server) -> None:
    found = server.post("/instances", slice_file(patient=""))
    assert found["ParentPatient"] == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


def test_a_large_compressed_file_comes_back_piece_by_piece(build: Builder) -> None:
    server = build(ingest=IngestOptions(is_compressed=True))
    data = slice_file(Rows=3000, Columns=3000, PixelData=bytes(range(250)) * 72_000)
    spooled = server.area.spool.create()
    spooled.write(data)
    intake = replace(server.host.intake, spool=server.area.spool)
    receive(intake, Incoming(Origin(OriginKind.REST_API), spooled))
    spooled.close()
    answer = server.ask("GET", f"/instances/{INSTANCE}/file")
    assert isinstance(answer.body, Iterator)
    assert b"".join(answer.body) == data
    assert server.bytes_of("GET", f"/instances/{INSTANCE}/attachments/dicom/is-compressed") == b"1"
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert server.bytes_of("GET", f"/instances/{INSTANCE}/attachments/dicom/md5").decode() == md5
    assert not list((server.area.spool.folder).iterdir())

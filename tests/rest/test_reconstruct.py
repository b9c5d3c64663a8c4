"""Files are read again: what the index keeps of them is what they say now."""

from dataclasses import replace
from io import BytesIO

import pydicom
import pytest
from tests.rest.builders import Builder, Server, ids, real_file, slice_file

from hounsfield.dicom.levels import Level
from hounsfield.ingest.intake import IngestOptions
from hounsfield.ingest.reconstruction import reconstruct
from hounsfield.ingest.transcoding import TranscodingOptions, transcoder
from hounsfield.rest.door import RestOptions
from hounsfield.retrieve.files import read_file

_LEVELS = ("patients", "studies", "series", "instances")


def _spoil(server: Server) -> None:
    """Make the index forget all main DICOM tags."""
    for table in _LEVELS:
        server.database.write(lambda tx, table=table: tx.run(f"UPDATE {table} SET main_tags = '{{}}'"))  # type: ignore[misc]


def _description(server: Server) -> list[str | None]:
    words = ("PatientName", "StudyDate", "Modality", "SOPInstanceUID")
    return [
        server.get(f"/{level}/{public_id}")["MainDicomTags"].get(word)
        for level, public_id, word in zip(_LEVELS, ids(), words, strict=True)
    ]


@pytest.mark.parametrize("level", _LEVELS)
def test_the_tags_of_all_levels_are_written_anew(server: Server, level: str) -> None:
    server.post("/instances", slice_file())
    server.ask("PUT", f"/{level}/{ids()[_LEVELS.index(level)]}/labels/mine")
    before = _description(server)
    assert None not in before
    _spoil(server)
    assert _description(server) == [None] * 4
    answer = server.ask("POST", f"/{level}/{ids()[_LEVELS.index(level)]}/reconstruct")
    assert (answer.status, answer.body) == (200, b"")
    assert _description(server) == before
    assert server.get(f"/{level}/{ids()[_LEVELS.index(level)]}/labels") == ["mine"]


def test_one_level_alone(server: Server) -> None:
    server.post("/instances", slice_file())
    before = _description(server)
    _spoil(server)
    server.ask("POST", f"/studies/{ids()[1]}/reconstruct", b'{"LimitToThisLevelMainDicomTags": true}')
    assert _description(server) == [None, before[1], None, None]


def test_the_whole_server(server: Server) -> None:
    server.post("/instances", slice_file())
    server.post("/instances", slice_file("P2", "2.1", "2.1.1", "2.1.1.1"))
    before = [each["MainDicomTags"] for each in server.get("/studies?expand")]
    _spoil(server)
    assert server.ask("POST", "/tools/reconstruct").status == 200
    assert [each["MainDicomTags"] for each in server.get("/studies?expand")] == before


def test_mistakes(server: Server, build: Builder) -> None:
    server.post("/instances", slice_file())
    for level in _LEVELS:
        assert server.failure("POST", f"/{level}/nope/reconstruct", {}) == (404, 17)
    body = {"ReconstructFiles": "x"}
    assert server.failure("POST", f"/studies/{ids()[1]}/reconstruct", body) == (400, 15)
    assert server.failure("POST", "/tools/reconstruct", body) == (400, 15)
    read_only = build(RestOptions(is_read_only=True))
    assert read_only.failure("POST", "/tools/reconstruct", {}) == (404, 17)


def test_files_are_stored_as_they_would_be_now(build: Builder) -> None:
    server = build(ingest=IngestOptions(is_compressed=True))
    instance = server.post("/instances", real_file("CT_small.dcm"))["ID"]
    server.ask("PUT", f"/instances/{instance}/metadata/1024", b"mine")
    plain = read_file(server.archive, instance)
    options = replace(server.door.intake.options, is_compressed=False)
    intake = replace(server.door.intake, options=options)
    reconstruct(intake, Level.INSTANCE, instance, renews_files=True)
    assert server.bytes_of("GET", f"/instances/{instance}/attachments/dicom/is-compressed") == b"0"
    assert read_file(server.archive, instance) == plain
    lossy = replace(intake, transcode=transcoder(TranscodingOptions("1.2.840.10008.1.2.4.80")))
    reconstruct(lossy, Level.INSTANCE, instance, renews_files=True)
    made = pydicom.dcmread(BytesIO(read_file(server.archive, instance)))
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
    assert made.SOPInstanceUID == pydicom.dcmread(BytesIO(plain)).SOPInstanceUID
    metadata = server.get(f"/instances/{instance}/metadata?expand")
    assert metadata["TransferSyntax"] == "1.2.840.10008.1.2.4.80"
    assert metadata["1024"] == "mine"
    assert server.ask("GET", f"/instances/{instance}/preview").status == 200
    assert len(server.get("/instances")) == 1

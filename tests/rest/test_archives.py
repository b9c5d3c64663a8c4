"""Archives and media, as clients of Orthanc ask for them."""

import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import orjson
import pydicom
import pytest
from tests.rest.builders import Builder, Server, ids, real_file, slice_file

from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import Cancelled
from hounsfield.http.messages import FileBody
from hounsfield.jobs.archives import ArchiveRequest, make_archive
from hounsfield.jobs.kinds import JobRun
from hounsfield.jobs.ledger import EngineOptions
from hounsfield.rest.door import RestOptions
from hounsfield.store.area import FileKey

PATIENT, STUDY, SERIES, INSTANCE = ids()


def archive(server: Server, target: str, body: object = None) -> zipfile.ZipFile:
    """The archive that a GET answers, or a POST of a body."""
    sent = b"" if body is None else orjson.dumps(body)
    answer = server.ask("GET" if body is None else "POST", target, sent)
    assert answer.status == 200, answer.body
    assert answer.header(b"content-type") == b"application/zip"
    whole = (
        answer.body.path.read_bytes() if isinstance(answer.body, FileBody) else b"".join(pieces(answer.body))
    )
    opened = zipfile.ZipFile(BytesIO(whole))
    assert opened.testzip() is None
    return opened


def pieces(body: object) -> Iterator[bytes]:
    assert isinstance(body, Iterator)
    return body


def jobs(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/jobs?expand")
    return found


def test_an_archive_holds_every_file_bit_for_bit(server: Server) -> None:
    files = [slice_file(instance=f"1.1.1.{number}", InstanceNumber=number) for number in (1, 2, 3)]
    for file in files:
        server.post("/instances", file)
    for target in (f"/patients/{PATIENT}", f"/studies/{STUDY}", f"/series/{SERIES}"):
        opened = archive(server, target + "/archive")
        assert sorted(opened.read(name) for name in opened.namelist()) == sorted(files)


def test_paths_tell_patient_study_and_series(server: Server) -> None:
    server.post(
        "/instances",
        slice_file(
            PatientName="KNEE:A^B",
            AccessionNumber="A1",
            StudyDescription="IRM  du/genou",
            SeriesNumber=301,
            Modality="MR",
            SeriesDescription="T1*",
            InstanceNumber=7,
        ),
    )
    assert archive(server, f"/studies/{STUDY}/archive").namelist() == [
        "P1 - KNEE A^B/A1 - IRM du genou/301 - MR - T1/MR000007.dcm"
    ]


def test_series_of_one_name_and_instances_of_one_number_do_not_collide(server: Server) -> None:
    for series in ("1.1.1", "1.1.2"):
        for instance in (1, 2):
            server.post(
                "/instances", slice_file(series=series, instance=f"{series}.{instance}", InstanceNumber=1)
            )
    names = archive(server, f"/studies/{STUDY}/archive").namelist()
    assert len(set(names)) == 4
    assert {name.rsplit("/", 1)[1] for name in names} == {"CT000000.dcm", "CT000001.dcm"}
    assert any("-2/" in name for name in names)


def test_a_name_cannot_leave_the_archive(server: Server) -> None:
    server.post(
        "/instances", slice_file(PatientName="../../etc", StudyDescription="..", SeriesDescription="/x")
    )
    (name,) = archive(server, f"/studies/{STUDY}/archive").namelist()
    assert ".." not in name.split("/")
    assert not name.startswith("/")


def test_the_archive_of_nothing_is_not_found(server: Server) -> None:
    assert server.failure("GET", "/studies/nope/archive") == (404, 7)
    assert server.failure("GET", "/studies/nope/archive?transcode=1.2.3") == (400, 3)


def test_the_download_has_a_name(server: Server) -> None:
    server.post("/instances", slice_file())
    answer = server.ask("GET", f"/studies/{STUDY}/archive")
    assert answer.header(b"content-disposition") == f'filename="{STUDY}.zip"'.encode()


@pytest.mark.parametrize("target", ["/tools/create-archive", "/tools/create-media"])
def test_resources_of_all_levels_come_once(server: Server, target: str) -> None:
    for number in range(3):
        server.post("/instances", slice_file(instance=f"1.1.1.{number}", InstanceNumber=number))
    other = server.post("/instances", slice_file("P2", "2", "2.1", "2.1.1"))
    server.post("/instances", slice_file("P2", "2", "2.1", "2.1.2"))
    wanted = [PATIENT, STUDY, SERIES, other["ID"]]
    names = archive(server, target, wanted).namelist()
    assert len([name for name in names if name != "DICOMDIR"]) == 4
    assert archive(server, target, {"Resources": wanted}).namelist() == names
    assert archive(server, f"{target}?resources={','.join(wanted)}").namelist() == names


def test_an_archive_of_nothing_is_empty(server: Server) -> None:
    assert archive(server, "/tools/create-archive", []).namelist() == []
    assert archive(server, "/tools/create-media", []).namelist() == ["DICOMDIR"]


def test_a_series_is_found_below_its_study(server: Server) -> None:
    server.post("/instances", slice_file())
    assert archive(server, f"/series/{SERIES}/archive").namelist() == [
        "P1 - DOE^P1/Unknown Study/CT/CT000000.dcm"
    ]


def test_studies_of_one_patient_id_keep_their_own_name(server: Server) -> None:
    server.post("/instances", slice_file("P", "1", "1.1", "1.1.1", PatientName="HELLO"))
    server.post("/instances", slice_file("P", "2", "2.1", "2.1.1", PatientName="WORLD"))
    names = archive(server, f"/patients/{ids('P')[0]}/archive").namelist()
    assert {name.split("/")[0] for name in names} == {"P - HELLO", "P - WORLD"}


def test_patients_with_one_folder_name_do_not_share_it(server: Server) -> None:
    first = server.post("/instances", slice_file("A:1", "1", "1.1", "1.1.1", PatientName="X"))
    second = server.post("/instances", slice_file("A?1", "2", "2.1", "2.1.1", PatientName="X"))
    wanted = [first["ParentPatient"], second["ParentPatient"]]
    names = archive(server, "/tools/create-archive", wanted).namelist()
    assert {name.split("/")[0] for name in names} == {"A 1 - X", "A 1 - X-2"}


def test_names_are_ascii_unless_they_may_be_more(server: Server) -> None:
    server.post(
        "/instances", slice_file(SpecificCharacterSet="ISO_IR 100", StudyDescription="IRM c\xe9r\xe9brale")
    )
    target = f"/studies/{STUDY}/archive"
    assert "/IRM crbrale/" in archive(server, target).namelist()[0]
    assert "/IRM crbrale/" in archive(server, target, {"Utf8": False}).namelist()[0]
    assert "/IRM c\xe9r\xe9brale/" in archive(server, target, {"Utf8": True}).namelist()[0]


def test_a_medium_has_a_directory_and_short_names(server: Server) -> None:
    for number in range(2):
        server.post("/instances", slice_file(instance=f"1.1.1.{number}", SeriesDescription="Thin"))
    for target, described in ((f"/studies/{STUDY}/media", False), (f"/studies/{STUDY}/media?extended", True)):
        opened = archive(server, target)
        assert opened.namelist() == ["IMAGES/IM0", "IMAGES/IM1", "DICOMDIR"]
        records = pydicom.dcmread(BytesIO(opened.read("DICOMDIR"))).DirectoryRecordSequence
        assert [r.DirectoryRecordType for r in records] == ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE"]
        assert ("SeriesDescription" in records[2]) is described
        assert list(records[3].ReferencedFileID) == ["IMAGES", "IM0"]
    assert archive(server, f"/studies/{STUDY}/media", {"Extended": True}).namelist()[-1] == "DICOMDIR"
    assert archive(server, "/tools/create-media-extended", [STUDY]).namelist()[-1] == "DICOMDIR"


def test_what_is_uploaded_again_from_a_medium_is_the_same(server: Server) -> None:
    made = server.post("/instances", slice_file())
    whole = b"".join(pieces(server.ask("GET", f"/studies/{STUDY}/media").body))
    server.ask("DELETE", f"/patients/{PATIENT}")
    (again,) = server.post("/instances", whole)
    assert again == made


def test_files_are_transcoded_on_the_way(server: Server) -> None:
    made = server.post("/instances", real_file("JPEG2000.dcm"))
    for uid in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"):
        for opened in (
            archive(server, f"/studies/{made['ParentStudy']}/archive?transcode={uid}"),
            archive(server, f"/studies/{made['ParentStudy']}/archive", {"Transcode": uid}),
            archive(server, "/tools/create-media", {"Resources": [made["ID"]], "Transcode": uid}),
        ):
            file = opened.read(opened.namelist()[0])
            assert read_head(file).transfer_syntax_uid == uid
    assert jobs(server)[0]["Content"]["LossyQuality"] == 90


def test_the_quality_of_lossy_files_matters(server: Server) -> None:
    made = server.post("/instances", real_file("SC_rgb.dcm"))
    target = f"/studies/{made['ParentStudy']}/archive?transcode=1.2.840.10008.1.2.4.50&lossy-quality="
    small, large = (archive(server, target + quality).infolist()[0].file_size for quality in ("20", "95"))
    assert small < large


def test_what_cannot_be_transcoded_is_left_out_and_counted(server: Server) -> None:
    server.post("/instances", slice_file())
    other = server.post("/instances", slice_file(instance="1.1.1.2", InstanceNumber=2, PixelData=b"", Rows=9))
    wanted = {"Resources": [STUDY], "Transcode": "1.2.840.10008.1.2.4.90"}
    assert len(archive(server, "/tools/create-archive", wanted).namelist()) == 1, other
    assert jobs(server)[0]["Content"]["FailedInstancesCount"] == 1


def test_what_is_deleted_before_its_turn_comes_is_counted(server: Server) -> None:
    for number in range(60):
        server.post("/instances", slice_file(series=f"1.1.{number}", instance=f"1.1.{number}.1"))
    run = JobRun("job", {})
    made = make_archive(server.door.archives, ArchiveRequest(((Level.STUDY, STUDY),), "a.zip"), run)
    data = next(made)
    server.ask("DELETE", f"/series/{max(server.get('/series'))}")
    data += b"".join(made)
    with zipfile.ZipFile(BytesIO(data)) as opened:
        assert len(opened.namelist()) == 59
    assert (run.content["InstancesCount"], run.content["FailedInstancesCount"]) == (60, 1)


@pytest.mark.parametrize(
    ("method", "target", "body", "failure"),
    [
        ("POST", "/tools/create-archive", b"", (400, 15)),
        ("POST", "/tools/create-archive", b"{}", (400, 15)),
        ("POST", "/tools/create-archive", b"[1]", (400, 15)),
        ("POST", "/tools/create-archive", b'["nope"]', (404, 17)),
        ("POST", "/tools/create-media", b"nope", (400, 15)),
        ("POST", "/tools/create-media", b'{"Resources":[],"Transcode":"nope"}', (400, 3)),
        ("POST", "/tools/create-media", b'{"Resources":[],"Transcode":3}', (400, 15)),
        ("POST", "/tools/create-media", b'{"Resources":[],"Priority":1.5}', (400, 15)),
        ("POST", "/tools/create-media", b'{"Resources":[],"LossyQuality":0}', (400, 3)),
        ("POST", "/tools/create-archive", b'{"Resources":[],"Transcode":"1.2.840.10008.1.1"}', (400, 3)),
        ("GET", "/tools/create-archive", b"", (400, 8)),
        ("GET", "/tools/create-archive?resources=nope", b"", (404, 17)),
        ("GET", "/studies/nope/media", b"", (404, 7)),
        ("POST", "/studies/nope/archive", b"{}", (404, 7)),
        ("POST", f"/studies/{STUDY}/archive", b"", (400, 15)),
        ("POST", f"/studies/{STUDY}/archive", b"nope", (400, 15)),
        ("GET", "/instances/nope/archive", b"", (404, 17)),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: Server, method: str, target: str, body: bytes, failure: tuple[int, int]
) -> None:
    server.post("/instances", slice_file())
    assert server.failure(method, target, body) == failure


def test_no_option_is_an_option(server: Server) -> None:
    server.post("/instances", slice_file())
    assert len(archive(server, f"/studies/{STUDY}/archive", []).namelist()) == 1


def test_a_download_is_a_job(server: Server) -> None:
    file = slice_file()
    server.post("/instances", file)
    archive(server, f"/studies/{STUDY}/archive", {"UserData": "mine"})
    (job,) = jobs(server)
    assert (job["Type"], job["State"], job["UserData"]) == ("Archive", "Success", "mine")
    size = job["Content"].pop("ArchiveSize")
    assert int(size) > 0
    assert job["Content"] == {
        "ArchiveSizeMB": 0,
        "Description": "REST API",
        "InstancesCount": 1,
        "UncompressedSize": str(len(file)),
        "UncompressedSizeMB": 0,
        "Utf8": False,
    }
    assert server.failure("GET", f"/jobs/{job['ID']}/archive") == (404, 7)


def test_an_archive_may_be_made_in_the_background(build: Builder) -> None:
    server = build(jobs=EngineOptions(kept_outputs=1))
    server.post("/instances", slice_file())
    body = {"Asynchronous": True, "Filename": 'tot"o.zip'}
    first = server.post(f"/series/{SERIES}/archive", body)
    server.engine.wait(first["ID"])
    answer = server.ask("GET", first["Path"] + "/archive")
    assert answer.header(b"content-disposition") == b'filename="toto.zip"'
    assert isinstance(answer.body, FileBody)
    assert len(zipfile.ZipFile(BytesIO(answer.body.path.read_bytes())).namelist()) == 1
    second = server.post(f"/series/{SERIES}/media", {"Synchronous": False})
    server.engine.wait(second["ID"])
    assert server.failure("GET", first["Path"] + "/archive") == (404, 7)
    assert server.get(second["Path"])["Type"] == "Media"


def test_without_streaming_a_failure_is_told(build: Builder) -> None:
    server = build(RestOptions(is_zip_streamed=False))
    made = server.post("/instances", slice_file())
    assert len(archive(server, f"/studies/{STUDY}/archive").namelist()) == 1
    path = server.area.path(FileKey(server.get(f"/instances/{made['ID']}")["FileUuid"]))
    assert path is not None
    path.unlink()
    assert server.failure("GET", f"/studies/{STUDY}/archive") == (400, 15)


def test_a_medium_needs_sop_classes(build: Builder) -> None:
    server = build(RestOptions(is_zip_streamed=False))
    server.post("/instances", slice_file(SOPClassUID=None))
    assert server.failure("GET", f"/studies/{STUDY}/media") == (400, 15)


def test_a_cancelled_download_is_cut(server: Server) -> None:
    for number in range(30):
        server.post("/instances", slice_file(instance=f"1.1.1.{number}"))
    body = pieces(server.ask("GET", f"/studies/{STUDY}/archive").body)
    next(body)
    (job,) = jobs(server)
    server.post(f"/jobs/{job['ID']}/cancel", b"")
    with pytest.raises(Cancelled):
        list(body)
    assert jobs(server)[0]["ErrorCode"] == 37


def test_a_reader_who_goes_away_fails_the_job(server: Server) -> None:
    server.post("/instances", slice_file())
    body = pieces(server.ask("GET", f"/studies/{STUDY}/archive").body)
    next(body)
    body.close()  # type: ignore[attr-defined]
    assert jobs(server)[0]["ErrorCode"] == 14

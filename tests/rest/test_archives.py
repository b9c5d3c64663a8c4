import zipfile
from collections.abc import Iterator
from io import BytesIO

from tests.rest.builders import Server, ids, slice_file

PATIENT, STUDY, SERIES, INSTANCE = ids()


def archive(server: Server, target: str) -> zipfile.ZipFile:
    answer = server.ask("GET", target)
    assert answer.status == 200
    assert isinstance(answer.body, Iterator)
    opened = zipfile.ZipFile(BytesIO(b"".join(answer.body)))
    assert opened.testzip() is None
    return opened


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

"""Section I: archives and media."""

import json
import threading
import zipfile
from io import BytesIO
from typing import Any

from tests import instances
from tests.acceptance.asking import end_of, full, status_of, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

OPTIONS = {"MediaArchiveSize": 1}


def _names(data: bytes) -> list[str]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def _post(server: RunningServer, path: str, body: object) -> bytes:
    status, data = server.request("POST", path, json.dumps(body).encode())
    assert status == 200, data
    return data


def _knee(server: RunningServer, **attributes: Any) -> str:
    told = upload(
        server,
        slice_file(
            **{
                "PatientID": "887", "PatientName": "KNEE", "AccessionNumber": "A10003245599",
                "StudyDescription": "IRM DU GENOU", "SeriesNumber": 301, "Modality": "MR",
                "SeriesDescription": "T1W/aTSE", "InstanceNumber": 1, **attributes,
            }
        ),
    )  # fmt: skip
    return str(told["ParentStudy"])


def test_paths_in_an_archive(server: RunningServer) -> None:
    """Scenarios 182, 183 and 184."""
    study = _knee(server)
    assert _names(server.request("GET", f"/studies/{study}/archive")[1]) == [
        "887 - KNEE/A10003245599 - IRM DU GENOU/301 - MR - T1W aTSE/MR000001.dcm"
    ]
    accents = upload(
        server,
        slice_file(
            "B",
            "2.1",
            "2.1.1",
            "2.1.1.1",
            SpecificCharacterSet="ISO_IR 100",
            StudyDescription="IRM cérébrale, neuro-crâne",
        ),
    )["ParentStudy"]
    assert "IRM crbrale, neuro-crne" in _names(server.request("GET", f"/studies/{accents}/archive")[1])[0]
    assert (
        "IRM cérébrale, neuro-crâne"
        in _names(_post(server, f"/studies/{accents}/archive", {"Utf8": True}))[0]
    )


def test_what_is_named_twice_comes_once(server: RunningServer) -> None:
    """Scenario 185."""
    study = _knee(server)
    patient = server.json("/patients")[0]
    assert _names(_post(server, "/tools/create-archive", [])) == []
    posted = _names(_post(server, "/tools/create-archive", [patient, study]))
    assert len(posted) == 1
    _, got = server.request("GET", f"/tools/create-archive?resources={patient},{study}")
    assert _names(got) == posted


def test_a_transcoded_archive(server: RunningServer) -> None:
    """Scenario 187."""
    study = _knee(server)
    path = f"/studies/{study}/archive"
    _, headers, body = full(server, "GET", f'{path}?transcode=1.2.840.10008.1.2.4.70&filename="a".zip')
    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert b"1.2.840.10008.1.2.4.70" in archive.read(archive.namelist()[0])
    assert headers["Content-Disposition"] == 'filename="a.zip"'
    assert status_of(server, "GET", f"{path}?transcode=nope") == 400


def test_archives_in_the_background(server: RunningServer) -> None:
    """Scenario 188."""
    study = _knee(server)

    def order(path: str) -> str:
        job = str(server.json(path, {"Asynchronous": True})["ID"])
        ended = end_of(server, job)
        assert ended["State"] == "Success"
        assert {"InstancesCount", "ArchiveSizeMB", "UncompressedSizeMB"} <= set(ended["Content"])
        return job

    first = order(f"/studies/{study}/archive")
    assert _names(server.request("GET", f"/jobs/{first}/archive")[1])
    second = order(f"/studies/{study}/media")
    assert status_of(server, "GET", f"/jobs/{first}/archive") == 404
    assert "DICOMDIR" in _names(server.request("GET", f"/jobs/{second}/archive")[1])
    assert server.request("DELETE", f"/jobs/{second}/archive") == (200, b"")
    assert status_of(server, "GET", f"/jobs/{second}/archive") == 404
    assert server.request("DELETE", f"/jobs/{second}") == (200, b"")
    assert status_of(server, "GET", f"/jobs/{second}") == 404


def test_a_study_that_is_deleted_while_its_archive_streams(server: RunningServer) -> None:
    """Scenario 189: either the archive is whole, or it does not look complete; nothing hangs, and nothing is left."""
    for number in range(20):
        upload(server, instances.file(number, 400_000))
    study = server.json("/studies")[0]
    connection = server.connection()
    connection.request("GET", f"/studies/{study}/archive")
    answer = connection.getresponse()
    data = answer.read(300_000)
    deleted: list[int] = []
    thread = threading.Thread(target=lambda: deleted.append(status_of(server, "DELETE", f"/studies/{study}")))
    thread.start()
    try:
        while piece := answer.read(1 << 16):
            data += piece
        is_whole = True
    except OSError:
        is_whole = False
    except Exception as error:  # noqa: BLE001 - what http.client tells of a body that was cut.
        assert "IncompleteRead" in type(error).__name__
        is_whole = False
    thread.join()
    connection.close()
    assert deleted == [200]
    assert server.json("/statistics")["CountInstances"] == 0
    try:
        names = _names(data)
    except zipfile.BadZipFile:
        names = []
    assert len(names) in ((20, 0) if is_whole else (0,)), len(names)
    assert ids()[0] not in server.json("/patients")

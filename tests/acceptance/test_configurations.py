"""Section L, and what an administrator changes between two starts."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.acceptance.asking import end_of, failure, find, status_of, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer, running

PATIENT, STUDY, SERIES, INSTANCE = ids()


def test_main_tags_may_be_added_later(tmp_path: Path) -> None:
    """Scenarios 116 and 236: older instances get them by a reconstruction, which costs nothing of what users added."""
    code = Dataset()
    code.CodeValue = "X"
    with running(tmp_path) as before:
        upload(before, slice_file(KVP="120", ProcedureCodeSequence=[code]))
        assert status_of(before, "PUT", f"/studies/{STUDY}/labels/mine") == 200
        assert status_of(before, "PUT", f"/studies/{STUDY}/metadata/1024", "v") == 200
        assert status_of(before, "PUT", f"/studies/{STUDY}/attachments/1024", "v") == 200
    extra = {"Instance": ["Rows", "KVP"], "Study": ["ProcedureCodeSequence"]}
    with running(tmp_path, {"ExtraMainDicomTags": extra, "StorageAccessOnFind": "Never"}) as server:
        upload(server, slice_file(instance="1.9", KVP="80"))
        new = ids(instance="1.9")[3]
        assert server.json(f"/instances/{new}")["MainDicomTags"]["KVP"] == "80"
        assert "KVP" not in server.json(f"/instances/{INSTANCE}")["MainDicomTags"]
        assert status_of(server, "POST", f"/studies/{STUDY}/reconstruct", {}) == 200
        assert server.json(f"/instances/{INSTANCE}")["MainDicomTags"]["Rows"] == "2"
        wanted = ["ProcedureCodeSequence", "KVP"]
        told = find(server, "Study", {}, Expand=True, RequestedTags=wanted[:1])[0]["RequestedTags"]
        assert told == {"ProcedureCodeSequence": [{"CodeValue": "X"}]}
        assert find(server, "Instance", {"KVP": "120"}) == [INSTANCE]
        assert server.json(f"/studies/{STUDY}/labels") == ["mine"]
        assert server.json(f"/studies/{STUDY}/metadata?expand")["1024"] == "v"
        assert server.request("GET", f"/studies/{STUDY}/attachments/1024/data") == (200, b"v")


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that may not write, with a study that has metadata."""
    folder = tmp_path_factory.mktemp("read-only")
    with running(folder) as before:
        upload(before, slice_file())
        assert status_of(before, "PUT", f"/studies/{STUDY}/metadata/1024", "v") == 200
    with running(folder, {"ReadOnly": True}) as started:
        yield started


@pytest.mark.parametrize(
    ("wanted", "requests"),
    [
        (
            (405, None),
            [
                ("POST", "/instances", slice_file(instance="1.9")),
                ("DELETE", f"/instances/{INSTANCE}", None),
                ("DELETE", f"/studies/{STUDY}", None),
                ("PUT", f"/studies/{STUDY}/labels/a", b""),
                ("PUT", f"/studies/{STUDY}/attachments/1024", b"x"),
                ("PUT", f"/patients/{PATIENT}/protected", b"1"),
            ],
        ),
        (
            (404, 17),
            [
                ("POST", f"/studies/{STUDY}/reconstruct", {}),
                ("POST", "/tools/reconstruct", {}),
                ("POST", "/tools/bulk-delete", {"Resources": [STUDY]}),
                ("POST", "/tools/invalidate-tags", b""),
                ("POST", f"/instances/{INSTANCE}/attachments/dicom/compress", b""),
            ],
        ),
        (
            (500, 22),
            [
                ("PUT", f"/studies/{STUDY}/metadata/1024", b"x"),
                ("DELETE", f"/studies/{STUDY}/metadata/1024", None),
                ("DELETE", "/changes", None),
                ("DELETE", "/exports", None),
                ("POST", f"/studies/{STUDY}/modify", {}),
                ("POST", f"/studies/{STUDY}/anonymize", {}),
                ("POST", f"/instances/{INSTANCE}/anonymize", {}),
                ("POST", f"/studies/{STUDY}/split", {"Series": [SERIES]}),
                ("POST", "/tools/create-dicom", {"Tags": {}}),
                ("POST", "/tools/bulk-anonymize", {"Resources": [INSTANCE]}),
            ],
        ),
    ],
    ids=["no-verb", "no-route", "refused"],
)
def test_a_read_only_server_refuses_each_way_of_writing(
    read_only: RunningServer, wanted: tuple[int, int | None], requests: list[tuple[str, str, Any]]
) -> None:
    """Scenario 237."""
    for request in requests:
        assert failure(read_only, *request) == wanted, request[:2]
    assert read_only.json("/statistics")["CountInstances"] == 1
    assert read_only.request("GET", f"/studies/{STUDY}/metadata/1024") == (200, b"v")


def test_a_read_only_server_shows_and_exports(read_only: RunningServer) -> None:
    """Scenario 237."""
    requests: list[tuple[str, str, Any]] = [
        ("POST", f"/instances/{INSTANCE}/modify", {}),
        ("GET", f"/studies/{STUDY}/archive", None),
        ("POST", f"/studies/{STUDY}/media", {}),
        ("PUT", "/modalities/a", ["A", "127.0.0.1", 104]),
        ("GET", f"/instances/{INSTANCE}/attachments/dicom/md5", None),
    ]
    for request in requests:
        assert status_of(read_only, *request) == 200, request[:2]


def test_limits_of_requests_and_answers(tmp_path: Path) -> None:
    """Scenarios 101, 224, 238 and 243."""
    options = {
        "LimitFindResults": 3,
        "LimitFindInstances": 2,
        "MaximumRequestBodySizeMB": 1,
        "PatientLevelEnabled": False,
        "JobsHistorySize": 0,
    }
    with running(tmp_path, options) as server:
        for number in range(5):
            upload(server, slice_file(f"P{number}", f"1.{number}", f"1.{number}.1", f"1.{number}.1.1"))
        for more in ({}, {"Limit": 10}, {"Limit": 0}):
            found = [len(find(server, level, {}, **more)) for level in ("Study", "Series", "Instance")]
            assert found == [3, 3, 2]
        assert len(server.json("/studies?since=0&limit=0")) == 5
        assert server.request("POST", "/instances", bytes((1 << 20) + 1)) == (413, b"")
        study = server.json("/studies")[0]
        assert status_of(server, "GET", "/patients") == 404
        assert server.json(f"/studies/{study}/patient")["Type"] == "Patient"
        assert failure(server, "POST", f"/studies/{study}/anonymize", {}) == (404, 7)
        assert status_of(server, "POST", f"/studies/{study}/anonymize", {"Asynchronous": True}) == 200


@pytest.mark.parametrize("was_compressed", [True, False])
def test_files_of_either_storage_are_read_and_changed(tmp_path: Path, was_compressed: bool) -> None:
    """Scenarios 241 and 242: compression is switched between two starts, and a reconstruction rewrites the files."""
    files = [slice_file(instance=f"1.{number}", ImageComments="c" * 4000) for number in (1, 2)]
    with running(tmp_path, {"StorageCompression": was_compressed}) as server:
        upload(server, files[0])
    with running(tmp_path, {"StorageCompression": not was_compressed}) as server:
        upload(server, files[1])
        old, new = (ids(instance=f"1.{number}")[3] for number in (1, 2))
        for public_id, data in zip((old, new), files, strict=True):
            assert server.request("GET", f"/instances/{public_id}/file") == (200, data)
            is_compressed = server.request("GET", f"/instances/{public_id}/attachments/dicom/is-compressed")[
                1
            ]
            assert is_compressed == (b"1" if was_compressed is (public_id == old) else b"0")
        made = server.json(f"/studies/{STUDY}/modify", {"Replace": {"StudyDescription": "new"}})
        for each in server.json(f"/studies/{made['ID']}/instances"):
            data = server.request("GET", f"/instances/{each['ID']}/file")[1]
            assert pydicom.dcmread(BytesIO(data)).StudyDescription == "new"
        assert status_of(server, "POST", "/tools/reconstruct", {"ReconstructFiles": True}) == 200
        for public_id, data in zip((old, new), files, strict=True):
            assert server.request("GET", f"/instances/{public_id}/file") == (200, data)
            is_compressed = server.request("GET", f"/instances/{public_id}/attachments/dicom/is-compressed")[
                1
            ]
            assert is_compressed == (b"0" if was_compressed else b"1")
        assert int(server.json("/statistics")["TotalUncompressedSize"]) > sum(map(len, files))


def test_finished_and_failed_jobs_are_told_apart(server: RunningServer) -> None:
    """Scenario 223."""
    upload(server, slice_file())
    assert status_of(server, "PUT", "/modalities/dead", ["DEAD", "127.0.0.1", 9]) == 200
    job = server.json("/modalities/dead/store", {"Resources": [INSTANCE], "Asynchronous": True})["ID"]
    assert (end_of(server, job)["State"], end_of(server, job)["ErrorCode"]) == ("Failure", 9)
    assert server.request("POST", f"/jobs/{job}/resubmit") == (200, b"{}")
    assert end_of(server, job)["State"] == "Failure"
    done = server.json("/tools/create-archive", {"Resources": [], "Asynchronous": True})["ID"]
    assert end_of(server, done)["State"] == "Success"
    answers = [
        status_of(server, "POST", f"/jobs/{done}/{wish}")
        for wish in ("cancel", "pause", "resume", "resubmit")
    ]
    assert answers == [200, 200, 400, 400]
    assert status_of(server, "POST", f"/jobs/{done}/foo") == 405


def test_switches_of_the_moment(server: RunningServer) -> None:
    """Scenarios 225, 229, 231, 232 and 234."""
    upload(server, slice_file())
    assert server.request("POST", "/tools/execute-script", b"print(42)") == (403, b"")
    path = f"/studies/{STUDY}/labels/a"
    assert status_of(server, "GET", f"{path}?_method=PUT") == 200
    assert server.json(f"/studies/{STUDY}/labels") == ["a"]
    assert status_of(server, "POST", path, b"", {"X-HTTP-Method-Override": "DELETE"}) == 200
    assert server.json(f"/studies/{STUDY}/labels") == []
    for category in ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua"):
        assert status_of(server, "PUT", f"/tools/log-level-{category}", "verbose") == 200
        assert server.request("GET", f"/tools/log-level-{category}") == (200, b"verbose")
        assert status_of(server, "PUT", f"/tools/log-level-{category}", "default") == 200
    assert failure(server, "PUT", "/tools/log-level", "nope") == (400, 3)
    assert status_of(server, "PUT", "/tools/log-level-nope", "default") == 404
    assert server.request("PUT", "/tools/default-encoding", b"Windows1251") == (200, b"Windows1251")
    assert status_of(server, "PUT", "/tools/default-encoding", "nope") == 400
    cyrillic = slice_file(instance="1.8", PatientName="abc").replace(b"abc", "при".encode("cp1251"))
    read = upload(server, cyrillic)["ID"]
    assert server.json(f"/instances/{read}/simplified-tags")["PatientName"] == "при"
    assert status_of(server, "PUT", "/tools/default-encoding", "Latin1") == 200
    assert server.json(f"/instances/{read}/simplified-tags")["PatientName"] == "при".encode("cp1251").decode(
        "latin-1"
    )
    metrics = server.request("GET", "/tools/metrics-prometheus")[1].decode()
    assert "orthanc_count_instances 2 " in metrics


def test_names_in_many_scripts(server: RunningServer) -> None:
    """Scenarios 245 and 246."""
    for number, (term, raw, wanted) in enumerate(
        (
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
                "Hong^Gildong=洪^吉洞",
            ),
            ("\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada=山田^太郎"),
            ("GB18030", "Wang=王^小东".encode("gb18030"), "Wang=王^小东"),
            ("GBK", "Wang=王^小东".encode("gbk"), "Wang=王^小东"),
            ("ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        )
    ):
        stand_in = "N" * (len(raw) + len(raw) % 2)
        data = slice_file(
            f"S{number}", f"9.{number}", f"9.{number}.1", f"9.{number}.1.1", PatientName=stand_in,
            SpecificCharacterSet=term.split("\\"), ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        )  # fmt: skip
        told = upload(server, data.replace(stand_in.encode(), raw.ljust(len(stand_in))))
        tags = server.json(f"/instances/{told['ID']}/simplified-tags")
        assert (tags["PatientName"], tags["ImageType"]) == (wanted, "ORIGINAL\\PRIMARY\\AXIAL")
        study = server.json(f"/studies/{told['ParentStudy']}")
        assert study["PatientMainDicomTags"]["PatientName"] == wanted
        assert told["ParentStudy"] in find(server, "Study", {"PatientName": wanted})
        body = json.dumps({"Replace": {"StudyDescription": "é"}}).encode()
        status, made = server.request("POST", f"/instances/{told['ID']}/modify", body)
        assert status == 200
        dataset = pydicom.dcmread(BytesIO(made))
        assert str(dataset.PatientName).rstrip("=") == wanted
        assert dataset.StudyDescription == "é"


@pytest.mark.parametrize("keeps_source", [True, False])
def test_what_is_copied_is_not_recycled_to_make_room_for_the_copy(tmp_path: Path, keeps_source: bool) -> None:
    """Scenario 206, with an anonymization: it fails for want of room, and costs no original."""
    with running(tmp_path, {"MaximumPatientCount": 1}) as server:
        for number in range(10):
            upload(server, slice_file(instance=f"1.{number}"))
        body = {"KeepSource": keeps_source}
        assert failure(server, "POST", f"/studies/{STUDY}/anonymize", body) == (507, 19)
        assert len(server.json(f"/studies/{STUDY}/instances")) == 10
        assert server.json("/statistics")["CountInstances"] == 10
        upload(server, slice_file("P2", "2.1", "2.1.1", "2.1.1.1"))
        assert server.json("/statistics")["CountInstances"] == 1

"""Section D: metadata, attachments, revisions, labels, protection."""

import hashlib
import json
from functools import partial
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.acceptance.asking import at_once, failure, find, full, status_of, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, associate

OPTIONS = {
    "CheckRevisions": True,
    "UserMetadata": {"my-metadata": 1098},
    "UserContentType": {"note": [1100, "text/plain"]},
}


def test_metadata_of_an_upload(server: RunningServer) -> None:
    """Scenarios 68 and 70."""
    requested = Dataset()
    requested.ScheduledProcedureStepID = "7"
    upload(server, slice_file(InstanceNumber=1, RequestAttributesSequence=[requested]))
    patient, _, series, instance = ids()
    told = server.json(f"/instances/{instance}/metadata?expand")
    assert (told["Origin"], told["RemoteAET"]) == ("RestApi", "")
    assert {"HttpUsername", "RemoteIP", "PixelDataOffset"} <= set(told)
    assert "CalledAET" not in told
    assert len(told) == 10
    assert sorted(server.json(f"/patients/{patient}/metadata")) == ["LastUpdate", "MainDicomTagsSignature"]
    assert len(server.json(f"/series/{series}/metadata")) == 4
    assert "MainDicomSequences" in server.json(f"/series/{series}/metadata")


def test_metadata_of_a_c_store(server: RunningServer) -> None:
    """Scenario 69."""
    data = slice_file()
    dataset = pydicom.dcmread(BytesIO(data))
    proposal = Proposal("STORESCU", [(str(dataset.SOPClassUID), ["1.2.840.10008.1.2.1"])])
    node = RemoteNode("127.0.0.1", server.dicom_port, "ANY-SCP")
    with associate(node, proposal, AssociationOptions()) as association:
        context = association.find_context(str(dataset.SOPClassUID))
        assert context is not None
        body = data[132 + 12 + dataset.file_meta.FileMetaInformationGroupLength :]
        assert association.store(context, str(dataset.SOPInstanceUID), body).status == 0
    told = server.json(f"/instances/{ids()[3]}/metadata?expand")
    assert (told["Origin"], told["RemoteAET"], told["CalledAET"]) == ("DicomProtocol", "STORESCU", "ANY-SCP")
    assert "HttpUsername" not in told


def _etag(
    server: RunningServer, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, str | None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, found, _ = full(server, method, path, body, named)
    return status, found["ETag"]


def test_a_version_of_metadata_is_overwritten_by_who_saw_it(server: RunningServer) -> None:
    """Scenarios 71, 72 and 73."""
    upload(server, slice_file())
    path = f"/patients/{ids()[0]}/metadata/5555"
    md5 = hashlib.md5(b"coucou").hexdigest()
    assert _etag(server, "PUT", path, "coucou") == (200, f'"0-{md5}"')
    assert server.request("GET", path) == (200, b"coucou")
    assert "5555" in server.json(f"/patients/{ids()[0]}/metadata")
    assert _etag(server, "PUT", path, "x")[0] == 409
    assert _etag(server, "PUT", path, "x", If_Match=f'"1-{md5}"')[0] == 409
    assert _etag(server, "PUT", path, "x", If_Match=f'"0-{md5[::-1]}"')[0] == 409
    status, etag = _etag(server, "PUT", path, "x", If_Match=f'"0-{md5}"')
    assert (status, etag) == (200, f'"1-{hashlib.md5(b"x").hexdigest()}"')
    assert _etag(server, "DELETE", path)[0] == 409
    assert full(server, "GET", path, headers={"If-None-Match": str(etag)})[0] == 304
    assert full(server, "GET", path, headers={"If-None-Match": str(etag)})[2] == b""
    assert full(server, "GET", path, headers={"If-None-Match": f'"0-{md5}"'})[0] == 200
    for nonsense in ('"aaa"', '"aaa-bbb"'):
        assert full(server, "GET", path, headers={"If-None-Match": nonsense})[0] == 400
    assert _etag(server, "DELETE", path, If_Match=str(etag))[0] == 200


def _write_once(server: RunningServer, path: str, seen: str, number: int) -> int:
    return status_of(server, "PUT", path, str(number), {"If-Match": seen})


def test_of_two_clients_one_overwrites(server: RunningServer) -> None:
    """Scenario 72, two at once: of those who saw the same version one succeeds, the others learn that they are late."""
    upload(server, slice_file())
    for path in (f"/studies/{ids()[1]}/metadata/2000", f"/studies/{ids()[1]}/attachments/note"):
        assert status_of(server, "PUT", path, "0") == 200
        for turn in range(5):
            seen = str(full(server, "GET", path if "metadata" in path else f"{path}/md5")[1]["ETag"])
            write = partial(_write_once, server, path, seen)
            assert sorted(at_once(write, 4)) == [200, 409, 409, 409], turn


def test_metadata_of_the_system_are_closed(server: RunningServer) -> None:
    """Scenarios 74, 75 and 76."""
    upload(server, slice_file())
    _, study, _, instance = ids()
    assert server.request("PUT", f"/instances/{instance}/metadata/TransferSyntax", b"x") == (403, b"")
    assert server.request("DELETE", f"/instances/{instance}/metadata/TransferSyntax") == (403, b"")
    assert failure(server, "GET", f"/instances/{instance}/metadata/nope") == (404, 7)
    assert server.json(f"/studies/{study}/metadata?numeric") == [7, 15]
    assert sorted(server.json(f"/studies/{study}/metadata?expand&numeric")) == ["15", "7"]
    assert server.json("/system")["UserMetadata"]["my-metadata"] == 1098


def test_the_offset_of_pixels_is_where_they_are(server: RunningServer) -> None:
    """Scenario 77."""
    data = slice_file()
    instance = upload(server, data)["ID"]
    offset = int(server.request("GET", f"/instances/{instance}/metadata/PixelDataOffset")[1])
    assert data[offset : offset + 4] == b"\xe0\x7f\x10\x00"


@pytest.mark.parametrize(("bits", "vr", "wanted"), [(8, "OW", "OW"), (8, "OB", None), (16, "OW", None)])
def test_the_representation_of_pixels_is_kept_where_it_is_odd(
    server: RunningServer, bits: int, vr: str, wanted: str | None
) -> None:
    """Scenario 78."""
    dataset = pydicom.dcmread(BytesIO(slice_file(BitsAllocated=bits, BitsStored=8, HighBit=7)))
    dataset.add_new(0x7FE00010, vr, bytes(bits // 2))
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    instance = upload(server, written.getvalue())["ID"]
    assert server.json(f"/instances/{instance}/metadata?expand").get("PixelDataVR") == wanted


def test_attachments_of_users_count(server: RunningServer) -> None:
    """Scenarios 79 and 80."""
    upload(server, slice_file())
    _, study, _, instance = ids()
    path = f"/studies/{study}/attachments/1025"

    def size() -> int:
        return int(server.json("/statistics")["TotalDiskSize"])

    before = size()
    assert status_of(server, "PUT", f"/studies/{study}/attachments/22", "x") == 403
    assert server.request("PUT", path, b"hello") == (200, b"{}")
    assert server.request("GET", f"{path}/data") == (200, b"hello")
    assert size() == before + int(server.request("GET", f"{path}/compressed-size")[1])
    etag = full(server, "GET", f"{path}/data")[1]["ETag"]
    assert server.request("DELETE", path)[0] == 409
    assert server.request("DELETE", path, headers={"If-Match": str(etag)}) == (200, b"")
    assert size() == before
    assert failure(server, "PUT", "/instances/nope/attachments/1025", "x") == (404, 7)
    for method in ("PUT", "DELETE"):
        assert status_of(server, method, f"/instances/{instance}/attachments/dicom", b"x") == 403


def test_compression_changes_the_revision_and_the_disk_only(server: RunningServer) -> None:
    """Scenarios 81 to 84."""
    data = slice_file(ImageComments="c" * 5000)
    upload(server, data)
    path = f"/instances/{ids()[3]}/attachments/dicom"
    first, statistics = server.json(f"{path}/info"), server.json("/statistics")
    assert (first["ContentType"], first["UncompressedMD5"]) == (1, hashlib.md5(data).hexdigest())
    assert server.json(f"/instances/{ids()[3]}/attachments?full") == {"dicom": 1}
    etag = str(full(server, "GET", f"{path}/size")[1]["ETag"])
    assert server.request("POST", f"{path}/compress") == (200, b"{}")
    assert full(server, "GET", f"{path}/size")[1]["ETag"] == etag.replace('"0-', '"1-')
    packed = server.json(f"{path}/info")
    assert server.request("GET", f"{path}/is-compressed") == (200, b"1")
    assert packed["CompressedSize"] < packed["UncompressedSize"] == len(data)
    assert packed["UncompressedMD5"] == first["UncompressedMD5"] != packed["CompressedMD5"]
    now = server.json("/statistics")
    assert int(now["TotalDiskSize"]) < int(statistics["TotalDiskSize"])
    assert now["TotalUncompressedSize"] == statistics["TotalUncompressedSize"]
    assert server.request("GET", f"{path}/compressed-data", headers={"Range": "bytes=2-5"})[0] == 206
    assert server.request("POST", f"{path}/verify-md5") == (200, b"{}")
    assert server.request("POST", f"{path}/uncompress") == (200, b"{}")
    assert server.json("/statistics") == statistics
    last = server.json(f"{path}/info")
    assert last.pop("Uuid") != first.pop("Uuid")
    assert last == first


def test_ranges_as_they_are_here(server: RunningServer) -> None:
    """Scenarios 85 to 87."""
    data = slice_file()
    upload(server, data)
    path = f"/instances/{ids()[3]}/attachments/dicom/data"
    for value, wanted in (
        ("bytes=128-131", b"DICM"),
        ("bytes=-131", data[:132]),
        ("bytes=-", data),
        ("bytes=128-", data[128:]),
    ):
        status, headers, body = full(server, "GET", path, headers={"Range": value})
        assert (status, body, headers["Content-Type"]) == (206, wanted, "application/octet-stream")
        start = data.index(wanted)
        assert headers["Content-Range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(data)}"
    for value, status in (
        ("seconds=1-2", 416),
        ("bytes=0-1,3-4", 416),
        (f"bytes=0-{len(data)}", 416),
        ("bytes=5-2", 500),
    ):
        assert full(server, "GET", path, headers={"Range": value})[0] == status


def test_labels(server: RunningServer) -> None:
    """Scenarios 88 and 89."""
    study = upload(server, slice_file())["ParentStudy"]
    other = upload(server, slice_file("P2", "2.1", "2.1.1", "2.1.1.1"))["ParentStudy"]
    path = f"/studies/{study}/labels"
    for _ in range(2):
        assert server.request("PUT", f"{path}/a", b"") == (200, b"")
    assert status_of(server, "GET", f"{path}/a") == 200
    assert status_of(server, "GET", f"{path}/b") == 404
    assert server.request("DELETE", f"{path}/b") == (200, b"")
    for method, status in (("PUT", 400), ("DELETE", 400), ("GET", 404)):
        assert status_of(server, method, f"{path}/%40") == status
        assert status_of(server, method, f"{path}/{'x' * 65}") == status
    assert status_of(server, "PUT", f"{path}/{'aZ0_-' * 12}abcd") == 200
    assert status_of(server, "PUT", f"/series/{ids()[2]}/labels/zz") == 200
    assert server.json("/tools/labels") == sorted(["a", "zz", "aZ0_-" * 12 + "abcd"])
    truth = {
        "All": [True, False, False],
        "Any": [True, False, True],
        "None": [False, True, False],
    }
    for constraint, wanted in truth.items():
        for labels, is_found in zip((["a"], ["b"], ["a", "b"]), wanted, strict=True):
            found = find(server, "Study", {}, Labels=labels, LabelsConstraint=constraint)
            assert (study in found) == is_found, (constraint, labels)
    assert find(server, "Study", {}, Labels=[], LabelsConstraint="None") == [other]


def test_many_clients_label_at_once(server: RunningServer) -> None:
    """Scenario 88, from many sides: no label is lost, and none comes twice."""
    study = upload(server, slice_file())["ParentStudy"]
    statuses: set[int] = set()

    def work(number: int) -> None:
        for label in range(6):
            statuses.add(status_of(server, "PUT", f"/studies/{study}/labels/n{number}-{label}"))
            statuses.add(status_of(server, "PUT", f"/studies/{study}/labels/all-{label}"))
        statuses.add(status_of(server, "DELETE", f"/studies/{study}/labels/n{number}-0"))

    at_once(work, 6)
    wanted = [f"all-{label}" for label in range(6)]
    wanted += [f"n{number}-{label}" for number in range(6) for label in range(1, 6)]
    assert statuses == {200}
    assert server.json(f"/studies/{study}/labels") == server.json("/tools/labels") == sorted(wanted)


def test_a_patient_is_protected(server: RunningServer) -> None:
    """Scenario 90."""
    patient = upload(server, slice_file())["ParentPatient"]
    path = f"/patients/{patient}/protected"
    assert status_of(server, "PUT", path, "1") == 200
    assert server.request("GET", path) == (200, b"1")
    assert server.json(f"/patients/{patient}")["IsProtected"] is True
    assert status_of(server, "PUT", path, "2") == 400
    assert status_of(server, "GET", "/patients/nope/protected") == 400
    assert json.loads(server.request("GET", f"/patients/{patient}/metadata")[1])

"""What the options about storing do: compression, overwriting, recycling."""

import json
from pathlib import Path

import pytest
from tests import instances
from tests.servers import RunningServer
from tests.walks.conftest import Start
from tests.walks.samples import Sample


def _post(server: RunningServer, data: bytes) -> str:
    status, answer = server.request("POST", "/instances", data)
    assert status == 200, answer
    return str(json.loads(answer)["Status"])


def test_compressed_storage_gives_back_the_same_files(
    start_server: Start, samples: list[Sample], tmp_path: Path
) -> None:
    server = start_server({"StorageCompression": True})
    for sample in samples:
        assert _post(server, sample.data) == "Success"
    for sample in samples:
        assert server.request("GET", f"/instances/{sample.public_id}/file") == (200, sample.data), sample.name
        shown = server.request("GET", f"/instances/{sample.public_id}/preview")[0]
        assert shown in (200, 415)
    statistics = server.json("/statistics")
    plain = sum(sample.path.stat().st_size for sample in samples)
    assert int(statistics["TotalUncompressedSize"]) == plain
    assert int(statistics["TotalDiskSize"]) < plain * 0.8
    ranged = server.request(
        "GET", f"/instances/{samples[0].public_id}/attachments/dicom/data", headers={"Range": "bytes=128-131"}
    )
    assert ranged == (206, samples[0].data[128:132])


def test_compression_may_be_turned_on_and_off_between_runs(
    start_server: Start, samples: list[Sample]
) -> None:
    thirds = [samples[::3], samples[1::3], samples[2::3]]
    for compressed, part in zip((False, True, False), thirds, strict=True):
        server = start_server({"StorageCompression": compressed})
        for sample in part:
            assert _post(server, sample.data) == "Success"
        assert server.stop() == 0
    server = start_server({"StorageCompression": False})
    for sample in samples:
        assert server.request("GET", f"/instances/{sample.public_id}/file") == (200, sample.data), sample.name


@pytest.mark.parametrize(
    ("mode", "same", "changed", "kept"),
    [
        ("Never", "AlreadyStored", "AlreadyStored", 0),
        (False, "AlreadyStored", "AlreadyStored", 0),
        ("Always", "Success", "Success", 1),
        (True, "Success", "Success", 1),
        ("IfChanged", "AlreadyStored", "Success", 1),
    ],
)
def test_what_comes_again_is_kept_or_replaced(
    start_server: Start, mode: object, same: str, changed: str, kept: int
) -> None:
    server = start_server({"OverwriteInstances": mode})
    assert _post(server, instances.file(1)) == "Success"
    assert _post(server, instances.file(1)) == same
    assert _post(server, instances.file(1, 6000, version=1)) == changed
    sizes, versions = (4096, 6000), (0, 1)
    wanted = instances.file(1, sizes[kept], versions[kept])
    assert server.request("GET", f"/instances/{instances.public_id(1)}/file") == (200, wanted)
    statistics = server.json("/statistics")
    assert statistics["CountInstances"] == 1
    assert int(statistics["TotalDiskSize"]) == len(wanted)


def _patients(server: RunningServer) -> set[str]:
    return {each["MainDicomTags"]["PatientID"] for each in server.json("/patients?expand")}


def test_the_oldest_patients_make_room_unless_they_are_protected(start_server: Start) -> None:
    server = start_server({"MaximumPatientCount": 3})
    for patient in range(3):
        assert _post(server, instances.file(40 * patient)) == "Success"
    oldest = next(
        each["ID"] for each in server.json("/patients?expand") if each["MainDicomTags"]["PatientID"] == "P0"
    )
    assert server.request("PUT", f"/patients/{oldest}/protected", b"1")[0] == 200
    assert _post(server, instances.file(40 * 3)) == "Success"
    assert _patients(server) == {"P0", "P2", "P3"}
    assert _post(server, instances.file(40 * 2 + 1)) == "Success"  # P2 is used again.
    assert _post(server, instances.file(40 * 4)) == "Success"
    assert _patients(server) == {"P0", "P2", "P4"}
    gone = server.request("GET", f"/instances/{instances.public_id(40)}/file")[0]
    assert gone == 404


def test_a_full_archive_that_may_not_recycle_refuses(start_server: Start) -> None:
    server = start_server({"MaximumPatientCount": 2, "MaximumStorageMode": "Reject"})
    for patient in range(2):
        assert _post(server, instances.file(40 * patient)) == "Success"
    status, _ = server.request("POST", "/instances", instances.file(40 * 2))
    assert status == 507
    assert _post(server, instances.file(1)) == "Success"
    assert _patients(server) == {"P0", "P1"}


def test_the_size_on_disk_stays_below_its_limit(start_server: Start) -> None:
    server = start_server({"MaximumStorageSize": 1})
    for patient in range(8):
        assert _post(server, instances.file(40 * patient, 300_000)) == "Success"
    assert int(server.json("/statistics")["TotalDiskSize"]) <= 1 << 20
    assert _patients(server) == {"P5", "P6", "P7"}

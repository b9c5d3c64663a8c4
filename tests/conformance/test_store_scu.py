"""Sending to modalities: pynetdicom and DCMTK as receivers, and the server itself."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from tests.conformance.peers import MR, Receiver, make_file, upload
from tests.servers import RunningServer, free_port, running, start

STUDY = {"StudyInstanceUID": "1.1", "PatientName": "Doe^Jane"}
Open = Callable[..., Receiver]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("sender"), {"LogExportedResources": True}) as started:
        upload(
            started,
            *(
                make_file(**STUDY, SeriesInstanceUID="1.1.1", SOPInstanceUID=f"1.1.1.{n}", InstanceNumber=n)
                for n in (3, 1, 2)
            ),
            make_file(
                **STUDY, SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", Modality="MR", SOPClassUID=MR
            ),
        )
        define(started, "self", started.dicom_port, "HOUNSFIELD")
        yield started


@pytest.fixture
def receiver() -> Iterator[Open]:
    opened: list[Receiver] = []

    def start(*transfer_syntaxes: str, **options: Any) -> Receiver:
        opened.append(Receiver(transfer_syntaxes or (ExplicitVRLittleEndian,), **options))
        return opened[-1]

    yield start
    for each in opened:
        each.stop()


def define(server: RunningServer, name: str, port: int, ae_title: str = "RECEIVER", **options: Any) -> None:
    body = {"AET": ae_title, "Host": "127.0.0.1", "Port": port, **options}
    assert server.request("PUT", f"/modalities/{name}", json.dumps(body).encode())[0] == 200


def failure(server: RunningServer, path: str, body: object) -> tuple[int, int]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = server.request("POST", path, sent)
    return status, json.loads(answer)["OrthancStatus"] if answer else 0


def test_a_study_arrives_whole_series_by_series_on_one_association(
    server: RunningServer, receiver: Open
) -> None:
    peer = receiver()
    define(server, "peer", peer.port)
    (study,) = server.json("/studies")
    content = server.json("/modalities/peer/store", [study])
    assert content == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 4,
        "LocalAet": "HOUNSFIELD",
        "ParentResources": [study],
        "RemoteAet": "RECEIVER",
        "Resources": [{"ID": study, "Type": "Study"}],
    }
    assert peer.associations == 1
    assert peer.callers == ["HOUNSFIELD"]
    assert [each.SOPInstanceUID for each in peer.received if each.Modality == "CT"] == [
        "1.1.1.1",
        "1.1.1.2",
        "1.1.1.3",
    ]
    assert all(each.PatientName == "Doe^Jane" and each.PixelData == bytes(32) for each in peer.received)


def test_what_is_sent_may_be_named_in_many_ways(server: RunningServer, receiver: Open) -> None:
    peer = receiver()
    define(server, "peer", peer.port)
    instance = server.json("/instances")[0]
    for body in (
        instance.encode(),
        json.dumps([instance]).encode(),
        json.dumps({"Resources": [instance]}).encode(),
    ):
        status, answer = server.request("POST", "/modalities/peer/store", body)
        assert (status, json.loads(answer)["InstancesCount"]) == (200, 1)
    assert len(peer.received) == 3
    empty = server.json("/modalities/peer/store", [])
    assert empty["InstancesCount"] == 0
    assert "Resources" not in empty


def test_ae_titles_are_those_of_the_body_then_of_the_modality(server: RunningServer, receiver: Open) -> None:
    peer = receiver()
    instance = server.json("/instances")[0]
    define(server, "peer", peer.port, LocalAet="MINE")
    assert server.json("/modalities/peer/store", [instance])["LocalAet"] == "MINE"
    content = server.json(
        "/modalities/peer/store",
        {
            "Resources": [instance],
            "LocalAet": "BODY",
            "CalledAet": "OTHER",
            "MoveOriginatorAet": "A",
            "MoveOriginatorID": 7,
        },
    )
    assert (content["LocalAet"], content["RemoteAet"], content["MoveOriginatorID"]) == ("BODY", "OTHER", 7)
    assert peer.callers == ["MINE", "BODY"]
    assert peer.commands[-1].MoveOriginatorMessageID == 7
    assert peer.commands[-1].MoveOriginatorApplicationEntityTitle == "A"


@pytest.mark.parametrize(
    "accepted", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_an_instance_goes_out_as_it_is_stored_where_it_is_accepted(
    tmp_path: Path, receiver: Open, accepted: str
) -> None:
    peer = receiver(accepted, ExplicitVRLittleEndian)
    with running(tmp_path) as sender:
        file = make_file(
            **STUDY,
            SeriesInstanceUID="1.1.1",
            SOPInstanceUID="1.1.1.1",
            TransferSyntaxUID=ExplicitVRLittleEndian,
        )
        (public_id,) = upload(sender, file)
        define(sender, "peer", peer.port)
        sender.json("/modalities/peer/store", [public_id])
        assert peer.received[0].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        status, sent = sender.request("GET", f"/instances/{public_id}/file")
        assert status == 200
        (tmp_path / "sent").write_bytes(sent)
        assert dcmread(tmp_path / "sent").PixelData == peer.received[0].PixelData


def test_refusals_of_the_modality_fail_the_job_or_are_counted(server: RunningServer, receiver: Open) -> None:
    peer = receiver()
    define(server, "peer", peer.port)
    (study,) = server.json("/studies")
    peer.statuses = [0, 0xA700]
    assert failure(server, "/modalities/peer/store", [study]) == (500, 9)
    peer.statuses = [0xB000, 0xA700, 0xC000, 0x0111]
    content = server.json("/modalities/peer/store", {"Resources": [study], "Permissive": True})
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (4, 2)


def test_what_the_modality_does_not_take_is_an_error(server: RunningServer, receiver: Open) -> None:
    peer = receiver(sop_classes=(MR,))
    define(server, "peer", peer.port)
    (study,) = server.json("/studies")
    assert failure(server, "/modalities/peer/store", [study]) == (500, 2015)
    content = server.json("/modalities/peer/store", {"Resources": [study], "Permissive": True})
    assert content["FailedInstancesCount"] == 3
    assert [each.Modality for each in peer.received][-1] == "MR"


def test_errors_of_the_caller_are_told(server: RunningServer) -> None:
    define(server, "dead", free_port(), "DEAD")
    instance = server.json("/instances")[0]
    assert failure(server, "/modalities/dead/store", [instance]) == (500, 9)
    assert failure(server, "/modalities/dead/store", b"nope") == (400, 15)
    assert failure(server, "/modalities/dead/store", {"Resources": "x"}) == (400, 15)
    assert failure(server, "/modalities/dead/store", ["nope"]) == (400, 15)
    assert failure(server, "/modalities/dead/store", {}) == (400, 15)
    assert failure(server, "/modalities/dead/store", ["00000000-" * 4 + "00000000"]) == (404, 17)
    assert failure(server, "/modalities/nope/store", [instance]) == (404, 7)
    assert failure(server, "/modalities/dead/echo", b"") == (500, 9)
    content = server.json("/modalities/dead/store", {"Resources": [instance], "Permissive": True})
    assert content["FailedInstancesCount"] == 1


def test_a_file_may_be_sent_without_being_stored(server: RunningServer, receiver: Open) -> None:
    peer = receiver()
    define(server, "peer", peer.port)
    before = server.json("/statistics")["CountInstances"]
    file = make_file(StudyInstanceUID="9", SeriesInstanceUID="9.1", SOPInstanceUID="9.1.1")
    status, answer = server.request("POST", "/modalities/peer/store-straight", file)
    assert (status, json.loads(answer)["SOPInstanceUID"]) == (200, "9.1.1")
    assert peer.received[0].SOPInstanceUID == "9.1.1"
    assert server.json("/statistics")["CountInstances"] == before
    assert failure(server, "/modalities/peer/store-straight", b"nothing") == (400, 15)


def test_the_server_may_send_to_itself(server: RunningServer) -> None:
    (study,) = server.json("/studies")
    assert server.json("/modalities/self/store", [study])["FailedInstancesCount"] == 0
    assert server.json("/modalities/self/echo", {"CheckFind": False}) == {}


def test_a_job_may_run_behind(server: RunningServer, receiver: Open) -> None:
    peer = receiver()
    define(server, "peer", peer.port)
    (study,) = server.json("/studies")
    answer = server.json("/modalities/peer/store", {"Resources": [study], "Synchronous": False})
    deadline = time.monotonic() + 30
    while (job := server.json(answer["Path"]))["State"] != "Success":
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    assert job["Type"] == "DicomModalityStore"
    assert len(peer.received) == 4


def test_what_was_sent_is_logged_once_a_resource(tmp_path: Path, receiver: Open) -> None:
    peer = receiver()
    with running(tmp_path, {"LogExportedResources": True}) as logging_server:
        upload(logging_server, make_file(**STUDY, SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1"))
        define(logging_server, "peer", peer.port)
        for level in ("instances", "series", "studies", "patients"):
            logging_server.json("/modalities/peer/store", logging_server.json(f"/{level}"))
        exports = logging_server.json("/exports")
        assert [len(each) for each in exports["Exports"]] == [10, 9, 8, 7]
        assert {each["RemoteModality"] for each in exports["Exports"]} == {"peer"}
        assert (exports["First"], exports["Last"], exports["Done"]) == (1, 4, True)
        assert logging_server.json("/exports?since=1&limit=1")["Exports"][0]["Seq"] == 2
        assert logging_server.json("/exports?last")["Last"] == 4
        logging_server.request("DELETE", "/exports")
        assert logging_server.json("/exports") == {"Exports": [], "Done": True, "Last": 0}


@pytest.mark.dcmtk
def test_storescp_receives(server: RunningServer, tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(["/usr/bin/storescp", "-od", str(tmp_path), str(port)])
    try:
        define(server, "dcmtk", port, "STORESCP")
        deadline = time.monotonic() + 20
        while server.request("POST", "/modalities/dcmtk/echo", b"")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (study,) = server.json("/studies")
        assert server.json("/modalities/dcmtk/store", [study])["FailedInstancesCount"] == 0
    finally:
        process.terminate()
        process.wait()
    assert sorted(dcmread(path).SOPInstanceUID for path in tmp_path.iterdir()) == [
        "1.1.1.1",
        "1.1.1.2",
        "1.1.1.3",
        "1.1.2.1",
    ]


def test_what_is_not_accepted_as_stored_is_transcoded_unless_that_is_forbidden(
    tmp_path: Path, receiver: Open
) -> None:
    compressed = Path(str(get_testdata_file("MR_small_RLE.dcm")))
    with running(tmp_path) as sender:
        (public_id,) = upload(sender, compressed.read_bytes())
        expected = dcmread(compressed)
        expected.decompress(generate_instance_uid=False)
        for accepted in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
            peer = receiver(accepted)
            define(sender, "peer", peer.port)
            sender.json("/modalities/peer/store", [public_id])
            (arrived,) = peer.received
            assert arrived.file_meta.TransferSyntaxUID == accepted
            assert (arrived.pixel_array == expected.pixel_array).all()
            assert arrived.SOPInstanceUID == expected.SOPInstanceUID
        define(sender, "peer", peer.port, AllowTranscoding=False)
        assert failure(sender, "/modalities/peer/store", [public_id]) == (500, 2015)


def test_a_job_goes_on_where_it_was_when_the_server_was_killed(tmp_path: Path, receiver: Open) -> None:
    peer = receiver()
    peer.delay_seconds = 0.1
    modalities = {"DicomModalities": {"peer": ["RECEIVER", "127.0.0.1", peer.port]}}
    first = start(tmp_path, modalities)
    files = [
        make_file(**STUDY, SeriesInstanceUID="1.1.1", SOPInstanceUID=f"1.1.1.{n}", InstanceNumber=n)
        for n in range(40)
    ]
    upload(first, *files)
    body = {"Resources": first.json("/studies"), "Synchronous": False}
    path = first.json("/modalities/peer/store", body)["Path"]
    deadline = time.monotonic() + 60
    while len(peer.received) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.kill()
    with running(tmp_path, modalities) as second:
        while (job := second.json(path))["State"] != "Success":
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        assert (job["Content"]["InstancesCount"], job["Content"]["FailedInstancesCount"]) == (40, 0)
    uids = [str(each.SOPInstanceUID) for each in peer.received]
    assert {f"1.1.1.{n}" for n in range(40)} == set(uids)
    assert len(uids) < 70, "it began anew"


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with many instances, which sends on several associations."""
    with running(tmp_path_factory.mktemp("wide")) as started:
        series = {**STUDY, "SeriesInstanceUID": "1.1.1"}
        upload(started, *(make_file(**series, SOPInstanceUID=f"1.1.1.{n}") for n in range(1, 61)))
        yield started


def test_instances_are_spread_over_several_associations(wide: RunningServer, receiver: Open) -> None:
    peer = receiver()
    define(wide, "peer", peer.port, StoreAssociations=3)
    assert wide.json("/modalities/peer/configuration")["StoreAssociations"] == 3
    content = wide.json("/modalities/peer/store", wide.json("/studies"))
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (60, 0)
    assert peer.associations == 3
    assert sorted(each.SOPInstanceUID for each in peer.received) == sorted(f"1.1.1.{n}" for n in range(1, 61))


def test_failures_on_several_associations_are_counted_once(wide: RunningServer, receiver: Open) -> None:
    peer = receiver()
    define(wide, "peer", peer.port, StoreAssociations=4)
    peer.statuses = [0xA900, 0xC000, 0xB000]
    content = wide.json(
        "/modalities/peer/store", {"Resources": wide.json("/studies"), "Permissive": True, "Priority": 1}
    )
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (60, 2)
    assert len(peer.received) == 60
    peer.statuses = [0xA700]
    assert failure(wide, "/modalities/peer/store", wide.json("/studies")) == (500, 9)


def test_who_serves_one_association_after_the_other_is_sent_everything_once(
    wide: RunningServer, tmp_path: Path
) -> None:
    port = free_port()
    command = ["/usr/bin/storescp", "-od", str(tmp_path), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        define(wide, "storescp", port, "ANY", StoreAssociations=4)
        _wait_for_echo(wide, "storescp")
        for _ in range(2):
            content = wide.json("/modalities/storescp/store", wide.json("/studies"))
            assert (content["InstancesCount"], content["FailedInstancesCount"]) == (60, 0)
            assert len(list(tmp_path.iterdir())) == 60
            for file in tmp_path.iterdir():
                file.unlink()
    finally:
        process.kill()
        process.wait()


def _wait_for_echo(server: RunningServer, name: str) -> None:
    deadline = time.monotonic() + 20
    while server.request("POST", f"/modalities/{name}/echo", b"{}")[0] != 200:
        assert time.monotonic() < deadline


def test_how_many_associations_there_may_be_is_checked(wide: RunningServer) -> None:
    for wanted in (0, 17, -1, "many"):
        body = {"AET": "X", "Host": "127.0.0.1", "Port": 104, "StoreAssociations": wanted}
        assert wide.request("PUT", "/modalities/x", json.dumps(body).encode())[0] == 400

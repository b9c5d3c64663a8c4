"""C-MOVE and C-GET as provider and as user: DCMTK, pynetdicom, and two of our own servers."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, build_role, evt
from tests.conformance.peers import (
    CT,
    MR,
    Receiver,
    association,
    identifier,
    make_file,
    upload,
)
from tests.servers import RunningServer, free_port, running

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PENDING, SUCCESS, WARNING, ALL_FAILED, CANCEL, FAILURE = 0xFF00, 0, 0xB000, 0xA702, 0xFE00, 0xC000


def _files(patient: str = "P") -> list[bytes]:
    study = {"PatientID": patient, "StudyInstanceUID": "1.1", "AccessionNumber": "A1"}
    return [
        *(
            make_file(**study, SeriesInstanceUID="1.1.1", SOPInstanceUID=f"1.1.1.{n}", InstanceNumber=n)
            for n in range(1, 4)
        ),
        make_file(
            **study, SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", SOPClassUID=MR, Modality="MR"
        ),
        make_file(PatientID="Q", StudyInstanceUID="2.1", SeriesInstanceUID="2.1.1", SOPInstanceUID="2.1.1.1"),
    ]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    opened = Receiver((ExplicitVRLittleEndian, ImplicitVRLittleEndian))
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[RunningServer]:
    options = {
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowFind": True,
        "DicomModalities": {
            "receiver": ["RECEIVER", "127.0.0.1", receiver.port],
            "renamed": {"AET": "RENAMED", "Host": "127.0.0.1", "Port": receiver.port, "LocalAet": "ALIAS"},
            "dead": ["DEAD", "127.0.0.1", free_port()],
        },
    }
    with running(tmp_path_factory.mktemp("scp"), options) as started:
        upload(started, *_files())
        yield started


def move(server: RunningServer, target: str = "RECEIVER", **keys: Any) -> list[Dataset]:
    """The statuses of a C-MOVE, with their counters."""
    with association(server.dicom_port, [(STUDY_ROOT_MOVE, [])]) as opened:
        return [
            status for status, _ in opened.send_c_move(identifier(keys), target, STUDY_ROOT_MOVE, msg_id=77)
        ]


def get(
    server: RunningServer,
    keys: dict[str, Any],
    *,
    syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,),
    answer: int = 0,
    classes: tuple[str, ...] = (CT, MR),
) -> tuple[list[Dataset], list[Dataset]]:
    """The statuses of a C-GET, and what arrived."""
    arrived: list[Dataset] = []

    def store(event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        arrived.append(dataset)
        return answer

    with association(
        server.dicom_port,
        [(STUDY_ROOT_GET, []), *((uid, syntaxes) for uid in classes)],
        ext_neg=[build_role(uid, scp_role=True) for uid in classes],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    ) as opened:
        statuses = [status for status, _ in opened.send_c_get(identifier(keys), STUDY_ROOT_GET)]
    return statuses, arrived


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.1"}, 4),
        ({"StudyInstanceUID": "1.1"}, 4),
        ({"QueryRetrieveLevel": "STUDY", "AccessionNumber": "A1"}, 4),
        ({"QueryRetrieveLevel": "PATIENT", "PatientID": "P"}, 4),
        ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": ["1.1.2", "2.1.1"]}, 2),
        ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.1.1", "StudyInstanceUID": "9.9"}, 3),
        ({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ["1.1.1.1", "9.9", "1.1.1.3"]}, 2),
    ],
    ids=str,
)
def test_what_is_named_is_moved(
    server: RunningServer, receiver: Receiver, keys: dict[str, Any], expected: int
) -> None:
    receiver.received.clear()
    statuses = move(server, **keys)
    assert statuses[-1].Status == SUCCESS
    assert statuses[-1].NumberOfCompletedSuboperations == expected
    assert {status.Status for status in statuses[:-1]} == {PENDING}
    assert [status.NumberOfRemainingSuboperations for status in statuses[:-1]] == list(
        range(expected, -1, -1)
    )
    assert len(receiver.received) == expected


def test_the_receiver_is_told_who_asked(server: RunningServer, receiver: Receiver) -> None:
    move(server, "renamed", QueryRetrieveLevel="IMAGE", SOPInstanceUID="1.1.1.1")
    assert receiver.callers[-1] == "ALIAS"
    assert receiver.commands[-1].MoveOriginatorApplicationEntityTitle == "PYNETDICOM"
    assert receiver.commands[-1].MoveOriginatorMessageID == 77


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("NOPE", {"StudyInstanceUID": "1.1"}),
        ("DEAD", {"StudyInstanceUID": "1.1"}),
        ("RECEIVER", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "9.9"}),
        ("RECEIVER", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}),
        ("RECEIVER", {"QueryRetrieveLevel": "PATIENT", "AccessionNumber": "A1"}),
        ("RECEIVER", {"PatientName": "X"}),
    ],
    ids=str,
)
def test_what_cannot_be_moved_is_refused(server: RunningServer, target: str, keys: dict[str, Any]) -> None:
    statuses = move(server, target, **keys)
    assert [status.Status for status in statuses] == [FAILURE]


def test_failures_of_some_and_of_all_are_told(server: RunningServer, receiver: Receiver) -> None:
    receiver.statuses = [0, 0xA700]
    final = move(server, StudyInstanceUID="1.1")[-1]
    assert (final.Status, final.NumberOfFailedSuboperations, final.NumberOfCompletedSuboperations) == (
        WARNING,
        1,
        3,
    )
    receiver.statuses = [0xB000]
    final = move(server, StudyInstanceUID="1.1")[-1]
    assert (final.Status, final.NumberOfWarningSuboperations) == (SUCCESS, 1)
    receiver.statuses = [0xC000] * 4
    assert move(server, StudyInstanceUID="1.1")[-1].Status == ALL_FAILED
    receiver.statuses = []


def test_a_move_may_be_left_to_a_job(tmp_path: Path, receiver: Receiver) -> None:
    options = {
        "SynchronousCMove": False,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"receiver": ["RECEIVER", "127.0.0.1", receiver.port]},
    }
    receiver.received.clear()
    with running(tmp_path, options) as server:
        upload(server, *_files())
        assert [status.Status for status in move(server, StudyInstanceUID="1.1")] == [SUCCESS]
        deadline = time.monotonic() + 30
        while not (jobs := server.json("/jobs?expand")) or jobs[0]["State"] != "Success":
            assert time.monotonic() < deadline, jobs
            time.sleep(0.02)
        assert jobs[0]["Content"]["Description"] == "C-MOVE"
        assert jobs[0]["Content"]["MoveOriginatorAET"] == "PYNETDICOM"
        assert len(receiver.received) == 4


def test_what_is_named_is_given(server: RunningServer) -> None:
    statuses, arrived = get(server, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.1"})
    assert statuses[-1].Status == SUCCESS
    assert statuses[-1].NumberOfCompletedSuboperations == 4
    assert sorted(each.SOPInstanceUID for each in arrived) == ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.2.1"]
    assert all(each.PixelData == bytes(32) for each in arrived)


def test_what_is_given_is_transcoded_if_it_must_be(server: RunningServer) -> None:
    for syntax in (ImplicitVRLittleEndian, JPEGBaseline8Bit):
        statuses, arrived = get(
            server, {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.1.1.1"}, syntaxes=(syntax,)
        )
        if arrived:
            assert statuses[-1].Status == SUCCESS
            assert arrived[0].file_meta.TransferSyntaxUID == syntax
        else:
            assert statuses[-1].Status == ALL_FAILED


def test_a_get_needs_a_level_and_something_to_give(server: RunningServer) -> None:
    for keys in (
        {"StudyInstanceUID": "1.1"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "9.9"},
        {"QueryRetrieveLevel": "NOPE", "StudyInstanceUID": "1.1"},
    ):
        statuses, arrived = get(server, keys)
        assert ([status.Status for status in statuses], arrived) == ([FAILURE], [])


def test_refusals_during_a_get_are_counted(server: RunningServer) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.1"}
    assert get(server, keys, answer=0xA700)[0][-1].Status == ALL_FAILED
    statuses, arrived = get(server, keys, classes=(CT,))
    assert (statuses[-1].Status, len(arrived)) == (WARNING, 3)
    assert statuses[-1].NumberOfFailedSuboperations == 1


def test_a_get_can_be_cancelled(tmp_path: Path) -> None:
    with running(tmp_path, {"DicomAlwaysAllowGet": True}) as server:
        many = [
            make_file(StudyInstanceUID="1", SeriesInstanceUID="1.1", SOPInstanceUID=f"1.1.{n}")
            for n in range(200)
        ]
        upload(server, *many)
        arrived: list[str] = []

        def store(event: Any) -> int:
            arrived.append(event.request.AffectedSOPInstanceUID)
            return 0

        with association(
            server.dicom_port,
            [(STUDY_ROOT_GET, []), (CT, [ExplicitVRLittleEndian])],
            ext_neg=[build_role(CT, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, store)],
        ) as opened:
            keys = identifier({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1"})
            final = None
            for status, _ in opened.send_c_get(keys, STUDY_ROOT_GET, msg_id=9):
                if final is None:
                    opened.send_c_cancel(9, None, STUDY_ROOT_GET)
                final = status
        assert final is not None
        assert final.Status == CANCEL
        assert len(arrived) < 200
        assert final.NumberOfRemainingSuboperations == 200 - final.NumberOfCompletedSuboperations


def test_who_may_not_retrieve_is_cut_off(tmp_path: Path) -> None:
    modality = {"AET": "MUTE", "Host": "127.0.0.1", "Port": 104, "AllowMove": False, "AllowGet": False}
    with running(
        tmp_path, {"DicomModalities": {"mute": modality, "good": ["GOOD", "127.0.0.1", 105]}}
    ) as server:
        for calling, expected in (("MUTE", None), ("STRANGER", None), ("GOOD", FAILURE)):
            for sop_class in (STUDY_ROOT_MOVE, STUDY_ROOT_GET):
                keys = identifier({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "9.9"})
                with association(server.dicom_port, [(sop_class, [])], calling=calling) as opened:
                    answers = (
                        opened.send_c_move(keys, "GOOD", sop_class)
                        if sop_class == STUDY_ROOT_MOVE
                        else opened.send_c_get(keys, sop_class)
                    )
                    assert [status.get("Status") for status, _ in answers][-1] == expected


@pytest.mark.dcmtk
@pytest.mark.parametrize("tool", ["getscu", "movescu"])
def test_dcmtk_retrieves(tmp_path: Path, tool: str) -> None:
    port = free_port()
    options = {
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"movescu": ["MOVESCU", "127.0.0.1", port]},
    }
    out = tmp_path / "out"
    out.mkdir()
    with running(tmp_path, options) as server:
        upload(server, *_files())
        to = ["-aem", "MOVESCU", "+P", str(port)] if tool == "movescu" else []
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.1"]
        command = [f"/usr/bin/{tool}", "-S", *to, "-od", str(out), *keys, "127.0.0.1", str(server.dicom_port)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
    assert len(list(out.iterdir())) == 4


# As user.


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """One server that fetches, and one that has something."""
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    with running(tmp_path / "near", {"DicomAet": "NEAR"}) as near:
        modalities = {"near": ["NEAR", "127.0.0.1", near.dicom_port]}
        with running(tmp_path / "far", {"DicomAet": "FAR", "DicomModalities": modalities}) as far:
            upload(far, *_files())
            _define(near, "far", ["FAR", "127.0.0.1", far.dicom_port])
            yield near, far


def _define(server: RunningServer, name: str, body: object) -> None:
    assert server.request("PUT", f"/modalities/{name}", json.dumps(body).encode())[0] == 200


def _failure(server: RunningServer, path: str, body: object) -> dict[str, Any]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = server.request("POST", path, sent)
    assert status >= 400
    error: dict[str, Any] = json.loads(answer)
    return error


def test_a_query_is_kept_and_its_answers_are_retrieved(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    body = {"Level": "studies", "Query": {"PatientID": "*", "ModalitiesInStudy": "", "Rows": "4"}}
    query = near.json("/modalities/far/query", body)
    path = query["Path"]
    assert near.json("/queries") == [query["ID"]]
    assert near.json(path) == ["answers", "level", "modality", "query", "retrieve"]
    assert near.request("GET", f"{path}/level")[1] == b"Study"
    assert near.request("GET", f"{path}/modality")[1] == b"far"
    assert near.json(f"{path}/query?simplify") == {"ModalitiesInStudy": "", "PatientID": "*", "Rows": "4"}
    assert near.json(f"{path}/answers") == ["0", "1"]
    answers = near.json(f"{path}/answers?expand&simplify")
    (place,) = [n for n, each in enumerate(answers) if each["StudyInstanceUID"] == "1.1"]
    assert answers[place] == {
        "AccessionNumber": "A1",
        "ModalitiesInStudy": "CT\\MR",
        "PatientID": "P",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "FAR",
        "SpecificCharacterSet": "ISO_IR 100",
        "StudyInstanceUID": "1.1",
    }
    assert near.json(f"{path}/answers/{place}") == ["content", "retrieve", "query-series", "query-instances"]
    below = near.json(f"{path}/answers/{place}/query-series", {"Query": {"Modality": ""}})
    assert sorted(each["Modality"] for each in near.json(f"{below['Path']}/answers?expand&simplify")) == [
        "CT",
        "MR",
    ]
    assert _failure(near, f"{path}/answers/{place}/query-studies", {"Query": {}})["HttpStatus"] == 404
    assert _failure(near, f"{path}/answers/7/retrieve", b"")["OrthancStatus"] == 3
    content = near.json(f"{path}/answers/{place}/retrieve", {})
    (detail,) = content["Details"]
    assert (content["TargetAet"], content["LocalAet"], content["RemoteAet"]) == ("NEAR", "NEAR", "FAR")
    assert detail["DimseErrorStatus"] == 0
    assert sorted(detail["ReceivedInstancesIds"]) == near.json("/instances")
    assert detail["Query"] == {"0008,0050": "A1", "0008,0052": "STUDY", "0010,0020": "P", "0020,000d": "1.1"}
    assert len(near.json("/instances")) == 4
    content = near.json(f"{path}/retrieve", {"RetrieveMethod": "C-GET", "Full": True})
    assert sum(len(each["ReceivedInstancesIds"]) for each in content["Details"]) == 5
    assert content["Query"][0]["0008,0052"]["Value"] == "STUDY"
    assert near.request("DELETE", path) == (200, b"")
    assert near.request("GET", path)[0] == 404


def test_resources_are_moved_and_got_by_their_identifiers(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    study = {"StudyInstanceUID": "1.1"}
    series = {**study, "SeriesInstanceUID": "1.1.2"}
    for route in ("move", "get"):
        for level, keys, count in (
            ("Patient", {"PatientID": "P"}, 4),
            ("Study", study, 4),
            ("Series", series, 1),
            ("Instance", {**series, "SOPInstanceUID": "1.1.2.1"}, 1),
        ):
            content = near.json(f"/modalities/far/{route}", {"Level": level, "Resources": [keys]})
            assert len(content["Details"][0]["ReceivedInstancesIds"]) == count, (route, level)
            near.request("DELETE", f"/patients/{near.json('/patients')[0]}")
    assert _failure(near, "/modalities/far/move", {"Level": "Study", "Resources": [{}]})["OrthancStatus"] == 8
    assert _failure(near, "/modalities/far/move", {"Level": "Study"})["OrthancStatus"] == 15
    assert near.json("/modalities/far/move", {"Level": "Study", "Resources": []})["Details"] == []


def test_a_retrieval_that_fails_tells_why(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": "9.9"}]}
    error = _failure(near, "/modalities/far/move", body)
    assert (error["HttpStatus"], error["OrthancStatus"]) == (500, 9)
    assert "0xC000" in error["Details"]
    assert error["ErrorPayload"] == {
        "Type": "RetrieveJob",
        "Content": [
            {
                "Query": {"0008,0052": "STUDY", "0020,000d": "9.9"},
                "DimseErrorStatus": 0xC000,
                "ReceivedInstancesIds": [],
            }
        ],
    }
    (job,) = [each for each in near.json("/jobs?expand") if each["State"] == "Failure"]
    assert (job["Type"], job["ErrorPayload"]) == (
        "DicomMoveScu",
        {"Type": "Dimse", "Content": {"DimseErrorStatus": 0xC000}},
    )
    both = {
        **body,
        "Resources": [{"StudyInstanceUID": "9.9"}, {"StudyInstanceUID": "2.1"}],
        "Permissive": True,
    }
    details = near.json("/modalities/far/get", both)["Details"]
    assert [each["DimseErrorStatus"] for each in details] == [0xC000, 0]
    assert [len(each["ReceivedInstancesIds"]) for each in details] == [0, 1]


def test_old_ways_to_query_still_work(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    (patient,) = near.json("/modalities/far/find-patient", {"PatientID": "P"})
    assert (patient["PatientID"], patient["QueryRetrieveLevel"]) == ("P", "PATIENT")
    (study,) = near.json("/modalities/far/find-study", {"PatientID": "P"})
    assert study["StudyInstanceUID"] == "1.1"
    found = near.json("/modalities/far/find-series", {"PatientID": "P", "StudyInstanceUID": "1.1"})
    assert len(found) == 2
    assert near.request("POST", "/modalities/far/find-series", b'{"PatientID": "P"}') == (400, b"")
    nested = near.json("/modalities/far/find", {"PatientID": "P"})
    assert len(nested[0]["Studies"][0]["Series"]) == 2


def test_the_server_may_retrieve_from_itself(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        upload(server, *_files())
        _define(server, "self", ["HOUNSFIELD", "127.0.0.1", server.dicom_port])
        body = {"Level": "Study", "Resources": [{"StudyInstanceUID": "1.1"}]}
        for route in ("move", "get"):
            content = server.json(f"/modalities/self/{route}", body)
            assert len(content["Details"][0]["ReceivedInstancesIds"]) == 4
        query = server.json("/modalities/self/query", {"Level": "Patient", "Query": {"PatientID": ""}})
        assert len(server.json(f"{query['Path']}/answers")) == 2


def test_answers_of_hostile_providers_are_errors_not_crashes(tmp_path: Path) -> None:
    entity = AE(ae_title="ODD")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")

    def answer(event: Any) -> Iterator[Any]:
        odd = Dataset()
        odd.add_new(0x00100010, "UN", b"\xff\xfe" * 40)
        odd.add_new(0x00080005, "CS", "NONSENSE")
        odd.add_new(0x00081140, "SQ", [Dataset(), Dataset()])
        yield 0xFF00, odd
        yield 0xA700, None

    handlers: Any = [(evt.EVT_C_FIND, answer)]
    peer: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        with running(tmp_path) as server:
            _define(server, "odd", ["ODD", "127.0.0.1", peer.server_address[1]])
            error = _failure(server, "/modalities/odd/query", {"Level": "Study", "Query": {}})
            assert (error["HttpStatus"], error["OrthancStatus"]) == (500, 9)
            assert _failure(server, "/modalities/odd/echo", b"")["OrthancStatus"] == 2015
    finally:
        peer.shutdown()

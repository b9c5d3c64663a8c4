"""Sections J and K: services to modalities, and questions to them."""

import json
from collections.abc import Iterator

import pytest
from tests.acceptance.asking import end_of, failure, status_of, upload
from tests.conformance.peers import PATIENT_ROOT_FIND, Receiver
from tests.conformance.peers import find as c_find
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

OPTIONS = {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowMove": True}
PATIENT, STUDY, SERIES, INSTANCE = ids()


@pytest.fixture
def loop(server: RunningServer) -> Iterator[RunningServer]:
    """A server that knows itself as modality and as peer, with two patients who share a Study Instance UID."""
    assert status_of(server, "PUT", "/modalities/self", _itself(server)) == 200
    assert status_of(server, "PUT", "/peers/self", [f"http://127.0.0.1:{server.http_port}/"]) == 200
    upload(server, slice_file())
    upload(server, slice_file("P2", "1.1", "2.1.1", "2.1.1.1"))
    yield server
    assert status_of(server, "PUT", "/tools/default-encoding", "Latin1") == 200


def _itself(server: RunningServer) -> list[object]:
    return ["HOUNSFIELD", "127.0.0.1", server.dicom_port]


@pytest.mark.parametrize(
    ("encoding", "term", "wanted"),
    [
        ("Ascii", "ISO_IR 6", "Test-"),
        ("Utf8", "ISO_IR 192", "Test-éДΘğדصﾈ王"),
        ("Latin1", "ISO_IR 100", "Test-é"),
        ("Latin2", "ISO_IR 101", "Test-é"),
        ("Latin3", "ISO_IR 109", "Test-éğ"),
        ("Latin4", "ISO_IR 110", "Test-é"),
        ("Latin5", "ISO_IR 148", "Test-éğ"),
        ("Cyrillic", "ISO_IR 144", "Test-Д"),
        ("Greek", "ISO_IR 126", "Test-Θ"),
        ("Hebrew", "ISO_IR 138", "Test-ד"),
        ("Arabic", "ISO_IR 127", "Test-ص"),
        ("Chinese", "GB18030", "Test-éДΘğדصﾈ王"),
    ],
)
def test_answers_are_in_the_character_set_of_the_configuration(
    loop: RunningServer, encoding: str, term: str, wanted: str
) -> None:
    """Scenario 200."""
    upload(
        loop,
        slice_file(
            "ENC", "7", "7.1", "7.1.1", SpecificCharacterSet="ISO_IR 192", PatientName="Test-éДΘğדصﾈ王"
        ),
    )
    assert status_of(loop, "PUT", "/tools/default-encoding", encoding) == 200
    asked = {"QueryRetrieveLevel": "PATIENT", "PatientID": "ENC", "PatientName": ""}
    status, answers = c_find(loop, asked, PATIENT_ROOT_FIND)
    assert (status, len(answers)) == (0, 1)
    assert (answers[0].SpecificCharacterSet, str(answers[0].PatientName)) == (term, wanted)


def test_modalities_and_peers_are_defined_in_many_ways(loop: RunningServer) -> None:
    """Scenarios 217 and 218."""
    for definition, wanted in (
        (["A", "h", 104, "MedInria"], 200),
        ({"AET": "A", "Host": "h", "Port": 104}, 200),
        (["A", "h", 104, "Nope"], 400),
        (["A", "h", 70000], 400),
        (["A", "h"], 400),
    ):
        assert status_of(loop, "PUT", "/modalities/m", definition) == wanted, definition
    assert loop.json("/modalities?expand")["m"] == loop.json("/modalities/m/configuration")
    assert loop.json("/modalities/m/configuration")["Manufacturer"] == "Generic"
    assert status_of(loop, "DELETE", "/modalities/m") == 200
    assert status_of(loop, "DELETE", "/modalities/m") == 404
    url = "http://h/"
    for peer, wanted in (
        ([url], 200),
        ([url, "u"], 400),
        ([url, "u", "p"], 200),
        ([url, "u", "p", "x"], 400),
    ):
        assert status_of(loop, "PUT", "/peers/p", peer) == wanted, peer
    shown = {"Url": url, "Username": "u", "Password": "p", "HttpHeaders": {"A": "b"}, "Custom": 5}
    assert status_of(loop, "PUT", "/peers/p", shown) == 200
    told = loop.json("/peers?expand")["p"]
    assert (told["Password"], told["HttpHeaders"], told["Custom"]) == (None, ["A"], "5")
    assert status_of(loop, "DELETE", "/peers/p") == 200


def test_echoes(loop: RunningServer) -> None:
    """Scenarios 209, 220 and 221."""
    assert status_of(loop, "POST", "/modalities/self/echo", {"CheckFind": True}) == 200
    assert status_of(loop, "POST", "/tools/dicom-echo", _itself(loop)) == 200
    assert status_of(loop, "POST", "/modalities/nope/echo", {}) == 404
    assert failure(loop, "POST", "/tools/dicom-echo", ["X", "127.0.0.1", 9]) == (500, 9)
    status, answer = loop.request("POST", "/modalities/self/store-straight", slice_file())
    assert (status, json.loads(answer)["SOPInstanceUID"]) == (200, "1.1.1.1")
    assert failure(loop, "POST", "/modalities/self/store-straight", b"nope")[0] == 400
    assert status_of(loop, "PUT", "/modalities/dead", ["X", "127.0.0.1", 9]) == 200
    override = dict(zip(("CalledAet", "Host", "Port"), _itself(loop), strict=True))
    sent = loop.json("/modalities/dead/store", {"Resources": [INSTANCE], **override})
    assert sent["RemoteAet"] == "HOUNSFIELD"


def test_queries_and_retrievals(loop: RunningServer) -> None:
    """Scenarios 212 to 215."""
    asked = {"Level": "Study", "Query": {"PatientID": "P1"}}
    query = f"/queries/{loop.json('/modalities/self/query', asked)['ID']}"
    assert loop.json(f"{query}/answers") == ["0"]
    answer = loop.json(f"{query}/answers?expand&simplify")[0]
    assert sorted(answer) == [
        "AccessionNumber",
        "PatientID",
        "QueryRetrieveLevel",
        "RetrieveAETitle",
        "SpecificCharacterSet",
        "StudyInstanceUID",
    ]
    assert failure(loop, "POST", f"{query}/retrieve", b"NOPE") == (500, 9)
    permissive = {"TargetAet": "NOPE", "Permissive": True}
    assert status_of(loop, "POST", f"{query}/retrieve", permissive) == 200
    status, told = loop.request("POST", f"{query}/answers/0/retrieve", b"HOUNSFIELD")
    assert (status, len(json.loads(told)["Query"][0])) == (200, 4)
    below = loop.json(f"{query}/answers/0/query-series", {"Query": {}})["ID"]
    assert len(loop.json(f"/queries/{below}/answers")) == 2
    assert status_of(loop, "DELETE", "/queries/nope") == 200
    for rows, normalizes, count in (("2", False, 1), ("42", False, 0), ("42", True, 1)):
        more = {"Query": {"PatientID": "P1", "Rows": rows}, "Normalize": normalizes}
        made = loop.json("/modalities/self/query", {**asked, **more})["ID"]
        assert len(loop.json(f"/queries/{made}/answers")) == count


def test_resources_are_moved_and_got(loop: RunningServer) -> None:
    """Scenarios 216, 219 and 222."""
    keys = {
        "PatientID": "P1",
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": "1.1.1",
        "SOPInstanceUID": "1.1.1.1",
    }
    for level, names, count in (
        ("Patient", ["PatientID"], 1),
        ("Study", ["StudyInstanceUID"], 2),
        ("Series", ["StudyInstanceUID", "SeriesInstanceUID"], 1),
        ("Instance", list(keys)[1:], 1),
    ):
        asked = {"Level": level, "Resources": [{name: keys[name] for name in names}]}
        told = loop.json("/modalities/self/move", {**asked, "TargetAet": "HOUNSFIELD"})
        assert len(told["Details"][0]["ReceivedInstancesIds"]) == count
        assert told["Query"][0]["0008,0052"] == ("IMAGE" if level == "Instance" else level.upper())
    body = {"Resources": [INSTANCE], "Compress": True, "Asynchronous": True}
    job = end_of(loop, loop.json("/peers/self/store", body)["ID"])
    assert int(job["Content"]["Size"]) < len(slice_file())
    assert "Password" not in json.dumps(job)


def test_files_go_out_as_the_modality_wants_them(loop: RunningServer) -> None:
    """Scenario 210."""
    explicit, implicit = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
    for accepted, wanted in (([explicit, implicit], 200), ([implicit], 500)):
        receiver = Receiver(accepted)
        definition = {"AET": "RECEIVER", "Host": "127.0.0.1", "Port": receiver.port}
        try:
            assert status_of(loop, "PUT", "/modalities/r", definition) == 200
            assert status_of(loop, "POST", "/modalities/r/store", INSTANCE) == 200
            assert str(receiver.received[0].file_meta.TransferSyntaxUID) == accepted[0]
            assert status_of(loop, "PUT", "/modalities/r", {**definition, "AllowTranscoding": False}) == 200
            assert status_of(loop, "POST", "/modalities/r/store", INSTANCE) == wanted
        finally:
            receiver.stop()
            assert status_of(loop, "DELETE", "/modalities/r") == 200

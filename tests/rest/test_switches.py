"""What clients may change while the server runs, and its end."""

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from tests.rest.builders import Builder, Server, slice_file
from tests.servers import running, start

from hounsfield.rest.door import RestOptions

_EXPLICIT_BIG = "1.2.840.10008.1.2.2"


@pytest.mark.parametrize("name", ["", "-generic", "-plugins", "-http", "-sqlite", "-dicom", "-jobs", "-lua"])
def test_how_much_is_logged_can_be_changed(server: Server, name: str) -> None:
    path = f"/tools/log-level{name}"
    before = server.bytes_of("GET", path)
    for level in (b"verbose", b"trace", b"default"):
        assert server.bytes_of("PUT", path, level) == b""
        assert server.bytes_of("GET", path) == level
    assert server.failure("PUT", path, b"nope") == (400, 3)
    server.ask("PUT", path, before)


def test_there_is_no_other_category_of_logs(server: Server) -> None:
    assert server.failure("GET", "/tools/log-level-nope") == (404, 17)


def test_texts_are_read_by_the_encoding_that_is_set_now(server: Server) -> None:
    name = "Иванов".encode("cp1251").decode("latin-1")
    answer = server.post("/instances", slice_file(PatientName=name, SpecificCharacterSet="ISO_IR 100"))
    assert server.bytes_of("GET", "/tools/default-encoding") == b"Latin1"
    file = slice_file(patient="P2", instance="1.2").replace(b"DOE^P2", "Иван00".encode("cp1251"))
    assert answer["Status"] == "Success"
    public_id = server.post("/instances", file)["ID"]
    tags = f"/instances/{public_id}/simplified-tags"
    assert server.get(tags)["PatientName"] == "Иван".encode("cp1251").decode("latin-1") + "00"
    assert server.bytes_of("PUT", "/tools/default-encoding", b"Windows1251") == b"Windows1251"
    assert server.get(tags)["PatientName"] == "Иван00"
    assert server.failure("PUT", "/tools/default-encoding", b"nope") == (400, 3)
    assert server.bytes_of("GET", "/tools/default-encoding") == b"Windows1251"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'["1.2.840.10008.1.2", "*.50"]', ["1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"]),
        (b'"1.2.840.10008.1.2.?"', ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"]),
        (b"nope*", []),
        (b"[]", []),
    ],
)
def test_transfer_syntaxes_are_chosen_by_patterns(server: Server, body: bytes, expected: list[str]) -> None:
    assert json.loads(server.bytes_of("PUT", "/tools/accepted-transfer-syntaxes", body)) == expected
    assert server.get("/tools/accepted-transfer-syntaxes") == expected
    for wrong in (b"1.2.840", b"{}", b"[5]", b"5", b""):
        assert server.failure("PUT", "/tools/accepted-transfer-syntaxes", wrong) == (400, 15)
    assert server.get("/tools/accepted-transfer-syntaxes") == expected
    assert len(json.loads(server.bytes_of("PUT", "/tools/accepted-transfer-syntaxes", b"*"))) >= 42


def test_unknown_sop_classes_can_be_let_in(server: Server) -> None:
    path = "/tools/unknown-sop-class-accepted"
    for given, told in ((b"1", b"1"), (b"false", b"0"), (b"true", b"1"), (b"0", b"0")):
        assert server.bytes_of("PUT", path, given) == b""
        assert server.bytes_of("GET", path) == told
    assert server.failure("PUT", path, b"yes") == (400, 15)


def test_a_scanner_meets_the_switches_of_the_moment(tmp_path: Path) -> None:
    file = get_testdata_file("MR_small_bigendian.dcm")
    assert isinstance(file, str)
    dataset = dcmread(file)
    unknown = "1.2.3.4.5.6"

    def store(sop_class_uid: str) -> bool:
        peer = AE()
        peer.add_requested_context(sop_class_uid, _EXPLICIT_BIG)
        association = peer.associate("127.0.0.1", server.dicom_port, ae_title="HOUNSFIELD")
        is_accepted = bool(association.accepted_contexts)
        association.release() if association.is_established else association.abort()
        return is_accepted

    with running(tmp_path) as server:
        assert dataset.SOPClassUID in server.json("/tools/accepted-sop-classes")
        assert _EXPLICIT_BIG in server.json("/tools/accepted-transfer-syntaxes")
        assert (store(dataset.SOPClassUID), store(unknown)) == (True, False)
        server.request("PUT", "/tools/unknown-sop-class-accepted", b"1")
        assert (store(dataset.SOPClassUID), store(unknown)) == (True, True)
        server.request("PUT", "/tools/accepted-transfer-syntaxes", b'["1.2.840.10008.1.2"]')
        assert (store(dataset.SOPClassUID), store(unknown)) == (False, False)


def test_a_client_may_stop_the_server(tmp_path: Path) -> None:
    server = start(tmp_path)
    assert server.request("POST", "/tools/shutdown") == (200, b"{}")
    assert server.process.wait(30) == 0


def test_a_client_may_restart_the_server_with_another_configuration(tmp_path: Path) -> None:
    server = start(tmp_path)
    configuration = tmp_path / "hounsfield.json"
    options = json.loads(configuration.read_text())
    configuration.write_text(json.dumps({**options, "Name": "changed"}))
    assert server.request("POST", "/tools/reset") == (200, b"{}")
    name = ""
    while name != "changed":
        assert server.process.poll() is None
        try:
            name = server.json("/system")["Name"]
        except OSError:
            continue
    assert server.stop() == 0


def test_the_memory_of_tags_can_be_emptied(build: Builder) -> None:
    server = build()
    public_id = server.post("/instances", slice_file())["ID"]
    before = server.bytes_of("GET", f"/instances/{public_id}/tags")
    assert server.bytes_of("POST", "/tools/invalidate-tags") == b""
    assert server.bytes_of("GET", f"/instances/{public_id}/tags") == before
    assert build(RestOptions(is_read_only=True)).failure("POST", "/tools/invalidate-tags") == (404, 17)


def test_modules_are_told_apart(server: Server) -> None:
    answer = server.post("/instances", slice_file(PatientSex="O", SeriesDescription="S", StationName="X"))
    study, series, instance = answer["ParentStudy"], answer["ParentSeries"], answer["ID"]
    assert server.get(f"/patients/{answer['ParentPatient']}/module?simplify") == {
        "PatientID": "P1", "PatientName": "DOE^P1", "PatientSex": "O",
    }  # fmt: skip
    assert server.get(f"/studies/{study}/module-patient?short")["0010,0020"] == "P1"
    assert server.get(f"/studies/{study}/module?simplify") == {
        "StudyDate": "20200102", "StudyInstanceUID": "1.1",
    }  # fmt: skip
    assert server.get(f"/series/{series}/module")["0008,103e"] == {
        "Name": "SeriesDescription", "Type": "String", "Value": "S",
    }  # fmt: skip
    assert set(server.get(f"/instances/{instance}/module?simplify")) == {"SOPClassUID", "SOPInstanceUID"}
    assert server.failure("GET", "/studies/nope/module") == (404, 17)

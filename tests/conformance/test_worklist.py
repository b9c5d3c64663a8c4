"""The modality worklist: DCMTK's examples, findscu and pynetdicom, the REST interface, and bad files."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from tests.conformance.peers import association, find, identifier, make_file, upload
from tests.servers import RunningServer, free_port, running

WORKLIST = "1.2.840.10008.5.1.4.31"
EXAMPLES = Path("/usr/share/doc/dcmtk/examples")
SUCCESS, CANCEL, FAILURE = 0x0000, 0xFE00, 0xC000
needs_examples = pytest.mark.skipif(
    not (EXAMPLES / "wlistdb" / "OFFIS").is_dir(), reason="DCMTK's worklist examples are not installed"
)

STEP = {
    "Modality": "CT",
    "ScheduledStationAETitle": "CT1",
    "ScheduledProcedureStepStartDate": "20261120",
    "ScheduledProcedureStepStartTime": "101500",
    "ScheduledProcedureStepID": "S1",
}
TAGS = {
    "PatientName": "Müller^Zoé",
    "PatientID": "P1",
    "AccessionNumber": "A1",
    "ScheduledProcedureStepSequence": [STEP],
}


@pytest.fixture(params=["folder", "index"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    (tmp_path / "wl").mkdir()
    place = {"Directory": "wl"} if request.param == "folder" else {"SaveInOrthancDatabase": True}
    with running(tmp_path, _options(**place)) as started:
        yield started


def _options(**members: Any) -> dict[str, Any]:
    return {
        "DicomAlwaysAllowFindWorklist": True,
        "Worklists": {"Enable": True, "HousekeepingInterval": 1, **members},
    }


def _create(server: RunningServer, tags: dict[str, Any], *, force: bool = False) -> str:
    return str(server.json("/worklists/create", {"Tags": tags, "Force": force})["ID"])


def _ask(server: RunningServer, step: dict[str, Any] | None = None, **keys: Any) -> tuple[int, list[Dataset]]:
    query = identifier({"PatientID": "", **keys})
    if step is not None:
        query.ScheduledProcedureStepSequence = [identifier(step)]
    return find(server, query, WORKLIST)


def _found(server: RunningServer, step: dict[str, Any] | None = None, **keys: Any) -> list[str]:
    status, answers = _ask(server, step, **keys)
    assert status == SUCCESS
    return [answer.PatientID for answer in answers]


def test_entries_are_made_shown_replaced_and_deleted(server: RunningServer) -> None:
    assert server.json("/worklists") == []
    entry = _create(server, TAGS)
    (shown,) = server.json("/worklists")
    assert shown["ID"] == entry
    assert shown["Tags"]["PatientName"] == "Müller^Zoé"
    assert shown["Tags"]["SpecificCharacterSet"] == "ISO_IR 192"
    assert shown["Tags"]["StudyInstanceUID"].startswith("2.25.")
    assert shown["Tags"]["ScheduledProcedureStepSequence"] == [STEP]
    assert server.json(f"/worklists/{entry}?format=Short")["Tags"]["0010,0020"] == "P1"
    full = server.json(f"/worklists/{entry}?format=Full")["Tags"]["0010,0020"]
    assert full == {"Name": "PatientID", "Type": "String", "Value": "P1"}
    body = json.dumps({"Tags": {"PatientID": "P2"}}).encode()
    for name in (entry, "brand%20new"):
        status, answer = server.request("PUT", f"/worklists/{name}", body)
        assert (status, json.loads(answer)["Path"]) == (200, f"/worklists/{name.replace('%20', ' ')}")
        assert server.json(f"/worklists/{name}")["Tags"]["PatientID"] == "P2"
    assert sorted(each["ID"] for each in server.json("/worklists")) == sorted([entry, "brand new"])
    assert server.request("DELETE", f"/worklists/{entry}") == (200, b"{}")
    assert server.request("DELETE", f"/worklists/{entry}")[0] == 404
    assert server.request("GET", f"/worklists/{entry}")[0] == 404


def test_incomplete_entries_need_force(server: RunningServer) -> None:
    for body, expected in (
        ({}, (400, 15)),
        ({"Tags": []}, (400, 15)),
        ({"Tags": {"PatientID": "X"}}, (400, 15)),
        ({"Tags": {"ScheduledProcedureStepSequence": []}}, (400, 15)),
        ({"Tags": {"ScheduledProcedureStepSequence": [{"Modality": "CT"}]}}, (400, 15)),
        ({"Tags": {"NoSuchTag": "X"}, "Force": True}, (400, 8)),
    ):
        status, answer = server.request("POST", "/worklists/create", json.dumps(body).encode())
        assert (status, json.loads(answer)["OrthancStatus"]) == expected
    assert _create(server, {"PatientID": "X"}, force=True)
    assert server.request("GET", "/worklists?format=short")[0] == 400


def test_queries_are_matched_in_sequences_too(server: RunningServer) -> None:
    _create(server, TAGS)
    later = {**STEP, "Modality": "MR", "ScheduledStationAETitle": "MR1\\MR2"}
    _create(
        server,
        {
            "PatientID": "P2",
            "PatientName": "Doe^John",
            "ScheduledProcedureStepSequence": [{**later, "ScheduledProcedureStepStartDate": "20261119"}],
        },
    )
    _create(server, {"PatientID": "P3"}, force=True)
    assert _found(server) == ["P3", "P2", "P1"]
    assert _found(server, {"Modality": "CT"}) == ["P3", "P1"]
    assert _found(server, {"ScheduledStationAETitle": "MR2"}, PatientName="*") == ["P2"]
    assert _found(server, {"ScheduledProcedureStepStartDate": "20261120-"}, PatientName="*") == ["P1"]
    assert _found(server, {"ScheduledProcedureStepStartTime": "1000-1030"}, PatientID="P?") == [
        "P3",
        "P2",
        "P1",
    ]
    assert _found(server, PatientID="P1\\P3") == ["P3", "P1"]
    assert _found(server, PatientName="doe^john") == ["P2"]
    assert _found(server, AccessionNumber="A1") == ["P1"]
    assert _found(server, SpecificCharacterSet="ISO_IR 192", PatientName="MÜLLER*") == ["P1"]
    assert _found(server, AccessionNumber="nope") == []


def test_answers_hold_what_was_asked_for(server: RunningServer) -> None:
    _create(server, TAGS)
    _, (answer,) = _ask(
        server, {"Modality": "", "ScheduledProcedureStepDescription": ""}, PatientName="", PatientSex=""
    )
    assert sorted(element.keyword for element in answer) == [
        "PatientID",
        "PatientName",
        "PatientSex",
        "ScheduledProcedureStepSequence",
        "SpecificCharacterSet",
    ]
    assert answer.SpecificCharacterSet == "ISO_IR 100"
    assert answer.PatientName == "Müller^Zoé"
    assert answer.PatientSex == ""
    (step,) = answer.ScheduledProcedureStepSequence
    assert (step.Modality, step.ScheduledProcedureStepDescription) == ("CT", "")
    _, (whole,) = _ask(server, {}, PatientName="")
    assert whole.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "CT1"


def test_a_station_may_see_its_own_entries_only(tmp_path: Path) -> None:
    with running(tmp_path, _options(SaveInOrthancDatabase=True, FilterIssuerAet=True)) as server:
        _create(
            server,
            {**TAGS, "ScheduledProcedureStepSequence": [{**STEP, "ScheduledStationAETitle": "PYNETDICOM"}]},
        )
        _create(server, {**TAGS, "PatientID": "P2"})
        assert _found(server) == ["P1"]
        assert _found(server, {"ScheduledStationAETitle": "*"}) == ["P1"]
        assert _found(server, {"ScheduledStationAETitle": "CT1"}) == ["P2"]


def test_answers_may_be_limited(tmp_path: Path) -> None:
    with running(tmp_path, _options(SaveInOrthancDatabase=True, LimitAnswers=2)) as server:
        for number in range(3):
            _create(server, {**TAGS, "PatientID": f"P{number}"})
        status, answers = _ask(server)
        assert (status, len(answers)) == (CANCEL, 2)
        assert _ask(server, PatientID="P1")[0] == SUCCESS


def test_bad_files_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "wl"
    folder.mkdir()
    (folder / "bad.wl").write_bytes(b"this is no DICOM at all")
    (folder / "empty.wl").touch()
    (folder / "lockfile").touch()
    (folder / "other.txt").write_text("x")
    with running(tmp_path, _options(Directory="wl")) as server:
        entry = _create(server, TAGS)
        assert (folder / f"{entry}.wl").is_file()
        assert [each["ID"] for each in server.json("/worklists")] == [entry]
        assert _found(server) == ["P1"]
        shutil.copy(folder / f"{entry}.wl", folder / "from outside é.WL")
        assert len(_found(server)) == 2
        (folder / f"{entry}.wl").write_bytes(b"spoilt")
        assert len(_found(server)) == 1
        assert server.request("PUT", "/worklists/..%2F..%2Fevil", b'{"Tags": {}}')[0] in (400, 404, 405)
        assert not (tmp_path.parent / "evil.wl").exists()
    with running(tmp_path, _options(Directory="nowhere")) as server:
        assert server.json("/worklists") == []
        assert _found(server) == []


def test_several_items_in_a_query_are_refused(server: RunningServer) -> None:
    query = identifier({"PatientID": ""})
    query.ScheduledProcedureStepSequence = [identifier({"Modality": "CT"}), identifier({"Modality": "MR"})]
    assert find(server, query, WORKLIST) == (FAILURE, [])


def test_an_entry_goes_when_its_study_is_stable(tmp_path: Path) -> None:
    with running(tmp_path, {**_options(SaveInOrthancDatabase=True), "StableAge": 1}) as server:
        entry = _create(server, {**TAGS, "StudyInstanceUID": "1.1"})
        other = _create(server, {**TAGS, "StudyInstanceUID": "1.2"})
        upload(
            server,
            make_file(PatientID="P1", StudyInstanceUID="1.1", SeriesInstanceUID="1", SOPInstanceUID="1.3"),
        )
        deadline = time.monotonic() + 30
        while len(server.json("/worklists")) == 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [each["ID"] for each in server.json("/worklists")] == [other]
        assert server.request("GET", f"/worklists/{entry}")[0] == 404


def test_without_a_worklist_nobody_is_answered(tmp_path: Path) -> None:
    with running(tmp_path, {"DicomAlwaysAllowFindWorklist": True}) as server:
        with pytest.raises(AssertionError, match="refused"), association(server.dicom_port, [(WORKLIST, [])]):
            pass
        assert server.request("GET", "/worklists")[0] == 404


def test_modalities_are_asked_for_their_worklist(server: RunningServer) -> None:
    _create(server, TAGS)
    body = json.dumps(["HOUNSFIELD", "127.0.0.1", server.dicom_port]).encode()
    assert server.request("PUT", "/modalities/self", body)[0] == 200
    query = {"PatientName": "", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}
    expected = {
        "PatientName": "Müller^Zoé",
        "ScheduledProcedureStepSequence": [{"Modality": "CT"}],
        "SpecificCharacterSet": "ISO_IR 100",
    }
    assert server.json("/modalities/self/find-worklist", {"Query": query}) == [expected]
    assert server.json("/modalities/self/find-worklist", query) == [expected]
    short = server.json("/modalities/self/find-worklist", {"Query": query, "Short": True})
    assert short[0]["0040,0100"] == [{"0008,0060": "CT"}]


@needs_examples
@pytest.mark.dcmtk
def test_the_examples_of_dcmtk_are_answered_as_its_own_server_does(tmp_path: Path) -> None:
    entries, theirs = tmp_path / "wl", tmp_path / "theirs" / "OFFIS"
    entries.mkdir()
    theirs.mkdir(parents=True)
    (theirs / "lockfile").touch()
    for dump in sorted((EXAMPLES / "wlistdb" / "OFFIS").glob("*.dump")):
        for folder in (entries, theirs):
            subprocess.run(["/usr/bin/dump2dcm", str(dump), str(folder / f"{dump.stem}.wl")], check=True)
    port = free_port()
    command = ["/usr/bin/wlmscpfs", "-dfp", str(tmp_path / "theirs"), "-dfr", str(port)]
    reference = subprocess.Popen(command)
    try:
        with running(tmp_path, _options(Directory="wl")) as server:
            assert len(server.json("/worklists")) == len(list(entries.iterdir())) >= 10
            for dump in sorted((EXAMPLES / "wlistqry").glob("*.dump")):
                query = tmp_path / f"{dump.stem}.dcm"
                subprocess.run(["/usr/bin/dump2dcm", str(dump), str(query)], check=True)
                assert _findscu(server.dicom_port, query, tmp_path / "a") == _findscu(
                    port, query, tmp_path / "b"
                ), dump
    finally:
        reference.terminate()
        reference.wait()


def _findscu(port: int, query: Path, folder: Path) -> list[tuple[str, str]]:
    """Patient and accession number of the answers to a query."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [
        "/usr/bin/findscu",
        "-W",
        "-aec",
        "OFFIS",
        "-X",
        "-od",
        str(folder),
        "127.0.0.1",
        str(port),
        str(query),
    ]
    deadline = time.monotonic() + 20
    while subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    answers = [dcmread(path, force=True) for path in folder.iterdir()]
    return sorted((str(each.get("PatientID", "")), str(each.get("AccessionNumber", ""))) for each in answers)

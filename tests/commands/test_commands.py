"""The tools of the command line, run as users run them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from tests.conformance.peers import make_file, upload
from tests.servers import RunningServer, free_port, running

FILES = [
    make_file(
        PatientID="P",
        PatientName="Müller^Zoé",
        SpecificCharacterSet="ISO_IR 192",
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.1",
        SOPInstanceUID=f"1.1.1.{n}",
    )
    for n in range(1, 4)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    options = {
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowFindWorklist": True,
        "Worklists": {"Enable": True, "SaveInOrthancDatabase": True},
    }
    with running(tmp_path_factory.mktemp("commands"), options) as started:
        yield started


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hounsfield", *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False, env=environment
    )


def _json(*arguments: str | Path) -> Any:
    result = _run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def _node(server: RunningServer) -> str:
    return f"127.0.0.1:{server.dicom_port}"


def test_echo_tells_whether_somebody_answers(server: RunningServer) -> None:
    result = _run("echo", _node(server), "--aet", "HOUNSFIELD")
    assert (result.returncode, result.stderr) == (0, "")
    assert "HOUNSFIELD at 127.0.0.1" in result.stdout
    assert _json("echo", _node(server))["Status"] == 0
    dead = _run("echo", f"127.0.0.1:{free_port()}")
    assert (dead.returncode, dead.stdout) == (1, "")
    assert dead.stderr.startswith("hounsfield echo: ")
    assert _run("echo", "nowhere").returncode == 1
    assert _run("echo").returncode == 2
    assert "C-ECHO" in _run("echo", "--help").stdout


def test_files_and_folders_are_sent(server: RunningServer, tmp_path: Path) -> None:
    folder = tmp_path / "study" / "series"
    folder.mkdir(parents=True)
    for number, file in enumerate(FILES):
        (folder / f"{number}.dcm").write_bytes(file)
    (folder / "README.txt").write_text("no image")
    assert _json("send", _node(server), tmp_path / "study") == {"Sent": 3, "Failed": {}}
    compressed = Path(str(get_testdata_file("MR_small_RLE.dcm")))
    result = _run("send", _node(server), compressed, folder / "0.dcm")
    assert (result.returncode, result.stdout) == (0, "2 of 2 instances sent\n")
    assert server.json("/statistics")["CountInstances"] == 4
    odd = _run("send", _node(server), folder / "README.txt")
    assert odd.returncode == 1
    assert "README.txt" in odd.stderr
    assert _run("send", _node(server), tmp_path / "missing").returncode == 1


def test_find_prints_answers(server: RunningServer) -> None:
    upload(server, *FILES)
    found = _json("find", _node(server), "PatientName=mül*", "NumberOfStudyRelatedInstances")
    assert [(each["StudyInstanceUID"], each["NumberOfStudyRelatedInstances"]) for each in found] == [
        ("1.1", "3")
    ]
    shown = _run("find", _node(server), "--level", "instance", "StudyInstanceUID=1.1", "0008,0018")
    assert shown.stdout.count("SOPInstanceUID: 1.1.1.") == 3
    assert "(0010,0020) PatientID: P" in shown.stdout
    assert _run("find", _node(server), "NoSuchThing").returncode == 1


def test_what_was_found_is_retrieved_into_a_folder(server: RunningServer, tmp_path: Path) -> None:
    upload(server, *FILES)
    out = tmp_path / "got"
    told = _json("retrieve", _node(server), "--output", out, "StudyInstanceUID=1.1")
    assert (told["Received"], told["Failed"]) == (3, 0)
    assert sorted(path.name for path in out.iterdir()) == [f"1.1.1.{n}.dcm" for n in (1, 2, 3)]
    assert dcmread(out / "1.1.1.1.dcm").PatientName == "Müller^Zoé"
    missing = _run("retrieve", _node(server), "--output", out, "StudyInstanceUID=9.9")
    assert missing.returncode == 1
    assert "0xC000" in missing.stderr


def test_what_was_found_is_moved_into_a_folder(server: RunningServer, tmp_path: Path) -> None:
    upload(server, *FILES)
    port, out = free_port(), tmp_path / "moved"
    body = json.dumps(["ME", "127.0.0.1", port]).encode()
    assert server.request("PUT", "/modalities/me", body)[0] == 200
    move = ("--move", "--port", str(port), "--calling", "ME", "--output", out)
    told = _json("retrieve", _node(server), *move, "--level", "series", "SeriesInstanceUID=1.1.1")
    assert told["Received"] == 3
    assert len(list(out.glob("*.dcm"))) == 3


def test_the_worklist_is_queried(server: RunningServer) -> None:
    step = {"Modality": "CT", "ScheduledProcedureStepStartDate": "20261120"}
    server.json("/worklists/create", {"Tags": {"PatientID": "W", "ScheduledProcedureStepSequence": [step]}})
    (entry,) = _json("worklist", _node(server), "ScheduledProcedureStepSequence.Modality=CT")
    assert entry["ScheduledProcedureStepSequence"] == [{"Modality": "CT"}]
    assert _json("worklist", _node(server), "ScheduledProcedureStepSequence.Modality=MR") == []


def test_dump_prints_files(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(FILES[0])
    shown = _run("dump", path).stdout
    assert "(0010,0010) PN PatientName: Müller^Zoé" in shown
    assert "(0008,0016) UI SOPClassUID: 1.2.840.10008.5.1.4.1.1.2 (CT Image Storage)" in shown
    assert "(7FE0,0010) OW PixelData: 32 bytes" in shown
    assert _json("dump", path, "--tag", "PatientID") == {str(path): {"PatientID": "P"}}
    assert _json("dump", path)[str(path)]["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    path.write_bytes(b"no DICOM at all, and rather short")
    assert _run("dump", path).returncode == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(FILES[0])
    command = [sys.executable, "-m", "hounsfield", "dump", str(tmp_path / "a.dcm")]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.stderr == b""
    assert done.returncode == 141


def test_a_port_that_speaks_another_protocol_is_named_as_such(server: RunningServer) -> None:
    done = _run("echo", f"127.0.0.1:{server.http_port}", "--aet", "ANY")
    assert done.returncode == 1
    assert "the other side speaks HTTP" in done.stderr

"""Orthanc itself as neighbour: each sends to, queries and retrieves from the other, and both answer alike."""

import json
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from tests.conformance.peers import MR, find, identifier, make_file, upload
from tests.servers import RunningServer, free_port, running

ORTHANC = Path("/usr/sbin/Orthanc")
pytestmark = pytest.mark.skipif(not ORTHANC.exists(), reason="Orthanc is not installed (apt install orthanc)")


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc."""

    http_port: int
    dicom_port: int

    def json(self, path: str, question: object = None, *, method: str | None = None) -> Any:
        data = None if question is None else json.dumps(question).encode()
        return self.ask(path, data, method)

    def ask(self, path: str, data: bytes | None = None, method: str | None = None) -> Any:
        request = Request(f"http://127.0.0.1:{self.http_port}{path}", data, method=method)
        with urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None


def _files() -> list[bytes]:
    hello = {"PatientID": "HELLO", "PatientName": "Hello^World", "PatientBirthDate": "19600102"}
    ct = {**hello, "StudyInstanceUID": "1.1", "StudyDate": "20200301", "AccessionNumber": "A1"}
    mr = {**hello, "StudyInstanceUID": "1.2", "StudyDate": "20210401", "SOPClassUID": MR, "Modality": "MR"}
    other = {
        "PatientID": "ZOE",
        "PatientName": "Müller^Zoé",
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyInstanceUID": "2.1",
        "StudyDate": "20080520",
    }
    return [
        make_file(**ct, SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", InstanceNumber=1),
        make_file(**ct, SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.2", InstanceNumber=2),
        make_file(**ct, SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", Modality="PT"),
        make_file(**mr, SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1"),
        make_file(**other, SeriesInstanceUID="2.1.1", SOPInstanceUID="2.1.1.1"),
        Path(str(get_testdata_file("MR_small_RLE.dcm"))).read_bytes(),
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Orthanc]]:
    """Our server and Orthanc, which know each other."""
    folder = tmp_path_factory.mktemp("orthanc")
    orthanc = Orthanc(free_port(), free_port())
    options = {
        "DicomAlwaysAllowFind": True,
        "DicomModalities": {"orthanc": ["ORTHANC", "127.0.0.1", orthanc.dicom_port]},
        "OrthancPeers": {"orthanc": [f"http://127.0.0.1:{orthanc.http_port}/"]},
    }
    with running(folder, options) as ours:
        configuration = folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(folder / "theirs"),
                    "IndexDirectory": str(folder / "theirs"),
                    "HttpPort": orthanc.http_port,
                    "DicomPort": orthanc.dicom_port,
                    "DicomAlwaysAllowFind": True,
                    "Plugins": [],
                    "DicomModalities": {"ours": ["HOUNSFIELD", "127.0.0.1", ours.dicom_port]},
                    "OrthancPeers": {"ours": [f"http://127.0.0.1:{ours.http_port}/"]},
                }
            )
        )
        with (folder / "orthanc.log").open("ab") as log:
            process = subprocess.Popen([str(ORTHANC), str(configuration)], stdout=log, stderr=log)
        try:
            _until(lambda: _answers(orthanc))
            yield ours, orthanc
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(folder / "theirs", ignore_errors=True)


def _answers(orthanc: Orthanc) -> bool:
    try:
        orthanc.json("/system")
    except OSError:
        return False
    return True


def _until(wanted: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture
def filled(both: tuple[RunningServer, Orthanc]) -> tuple[RunningServer, Orthanc]:
    """Both have the same files."""
    ours, orthanc = both
    _empty(both)
    upload(ours, *_files())
    for file in _files():
        orthanc.ask("/instances", file)
    assert sorted(orthanc.json("/instances")) == ours.json("/instances")
    return both


def _empty(both: tuple[RunningServer, Orthanc]) -> None:
    ours, orthanc = both
    for patient in ours.json("/patients"):
        ours.request("DELETE", f"/patients/{patient}")
    for patient in orthanc.json("/patients"):
        orthanc.ask(f"/patients/{patient}", method="DELETE")


def _as_set(answers: list[Dataset], *but: str) -> list[dict[str, str]]:
    """Answers without order, and without who gave them."""
    written = [
        {element.keyword: str(element.value) for element in answer if element.keyword not in but}
        for answer in answers
    ]
    return sorted(written, key=str)


QUERIES: list[dict[str, Any]] = [
    {
        "QueryRetrieveLevel": "PATIENT",
        "PatientID": "",
        "PatientName": "",
        "NumberOfPatientRelatedInstances": "",
    },
    {"QueryRetrieveLevel": "PATIENT", "PatientID": "*"},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientName": "hello*", "ModalitiesInStudy": ""},
    {
        "QueryRetrieveLevel": "STUDY",
        "StudyInstanceUID": "",
        "NumberOfStudyRelatedSeries": "",
        "AccessionNumber": "*",
    },
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ["1.1", "2.1"], "StudyDescription": ""},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "StudyDate": "20200101-"},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "StudyDate": "-20200301"},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "ModalitiesInStudy": "PT"},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "ModalitiesInStudy": ["MR", "PT"]},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientID": "hello"},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientBirthDate": "19600102", "PatientSex": ""},
    {
        "QueryRetrieveLevel": "SERIES",
        "SeriesInstanceUID": "",
        "Modality": ["MR", "CT"],
        "StudyInstanceUID": "1.1",
    },
    {
        "QueryRetrieveLevel": "SERIES",
        "SeriesInstanceUID": "",
        "PatientID": "HELLO",
        "NumberOfSeriesRelatedInstances": "",
    },
    {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "", "SeriesInstanceUID": "1.1.1", "InstanceNumber": ""},
    {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.1.1.2", "SOPClassUID": "", "NumberOfFrames": ""},
    {"QueryRetrieveLevel": "INSTANCE", "SOPInstanceUID": "", "StudyInstanceUID": "1.2"},
    {"QueryRetrieveLevel": "NOPE", "PatientID": ""},
    {"PatientID": ""},
    {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"},
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom has remarks on such values.
@pytest.mark.parametrize("keys", QUERIES, ids=str)
def test_queries_are_answered_as_orthanc_does(
    filled: tuple[RunningServer, Orthanc], keys: dict[str, Any]
) -> None:
    ours, orthanc = filled
    theirs = RunningServer(ours.process, orthanc.http_port, orthanc.dicom_port, ours.log)
    our_status, our_answers = find(ours, keys)
    their_status, their_answers = find(theirs, keys)
    assert our_status == their_status
    ignored = ("RetrieveAETitle",)
    assert _as_set(our_answers, *ignored) == _as_set(their_answers, *ignored)


def test_instances_are_sent_both_ways(both: tuple[RunningServer, Orthanc]) -> None:
    ours, orthanc = both
    _empty(both)
    upload(ours, *_files())
    content = ours.json("/modalities/orthanc/store", ours.json("/patients"))
    assert (content["InstancesCount"], content["FailedInstancesCount"]) == (6, 0)
    assert sorted(orthanc.json("/instances")) == ours.json("/instances")
    for patient in ours.json("/patients"):
        ours.request("DELETE", f"/patients/{patient}")
    sent = orthanc.json("/modalities/ours/store", orthanc.json("/patients"))
    assert sent["FailedInstancesCount"] == 0
    assert sorted(orthanc.json("/instances")) == ours.json("/instances")


def test_the_contents_of_jobs_are_those_of_orthanc(filled: tuple[RunningServer, Orthanc]) -> None:
    ours, orthanc = filled
    (study, *_) = ours.json("/studies")
    mine = ours.json("/modalities/orthanc/store", {"Resources": [study]})
    theirs = orthanc.json("/modalities/ours/store", {"Resources": [study]})
    assert set(theirs) <= set(mine)
    assert {key: mine[key] for key in theirs if not key.endswith("Aet")} == {
        key: theirs[key] for key in theirs if not key.endswith("Aet")
    }


def test_we_query_orthanc_and_retrieve(filled: tuple[RunningServer, Orthanc]) -> None:
    ours, orthanc = filled
    for patient in ours.json("/patients"):
        ours.request("DELETE", f"/patients/{patient}")
    query = ours.json("/modalities/orthanc/query", {"Level": "Study", "Query": {"PatientName": "Hello*"}})
    assert len(ours.json(f"{query['Path']}/answers")) == 2
    moved = ours.json(f"{query['Path']}/retrieve", {"RetrieveMethod": "C-MOVE"})
    assert sum(len(each["ReceivedInstancesIds"]) for each in moved["Details"]) == 4
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": "2.1"}]}
    got = ours.json("/modalities/orthanc/get", body)
    assert [len(each["ReceivedInstancesIds"]) for each in got["Details"]] == [1]
    assert ours.json("/modalities/orthanc/echo", {"CheckFind": True}) == {}
    assert len(ours.json("/instances")) == 5
    assert len(orthanc.json("/instances")) == 6


def test_orthanc_queries_us_and_retrieves(filled: tuple[RunningServer, Orthanc]) -> None:
    _, orthanc = filled
    for patient in orthanc.json("/patients"):
        orthanc.ask(f"/patients/{patient}", method="DELETE")
    query = orthanc.json("/modalities/ours/query", {"Level": "Study", "Query": {"PatientName": "Hello*"}})
    answers = orthanc.json(f"{query['Path']}/answers?expand&simplify")
    assert sorted(each["StudyInstanceUID"] for each in answers) == ["1.1", "1.2"]
    orthanc.json(f"{query['Path']}/retrieve", {"TargetAet": "ORTHANC"})
    assert len(orthanc.json("/instances")) == 4
    assert orthanc.json("/modalities/ours/echo", {}) == {}


def test_each_commits_itself_to_the_other(filled: tuple[RunningServer, Orthanc]) -> None:
    ours, orthanc = filled
    instances = ours.json("/instances")
    for asking, name in ((ours, "orthanc"), (orthanc, "ours")):
        answer = asking.json(f"/modalities/{name}/storage-commitment", {"Resources": instances})
        path = answer["Path"]

        def report(asking: Any = asking, path: str = path) -> Any:
            found = asking.json(path)
            return found if found["Status"] != "Pending" else None

        found = _until(report)
        assert (found["Status"], len(found["Success"])) == ("Success", 6)


def test_peers_send_both_ways(both: tuple[RunningServer, Orthanc]) -> None:
    ours, orthanc = both
    _empty(both)
    upload(ours, *_files())
    for compress in (False, True):
        body = {"Resources": ours.json("/studies"), "Compress": compress}
        assert ours.json("/peers/orthanc/store", body)["FailedInstancesCount"] == 0
    assert sorted(orthanc.json("/instances")) == ours.json("/instances")
    assert ours.json("/peers/orthanc/system")["Name"] == orthanc.json("/system")["Name"]
    for patient in ours.json("/patients"):
        ours.request("DELETE", f"/patients/{patient}")
    body = {"Resources": orthanc.json("/studies"), "Compress": True}
    assert orthanc.json("/peers/ours/store", body)["FailedInstancesCount"] == 0
    assert sorted(orthanc.json("/instances")) == ours.json("/instances")


def test_an_identifier_of_ours_is_understood(filled: tuple[RunningServer, Orthanc]) -> None:
    ours, _ = filled
    asked = identifier(
        {"SpecificCharacterSet": "ISO_IR 192", "QueryRetrieveLevel": "STUDY", "PatientName": "MÜL*"}
    )
    status, answers = find(ours, asked)
    assert (status, len(answers)) == (0, 1)
    query = {"Level": "Study", "Query": {"PatientName": "Mül*"}}
    path = ours.json("/modalities/orthanc/query", query)["Path"]
    (answer,) = ours.json(f"{path}/answers?expand&simplify")
    assert answer["PatientName"] == "Müller^Zoé"


@pytest.mark.skipif(
    not zlib.ZLIB_RUNTIME_VERSION.startswith("1."), reason="Python has another zlib than Orthanc"
)
@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_rle.dcm"])
def test_previews_in_colours_are_the_same_file(both: tuple[RunningServer, Orthanc], name: str) -> None:
    ours, orthanc = both
    _empty(both)
    file = Path(str(get_testdata_file(name))).read_bytes()
    upload(ours, file)
    orthanc.ask("/instances", file)
    (instance,) = ours.json("/instances")
    with urlopen(f"http://127.0.0.1:{orthanc.http_port}/instances/{instance}/preview", timeout=60) as answer:
        assert ours.request("GET", f"/instances/{instance}/preview")[1] == answer.read()

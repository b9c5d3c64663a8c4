"""The table of programs and transfer syntaxes (`matrix`), run."""

import importlib.util
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pydicom
import pytest
from pynetdicom import AE, build_role, evt
from tests.conformance.matrix import FROM_US, LETTERS, REASONS, SERVICES, SYNTAXES, TO_US, exists, markdown
from tests.conformance.peers import identifier, upload
from tests.servers import RunningServer, free_port, running

ORTHANC = Path("/usr/sbin/Orthanc")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_TOOL = Path(__file__).parents[2] / "tools" / "make_samples.py"
_PATIENCE_SECONDS = 60

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.skipif(not ORTHANC.exists(), reason="Orthanc is not installed (apt install orthanc)"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass(frozen=True, slots=True)
class Image:
    """One image in one transfer syntax."""

    name: str
    path: Path

    @property
    def uid(self) -> str:
        return str(pydicom.dcmread(self.path, stop_before_pixels=True).SOPInstanceUID)


@dataclass(frozen=True, slots=True)
class Site:
    """Two servers of ours, one of which has all images, an Orthanc, and the port on which programs may listen."""

    images: dict[str, Image]
    full: RunningServer
    empty: RunningServer
    orthanc_http: int
    orthanc_dicom: int
    port: int


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    spec = importlib.util.spec_from_file_location("make_samples", _TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = tmp_path_factory.mktemp("images")
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
        for long_name, data in module.compressed_files():
            name = long_name.removeprefix("syntax-")
            if name in SYNTAXES:
                path = folder / f"{name}.dcm"
                path.write_bytes(data)
                found[name] = Image(name, path)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, images: dict[str, Image]) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    port, http, dicom = free_port(), free_port(), free_port()
    options = {
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "TranscodeDicomProtocol": False,
        "DicomModalities": {
            "sink": ["SINK", "127.0.0.1", port],
            "orthanc": ["ORTHANC", "127.0.0.1", dicom],
        },
    }
    for name in ("full", "empty"):
        (folder / name).mkdir()
    with running(folder / "full", options) as full, running(folder / "empty", options) as empty:
        upload(full, *(image.path.read_bytes() for image in images.values()))
        with _orthanc(folder, http, dicom, empty):
            yield Site(images, full, empty, http, dicom, port)


@contextmanager
def _orthanc(folder: Path, http: int, dicom: int, empty: RunningServer) -> Iterator[None]:
    configuration = {
        "StorageDirectory": str(folder / "theirs"),
        "HttpPort": http,
        "DicomPort": dicom,
        "Plugins": [],
        "TranscodeDicomProtocol": False,
        "DicomModalities": {"ours": ["HOUNSFIELD", "127.0.0.1", empty.dicom_port]},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("ab") as log:
        process = subprocess.Popen([str(ORTHANC), str(path)], stdout=log, stderr=log)
    try:
        _until(lambda: ask(http, "/system"))
        yield
    finally:
        process.terminate()
        process.wait(30)


def _until(work: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return work()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def ask(port: int, path: str, data: bytes | None = None, method: str | None = None) -> bytes:
    request = Request(f"http://127.0.0.1:{port}{path}", data, method=method)
    with urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
        body: bytes = answer.read()
    return body


def tool(*command: object) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, (words, done.stderr[-2000:], done.stdout[-2000:])


def dcmtk(name: str, *arguments: object) -> None:
    tool(f"/usr/bin/{name}", *arguments)


def pixels(data: pydicom.Dataset) -> tuple[str, bytes]:
    return str(data.file_meta.TransferSyntaxUID), bytes(data.PixelData)


# To us.


def storescu(site: Site, image: Image) -> None:
    dcmtk("storescu", "-R", f"-x{LETTERS[image.name]}", "127.0.0.1", site.empty.dicom_port, image.path)


def dcmsend(site: Site, image: Image) -> None:
    dcmtk("dcmsend", "-dn", "127.0.0.1", site.empty.dicom_port, image.path)


def pynetdicom_storescu(site: Site, image: Image) -> None:
    module = (sys.executable, "-m", "pynetdicom", "storescu")
    tool(*module, "-cx", "127.0.0.1", site.empty.dicom_port, image.path)


def orthanc_sends(site: Site, image: Image) -> None:
    stored = json.loads(ask(site.orthanc_http, "/instances", image.path.read_bytes()))
    ask(site.orthanc_http, "/modalities/ours/store", stored["ID"].encode())
    ask(site.orthanc_http, f"/instances/{stored['ID']}", method="DELETE")


def our_send(site: Site, image: Image) -> None:
    module = (sys.executable, "-m", "hounsfield", "send")
    tool(*module, f"127.0.0.1:{site.empty.dicom_port}", "--aet", "HOUNSFIELD", "--as-is", image.path)


SENDERS = {
    "storescu": storescu,
    "dcmsend": dcmsend,
    "pynetdicom-storescu": pynetdicom_storescu,
    "orthanc-sends": orthanc_sends,
    "our-send": our_send,
}


@pytest.mark.parametrize("client", TO_US)
def test_what_they_send_arrives_as_it_is(site: Site, client: str, tmp_path: Path) -> None:
    def arrives(image: Image) -> None:
        for left in site.empty.json("/instances"):
            site.empty.request("DELETE", f"/instances/{left}")
        SENDERS[client](site, image)
        (public_id,) = site.empty.json("/instances")
        (tmp_path / image.name).write_bytes(site.empty.request("GET", f"/instances/{public_id}/file")[1])
        assert pixels(pydicom.dcmread(tmp_path / image.name)) == pixels(pydicom.dcmread(image.path))

    assert failures(site, client, arrives) == {}


def failures(site: Site, client: str, work: Callable[[Image], None]) -> dict[str, str]:
    """The cells of the row of a client that are not green though they should be."""
    found = {}
    for name, image in site.images.items():
        if (client, name) not in REASONS:
            try:
                work(image)
            except (AssertionError, ValueError, OSError) as error:
                found[name] = str(error)[:1000]
    return found


# From us.

Received = list[pydicom.Dataset]


def _read(folder: Path) -> Received:
    return [pydicom.dcmread(path, force=True) for path in folder.iterdir() if path.is_file()]


def _keys(image: Image) -> list[str]:
    found = pydicom.dcmread(image.path, stop_before_pixels=True)
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    words = ["QueryRetrieveLevel=IMAGE", *(f"{uid}={found[uid].value}" for uid in uids)]
    return [part for word in words for part in ("-k", word)]


def getscu(site: Site, image: Image, folder: Path) -> Received:
    options = ("-S", f"+x{LETTERS[image.name]}", "+B", "-od", folder, *_keys(image))
    dcmtk("getscu", *options, "127.0.0.1", site.full.dicom_port)
    return _read(folder)


def movescu(site: Site, image: Image, folder: Path) -> Received:
    to = ("-aem", "SINK", "+P", site.port, f"+x{LETTERS[image.name]}", "-od", folder)
    dcmtk("movescu", "-S", *to, *_keys(image), "127.0.0.1", site.full.dicom_port)
    return _read(folder)


def send(site: Site, image: Image, modality: str = "sink") -> None:
    (found,) = site.full.json(
        "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": image.uid}, "Expand": False}
    )
    status, answer = site.full.request("POST", f"/modalities/{modality}/store", found.encode())
    assert status == 200, answer


def storescp(site: Site, image: Image, folder: Path) -> Received:
    command = ["/usr/bin/storescp", "+xa", "-od", str(folder), str(site.port)]
    process = subprocess.Popen(command)
    try:
        _until(lambda: dcmtk_echo(site.port))
        send(site, image)
    finally:
        process.terminate()
        process.wait()
    return _read(folder)


def dcmtk_echo(port: int) -> None:
    command = ["/usr/bin/echoscu", "127.0.0.1", str(port)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        raise ConnectionRefusedError


def pynetdicom_get(site: Site, image: Image, folder: Path) -> Received:
    del folder
    arrived: Received = []
    entity = AE("PYNETDICOM")
    entity.add_requested_context(STUDY_ROOT_GET)
    entity.add_requested_context(SECONDARY_CAPTURE, SYNTAXES[image.name][1])
    association = entity.associate(
        "127.0.0.1",
        site.full.dicom_port,
        ext_neg=[build_role(SECONDARY_CAPTURE, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, lambda event: _note(event, arrived))],
    )
    keys = identifier({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": image.uid})
    statuses = [status.Status for status, _ in association.send_c_get(keys, STUDY_ROOT_GET)]
    association.release()
    assert statuses[-1] == 0
    return arrived


def _note(event: Any, arrived: Received) -> int:
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    arrived.append(dataset)
    return 0


def pynetdicom_receives(site: Site, image: Image, folder: Path) -> Received:
    del folder
    arrived: Received = []
    entity = AE("SINK")
    entity.add_supported_context(SECONDARY_CAPTURE, [uid for _, uid in SYNTAXES.values()])
    handlers: Any = [(evt.EVT_C_STORE, lambda event: _note(event, arrived))]
    server: Any = entity.start_server(("127.0.0.1", site.port), block=False, evt_handlers=handlers)
    try:
        send(site, image)
    finally:
        server.shutdown()
    return arrived


def orthanc_receives(site: Site, image: Image, folder: Path) -> Received:
    for left in json.loads(ask(site.orthanc_http, "/instances")):
        ask(site.orthanc_http, f"/instances/{left}", method="DELETE")
    send(site, image, "orthanc")
    (public_id,) = json.loads(ask(site.orthanc_http, "/instances"))
    (folder / "file").write_bytes(ask(site.orthanc_http, f"/instances/{public_id}/file"))
    return _read(folder)


def our_retrieve(site: Site, image: Image, folder: Path) -> Received:
    node = (f"127.0.0.1:{site.full.dicom_port}", "--aet", "HOUNSFIELD", "--calling", "SINK")
    words = ("--move", "--port", site.port, "--level", "instance", "--output", folder)
    keys = _keys(image)[3::2]
    tool(sys.executable, "-m", "hounsfield", "retrieve", *node, *words, *keys)
    return _read(folder)


RECEIVERS = {
    "getscu": getscu,
    "movescu": movescu,
    "storescp": storescp,
    "pynetdicom-get": pynetdicom_get,
    "pynetdicom-receives": pynetdicom_receives,
    "orthanc-receives": orthanc_receives,
    "our-retrieve": our_retrieve,
}


@pytest.mark.parametrize("client", FROM_US)
def test_what_they_get_is_as_it_is_stored(site: Site, client: str, tmp_path: Path) -> None:
    def arrives(image: Image) -> None:
        folder = tmp_path / image.name
        folder.mkdir()
        (arrived,) = RECEIVERS[client](site, image, folder)
        assert pixels(arrived) == pixels(pydicom.dcmread(image.path))

    assert failures(site, client, arrives) == {}


def test_termscu_ends_nothing(site: Site) -> None:
    """It asks a server to shut down, by a SOP class that only DCMTK knows."""
    command = ["/usr/bin/termscu", "127.0.0.1", str(site.empty.dicom_port)]
    asked = subprocess.run(command, capture_output=True, timeout=_PATIENCE_SECONDS, check=False)
    assert asked.returncode == 1
    assert b"No Acceptable Presentation Contexts" in asked.stderr
    dcmtk("echoscu", "127.0.0.1", site.empty.dicom_port)
    assert site.empty.process.poll() is None


def test_all_images_are_in_the_table(images: dict[str, Image]) -> None:
    assert set(images) == set(SYNTAXES)


@pytest.mark.parametrize("test", [test for _, _, test in SERVICES])
def test_every_service_is_run_by_a_test(test: str) -> None:
    assert exists(test)


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "clients.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run tools/make_clients.py"

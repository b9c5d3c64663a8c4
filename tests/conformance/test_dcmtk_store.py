"""DCMTK's echoscu and storescu as peers of the provider."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import StorageFull
from hounsfield.ingest.intake import Incoming, Outcome, Receipt
from hounsfield.net.buffers import BufferOptions
from hounsfield.net.messages import Operation, Service
from hounsfield.net.negotiation import Policy
from hounsfield.net.options import AssociationOptions, ServerOptions
from hounsfield.net.scu import Proposal, RemoteNode, associate
from hounsfield.net.server import DicomServer, serve
from hounsfield.net.tls import server_context
from hounsfield.scp.storage import storage_service
from hounsfield.scp.verification import VERIFICATION_SOP_CLASS_UID, verification_service
from hounsfield.store.spool import FolderSpool, SpoolFile

pytestmark = pytest.mark.dcmtk

CT = "1.2.840.10008.5.1.4.1.1.2"


class Site:
    """A server that writes what comes in to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: DicomServer | None = None
        self.error: StorageFull | None = None
        self.permitted = frozenset(Operation)
        self.spooled = 0

    def receive(self, incoming: Incoming) -> Receipt:
        if self.error is not None:
            raise self.error
        content = incoming.content
        if isinstance(content, SpoolFile):
            data = bytes(content.view())
            self.spooled += 1
        else:
            data = b"".join((incoming.prefix, content))
        uid = read_head(data).dataset.text(0x00080018) or ""
        (self.folder / uid).write_bytes(data)
        return Receipt(Outcome.SUCCESS, Identifiers("", "", "", uid))

    def policy(self) -> Policy:
        storage, verification = storage_service(self.receive, lambda uid: True), verification_service()

        def find(uid: str) -> Service | None:
            return verification if uid == VERIFICATION_SOP_CLASS_UID else storage

        return Policy("HOUNSFIELD", find, lambda caller: self.permitted)

    @property
    def port(self) -> str:
        assert self.server is not None
        return str(self.server.port)


Open = Callable[..., Site]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Open]:
    (tmp_path / "spool").mkdir()
    (tmp_path / "stored").mkdir()
    with ExitStack() as stack:

        def open_site(**options: object) -> Site:
            site = Site(tmp_path / "stored")
            defaults: dict[str, object] = {"host": "127.0.0.1", "port": 0}
            chosen = ServerOptions(**{**defaults, **options})  # type: ignore[arg-type]
            site.server = stack.enter_context(serve(chosen, site.policy, FolderSpool(tmp_path / "spool")))
            return site

        yield open_site


def tool(name: str, *arguments: str | Path, nodelay: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if nodelay:
        environment["TCP_NODELAY"] = "1"
    command = [f"/usr/bin/{name}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def sample(name: str) -> Path:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return Path(path)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Sixty slices of half a megabyte."""
    folder = tmp_path_factory.mktemp("series")
    dataset = dcmread(sample("CT_small.dcm"))
    dataset.Rows = dataset.Columns = 512
    dataset.PixelData = os.urandom(2 * 512 * 512)
    paths = []
    for number in range(60):
        dataset.SOPInstanceUID = UID(f"1.2.3.4.{number}")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        paths.append(folder / f"{number}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def assert_same_instances(folder: Path, sent: Sequence[Path]) -> None:
    assert len(list(folder.iterdir())) == len(sent)
    for path in sent:
        ours = dcmread(folder / dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        theirs = dcmread(path)
        assert ours.PixelData == theirs.PixelData
        assert ours.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
        assert ours.file_meta.MediaStorageSOPInstanceUID == theirs.SOPInstanceUID


def test_echoscu_is_answered(site: Open) -> None:
    result = tool("echoscu", "127.0.0.1", site().port)
    assert (result.returncode, result.stderr) == (0, "")


def test_echoscu_may_abort_and_repeat(site: Open) -> None:
    opened = site()
    assert tool("echoscu", "--abort", "127.0.0.1", opened.port).returncode == 0
    assert tool("echoscu", "--repeat", "50", "--propose-ts", "3", "127.0.0.1", opened.port).returncode == 0
    assert tool("echoscu", "--propose-pc", "128", "127.0.0.1", opened.port).returncode == 0


@pytest.mark.parametrize("ours", [4096, 16384, 131072])
@pytest.mark.parametrize("theirs", ["4096", "131072"])
def test_instances_arrive_whatever_the_pdu_lengths(
    site: Open, series: Sequence[Path], ours: int, theirs: str
) -> None:
    opened = site(association=AssociationOptions(maximum_pdu_length=ours))
    sent = series[:5]
    result = tool("storescu", "-pdu", theirs, "--max-send-pdu", theirs, "127.0.0.1", opened.port, *sent)
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_instances(opened.folder, sent)


def test_four_associations_at_once_lose_nothing(site: Open, series: Sequence[Path]) -> None:
    opened = site()
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(lambda n: tool("storescu", "127.0.0.1", opened.port, *series[n::4]), range(4))
        )
    assert [result.returncode for result in results] == [0] * 4
    assert_same_instances(opened.folder, series)


def test_spooled_instances_are_the_same(site: Open, series: Sequence[Path]) -> None:
    small = AssociationOptions(buffer=BufferOptions(initial=1 << 16, maximum=1 << 17))
    opened = site(association=small)
    assert tool("storescu", "127.0.0.1", opened.port, *series[:5]).returncode == 0
    assert opened.spooled == 5
    assert_same_instances(opened.folder, series[:5])


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("-xi", "MR_small_implicit.dcm"),
        ("-xb", "MR_small_bigendian.dcm"),
        ("-xs", "SC_rgb_jpeg_gdcm.dcm"),
        ("-xv", "MR_small_jp2klossless.dcm"),
        ("-xt", "MR_small_jpeg_ls_lossless.dcm"),
        ("-xr", "MR_small_RLE.dcm"),
    ],
)
def test_transfer_syntaxes_are_kept(site: Open, option: str, name: str) -> None:
    opened = site()
    result = tool("storescu", "-R", option, "127.0.0.1", opened.port, sample(name))
    assert result.returncode == 0  # It warns of the odd length of some of these.
    assert_same_instances(opened.folder, [sample(name)])


def test_an_aborting_storescu_leaves_what_was_acknowledged(site: Open, series: Sequence[Path]) -> None:
    opened = site()
    assert tool("storescu", "--abort", "127.0.0.1", opened.port, *series[:3]).returncode == 0
    assert_same_instances(opened.folder, series[:3])
    assert tool("echoscu", "127.0.0.1", opened.port).returncode == 0


def test_a_killed_storescu_leaves_only_whole_instances(site: Open, series: Sequence[Path]) -> None:
    opened = site()
    command = ["/usr/bin/storescu", "--repeat", "100", "127.0.0.1", opened.port, *map(str, series)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 20
        while len(list(opened.folder.iterdir())) < 20:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        process.kill()
    assert tool("echoscu", "127.0.0.1", opened.port).returncode == 0
    assert all((opened.folder / path.name).stat().st_size > 500_000 for path in opened.folder.iterdir())


def test_a_full_archive_is_told(site: Open, series: Sequence[Path]) -> None:
    opened = site()
    opened.error = StorageFull("No room for instance 1.2.3.4.0")
    result = tool("storescu", "-d", "127.0.0.1", opened.port, series[0])
    assert "0xa700" in result.stdout + result.stderr
    assert "No room for instance" in result.stdout + result.stderr


def test_who_may_not_store_is_aborted(site: Open, series: Sequence[Path]) -> None:
    opened = site()
    opened.permitted = frozenset({Operation.ECHO})
    result = tool("storescu", "127.0.0.1", opened.port, series[0])
    assert "aborted" in result.stdout + result.stderr
    opened.permitted = frozenset()
    result = tool("echoscu", "127.0.0.1", opened.port)
    assert "Calling AE Title Not Recognized" in result.stdout + result.stderr


def test_storescu_that_kept_nagles_algorithm_is_not_held_up(site: Open, series: Sequence[Path]) -> None:
    """With delayed acknowledgements each of the sixty instances would take 40 ms more."""
    opened = site()
    began = time.monotonic()
    assert tool("storescu", "127.0.0.1", opened.port, *series).returncode == 0
    assert time.monotonic() - began < 60 * 0.040


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[tuple[RemoteNode, Path]]:
    """DCMTK's provider, which writes to a folder."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["/usr/bin/storescp", "--fork", "+B", "-od", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while tool("echoscu", "127.0.0.1", str(port)).returncode:
            assert time.monotonic() < deadline
        yield RemoteNode("127.0.0.1", port, "THEIRS"), folder
        process.terminate()


def test_we_store_to_storescp(storescp: tuple[RemoteNode, Path], series: Sequence[Path]) -> None:
    node, folder = storescp
    explicit = "1.2.840.10008.1.2.1"
    proposal = Proposal("OURS", ((VERIFICATION_SOP_CLASS_UID, (explicit,)), (CT, (explicit,))))
    with associate(node, proposal, AssociationOptions()) as requester:
        assert requester.echo() == 0
        context = requester.find_context(CT, explicit)
        assert context is not None
        for path in series[:10]:
            data = path.read_bytes()
            head = read_head(data)
            uid = head.dataset.text(0x00080018) or ""
            assert requester.store(context, uid, memoryview(data)[head.dataset_offset :]).status == 0
    theirs = {dcmread(path).SOPInstanceUID: dcmread(path) for path in folder.iterdir()}
    assert len(theirs) == 10
    for path in series[:10]:
        ours = dcmread(path)
        assert theirs[ours.SOPInstanceUID].PixelData == ours.PixelData


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.RSA)
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    return folder


def test_storescu_stores_over_tls(site: Open, series: Sequence[Path], certificates: Path) -> None:
    key, certificate, trusted = (certificates / name for name in ("key.pem", "cert.pem", "ca.pem"))
    opened = site(tls=server_context(certificate, key, [trusted]))
    with_certificate = ("+tls", key, certificate, "+cf", trusted)
    assert tool("storescu", *with_certificate, "127.0.0.1", opened.port, *series[:5]).returncode == 0
    assert_same_instances(opened.folder, series[:5])
    assert tool("echoscu", "+tla", "+cf", trusted, "127.0.0.1", opened.port).returncode != 0
    assert tool("echoscu", "127.0.0.1", opened.port).returncode != 0


def test_an_anonymous_tls_client_is_accepted_if_no_certificate_is_required(
    site: Open, certificates: Path
) -> None:
    key, certificate, trusted = (certificates / name for name in ("key.pem", "cert.pem", "ca.pem"))
    opened = site(tls=server_context(certificate, key, [trusted], require_client=False))
    assert tool("echoscu", "+tla", "+cf", trusted, "127.0.0.1", opened.port).returncode == 0

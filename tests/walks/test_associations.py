"""All kinds of files over DICOM: from DCMTK, as they are, and over TLS."""

import json
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
import trustme
from tests.servers import RunningServer, running
from tests.walks.conftest import Start
from tests.walks.samples import Sample

from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, associate

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom has remarks on odd values.

_JPEG = "1.2.840.10008.1.2.4"
# How storescu is asked to propose a transfer syntax.
_PROPOSALS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.5": "-xr",
    f"{_JPEG}.50": "-xy",
    f"{_JPEG}.51": "-xx",
    f"{_JPEG}.70": "-xs",
    f"{_JPEG}.80": "-xt",
    f"{_JPEG}.81": "-xu",
    f"{_JPEG}.90": "-xv",
    f"{_JPEG}.91": "-xw",
    f"{_JPEG}.100": "-xm",
    f"{_JPEG}.101": "-xh",
    f"{_JPEG}.102": "-xn",
    f"{_JPEG}.103": "-xl",
    f"{_JPEG}.107": "-x4",
    f"{_JPEG}.108": "-x5",
}
# storescu finds no SOP class in these, or cannot read them.
_NOT_FOR_STORESCU = {
    "SC_rgb_jpeg",
    "emri_small_jpeg_2k_lossless_too_short",
    "explicit_VR-UN",
    "rtdose_rle",
    "rtdose_rle_1frame",
}
_PATIENCE_SECONDS = 110


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path) as server:
        yield server


def _tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [f"/usr/bin/{name}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)


def _sorted_by_syntax(samples: list[Sample], folder: Path) -> dict[str, Path]:
    """Copies of the samples, one folder a transfer syntax."""
    folders: dict[str, Path] = {}
    for sample in samples:
        into = folders.setdefault(sample.transfer_syntax_uid, folder / sample.transfer_syntax_uid)
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.path, into / f"{sample.path.parent.name}-{sample.path.name}")
    return folders


def _assert_same_values(server: RunningServer, sample: Sample, path: Path) -> None:
    """DCMTK writes lengths its own way, so that values are compared."""
    status, data = server.request("GET", f"/instances/{sample.public_id}/file")
    assert status == 200, sample.name
    path.write_bytes(data)
    ours, theirs = pydicom.dcmread(path), pydicom.dcmread(sample.path, force=True)
    assert ours.file_meta.TransferSyntaxUID == sample.transfer_syntax_uid
    assert ours.get("PixelData") == theirs.get("PixelData"), sample.name
    texts = ("PatientName", "PatientID", "StudyDate", "SOPClassUID", "SOPInstanceUID", "Rows", "Modality")
    assert [ours.get(each) for each in texts] == [theirs.get(each) for each in texts], sample.name


@pytest.mark.dcmtk
def test_storescu_stores_every_kind(empty: RunningServer, samples: list[Sample], tmp_path: Path) -> None:
    sent = [
        each
        for each in samples
        if each.transfer_syntax_uid in _PROPOSALS and each.name not in _NOT_FOR_STORESCU
    ]
    for syntax, folder in _sorted_by_syntax(sent, tmp_path / "sent").items():
        arguments = ("-R", _PROPOSALS[syntax], "+sd", "+r", "127.0.0.1", str(empty.dicom_port), folder)
        result = _tool("storescu", *arguments)
        assert result.returncode == 0, (syntax, result.stderr)
    assert set(empty.json("/instances")) == {sample.public_id for sample in sent}
    for sample in sent:
        _assert_same_values(empty, sample, tmp_path / "read.dcm")


@pytest.mark.dcmtk
def test_dcmsend_stores_in_one_association(
    empty: RunningServer, samples: list[Sample], tmp_path: Path
) -> None:
    sent = [each for each in samples if each.path.parent.name == "made" and _is_known_to_dcmsend(each)]
    for number, sample in enumerate(sent):
        shutil.copy(sample.path, tmp_path / f"{number}.dcm")
    address = ("127.0.0.1", str(empty.dicom_port))
    result = _tool("dcmsend", "-dn", "-nuc", *address, *(tmp_path / f"{n}.dcm" for n in range(len(sent))))
    assert result.returncode == 0, result.stderr
    assert set(empty.json("/instances")) == {sample.public_id for sample in sent}


def _is_known_to_dcmsend(sample: Sample) -> bool:
    return sample.transfer_syntax_uid in (*_PROPOSALS, f"{_JPEG}.57")


def test_what_is_sent_as_it_is_is_kept_as_it_is(empty: RunningServer, samples: list[Sample]) -> None:
    sent = [sample for sample in samples if sample.dataset_offset and sample.transfer_syntax_uid]
    assert len(sent) > 200
    contexts: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in sent:
        contexts[str(sample.dataset.SOPClassUID), sample.transfer_syntax_uid].append(sample)
    pairs = list(contexts)
    for first in range(0, len(pairs), 100):  # No more than 128 fit into an association.
        _send(empty, {pair: contexts[pair] for pair in pairs[first : first + 100]})
    assert set(empty.json("/instances")) == {sample.public_id for sample in sent}
    for sample in sent:
        _assert_same_data_set(empty, sample)


def _send(server: RunningServer, contexts: dict[tuple[str, str], list[Sample]]) -> None:
    """Send the bytes of data sets by our own requester: others write them anew, or announce another instance."""
    node = RemoteNode("127.0.0.1", server.dicom_port, "HOUNSFIELD")
    proposal = Proposal("WALKER", [(sop_class, [syntax]) for sop_class, syntax in contexts])
    with associate(node, proposal, AssociationOptions()) as association:
        for (sop_class, syntax), samples in contexts.items():
            context = association.find_context(sop_class, syntax)
            assert context is not None, (sop_class, syntax)
            for sample in samples:
                data_set = sample.data[sample.dataset_offset :]
                assert association.store(context, sample.uids[3], data_set).status == 0, sample.name


def _assert_same_data_set(server: RunningServer, sample: Sample) -> None:
    data = server.request("GET", f"/instances/{sample.public_id}/file")[1]
    head = read_head(data)
    assert data[head.dataset_offset :] == sample.data[sample.dataset_offset :], sample.name
    meta = head.meta
    assert (meta.sop_instance_uid, meta.transfer_syntax_uid) == (sample.uids[3], sample.transfer_syntax_uid)
    assert meta.sop_class_uid == str(sample.dataset.SOPClassUID)
    assert meta.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert meta.implementation_version_name == IMPLEMENTATION_VERSION_NAME


def test_who_sent_an_instance_is_known(empty: RunningServer, samples: list[Sample]) -> None:
    sample = next(each for each in samples if each.name == "ct-01")
    _send(empty, {(str(sample.dataset.SOPClassUID), sample.transfer_syntax_uid): [sample]})
    found = empty.json(f"/instances/{sample.public_id}/metadata?expand")
    wanted = {"Origin": "DicomProtocol", "RemoteAET": "WALKER", "CalledAET": "HOUNSFIELD"}
    assert {key: found[key] for key in wanted} == wanted
    assert found["RemoteIP"] == "127.0.0.1"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.RSA)
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    return folder


@pytest.mark.dcmtk
def test_instances_come_in_over_tls_only_with_a_certificate(
    start_server: Start, samples: list[Sample], certificates: Path
) -> None:
    key, certificate, trusted = (certificates / name for name in ("key.pem", "cert.pem", "ca.pem"))
    server = start_server(
        {
            "DicomTlsEnabled": True,
            "DicomTlsPrivateKey": str(key),
            "DicomTlsCertificate": str(certificate),
            "DicomTlsTrustedCertificates": str(trusted),
        }
    )
    address = ("127.0.0.1", str(server.dicom_port))
    slices = [sample for sample in samples if sample.name.startswith("ct-")]
    paths = [sample.path for sample in slices]
    assert _tool("storescu", *address, *paths).returncode != 0
    assert _tool("storescu", "+tla", "+cf", trusted, *address, *paths).returncode != 0
    assert server.json("/instances") == []
    assert _tool("storescu", "+tls", key, certificate, "+cf", trusted, *address, *paths).returncode == 0
    assert set(server.json("/instances")) == {sample.public_id for sample in slices}


def test_a_series_becomes_stable(start_server: Start, samples: list[Sample]) -> None:
    server = start_server({"StableAge": 1})
    sample = next(each for each in samples if each.name == "ct-01")
    answer = json.loads(server.request("POST", "/instances", sample.data)[1])
    assert server.json(f"/series/{answer['ParentSeries']}")["IsStable"] is False
    kinds = _changes_until(server, "StablePatient")
    assert kinds == [
        ("NewInstance", "Instance"),
        ("NewSeries", "Series"),
        ("NewStudy", "Study"),
        ("NewPatient", "Patient"),
        ("StableSeries", "Series"),
        ("StableStudy", "Study"),
        ("StablePatient", "Patient"),
    ]
    assert server.json(f"/studies/{answer['ParentStudy']}")["IsStable"] is True


def _changes_until(server: RunningServer, wanted: str) -> list[tuple[str, str]]:
    deadline = time.monotonic() + 20
    while True:
        changes: list[dict[str, Any]] = server.json("/changes?limit=100")["Changes"]
        found = [(change["ChangeType"], change["ResourceType"]) for change in changes]
        if wanted in (kind for kind, _ in found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)

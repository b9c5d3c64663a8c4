import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from hounsfield.dicom import uids
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import ArchiveError, Corrupt, StorageFull
from hounsfield.ingest.c_store import DataSetMismatch
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, Outcome, Receipt
from hounsfield.net.agreement import Agreement, Caller, PresentationContext
from hounsfield.net.buffers import Payload
from hounsfield.net.dimse import CommandField
from hounsfield.net.messages import Request, Response, part10_header
from hounsfield.scp.storage import storage_service, store
from hounsfield.store.spool import FolderSpool, SpoolFile

CT = "1.2.840.10008.5.1.4.1.1.2"
UID = "1.2.3.4"
SYNTAXES = [
    uids.IMPLICIT_VR_LITTLE_ENDIAN,
    uids.EXPLICIT_VR_LITTLE_ENDIAN,
    uids.EXPLICIT_VR_BIG_ENDIAN,
    uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]


def data_set(
    syntax: str = SYNTAXES[0], sop_class: str | None = CT, instance: str | None = UID, pad: int = 0
) -> bytes:
    dataset = Dataset()
    if pad:
        dataset.ImageType = ["X" * 16] * (pad // 17)
    if sop_class is not None:
        dataset.SOPClassUID = sop_class
    if instance is not None:
        dataset.SOPInstanceUID = instance
    dataset.PatientID = "P"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.3"
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN
    buffer.is_little_endian = syntax != uids.EXPLICIT_VR_BIG_ENDIAN
    write_dataset(buffer, dataset)
    data: bytes = buffer.getvalue()
    if syntax != uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return data
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


def _nobody(message_id: object, public_id: str) -> None:
    """Nobody waits for what arrives."""


def request(
    payload: Payload | None, syntax: str = SYNTAXES[0], uid: str = UID, sop_class: str = CT
) -> Request:
    caller = Caller("MODALITY", "HOUNSFIELD", "10.0.0.7")
    context = PresentationContext(1, sop_class, syntax)
    return Request(CommandField.C_STORE_RQ, 1, sop_class, uid, {}, context, Agreement(caller, {}, 0), payload)


class Archive:
    """Looks at what comes in as the way in does, and remembers it; or fails."""

    def __init__(self, error: ArchiveError | None = None) -> None:
        self.incoming: list[Incoming] = []
        self.error = error

    def receive(self, incoming: Incoming) -> Receipt:
        if self.error is not None:
            raise self.error
        assert incoming.check is not None
        content = incoming.content
        data = content.view() if isinstance(content, SpoolFile) else content
        incoming.check(read_head(data, transfer_syntax_uid=incoming.transfer_syntax_uid))
        self.incoming.append(incoming)
        return Receipt(Outcome.FILTERED_OUT, Identifiers("P", "1.2", "1.3", UID))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_instance_comes_in_without_a_copy(syntax: str) -> None:
    archive = Archive()
    payload = memoryview(data_set(syntax))
    assert list(store(archive.receive, _nobody, request(payload, syntax))) == [Response(0)]
    (incoming,) = archive.incoming
    assert incoming.content is payload
    assert incoming.transfer_syntax_uid == syntax
    assert incoming.origin == Origin(OriginKind.DICOM_PROTOCOL, "MODALITY", "HOUNSFIELD", "10.0.0.7")
    whole = dcmread(DicomBytesIO(incoming.prefix + bytes(payload)))
    assert whole.file_meta.TransferSyntaxUID == syntax
    assert (whole.file_meta.MediaStorageSOPInstanceUID, whole.SOPInstanceUID) == (UID, UID)
    assert "SourceApplicationEntityTitle" not in whole.file_meta


def spooled(folder: Path, syntax: str, data: bytes) -> SpoolFile:
    file = FolderSpool(folder).create()
    file.write(part10_header(request(None, syntax)))
    file.write(data)
    return file


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_spooled_instance_comes_in_as_the_file_it_is(tmp_path: Path, syntax: str) -> None:
    archive = Archive()
    file = spooled(tmp_path, syntax, data_set(syntax))
    assert list(store(archive.receive, _nobody, request(file, syntax))) == [Response(0)]
    assert archive.incoming == [
        Incoming(Origin(OriginKind.DICOM_PROTOCOL, "MODALITY", "HOUNSFIELD", "10.0.0.7"), file)
    ]
    assert dcmread(file.path).SOPInstanceUID == UID
    file.close()


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("pad", [0, 6000])
@pytest.mark.parametrize("wrong", ["class", "instance"])
def test_another_instance_than_announced_is_refused(
    tmp_path: Path, syntax: str, pad: int, wrong: str
) -> None:
    archive = Archive()
    data = data_set(syntax, pad=pad)
    for payload in (memoryview(data), spooled(tmp_path, syntax, data)):
        changed = request(
            payload, syntax, **{"class": {"sop_class": "1.2.9"}, "instance": {"uid": "1.2.9"}}[wrong]
        )
        if isinstance(payload, SpoolFile):
            payload.close()
            payload = FolderSpool(tmp_path).create()
            payload.write(part10_header(changed) + data)
            changed = request(payload, syntax, changed.sop_instance_uid, changed.sop_class_uid)
        with pytest.raises(DataSetMismatch):
            list(store(archive.receive, _nobody, changed))
        if isinstance(payload, SpoolFile):
            payload.close()
    assert archive.incoming == []


def test_a_data_set_in_another_syntax_than_agreed_is_still_understood() -> None:
    archive = Archive()
    payload = memoryview(data_set(uids.EXPLICIT_VR_LITTLE_ENDIAN))
    list(store(archive.receive, _nobody, request(payload, uids.IMPLICIT_VR_LITTLE_ENDIAN)))
    assert len(archive.incoming) == 1


def test_what_lacks_its_uids_is_left_to_the_way_in() -> None:
    archive = Archive()
    list(store(archive.receive, _nobody, request(memoryview(data_set(instance=None)))))
    assert len(archive.incoming) == 1


def test_no_data_set_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        list(store(Archive().receive, _nobody, request(None)))


def test_errors_of_the_way_in_pass_to_the_table_of_statuses() -> None:
    full = StorageFull("No room for instance 1.2.3.4")
    service = storage_service(Archive(full).receive, lambda uid: True)
    with pytest.raises(StorageFull):
        list(service.respond(request(memoryview(data_set()))))
    assert service.status_of(full) == 0xA700


def test_extended_negotiation_says_that_all_is_kept() -> None:
    service = storage_service(Archive().receive, lambda uid: True)
    assert service.answer_extended(b"\0\0\0\0\0\0") == b"\2\0\0\0\0\0"
    assert service.answer_extended(b"") is None


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
def test_any_bytes_come_in_or_are_an_error_of_ours(data: bytes, syntax: str) -> None:
    archive = Archive()
    try:
        list(store(archive.receive, _nobody, request(memoryview(data), syntax)))
    except ArchiveError:
        assert archive.incoming == []


def test_real_files_are_what_they_say() -> None:
    for name in ("CT_small.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "JPEG2000.dcm", "rtplan.dcm"):
        path = get_testdata_file(name)
        assert isinstance(path, str)
        whole = Path(path).read_bytes()
        read = dcmread(path, stop_before_pixels=True)
        start = 144 + read.file_meta.FileMetaInformationGroupLength
        archive = Archive()
        syntax = read.file_meta.TransferSyntaxUID
        data = memoryview(whole)[start:]
        list(store(archive.receive, _nobody, request(data, syntax, read.SOPInstanceUID, read.SOPClassUID)))
        assert len(archive.incoming) == 1

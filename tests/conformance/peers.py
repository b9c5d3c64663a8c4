"""Files with known attributes, and pynetdicom as an independent peer."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from tests.servers import RunningServer

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"


def make_file(**attributes: Any) -> bytes:
    """A small image with these attributes by keyword, in Explicit VR Little Endian unless it says otherwise."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = attributes.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    given = {"SOPClassUID": CT, "Modality": "CT", "PatientID": "P", "Rows": 4, "Columns": 4, **attributes}
    for keyword, value in given.items():
        setattr(dataset, keyword, value)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = bytes(32)
    dataset["PixelData"].VR = "OW"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def upload(server: RunningServer, *files: bytes) -> list[str]:
    """Store files by REST; their public ids."""
    ids = []
    for file in files:
        status, answer = server.request("POST", "/instances", file)
        assert status == 200, answer
        ids.append(json.loads(answer)["ID"])
    return ids


@contextmanager
def association(
    port: int, contexts: Sequence[tuple[str, Sequence[str]]], *, calling: str = "PYNETDICOM", **options: Any
) -> Iterator[Any]:
    """An association of pynetdicom with a server on this machine."""
    entity = AE(ae_title=calling)
    for abstract_syntax, transfer_syntaxes in contexts:
        entity.add_requested_context(abstract_syntax, list(transfer_syntaxes) or None)
    opened = entity.associate("127.0.0.1", port, ae_title="HOUNSFIELD", **options)
    assert opened.is_established, "the association was refused"
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()


def identifier(keys: Mapping[str, Any]) -> Dataset:
    """A data set of keywords and values."""
    dataset = Dataset()
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def find(
    server: RunningServer, keys: Mapping[str, Any] | Dataset, sop_class_uid: str = STUDY_ROOT_FIND
) -> tuple[int, list[Dataset]]:
    """C-FIND: the final status, and the identifiers of the answers."""
    asked = keys if isinstance(keys, Dataset) else identifier(keys)
    answers: list[Dataset] = []
    final = -1
    with association(server.dicom_port, [(sop_class_uid, [])]) as opened:
        for status, answer in opened.send_c_find(asked, sop_class_uid):
            final = status.Status
            if final in (0xFF00, 0xFF01):
                answers.append(answer)
    return final, answers


class Receiver:
    """A C-STORE provider of pynetdicom that takes some transfer syntaxes; `statuses` are what it answers, in turn."""

    def __init__(self, transfer_syntaxes: Sequence[str], sop_classes: Sequence[str] = (CT, MR)) -> None:
        self.received: list[Dataset] = []
        self.commands: list[Any] = []
        self.callers: list[str] = []
        self.associations = 0
        self.statuses: list[int] = []
        self.delay_seconds = 0.0
        entity = AE(ae_title="RECEIVER")
        for sop_class in sop_classes:
            entity.add_supported_context(sop_class, list(transfer_syntaxes))
        entity.add_supported_context("1.2.840.10008.1.1")
        handlers: Any = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self._server = server
        self.port: int = server.server_address[1]

    def _accepted(self, event: Any) -> None:
        self.associations += 1
        self.callers.append(event.assoc.requestor.ae_title)

    def _store(self, event: Any) -> int:
        time.sleep(self.delay_seconds)
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.received.append(dataset)
        self.commands.append(event.request)
        return self.statuses.pop(0) if self.statuses else 0

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()

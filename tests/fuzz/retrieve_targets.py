"""Instances in a DICOMDIR: whatever they hold, they are listed, or refused as `Corrupt`."""

import io

import pydicom
from pydicom.data import get_testdata_file
from tests.ingest.builders import make_file

from hounsfield.dicom.part10 import read_head
from hounsfield.retrieve.dicomdir import read_record, write_dicomdir


def directory(data: bytes) -> None:
    """The same instance twice; what is written can be read, and its links lead where they should."""
    record = read_record(read_head(data), is_extended=True)
    written = write_dicomdir([("IMAGES/IM0", record), ("IMAGES/IM1", record)])
    head = read_head(written[: len(written) // 2 * 2], transfer_syntax_uid=None)
    items = head.dataset.items(0x00041220)
    assert [item.text(0x00041430) for item in items[:3]] == ["PATIENT", "STUDY", "SERIES"]
    assert len(items) == 5
    assert items[0].start - 8 == head.dataset.int(0x00041200)
    assert items[3].int(0x00041400) == items[4].start - 8


def _real(name: str) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    for element in list(dataset):
        if element.tag.is_private or (element.VR in ("OW", "OB", "UN")):
            del dataset[element.tag]
    if "WaveformSequence" in dataset:
        del dataset.WaveformSequence
    target = io.BytesIO()
    dataset.save_as(target)
    return target.getvalue()


TARGETS = {"dicomdir": directory}
SEEDS = {
    "dicomdir": (
        make_file(),
        *(_real(name) for name in ("rtplan.dcm", "reportsi.dcm", "CT_small.dcm", "waveform_ecg.dcm")),
    )
}

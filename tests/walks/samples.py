"""The files of `tools/make_samples.py`, as pydicom reads them."""

import importlib.util
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pydicom
from pydicom.dataset import Dataset

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level

_TOOL = Path(__file__).parents[2] / "tools" / "make_samples.py"

# Cut off, one in its header and one in its pixels: whoever sends it has the rest.
REFUSED = {"rtplan_truncated", "MR_truncated"}
# No frame can be shown, for reasons of their own: a bit stream cut off, a number that is none, or video.
UNSHOWABLE = {
    "JPEG2000-embedded-sequence-delimiter",
    "badVR",
    *(f"syntax-{codec}" for codec in ("mpeg2", "mpeg2-high", "h264", "h264-bd", "hevc", "hevc10")),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A file; its data set without the pixels, and where that begins."""

    path: Path
    dataset: Dataset
    dataset_offset: int
    transfer_syntax_uid: str
    uids: tuple[str, str, str, str]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def public_id(self) -> str:
        return Identifiers(*self.uids).public_id(Level.INSTANCE)

    @property
    def has_pixels(self) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # pydicom drops pixels whose sequence has no end; their first frame can be shown.
            return "PixelData" in pydicom.dcmread(self.path, force=True) or self.name.endswith("_too_short")


_IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def maker() -> ModuleType:
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("make_samples", _TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(folder: Path) -> list[Sample]:
    """All samples that an archive must take."""
    return [read(path) for path in maker().make(folder) if path.stem not in REFUSED]


def read(path: Path) -> Sample:
    """A file as pydicom reads it."""
    data = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(BytesIO(data), force=True, stop_before_pixels=True)
        patient, study, series, instance = (str(dataset.get(each, "")) for each in _IDENTIFIERS)
        dataset.decode()
    meta = dataset.file_meta
    offset = 0
    if data[128:132] == b"DICM" and "FileMetaInformationGroupLength" in meta:
        offset = 132 + 12 + int(meta.FileMetaInformationGroupLength)
    return Sample(
        path, dataset, offset, str(meta.get("TransferSyntaxUID", "")), (patient, study, series, instance)
    )

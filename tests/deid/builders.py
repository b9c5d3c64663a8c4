"""Data sets to be changed, and short ways to change them."""

from collections.abc import Mapping
from typing import Any

from hounsfield.deid.apply import Plan, apply
from hounsfield.deid.request import read_anonymization, read_modification
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import MutableDataset, NewValue
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.scan import EXPLICIT_LITTLE

IDENTITY: Mapping[int, NewValue] = {
    0x00080005: "ISO_IR 100",
    0x00080016: "1.2.840.10008.5.1.4.1.1.2",
    0x00080018: "1.2.3.4",
    0x00100010: "SECRET^NAME",
    0x00100020: "SECRET-ID",
    0x0020000D: "1.2.3",
    0x0020000E: "1.2.3.1",
}
KEY = bytes(32)


def dataset_of(values: Mapping[int, NewValue]) -> Dataset:
    """A data set with an identity and some values."""
    made = MutableDataset.empty(EXPLICIT_LITTLE)
    for tag, value in sorted({**IDENTITY, **values}.items()):
        made.set(tag, value)
    return read_head(made.to_bytes()).dataset


def _apply(dataset: Dataset, plan: Plan) -> Dataset:
    changed = MutableDataset(dataset)
    apply(plan, changed, identify(dataset))
    return read_head(changed.to_bytes()).dataset


def anonymize(dataset: Dataset, body: Mapping[str, Any] | None = None) -> Dataset:
    """The data set after an anonymization."""
    return _apply(dataset, Plan(read_anonymization(body or {}), UidMap(KEY), "Anonymized7", "Orthanc 1.13.0"))


def modify(
    dataset: Dataset, body: Mapping[str, Any], level: Level = Level.INSTANCE, creator: str = ""
) -> Dataset:
    """The data set after a modification."""
    return _apply(dataset, Plan(read_modification(body, level, creator), UidMap(KEY)))

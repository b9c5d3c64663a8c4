"""Data sets made from nothing: the identifiers, dates and times that every instance has."""

from datetime import datetime
from uuid import uuid4

from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.scan import EXPLICIT_LITTLE
from hounsfield.dicom.tags import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
)
from hounsfield.dicom.uids import new_uid

# Date and time of acquisition, content and creation; of the series; of the study.
_OF_INSTANCE = ((0x00080022, 0x00080032), (0x00080023, 0x00080033), (0x00080012, 0x00080013))
_OF_SERIES = (0x00080021, 0x00080031)
_OF_STUDY = (0x00080020, 0x00080030)
DATES: frozenset[Tag] = frozenset(tag for pair in (*_OF_INSTANCE, _OF_SERIES, _OF_STUDY) for tag in pair)
"""The dates and times that are filled in."""


def new_dataset(character_set: str) -> MutableDataset:
    """An empty data set with its Specific Character Set (0008,0005)."""
    dataset = MutableDataset.empty(EXPLICIT_LITTLE)
    if character_set:
        dataset.set_text(SPECIFIC_CHARACTER_SET, character_set)
    return dataset


def fill_in(dataset: MutableDataset, now: datetime, parent: Level | None) -> None:
    """Add the identifiers, dates and times that are not there; those of the parent's levels are left alone."""
    pairs = list(_OF_INSTANCE)
    if parent is None or parent < Level.SERIES:
        pairs.append(_OF_SERIES)
    if parent is None or parent < Level.STUDY:
        pairs.append(_OF_STUDY)
    for date, time in pairs:
        _add(dataset, date, now.strftime("%Y%m%d"))
        _add(dataset, time, now.strftime("%H%M%S.%f"))
    identify_new(dataset)


def identify_new(dataset: MutableDataset) -> None:
    """Add the identifiers that are not there."""
    _add(dataset, PATIENT_ID, str(uuid4()))
    for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID):
        _add(dataset, tag, new_uid())


def _add(dataset: MutableDataset, tag: Tag, text: str) -> None:
    if tag not in dataset:
        dataset.set_text(tag, text)

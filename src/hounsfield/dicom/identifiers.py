"""The identifiers of an instance, and the public ids made from them.

A public id is the SHA-1 of the identifiers down to a level, joined by `|`: it is the same in every server that
receives the same instance.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import NewType

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Tag,
    format_tag,
)
from hounsfield.errors import NotFound

PublicId = NewType("PublicId", str)


class MissingTag(NotFound):
    """An instance without Study, Series or SOP Instance UID, which cannot be stored."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What identifies an instance; the Patient ID may be empty."""

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str

    def public_id(self, level: Level) -> PublicId:
        """Give the id of the instance's patient, study, series or of itself.

        >>> Identifiers("ozp00SjY2xG", "", "", "").public_id(Level.PATIENT)
        '6816cb19-844d5aee-85245eba-28e841e6-2414fae2'
        """
        parts = (self.patient_id, self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)
        return _hash("|".join(parts[: level + 1]))

    def public_ids(self) -> tuple[PublicId, PublicId, PublicId, PublicId]:
        """Give the ids of patient, study, series and instance."""
        study = f"{self.patient_id}|{self.study_instance_uid}"
        series = f"{study}|{self.series_instance_uid}"
        return _hash(self.patient_id), _hash(study), _hash(series), _hash(f"{series}|{self.sop_instance_uid}")


@lru_cache(maxsize=1024)  # The instances of a series have three of four in common.
def _hash(text: str) -> PublicId:
    """SHA-1 in five groups of eight digits; a lone surrogate cannot come out of a character set."""
    digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
    return PublicId(f"{digest[:8]}-{digest[8:16]}-{digest[16:24]}-{digest[24:32]}-{digest[32:]}")


def identify(dataset: Dataset) -> Identifiers:
    """Read the identifiers.

    Raises
    ------
    MissingTag
        If Study, Series or SOP Instance UID is missing or empty.
    """
    return Identifiers(
        dataset.text(PATIENT_ID) or "",
        _required(dataset, STUDY_INSTANCE_UID),
        _required(dataset, SERIES_INSTANCE_UID),
        _required(dataset, SOP_INSTANCE_UID),
    )


def _required(dataset: Dataset, tag: Tag) -> str:
    text = dataset.text(tag)
    if not text:
        raise MissingTag(f"Missing tag {format_tag(tag)}")
    return text

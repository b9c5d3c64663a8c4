"""A study may change its patient's attributes only if that contradicts no other study of the patient."""

from collections.abc import Sequence

from hounsfield.deid.request import Request
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import MainTags
from hounsfield.dicom.tags import PATIENT_ID, format_tag
from hounsfield.errors import BadRequest
from hounsfield.index.database import Transaction
from hounsfield.index.resources import Part, ancestor, load


def check_patient(tx: Transaction, request: Request, main_tags: MainTags, studies: Sequence[str]) -> None:
    """Check a modification of studies.

    Raises
    ------
    BadRequest
        If the patient it leads to exists with other studies, and would have other main DICOM tags than now.
    NotFound
        If a study does not exist.
    """
    patient_tags = main_tags.tags(Level.PATIENT)
    if not any(tag in request.replaced for tag in patient_tags):
        return
    for study in studies:
        target = _target(tx, request, study)
        found = load(tx, Level.PATIENT, [target], (Part.CHILDREN,))
        if not found or set(found[0].children) <= set(studies):
            continue
        stored = found[0].main_tags
        for tag in patient_tags:
            if tag != PATIENT_ID and not _fits(stored.get(format_tag(tag)), request.replaced.get(tag)):
                raise BadRequest(
                    "The patient has other studies: all main DICOM tags of the patient must be replaced by the values"
                    " it has. Modify the patient to change them in all its studies. Failing tag: "
                    + lookup.name(tag)
                )


def _target(tx: Transaction, request: Request, study: str) -> str:
    """The patient that a study will belong to."""
    given = request.replaced.get(PATIENT_ID)
    if isinstance(given, str):
        return Identifiers(given, "", "", "").public_id(Level.PATIENT)
    return ancestor(tx, Level.STUDY, study, Level.PATIENT)


def _fits(stored: str | None, given: object) -> bool:
    if stored is None:
        return given is None
    return given == stored or (stored == "" and given is None)

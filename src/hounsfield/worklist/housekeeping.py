"""Deleting entries of the worklist that are done: their study has arrived, or they are too old."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from hounsfield.archive import Archive
from hounsfield.dicom.keys import text_of
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import PATIENT_ID, STUDY_INSTANCE_UID
from hounsfield.errors import ArchiveError, NotFound
from hounsfield.index.find import find
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.index.resources import load
from hounsfield.worklist.entries import Entry, Worklist, age_seconds
from hounsfield.worklist.performed import PerformedStep, belongs_to

_log = logging.getLogger("hounsfield.dicom")


@dataclass(frozen=True, slots=True)
class HousekeepingOptions:
    """What is deleted, and how often that is looked for; 0 hours for no age."""

    deletes_stable_studies: bool = True
    maximum_age_hours: int = 0
    interval_seconds: int = 60


def clean(archive: Archive, worklist: Worklist, options: HousekeepingOptions, now: datetime) -> int:
    """Delete what is done; how many entries that were."""
    count = 0
    for entry in worklist.entries():
        if _is_old(entry, options, now) or (options.deletes_stable_studies and _is_done(archive, entry)):
            try:
                worklist.delete(entry.id)
            except NotFound:  # Another program was faster.
                continue
            count += 1
    if count:
        _log.info("%d entries of the worklist are done and were deleted", count)
    return count


def _is_old(entry: Entry, options: HousekeepingOptions, now: datetime) -> bool:
    age = age_seconds(entry, now)
    return bool(options.maximum_age_hours and age is not None and age > 3600 * options.maximum_age_hours)


def _is_done(archive: Archive, entry: Entry) -> bool:
    """Whether the study of an entry is here, and nothing more comes for it."""
    patient_id, study_uid = text_of(entry.keys, PATIENT_ID), text_of(entry.keys, STUDY_INSTANCE_UID)
    if not patient_id or not study_uid:
        return False
    query = Query(
        Level.STUDY,
        (
            Constraint(PATIENT_ID, Match.EXACT, (patient_id,), is_case_sensitive=True),
            Constraint(STUDY_INSTANCE_UID, Match.EXACT, (study_uid,), is_case_sensitive=True),
        ),
    )
    with archive.database.read() as tx:
        return any(study.is_stable for study in load(tx, Level.STUDY, find(tx, query), ()))


def delete_scheduled(worklist: Worklist, step: PerformedStep) -> None:
    """Delete what was scheduled as a step that was performed."""
    for entry in worklist.entries():
        if belongs_to(step, entry.keys):
            with suppress(NotFound):
                worklist.delete(entry.id)


@contextmanager
def housekeeping(archive: Archive, worklist: Worklist, options: HousekeepingOptions) -> Iterator[None]:
    """Clean again and again on a thread, as long as the block."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(options.interval_seconds or 60):
            try:
                clean(archive, worklist, options, datetime.now(UTC))
            except ArchiveError as error:
                _log.error("The worklist cannot be cleaned: %s", error)

    thread = threading.Thread(target=run, name="WORKLIST-KEEPER", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()

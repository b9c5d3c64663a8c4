"""Performed procedure steps, as modalities tell of them: begun, then completed or discontinued. PS3.4 Annex F."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import orjson

from hounsfield.dicom.keys import Keys, KeyValue, keys_of_names, short_names, text_of
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Tag
from hounsfield.errors import BadRequest, Conflict, Corrupt, NotFound, Refused
from hounsfield.index.database import Database, Transaction
from hounsfield.index.find import find
from hounsfield.index.key_values import delete_value, each_value, get_value, store_value
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.worklist.matching import SCHEDULED_STEPS

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
_STATUSES = (IN_PROGRESS, COMPLETED, DISCONTINUED)
STATUS: Tag = 0x00400252
SCHEDULED_STEP_ATTRIBUTES: Tag = 0x00400270
_STEP_ID: Tag = 0x00400009
_PERFORMED_SERIES: Tag = 0x00400340
_REFERENCED_INSTANCE: Tag = 0x00081155
_REFERENCES: tuple[Tag, ...] = (0x00081140, 0x00400220)
_STORE = "mpps"


class NoLongerChangeable(Refused):
    """A step that was completed or discontinued."""


class WrongValue(BadRequest):
    """A status that a step cannot have then."""


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """A step as it is now; dates are YYYYMMDDTHHMMSS in UTC."""

    uid: str
    keys: Keys
    remote_aet: str
    created: str
    changed: str

    @property
    def status(self) -> str:
        """IN PROGRESS, COMPLETED or DISCONTINUED."""
        return text_of(self.keys, STATUS)


class PerformedSteps:
    """The steps, kept in the index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, uid: str, keys: Keys, remote_aet: str, now: str) -> PerformedStep:
        """A step has begun.

        Raises
        ------
        WrongValue
            If it is not in progress.
        Conflict
            If there is one of this UID.
        """
        if text_of(keys, STATUS) != IN_PROGRESS:
            raise WrongValue("A performed procedure step must begin as IN PROGRESS")
        step = PerformedStep(uid, keys, remote_aet, now, now)

        def work(tx: Transaction) -> bool:
            if get_value(tx, _STORE, uid) is not None:
                return False
            store_value(tx, _STORE, uid, _write(step))
            return True

        if not self._database.write(work):
            raise Conflict("There is a performed procedure step of this UID")
        return step

    def change(self, uid: str, keys: Keys, now: str) -> PerformedStep:
        """A step went on, or ended.

        Raises
        ------
        NotFound
            If there is none of this UID.
        NoLongerChangeable
            If it has ended.
        WrongValue
            If the status is none.
        """

        def work(tx: Transaction) -> tuple[PerformedStep, bool] | None:
            """The step, and whether it could be changed."""
            value = get_value(tx, _STORE, uid)
            if value is None:
                return None
            known = _read(uid, value)
            changed = replace(known, keys={**known.keys, **keys}, changed=now)
            if known.status != IN_PROGRESS or changed.status not in _STATUSES:
                return changed, known.status == IN_PROGRESS
            store_value(tx, _STORE, uid, _write(changed))
            return changed, True

        found = self._database.write(work)
        if found is None:
            raise NotFound("No performed procedure step of this UID")
        step, is_open = found
        if not is_open:
            raise NoLongerChangeable("Performed Procedure Step Object may no longer be updated")
        if step.status not in _STATUSES:
            raise WrongValue("A performed procedure step is IN PROGRESS, COMPLETED or DISCONTINUED")
        return step

    def get(self, uid: str) -> PerformedStep:
        """A step; NotFound if there is none of this UID."""
        with self._database.peek() as tx:
            value = get_value(tx, _STORE, uid)
        if value is None:
            raise NotFound("No performed procedure step of this UID")
        return _read(uid, value)

    def all(self) -> Iterator[PerformedStep]:
        """All steps, by UID."""
        with self._database.read() as tx:
            found = list(each_value(tx, _STORE))
        for uid, value in found:
            yield _read(uid, value)

    def delete(self, uid: str) -> None:
        """Forget a step. Errors as of `get`."""
        self.get(uid)
        self._database.write(lambda tx: delete_value(tx, _STORE, uid))


def _write(step: PerformedStep) -> bytes:
    return orjson.dumps(
        {
            "RemoteAET": step.remote_aet,
            "CreatedAt": step.created,
            "ChangedAt": step.changed,
            "Tags": short_names(step.keys),
        }
    )


def _read(uid: str, value: bytes) -> PerformedStep:
    try:
        stored = orjson.loads(value)
        keys: Mapping[Tag, KeyValue] = MappingProxyType(keys_of_names(stored["Tags"]))
        return PerformedStep(uid, keys, stored["RemoteAET"], stored["CreatedAt"], stored["ChangedAt"])
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt("A performed procedure step in the index is damaged") from error


def belongs_to(step: PerformedStep, entry: Keys) -> bool:
    """Whether a step was scheduled as this entry of the worklist: the same study, and the same scheduled step."""
    for item in _items(step.keys, SCHEDULED_STEP_ATTRIBUTES):
        study = text_of(item, STUDY_INSTANCE_UID)
        if not study or study != text_of(entry, STUDY_INSTANCE_UID):
            continue
        step_id = text_of(item, _STEP_ID)
        scheduled = {text_of(each, _STEP_ID) for each in _items(entry, SCHEDULED_STEPS)}
        if not step_id or step_id in scheduled or not any(scheduled):
            return True
    return False


def missing_instances(database: Database, step: PerformedStep) -> tuple[int, list[str]]:
    """How many instances a step says it made, and the SOP Instance UIDs of those that are not here."""
    uids = dict.fromkeys(
        text_of(reference, _REFERENCED_INSTANCE)
        for series in _items(step.keys, _PERFORMED_SERIES)
        for tag in _REFERENCES
        for reference in _items(series, tag)
    )
    uids.pop("", None)
    missing = []
    with database.read() as tx:
        for uid in uids:
            constraint = Constraint(SOP_INSTANCE_UID, Match.EXACT, (uid,), is_case_sensitive=True)
            if not find(tx, Query(Level.INSTANCE, (constraint,), limit=1)):
                missing.append(uid)
    return len(uids), missing


def _items(keys: Keys, tag: Tag) -> Sequence[Keys]:
    value = keys.get(tag, ())
    return () if isinstance(value, str) else value

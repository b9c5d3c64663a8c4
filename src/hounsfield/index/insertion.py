"""Adding instances, with the series, study and patient that they are the first of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import orjson

from hounsfield.dicom.identifiers import Identifiers, PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import normalize
from hounsfield.errors import Conflict
from hounsfield.index.changes import ChangeType, log_change, log_changes
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import delete_rows
from hounsfield.index.headers import NewHeader, reference_row
from hounsfield.index.keys import to_key
from hounsfield.index.metadata import put_metadata
from hounsfield.index.moments import date_of
from hounsfield.index.paging import rows_of_marks
from hounsfield.index.patients import is_protected, set_protected
from hounsfield.index.pending import TABLES
from hounsfield.index.series_status import is_complete

Tags = dict[str, str]
Sequences = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """A file that was put in the storage area."""

    type: int
    uuid: str
    size: int
    stored_size: int
    compression: int = 1
    md5: str | None = None
    stored_md5: str | None = None
    stored_crc32: int | None = None


@dataclass(frozen=True, slots=True)
class NewParents:
    """What the index keeps of the patient, study and series of an instance, in this order, where they are new.

    `sequences` hold the sequences among the main DICOM tags in full JSON format.
    """

    tags: tuple[Tags, Tags, Tags]
    sequences: tuple[Sequences, Sequences, Sequences]
    expected_instances: int | None


@dataclass(frozen=True, slots=True)
class NewInstance:
    """All that the index keeps of an instance. `parents` may be None where the series is known to be there.

    `header` is None where it is too large to be kept. `metadata` are those known from the beginning, by number.
    """

    identifiers: Identifiers
    public_ids: tuple[PublicId, PublicId, PublicId, PublicId]
    tags: Tags
    sequences: Sequences
    parents: NewParents | None
    main_tags_version: int
    sop_class_uid: str
    transfer_syntax_uid: str
    index_in_series: str | None
    pixel_data_offset: int | None
    pixel_data_vr: str | None
    reception_date: str
    received_ns: int
    origin: str
    remote_aet: str
    called_aet: str
    remote_ip: str
    http_username: str
    header: NewHeader | None = None
    metadata: tuple[tuple[int, str], ...] = ()


class ParentsMissing(Conflict):
    """The series is not there, and nothing is told of what it should be."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of an instance that was added.

    `is_new` is False when the index had it and was not to replace it. `created` are the levels that are new, the
    instance first. `deleted_uuids` are the files of the instance that was replaced.
    """

    is_new: bool
    created: tuple[Level, ...] = ()
    deleted_uuids: tuple[str, ...] = ()


_MOST_ALIKE = 64  # Rows of one statement: each count of them is a statement that the database remembers.
_NEW = (ChangeType.NEW_PATIENT, ChangeType.NEW_STUDY, ChangeType.NEW_SERIES, ChangeType.NEW_INSTANCE)


def find_main_tags_version(tx: Transaction, signatures: tuple[str, str, str, str]) -> int:
    """The number of a set of main DICOM tags, which it gets if it is new."""
    found = tx.row(
        "SELECT id FROM main_tags_versions WHERE patient = ? AND study = ? AND series = ? AND instance = ?",
        *signatures,
    )
    if found:
        return int(found[0])
    return tx.insert(
        "INSERT INTO main_tags_versions (patient, study, series, instance) VALUES (?, ?, ?, ?)", *signatures
    )


def are_known(tx: Transaction, series: str, instance: str) -> tuple[bool, bool]:
    """Whether the index has a series and an instance; one statement."""
    row = tx.row(
        "SELECT EXISTS (SELECT 1 FROM series WHERE public_id = ?),"
        " EXISTS (SELECT 1 FROM instances WHERE public_id = ?)",
        to_key(series),
        to_key(instance),
    )
    has_series, has_instance = row or (0, 0)
    return bool(has_series), bool(has_instance)


def add_instance(tx: Transaction, new: NewInstance, file: NewAttachment, *, overwrite: bool = False) -> Added:
    """Add an instance and its file; if the index has it already, do nothing, or with `overwrite` replace it.

    Where the index has it with this very file, another server was faster to add it: it is new nevertheless.

    Raises
    ------
    ParentsMissing
        If the series is not there and `new.parents` is None.
    """
    keys = tuple(map(to_key, new.public_ids))
    deleted: tuple[str, ...] = ()
    was_protected = False
    if overwrite and tx.row("SELECT 1 FROM instances WHERE public_id = ?", keys[Level.INSTANCE]):
        if has_file(tx, file.uuid):
            return Added(is_new=True)
        was_protected = is_protected(tx, new.public_ids[Level.PATIENT])
        deleted = tuple(delete_rows(tx, Level.INSTANCE, keys[Level.INSTANCE], new.reception_date).uuids)
    created: list[Level] = []
    patient, study, series, expected = _find_or_add_parents(tx, new, keys, created)
    if was_protected and Level.PATIENT in created:  # What was replaced was all there was of him.
        set_protected(tx, new.public_ids[Level.PATIENT], True, new.received_ns)
    instance = _insert_instance(tx, new, keys[Level.INSTANCE], series)
    if instance is None:
        return Added(is_new=has_file(tx, file.uuid))
    insert_attachment(tx, Level.INSTANCE, instance, file)
    for kind, value in new.metadata:
        put_metadata(tx, Level.INSTANCE, instance, kind, value)
    created.append(Level.INSTANCE)
    tx.pending.count("instances", 1)
    ids = (patient, study, series, instance)
    for level in reversed(created):
        log_change(tx, _NEW[level], level, ids[level], keys[level], new.reception_date)
    if expected is not None and is_complete(tx, series, expected):
        log_change(
            tx, ChangeType.COMPLETED_SERIES, Level.SERIES, series, keys[Level.SERIES], new.reception_date
        )
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        tx.pending.received[level, ids[level]] = (new.reception_date, new.received_ns)
    return Added(is_new=True, created=tuple(reversed(created)), deleted_uuids=deleted)


def add_instances(tx: Transaction, items: Sequence[tuple[NewInstance, NewAttachment]]) -> list[Added]:
    """Add instances in this order, as `add_instance` does one; those of known series share their statements.

    Raises
    ------
    ParentsMissing
        If the series of one is not there and its parents are not given.
    """
    added: list[Added] = []
    alike: list[_Known] = []
    for new, file in items:
        known = _known(tx, new, file)
        if known is None or len(alike) == _MOST_ALIKE:
            added += _add_alike(tx, alike)
            alike = []
        if known is None:
            added.append(add_instance(tx, new, file))
        else:
            alike.append(known)
    return added + _add_alike(tx, alike)


class _Known(NamedTuple):
    """An instance of which nothing is to be found out but whether it is new."""

    new: NewInstance
    file: NewAttachment
    key: bytes
    parents: tuple[int, int, int]


def _known(tx: Transaction, new: NewInstance, file: NewAttachment) -> _Known | None:
    found = tx.memo.get(to_key(new.public_ids[Level.SERIES]))
    if found is None or found[3] is not None or new.metadata:
        return None
    return _Known(new, file, to_key(new.public_ids[Level.INSTANCE]), found[:3])


def _add_alike(tx: Transaction, alike: Sequence[_Known]) -> list[Added]:
    """Add instances by one statement for each table."""
    if len(alike) < 2 or len({each.key for each in alike}) < len(alike):
        return [add_instance(tx, each.new, each.file) for each in alike]
    values = [
        value
        for new, _, key, (_, _, series) in alike
        for value in _instance_values(new, key, series, _reference(tx, new, series))
    ]
    rows = {bytes(key): row for row, key in tx.rows(_insert_instances(len(alike)), *values)}
    new_ones = [(each, rows[each.key]) for each in alike if each.key in rows]
    if new_ones:
        insert_attachments(tx, Level.INSTANCE, [(row, each.file) for each, row in new_ones])
        log_changes(
            tx,
            ChangeType.NEW_INSTANCE,
            Level.INSTANCE,
            [(row, each.key, each.new.reception_date) for each, row in new_ones],
        )
        tx.pending.count("instances", len(new_ones))
    for each, _ in new_ones:
        moment = (each.new.reception_date, each.new.received_ns)
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
            tx.pending.received[level, each.parents[level]] = moment
    return [
        Added(is_new=True, created=(Level.INSTANCE,))
        if each.key in rows
        else Added(is_new=has_file(tx, each.file.uuid))
        for each in alike
    ]


def has_file(tx: Transaction, uuid: str) -> bool:
    """Whether a resource has a file."""
    return tx.row("SELECT 1 FROM attachments WHERE uuid = ?", uuid) is not None


def insert_attachment(
    tx: Transaction, level: Level, resource: int, new: NewAttachment, revision: int = 0
) -> None:
    """Add the row of an attachment, and count its size."""
    insert_attachments(tx, level, [(resource, new)], revision)


def insert_attachments(
    tx: Transaction, level: Level, files: Sequence[tuple[int, NewAttachment]], revision: int = 0
) -> None:
    """Add the rows of attachments, each of a resource, and count their sizes."""
    values = [
        value
        for resource, new in files
        for value in (
            int(level),
            resource,
            new.type,
            new.uuid,
            new.size,
            new.stored_size,
            new.compression,
            new.md5,
            new.stored_md5,
            revision,
            new.stored_crc32,
        )
    ]
    tx.send(_insert_attachments(len(files)), *values)
    tx.pending.count("size", sum(new.size for _, new in files))
    tx.pending.count("stored_size", sum(new.stored_size for _, new in files))


@cache
def _insert_attachments(count: int) -> str:
    return (
        "INSERT INTO attachments (level, resource, type, uuid, size, stored_size, compression, md5,"
        f" stored_md5, revision, stored_crc32) VALUES {rows_of_marks(count, 11)}"
    )


def _find_or_add_parents(
    tx: Transaction, new: NewInstance, keys: tuple[bytes, ...], created: list[Level]
) -> tuple[int, int, int, int | None]:
    """Row ids of patient, study and series, and the expected number of instances of the series."""
    found = tx.memo.get(keys[Level.SERIES]) or tx.row(
        "SELECT studies.patient, series.study, series.id, series.expected_instances"
        " FROM series JOIN studies ON studies.id = series.study WHERE series.public_id = ?",
        keys[Level.SERIES],
    )
    if found:
        tx.memo[keys[Level.SERIES]] = found
        patient, study, series, expected = found
        return patient, study, series, expected
    if new.parents is None:
        raise ParentsMissing("The series is no longer in the index")
    parents = tx.row("SELECT patient, id FROM studies WHERE public_id = ?", keys[Level.STUDY])
    if parents:
        patient, study = parents
    else:
        row = tx.row("SELECT id FROM patients WHERE public_id = ?", keys[Level.PATIENT])
        patient = row[0] if row else _insert_patient(tx, new, new.parents, keys[Level.PATIENT])
        if not row:
            created.append(Level.PATIENT)
        study = _insert_study(tx, new, new.parents, keys[Level.STUDY], patient)
        created.append(Level.STUDY)
    series = _insert_series(tx, new, new.parents, keys[Level.SERIES], study)
    created.append(Level.SERIES)
    for level in created:
        tx.pending.count(TABLES[level], 1)
    return patient, study, series, new.parents.expected_instances


def _insert_patient(tx: Transaction, new: NewInstance, parents: NewParents, key: bytes) -> int:
    tags = parents.tags[Level.PATIENT]
    return tx.insert(
        "INSERT INTO patients (public_id, main_tags, main_sequences, main_tags_version, patient_id_key,"
        " patient_name_key, patient_birth_date, last_update, received_ns, is_stable, is_protected, unprotected_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)",
        key,
        _json(tags),
        _sequences(parents.sequences[Level.PATIENT]),
        new.main_tags_version,
        normalize(tags.get("0010,0020", "")),
        normalize(tags.get("0010,0010", "")),
        date_of(tags.get("0010,0030", "")),
        new.reception_date,
        new.received_ns,
    )


def _insert_study(tx: Transaction, new: NewInstance, parents: NewParents, key: bytes, patient: int) -> int:
    tags, patient_tags = parents.tags[Level.STUDY], parents.tags[Level.PATIENT]
    return tx.insert(
        "INSERT INTO studies (public_id, patient, main_tags, patient_tags, main_sequences, main_tags_version,"
        " study_instance_uid, patient_id_key, patient_name_key, patient_birth_date, accession_number_key,"
        " study_description_key, study_date, last_update, received_ns, is_stable)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        key,
        patient,
        _json(tags),
        _json(patient_tags),
        _sequences(parents.sequences[Level.STUDY]),
        new.main_tags_version,
        new.identifiers.study_instance_uid,
        normalize(patient_tags.get("0010,0020", "")),
        normalize(patient_tags.get("0010,0010", "")),
        date_of(patient_tags.get("0010,0030", "")),
        normalize(tags.get("0008,0050", "")),
        normalize(tags.get("0008,1030", "")),
        date_of(tags.get("0008,0020", "")),
        new.reception_date,
        new.received_ns,
    )


def _insert_series(tx: Transaction, new: NewInstance, parents: NewParents, key: bytes, study: int) -> int:
    tags = parents.tags[Level.SERIES]
    return tx.insert(
        "INSERT INTO series (public_id, study, main_tags, main_sequences, main_tags_version, series_instance_uid,"
        " modality, expected_instances, remote_aet, last_update, received_ns, is_stable)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        key,
        study,
        _json(tags),
        _sequences(parents.sequences[Level.SERIES]),
        new.main_tags_version,
        new.identifiers.series_instance_uid,
        tags.get("0008,0060", ""),
        parents.expected_instances,
        new.remote_aet,
        new.reception_date,
        new.received_ns,
    )


def _insert_instance(tx: Transaction, new: NewInstance, key: bytes, series: int) -> int | None:
    """The new row, or None if the index has the instance."""
    row = tx.row(_insert_instances(1), *_instance_values(new, key, series, _reference(tx, new, series)))
    return row[0] if row else None


def _reference(tx: Transaction, new: NewInstance, series: int) -> int | None:
    return None if new.header is None else reference_row(tx, series, new.header.reference)


@cache
def _insert_instances(count: int) -> str:
    return (
        "INSERT INTO instances (public_id, series, main_tags, main_sequences, main_tags_version, sop_instance_uid,"
        " sop_class_uid, transfer_syntax_uid, index_in_series, pixel_data_offset, pixel_data_vr, reception_date,"
        " origin, remote_aet, called_aet, remote_ip, http_username, header, header_reference)"
        f" VALUES {rows_of_marks(count, 19)} ON CONFLICT (public_id) DO NOTHING RETURNING id, public_id"
    )


def _instance_values(new: NewInstance, key: bytes, series: int, reference: int | None) -> tuple[Any, ...]:
    return (
        key,
        series,
        _json(new.tags),
        _sequences(new.sequences),
        new.main_tags_version,
        new.identifiers.sop_instance_uid,
        new.sop_class_uid,
        new.transfer_syntax_uid,
        new.index_in_series,
        new.pixel_data_offset,
        new.pixel_data_vr,
        new.reception_date,
        new.origin,
        new.remote_aet,
        new.called_aet,
        new.remote_ip,
        new.http_username,
        None if new.header is None else new.header.data,
        reference,
    )


def _json(tags: Tags) -> str:
    return orjson.dumps(tags).decode()


def _sequences(found: Sequences) -> str | None:
    return orjson.dumps({"Version": 1, "Sequences": found}).decode() if found else None

"""Main DICOM tags written anew from a file: of an instance, and of its series, study and patient."""

from collections.abc import Collection
from typing import Any

import orjson

from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import normalize
from hounsfield.index.database import Transaction
from hounsfield.index.insertion import NewInstance
from hounsfield.index.keys import to_key
from hounsfield.index.moments import date_of


def rebuild(tx: Transaction, new: NewInstance, levels: Collection[Level]) -> None:
    """Write the main tags of some levels as an instance has them; those that do not exist are passed over.

    Metadata, attachments, labels and dates stay. `new.parents` must be given for the upper levels.
    """
    tx.forget()
    parents = new.parents
    if Level.INSTANCE in levels:
        _rebuild_instance(tx, new)
    if parents is None:
        return
    patient_tags, study_tags, series_tags = parents.tags
    texts = [orjson.dumps(tags).decode() for tags in parents.tags]
    sequences = [_sequences(found) for found in parents.sequences]
    patient_keys = (
        normalize(patient_tags.get("0010,0020", "")),
        normalize(patient_tags.get("0010,0010", "")),
        date_of(patient_tags.get("0010,0030", "")),
    )
    if Level.PATIENT in levels:
        tx.run(
            "UPDATE patients SET main_tags = ?, main_sequences = ?, main_tags_version = ?, patient_id_key = ?,"
            " patient_name_key = ?, patient_birth_date = ? WHERE public_id = ?",
            texts[Level.PATIENT],
            sequences[Level.PATIENT],
            new.main_tags_version,
            *patient_keys,
            to_key(new.public_ids[Level.PATIENT]),
        )
    if Level.STUDY in levels:
        tx.run(
            "UPDATE studies SET main_tags = ?, patient_tags = ?, main_sequences = ?, main_tags_version = ?,"
            " patient_id_key = ?, patient_name_key = ?, patient_birth_date = ?, accession_number_key = ?,"
            " study_description_key = ?, study_date = ? WHERE public_id = ?",
            texts[Level.STUDY],
            texts[Level.PATIENT],
            sequences[Level.STUDY],
            new.main_tags_version,
            *patient_keys,
            normalize(study_tags.get("0008,0050", "")),
            normalize(study_tags.get("0008,1030", "")),
            date_of(study_tags.get("0008,0020", "")),
            to_key(new.public_ids[Level.STUDY]),
        )
    if Level.SERIES in levels:
        tx.run(
            "UPDATE series SET main_tags = ?, main_sequences = ?, main_tags_version = ?, modality = ?,"
            " expected_instances = ? WHERE public_id = ?",
            texts[Level.SERIES],
            sequences[Level.SERIES],
            new.main_tags_version,
            series_tags.get("0008,0060", ""),
            parents.expected_instances,
            to_key(new.public_ids[Level.SERIES]),
        )


def _rebuild_instance(tx: Transaction, new: NewInstance) -> None:
    tx.run(
        "UPDATE instances SET main_tags = ?, main_sequences = ?, main_tags_version = ?, sop_class_uid = ?,"
        " transfer_syntax_uid = ?, index_in_series = ?, pixel_data_offset = ?, pixel_data_vr = ? WHERE public_id = ?",
        orjson.dumps(new.tags).decode(),
        _sequences(new.sequences),
        new.main_tags_version,
        new.sop_class_uid,
        new.transfer_syntax_uid,
        new.index_in_series,
        new.pixel_data_offset,
        new.pixel_data_vr,
        to_key(new.public_ids[Level.INSTANCE]),
    )


def _sequences(found: dict[str, Any]) -> str | None:
    return orjson.dumps({"Version": 1, "Sequences": found}).decode() if found else None

"""What answers to many queries need of many resources, read with few statements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.paging import marks, padded
from hounsfield.index.pending import TABLES

MODALITIES_IN_STUDY: Tag = 0x00080061
SOP_CLASSES_IN_STUDY: Tag = 0x00080062
_PATIENT_STUDIES = "SELECT patient, COUNT(*) FROM studies WHERE patient IN ({0}) GROUP BY patient"
_PATIENT_SERIES = (
    "SELECT s.patient, COUNT(*) FROM series c JOIN studies s ON s.id = c.study"
    " WHERE s.patient IN ({0}) GROUP BY s.patient"
)
_PATIENT_INSTANCES = (
    "SELECT s.patient, COUNT(*) FROM instances i JOIN series c ON c.id = i.series"
    " JOIN studies s ON s.id = c.study WHERE s.patient IN ({0}) GROUP BY s.patient"
)
_STUDY_SERIES = "SELECT study, COUNT(*) FROM series WHERE study IN ({0}) GROUP BY study"
_STUDY_INSTANCES = (
    "SELECT c.study, COUNT(*) FROM instances i JOIN series c ON c.id = i.series"
    " WHERE c.study IN ({0}) GROUP BY c.study"
)
_SERIES_INSTANCES = "SELECT series, COUNT(*) FROM instances WHERE series IN ({0}) GROUP BY series"
_MODALITIES = "SELECT DISTINCT study, modality FROM series WHERE study IN ({0})"
_SOP_CLASSES = (
    "SELECT DISTINCT c.study, i.sop_class_uid FROM instances i JOIN series c ON c.id = i.series"
    " WHERE c.study IN ({0})"
)

COMPUTED: dict[Tag, tuple[Level, str]] = {
    0x00201200: (Level.PATIENT, _PATIENT_STUDIES),
    0x00201202: (Level.PATIENT, _PATIENT_SERIES),
    0x00201204: (Level.PATIENT, _PATIENT_INSTANCES),
    0x00201206: (Level.STUDY, _STUDY_SERIES),
    0x00201208: (Level.STUDY, _STUDY_INSTANCES),
    0x00201209: (Level.SERIES, _SERIES_INSTANCES),
    MODALITIES_IN_STUDY: (Level.STUDY, _MODALITIES),
    SOP_CLASSES_IN_STUDY: (Level.STUDY, _SOP_CLASSES),
}
"""Attributes that are computed when asked for: the level they belong to, and the statement. PS3.4 C.3.4."""


@dataclass(slots=True)
class Answer:
    """A resource with the main DICOM tags of its level and above, by `gggg,eeee`, and what was computed."""

    public_id: PublicId
    row: int
    main_tags: dict[str, str]
    main_tags_version: int
    sop_class_uid: str = ""
    computed: dict[Tag, str] = field(default_factory=dict)


def load_answers(
    tx: Transaction, level: Level, public_ids: Sequence[str], computed: Collection[Tag] = ()
) -> list[Answer]:
    """At most `paging.MOST_AT_ONCE` resources, in the order of their ids; those that do not exist are left out."""
    if not public_ids:
        return []
    found: dict[str, Answer] = {}
    keys = padded([to_key(public_id) for public_id in public_ids])
    for row in tx.rows(f"{_SELECT[level]} WHERE {TABLES[level]}.public_id IN ({marks(keys)})", *keys):
        tags = orjson.loads(row[4])
        for column in row[5:]:
            tags.update(orjson.loads(column))
        public_id = to_public_id(row[0])
        found[public_id] = Answer(public_id, row[1], tags, row[2], row[3])
    answers = [found[public_id] for public_id in public_ids if public_id in found]
    _compute(tx, level, answers, computed)
    return answers


def _select(level: Level) -> str:
    """The highest level first: the own values of a study or of a series win over those of a patient."""
    own = TABLES[level]
    columns = ["patients.main_tags" if level == Level.PATIENT else "studies.patient_tags"]
    columns += [f"{TABLES[upper]}.main_tags" for upper in Level if Level.PATIENT < upper <= level]
    sop_class = "instances.sop_class_uid" if level == Level.INSTANCE else "''"
    sql = f"SELECT {own}.public_id, {own}.id, {own}.main_tags_version, {sop_class}, {', '.join(columns)} FROM {own}"
    if level >= Level.INSTANCE:
        sql += " JOIN series ON series.id = instances.series"
    if level >= Level.SERIES:
        sql += " JOIN studies ON studies.id = series.study"
    return sql


_SELECT = tuple(_select(level) for level in Level)


def _compute(tx: Transaction, level: Level, answers: Sequence[Answer], computed: Collection[Tag]) -> None:
    if not answers:
        return
    rows = padded([answer.row for answer in answers])
    for tag in computed:
        home, sql = COMPUTED[tag]
        if home != level:
            continue
        values: dict[int, set[Any]] = {}
        for row, value in tx.rows(sql.format(marks(rows)), *rows):
            values.setdefault(row, set()).add(str(value))
        for answer in answers:
            answer.computed[tag] = "\\".join(sorted(values.get(answer.row, set()) - {""}))

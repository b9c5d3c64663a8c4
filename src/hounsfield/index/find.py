"""Finding resources by the values of their attributes.

SQL gives the candidates by the columns that are indexed, in order; the true values decide, as normalised columns
may be equal where values are not.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, MainTags, normalize
from hounsfield.dicom.tags import Tag, format_tag
from hounsfield.errors import BadRequest
from hounsfield.index.database import Row, Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.matching import Predicate, like_pattern, predicate
from hounsfield.index.metadata import MetadataType
from hounsfield.index.pending import TABLES
from hounsfield.index.query import Constraint, LabelsConstraint, Match, Order, OrderKind, Query

MODALITIES_IN_STUDY: Tag = 0x00080061
SOP_CLASSES_IN_STUDY: Tag = 0x00080062
_UNBOUNDED = 1 << 62
_AFTER_ANY = "\U0010ffff"  # Put after a text, it is greater than whatever begins with this text.
_COUNT_DIGITS = 18

# Tags with a column: (level, column, whether the column is normalised).
_COLUMNS: dict[Tag, tuple[Level, str, bool]] = {
    0x00100020: (Level.PATIENT, "patient_id_key", True),
    0x00100010: (Level.PATIENT, "patient_name_key", True),
    0x00100030: (Level.PATIENT, "patient_birth_date", False),
    0x0020000D: (Level.STUDY, "study_instance_uid", False),
    0x00080050: (Level.STUDY, "accession_number_key", True),
    0x00081030: (Level.STUDY, "study_description_key", True),
    0x00080020: (Level.STUDY, "study_date", False),
    0x0020000E: (Level.SERIES, "series_instance_uid", False),
    0x00080060: (Level.SERIES, "modality", False),
    0x00080018: (Level.INSTANCE, "sop_instance_uid", False),
}
# Patient attributes that a study row holds itself: the study's own patient tags, and no join.
_ON_STUDY = {"patient_id_key", "patient_name_key", "patient_birth_date"}
# The number of something below a resource, matched exactly: tag -> (level, SQL).
_COUNTERS: dict[Tag, tuple[Level, str]] = {
    0x00201200: (Level.PATIENT, "(SELECT COUNT(*) FROM studies c WHERE c.patient = patients.id)"),
    0x00201202: (
        Level.PATIENT,
        "(SELECT COUNT(*) FROM series c JOIN studies s ON s.id = c.study WHERE s.patient = patients.id)",
    ),
    0x00201204: (
        Level.PATIENT,
        "(SELECT COUNT(*) FROM instances i JOIN series c ON c.id = i.series JOIN studies s ON s.id = c.study"
        " WHERE s.patient = patients.id)",
    ),
    0x00201206: (Level.STUDY, "(SELECT COUNT(*) FROM series c WHERE c.study = studies.id)"),
    0x00201208: (
        Level.STUDY,
        "(SELECT COUNT(*) FROM instances i JOIN series c ON c.id = i.series WHERE c.study = studies.id)",
    ),
    0x00201209: (Level.SERIES, "(SELECT COUNT(*) FROM instances i WHERE i.series = series.id)"),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """The parts of a statement, and the predicates on true values by the column that holds them.

    A value lies under a key of a column of JSON, or without key is the column itself: `extra` are columns for that.
    """

    where: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    checks: list[tuple[int, str | None, Predicate]] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)


def find(tx: Transaction, query: Query, main_tags: MainTags = DEFAULT_MAIN_TAGS) -> list[PublicId]:
    """The resources that satisfy a query, by ascending public id or in its order.

    Constraints on tags that are not main DICOM tags of the level or above are the caller's: see `is_indexed`.
    """
    found: list[PublicId] = []
    skipped = 0
    for key in _matching(tx, query, main_tags):
        if skipped < query.since:
            skipped += 1
            continue
        found.append(to_public_id(key))
        if query.limit and len(found) >= query.limit:
            break
    return found


def count(tx: Transaction, query: Query, main_tags: MainTags = DEFAULT_MAIN_TAGS) -> int:
    """How many resources satisfy a query, whatever its `since` and `limit`."""
    return sum(1 for _ in _matching(tx, replace(query, order=(), since=0, limit=0), main_tags))


def is_indexed(tag: Tag, level: Level, main_tags: MainTags = DEFAULT_MAIN_TAGS) -> bool:
    """Whether a constraint on a tag can be decided from the index at a level."""
    if tag in (MODALITIES_IN_STUDY, *_COUNTERS):
        return True
    return any(tag in main_tags.tags(upper) for upper in Level if upper <= level)


def _matching(tx: Transaction, query: Query, main_tags: MainTags) -> Iterator[bytes]:
    level = query.level
    plan = _Plan()
    for constraint in query.constraints:
        _constrain(plan, constraint, level, main_tags)
    _constrain_parent(plan, query)
    _constrain_labels(plan, query)
    _constrain_metadata(plan, query)
    order = [_order(tx, key, level, main_tags) for key in query.order]
    columns = [f"{TABLES[level]}.public_id", *_tag_columns(level), *plan.extra]
    sql = (
        f"SELECT {', '.join(columns)} FROM {_joined(level)}"
        f" WHERE {' AND '.join(plan.where) or '1 = 1'} ORDER BY {', '.join([*order, f'{TABLES[level]}.public_id'])}"
    )
    if not plan.checks and (query.since or query.limit):
        sql += f" LIMIT {query.since + query.limit if query.limit else _UNBOUNDED}"
    for row in tx.stream(sql, *plan.parameters):
        if _satisfies(row, plan.checks):
            yield row[0]


def _satisfies(row: Row, checks: Sequence[tuple[int, str | None, Predicate]]) -> bool:
    decoded: dict[int, dict[str, str]] = {}
    for column, key, holds in checks:
        if key is None:
            if not holds(None if row[column] is None else str(row[column])):
                return False
            continue
        if column not in decoded:
            decoded[column] = orjson.loads(row[column])
        if not holds(decoded[column].get(key)):
            return False
    return True


def _joined(level: Level) -> str:
    """The table of a level with those of the levels above it."""
    sql = TABLES[level]
    if level >= Level.INSTANCE:
        sql += " JOIN series ON series.id = instances.series"
    if level >= Level.SERIES:
        sql += " JOIN studies ON studies.id = series.study"
    if level >= Level.STUDY:
        sql += " JOIN patients ON patients.id = studies.patient"
    return sql


def _tag_columns(level: Level) -> list[str]:
    """The columns of main tags, one a level from the patient's on; a study's patient tags are its own."""
    patient = "patients.main_tags" if level == Level.PATIENT else "studies.patient_tags"
    return [patient, *(f"{TABLES[upper]}.main_tags" for upper in Level if Level.PATIENT < upper <= level)]


def _constrain(plan: _Plan, constraint: Constraint, level: Level, main_tags: MainTags) -> None:
    tag = constraint.tag
    if tag == MODALITIES_IN_STUDY:
        _constrain_modalities(plan, constraint, level)
        return
    if tag in _COUNTERS:
        _constrain_counter(plan, constraint, level)
        return
    home = next((upper for upper in reversed(Level) if upper <= level and tag in main_tags.tags(upper)), None)
    if home is None:
        raise BadRequest(f"Tag {format_tag(tag)} is not in the index at this level")
    plan.checks.append((1 + home, format_tag(tag), predicate(constraint)))
    known = _COLUMNS.get(tag)
    if known is not None and known[0] == home and constraint.match is not Match.PRESENT:
        _narrow(plan, constraint, known, level)


def _narrow(plan: _Plan, constraint: Constraint, known: tuple[Level, str, bool], level: Level) -> None:
    """Let SQL exclude most of what cannot match, by an indexed column."""
    home, name, is_normalized = known
    table = "studies" if name in _ON_STUDY and level > Level.PATIENT else TABLES[home]
    column = f"{table}.{name}"
    if constraint.match is Match.RANGE:
        first, last = constraint.values
        if first:
            plan.where.append(f"{column} >= ?")
            plan.parameters.append(first)
        if last:
            plan.where.append(f"{column} < ?")
            plan.parameters.append(last + _AFTER_ANY)
        return
    if not is_normalized and not constraint.is_case_sensitive and not _is_caseless(constraint.values):
        return
    values = [normalize(value) if is_normalized else value for value in constraint.values]
    if constraint.match is Match.WILDCARD:
        _narrow_wildcard(plan, column, values[0])
    else:
        plan.where.append(f"{column} IN ({', '.join('?' * len(values))})")
        plan.parameters.extend(values)


def _narrow_wildcard(plan: _Plan, column: str, pattern: str) -> None:
    """A range by the literal start of a pattern, which an index serves, and LIKE for the rest."""
    # Spaces beside what was not ASCII at an end of a value were trimmed when it was normalised.
    pattern = re.sub(r" *([*?]) *", r"\1", pattern)
    start = pattern.split("*")[0].split("?")[0]
    if start:
        plan.where.append(f"{column} >= ? AND {column} < ?")
        plan.parameters.extend([start, start + _AFTER_ANY])
    if pattern != start + "*":
        plan.where.append(f"{column} LIKE ? ESCAPE '\\'")
        plan.parameters.append(like_pattern(pattern))


def _is_caseless(values: Sequence[str]) -> bool:
    return all(value.upper() == value.lower() for value in values)


def _constrain_modalities(plan: _Plan, constraint: Constraint, level: Level) -> None:
    """Modalities in Study: any of the given ones, exactly; at the level of studies only."""
    if level != Level.STUDY or constraint.match not in (Match.EXACT, Match.LIST):
        plan.where.append("1 = 0")
        return
    marks = ", ".join("?" * len(constraint.values))
    plan.where.append(
        f"EXISTS (SELECT 1 FROM series c WHERE c.study = studies.id AND c.modality IN ({marks}))"
    )
    plan.parameters.extend(constraint.values)


def _constrain_counter(plan: _Plan, constraint: Constraint, level: Level) -> None:
    home, sql = _COUNTERS[constraint.tag]
    texts = [value.strip() for value in constraint.values]
    numbers = [
        int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= _COUNT_DIGITS
    ]
    if home != level or constraint.match not in (Match.EXACT, Match.LIST) or not numbers:
        plan.where.append("1 = 0")
        return
    plan.where.append(f"{sql} IN ({', '.join('?' * len(numbers))})")
    plan.parameters.extend(numbers)


def _constrain_parent(plan: _Plan, query: Query) -> None:
    if query.parent is not None:
        level, public_id = query.parent
        if level > query.level:
            raise BadRequest(f"A {level.word.lower()} is no parent of a {query.level.word.lower()}")
        plan.where.append(f"{TABLES[level]}.public_id = ?")
        plan.parameters.append(to_key(public_id))


def _constrain_labels(plan: _Plan, query: Query) -> None:
    base = f"SELECT COUNT(*) FROM labels l WHERE l.level = {int(query.level)} AND l.resource = {TABLES[query.level]}.id"
    labels = tuple(dict.fromkeys(query.labels))
    among = f" AND l.label IN ({', '.join('?' * len(labels))})" if labels else ""
    if query.labels_constraint is LabelsConstraint.NONE:
        plan.where.append(f"({base}{among}) = 0")
        plan.parameters.extend(labels)
    elif labels:
        wanted = len(labels) if query.labels_constraint is LabelsConstraint.ALL else 1
        plan.where.append(f"({base}{among}) >= {wanted}")
        plan.parameters.extend(labels)


# Metadata that have a column of their own at a level; some are there only for one kind of origin.
_METADATA_COLUMNS: dict[tuple[Level, int], str] = {
    **{
        (level, MetadataType.LAST_UPDATE): f"{TABLES[level]}.last_update"
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
    },
    (Level.SERIES, MetadataType.REMOTE_AET): "series.remote_aet",
    (Level.SERIES, MetadataType.EXPECTED_NUMBER_OF_INSTANCES): "series.expected_instances",
    (Level.INSTANCE, MetadataType.INDEX_IN_SERIES): "instances.index_in_series",
    (Level.INSTANCE, MetadataType.RECEPTION_DATE): "instances.reception_date",
    (Level.INSTANCE, MetadataType.REMOTE_AET): "instances.remote_aet",
    (Level.INSTANCE, MetadataType.ORIGIN): "instances.origin",
    (Level.INSTANCE, MetadataType.TRANSFER_SYNTAX): "instances.transfer_syntax_uid",
    (Level.INSTANCE, MetadataType.SOP_CLASS_UID): "instances.sop_class_uid",
    (Level.INSTANCE, MetadataType.REMOTE_IP): "NULLIF(instances.remote_ip, '')",
    (
        Level.INSTANCE,
        MetadataType.CALLED_AET,
    ): "CASE instances.origin WHEN 'DicomProtocol' THEN instances.called_aet END",
    (
        Level.INSTANCE,
        MetadataType.HTTP_USERNAME,
    ): "CASE instances.origin WHEN 'RestApi' THEN instances.http_username END",
}


def _metadata(level: Level, kind: int) -> str:
    """The SQL expression for a metadata of a row."""
    column = _METADATA_COLUMNS.get((level, kind))
    if column:
        return column
    return (
        f"(SELECT m.value FROM metadata m WHERE m.level = {int(level)} AND m.resource = {TABLES[level]}.id"
        f" AND m.type = {kind})"
    )


def _constrain_metadata(plan: _Plan, query: Query) -> None:
    """Metadata are few a resource and small: their true values decide, without SQL."""
    for kind, text in query.metadata:
        patterns = [
            predicate(
                Constraint(
                    0,
                    Match.WILDCARD if "*" in value or "?" in value else Match.EXACT,
                    (value,),
                    query.is_case_sensitive,
                )
            )
            for value in text.split("\\")
        ]
        plan.extra.append(_metadata(query.level, kind))
        column = len(_tag_columns(query.level)) + len(plan.extra)
        plan.checks.append((column, None, _any_of(patterns)))


def _any_of(predicates: Sequence[Predicate]) -> Predicate:
    return lambda value: any(holds(value) for holds in predicates)


def _order(tx: Transaction, order: Order, level: Level, main_tags: MainTags) -> str:
    """The SQL of one key of an order; what lacks the value comes last in both directions."""
    if order.kind in (OrderKind.METADATA, OrderKind.METADATA_AS_INT, OrderKind.METADATA_AS_FLOAT):
        expression = _metadata(level, order.key)
    else:
        home = next(
            (upper for upper in reversed(Level) if upper <= level and order.key in main_tags.tags(upper)),
            None,
        )
        if home is None:
            return "1"
        column = "studies.patient_tags" if home == Level.PATIENT < level else f"{TABLES[home]}.main_tags"
        expression = tx.json_text(column, format_tag(order.key))
    if order.kind in (OrderKind.TAG_AS_INT, OrderKind.METADATA_AS_INT):
        expression = tx.number(expression, is_integer=True)
    if order.kind in (OrderKind.TAG_AS_FLOAT, OrderKind.METADATA_AS_FLOAT):
        expression = tx.number(expression, is_integer=False)
    return f"{expression} IS NULL, {expression} {'DESC' if order.is_descending else 'ASC'}"


def lookup(tx: Transaction, value: str) -> list[tuple[Level, PublicId]]:
    """The resources whose identifier is `value`, whatever its case: Patient ID, Study, Series or SOP Instance UID."""
    found = []
    for tag in (0x00100020, 0x0020000D, 0x0020000E, 0x00080018):
        level = _COLUMNS[tag][0]
        constraint = Constraint(tag, Match.EXACT, (value,))
        found += [(level, public_id) for public_id in find(tx, Query(level, (constraint,)))]
    return found

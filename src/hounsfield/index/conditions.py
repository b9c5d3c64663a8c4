"""From a query to SQL: conditions that leave few candidates, and checks of true values that decide.

Normalised columns may be equal where values are not; where a column holds the true value, SQL decides alone.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, MainTags, normalize
from hounsfield.dicom.tags import Tag, format_tag
from hounsfield.errors import BadRequest
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key
from hounsfield.index.matching import Predicate, like_pattern, predicate
from hounsfield.index.metadata_columns import metadata_sql
from hounsfield.index.moments import date_of, moment
from hounsfield.index.pending import TABLES
from hounsfield.index.query import Constraint, LabelsConstraint, Match, Query

MODALITIES_IN_STUDY: Tag = 0x00080061
SOP_CLASSES_IN_STUDY: Tag = 0x00080062
_MODALITY: Tag = 0x00080060
_AFTER_ANY = "\U0010ffff"  # Put after a text, it is greater than whatever begins with this text.
_COUNT_DIGITS = 18
# Values that SQL is given: of more, in lists of identifiers, it is not asked, and true values decide alone.
_MOST_NARROWING = 500
_MOST_VALUES = 10_000

COLUMNS: dict[Tag, tuple[Level, str, bool]] = {
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
"""Tags with a column: (level, column, whether the column is normalised)."""
# Patient attributes that a study row holds itself: the study's own patient tags, and no join.
ON_STUDY = {"patient_id_key", "patient_name_key", "patient_birth_date"}
# Dates whose times may be combined with them into one range.
_TIME_OF: dict[Tag, Tag] = {
    0x00080020: 0x00080030,
    0x00080021: 0x00080031,
    0x00080012: 0x00080013,
    0x00400244: 0x00400245,
}
COUNTERS: dict[Tag, tuple[Level, str]] = {
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
"""The number of something below a resource, matched exactly: tag -> (level, SQL)."""


@dataclass(frozen=True, slots=True)
class Check:
    """What the true values of a row must satisfy: each is a column of the row, or lies in its JSON under a key."""

    places: tuple[tuple[int, str | None], ...]
    holds: Callable[..., bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of a statement: `columns` come after the row's id and public id, and `checks` count from there.

    `on_headers` and `below` are for those who read further: constraints on what no column holds.
    """

    level: Level
    main_tags: MainTags = DEFAULT_MAIN_TAGS
    where: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    on_headers: list[Constraint] = field(default_factory=list)
    below: list[tuple[Level, Constraint]] = field(default_factory=list)
    tables: set[Level] = field(default_factory=set)

    def column(self, expression: str) -> int:
        """The place of a column in the rows, which are given it if they lack it."""
        if expression not in self.columns:
            self.columns.append(expression)
        return self.columns.index(expression)

    def use(self, level: Level) -> str:
        """The table of a level, to be joined."""
        self.tables.add(level)
        return TABLES[level]

    def tags_column(self, home: Level) -> str:
        """The main tags of a level as rows see them: those of the patient are a study's own."""
        if home == Level.PATIENT and self.level > Level.PATIENT:
            return f"{self.use(Level.STUDY)}.patient_tags"
        return f"{self.use(home)}.main_tags"


def make_plan(tx: Transaction, query: Query, main_tags: MainTags) -> Plan:
    """Everything of a query but its order, in SQL.

    Raises
    ------
    BadRequest
        If the parent is of a lower level.
    """
    plan = Plan(query.level, main_tags)
    constraints = _combined(plan, query) if query.combines_date_time else query.constraints
    for constraint in constraints:
        _constrain(tx, plan, constraint, looks_below=query.looks_below)
    _constrain_parent(plan, query)
    _constrain_labels(plan, query)
    _constrain_metadata(plan, query)
    return plan


def joined(plan: Plan) -> str:
    """The table of the plan's level, with those above it that it uses."""
    sql = TABLES[plan.level]
    top = min(plan.tables, default=plan.level)
    for level in reversed(Level):
        if top <= level < plan.level:
            child = Level(level + 1)
            sql += f" JOIN {TABLES[level]} ON {TABLES[level]}.id = {TABLES[child]}.{level.word.lower()}"
    return sql


def home_of(tag: Tag, level: Level, main_tags: MainTags) -> Level | None:
    """The level at or above `level` that keeps a tag; the nearest if several do."""
    return next((upper for upper in reversed(Level) if upper <= level and tag in main_tags.tags(upper)), None)


def _constrain(tx: Transaction, plan: Plan, constraint: Constraint, *, looks_below: bool) -> None:
    tag, level = constraint.tag, plan.level
    if tag == MODALITIES_IN_STUDY:
        _constrain_children(
            plan, constraint, "SELECT 1 FROM series c WHERE c.study = studies.id AND {0}", "c.modality"
        )
        return
    if tag == SOP_CLASSES_IN_STUDY:
        sql = "SELECT 1 FROM instances i JOIN series c ON c.id = i.series WHERE c.study = studies.id AND {0}"
        _constrain_children(plan, constraint, sql, "i.sop_class_uid")
        return
    if tag in COUNTERS:
        _constrain_counter(plan, constraint)
        return
    home = home_of(tag, level, plan.main_tags)
    if home is not None and constraint.match is not Match.SEQUENCE and lookup.vr(tag) != "SQ":
        if _is_in_all_rows(tx, tag, home):
            _constrain_main_tag(plan, constraint, home)
        else:
            plan.on_headers.append(constraint)
        return
    lower = next((below for below in Level if below > level and tag in plan.main_tags.tags(below)), None)
    if lower is None or constraint.match is Match.SEQUENCE:
        plan.on_headers.append(constraint)
    elif not looks_below:
        plan.where.append("1 = 0")
    elif tag == _MODALITY and level == Level.STUDY and constraint.match in (Match.EXACT, Match.LIST):
        _constrain_children(
            plan, constraint, "SELECT 1 FROM series c WHERE c.study = studies.id AND {0}", "c.modality"
        )
    else:
        plan.below.append((lower, constraint))


def _is_in_all_rows(tx: Transaction, tag: Tag, home: Level) -> bool:
    """Whether no row may lack a tag that was made a main tag after it came in."""
    if tag in DEFAULT_MAIN_TAGS.tags(home):
        return True
    lacking = f"SELECT 1 FROM main_tags_versions WHERE {home.word.lower()} NOT LIKE ?"
    return tx.row(lacking, f"%{format_tag(tag)}%") is None


def _constrain_main_tag(plan: Plan, constraint: Constraint, home: Level) -> None:
    known = COLUMNS.get(constraint.tag)
    is_decided = False
    if known is not None and known[0] == home and constraint.match not in (Match.PRESENT, Match.FUZZY):
        is_decided = _narrow(plan, constraint, known)
    if not is_decided:
        place = plan.column(plan.tags_column(home)), format_tag(constraint.tag)
        plan.checks.append(Check((place,), predicate(constraint)))


def _combined(plan: Plan, query: Query) -> list[Constraint]:
    """Take out the times whose dates are ranges too, and check both together; what remains is returned."""
    by_tag = {constraint.tag: constraint for constraint in query.constraints}
    left = list(query.constraints)
    for date, time in _TIME_OF.items():
        pair = by_tag.get(date), by_tag.get(time)
        home = home_of(date, query.level, plan.main_tags)
        if pair[0] is None or pair[1] is None or home is None:
            continue
        if any(each is None or each.match is not Match.RANGE for each in pair):
            continue
        left.remove(pair[1])
        column = plan.column(plan.tags_column(home))
        places = (column, format_tag(date)), (column, format_tag(time))
        plan.checks.append(Check(places, _date_and_time(pair[0].values, pair[1].values)))
    return left


def _date_and_time(dates: Sequence[str], times: Sequence[str]) -> Callable[[str | None, str | None], bool]:
    """Whether a date and a time are in one range: without a time of its own the first day is whole, and the last."""
    low = date_of(dates[0]) + moment(times[0], "0") if dates[0] else ""
    high = date_of(dates[1]) + (moment(times[1], "9") if times[1] else "~") if dates[1] else "~"

    def holds(date: str | None, time: str | None) -> bool:
        return bool(date) and bool(time) and low <= date_of(date or "") + moment(time or "", "0") <= high

    return holds


def _narrow(plan: Plan, constraint: Constraint, known: tuple[Level, str, bool]) -> bool:
    """Let SQL exclude what cannot match, by an indexed column; whether what remains is sure to match."""
    home, name, is_normalized = known
    vr = lookup.vr(constraint.tag)
    on = Level.STUDY if name in ON_STUDY and plan.level > Level.PATIENT else home
    column = f"{plan.use(on)}.{name}"
    if constraint.match is Match.RANGE:
        return _narrow_range(plan, column, constraint.values)
    if len(constraint.values) > _MOST_NARROWING:
        return False
    if not is_normalized:
        values = list(map(date_of, constraint.values) if vr == "DA" else constraint.values)
        if not constraint.is_case_sensitive and not _is_caseless(values):
            values = _spellings(values) if vr == "CS" and constraint.match is not Match.WILDCARD else []
            if not values:
                return False
    else:
        values = [normalize(value) for value in constraint.values]
    if vr == "PN":
        _narrow_names(plan, column, constraint, values)
        return False
    if constraint.match is Match.WILDCARD:
        _narrow_wildcard(plan, column, values[0])
        return False
    plan.where.append(f"{column} IN ({', '.join('?' * len(values))})")
    plan.parameters.extend(values)
    return not is_normalized and "" not in values


def _narrow_range(plan: Plan, column: str, values: Sequence[str]) -> bool:
    first, last = map(date_of, values)
    plan.where.append(f"{column} >= ?")
    plan.parameters.append(first or " ")  # Greater than nothing at all, which is in no range.
    if last:
        plan.where.append(f"{column} < ?")
        plan.parameters.append(last + _AFTER_ANY)
    return True


def _narrow_names(plan: Plan, column: str, constraint: Constraint, values: Sequence[str]) -> None:
    """A name may be followed by empty components and other groups; beyond Latin it may be in any group."""
    if not all(value.isascii() and "=" not in value for value in constraint.values):
        for value in values if len(values) == 1 and "=" not in values[0] else ():
            if value.strip("*? ^"):
                _narrow_wildcard(plan, column, f"*{value.rstrip(' ^')}*")
        return
    if constraint.match is Match.WILDCARD:
        value = values[0]
        _narrow_wildcard(plan, column, value if value.endswith("*") else value.rstrip(" ^") + "*")
        return
    ends = [value.rstrip(" ^") for value in values]
    plan.where.append("(" + " OR ".join([f"({column} >= ? AND {column} < ?)"] * len(ends)) + ")")
    for end in ends:
        plan.parameters.extend([end, end + _AFTER_ANY])


def _narrow_wildcard(plan: Plan, column: str, pattern: str) -> None:
    """A range by the literal start of a pattern, which an index serves, and LIKE for the rest."""
    # Spaces beside what was not ASCII at an end of a value were trimmed when it was normalised.
    pattern = re.sub(r" *([*?]) *", r"\1", pattern)
    start = pattern.split("*")[0].split("?")[0]
    if start:
        plan.where.append(f"{column} >= ? AND {column} < ?")
        plan.parameters.extend([start, start + _AFTER_ANY])
    if pattern.strip("*?") == "" or pattern == start + "*":
        return
    if start:
        plan.where.append(f"{column} LIKE ? ESCAPE '\\'")
    else:  # Read the narrow index to its end rather than the wide rows.
        table, name = column.split(".")
        plan.where.append(f"{table}.id IN (SELECT n.id FROM {table} n WHERE n.{name} LIKE ? ESCAPE '\\')")
    plan.parameters.append(like_pattern(pattern))


def _is_caseless(values: Sequence[str]) -> bool:
    return all(value.upper() == value.lower() for value in values)


def _spellings(values: Sequence[str]) -> list[str]:
    """Every way to write code strings in upper and lower case; none if there are too many.

    >>> _spellings(["CT"])
    ['ct', 'cT', 'Ct', 'CT']
    """
    choices = [
        [sorted({letter.lower(), letter.upper()}, reverse=True) for letter in value] for value in values
    ]
    if sum(prod(map(len, each)) for each in choices) > _MOST_NARROWING:
        return []
    return ["".join(letters) for each in choices for letters in product(*each)]


def _constrain_children(plan: Plan, constraint: Constraint, sql: str, column: str) -> None:
    """Any of the given values among those below a study; no wildcards."""
    if plan.level != Level.STUDY or constraint.match not in (Match.EXACT, Match.LIST):
        plan.where.append("1 = 0")
        return
    values = list(dict.fromkeys(_not_too_many(constraint.values)))
    if not constraint.is_case_sensitive and not _is_caseless(values):
        # Code strings are upper case: those that are not are found as they are written, too.
        values = list(dict.fromkeys([*values, *(value.upper() for value in values)]))
    plan.where.append("EXISTS (" + sql.format(f"{column} IN ({', '.join('?' * len(values))})") + ")")
    plan.parameters.extend(values)


def _constrain_counter(plan: Plan, constraint: Constraint) -> None:
    home, sql = COUNTERS[constraint.tag]
    texts = [value.strip() for value in _not_too_many(constraint.values)]
    numbers = [
        int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= _COUNT_DIGITS
    ]
    if home != plan.level or constraint.match not in (Match.EXACT, Match.LIST) or not numbers:
        plan.where.append("1 = 0")
        return
    plan.where.append(f"{sql} IN ({', '.join('?' * len(numbers))})")
    plan.parameters.extend(numbers)


def _constrain_parent(plan: Plan, query: Query) -> None:
    if query.parent is not None:
        level, public_id = query.parent
        if level > query.level:
            raise BadRequest(f"A {level.word.lower()} is no parent of a {query.level.word.lower()}")
        plan.where.append(f"{plan.use(level)}.public_id = ?")
        plan.parameters.append(to_key(public_id))


def _constrain_labels(plan: Plan, query: Query) -> None:
    base = f"SELECT COUNT(*) FROM labels l WHERE l.level = {int(query.level)} AND l.resource = {TABLES[query.level]}.id"
    labels = tuple(dict.fromkeys(_not_too_many(query.labels)))
    among = f" AND l.label IN ({', '.join('?' * len(labels))})" if labels else ""
    if query.labels_constraint is LabelsConstraint.NONE:
        plan.where.append(f"({base}{among}) = 0")
        plan.parameters.extend(labels)
    elif labels:
        wanted = len(labels) if query.labels_constraint is LabelsConstraint.ALL else 1
        among_all = (
            f"{TABLES[query.level]}.id IN (SELECT l.resource FROM labels l"
            f" WHERE l.level = {int(query.level)} AND l.label IN ({', '.join('?' * len(labels))})"
            f" GROUP BY l.resource HAVING COUNT(*) >= {wanted})"
        )
        plan.where.append(among_all)
        plan.parameters.extend(labels)


def _constrain_metadata(plan: Plan, query: Query) -> None:
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
        place = plan.column(metadata_sql(query.level, kind)), None
        plan.checks.append(Check((place,), _any_of(patterns)))


def _not_too_many(values: Sequence[str]) -> Sequence[str]:
    if len(values) > _MOST_VALUES:
        raise BadRequest(f"A list of more than {_MOST_VALUES} values")
    return values


def _any_of(predicates: Sequence[Predicate]) -> Predicate:
    return lambda value: any(holds(value) for holds in predicates)

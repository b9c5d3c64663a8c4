"""Finding resources by the values of their attributes.

SQL gives the candidates by the columns that are indexed; true values decide (`conditions`). What no column holds is
read in the headers, page by page, and where the index has no header in the file, by whoever knows files.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import orjson

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary.lookup import vr as lookup_vr
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, MainTags, normalize
from hounsfield.dicom.packed_header import has_omitted, unpack_header
from hounsfield.dicom.tags import Tag, format_tag
from hounsfield.index.conditions import (
    COLUMNS,
    COUNTERS,
    MODALITIES_IN_STUDY,
    ON_STUDY,
    SOP_CLASSES_IN_STUDY,
    Plan,
    home_of,
    joined,
    make_plan,
)
from hounsfield.index.database import Row, Transaction
from hounsfield.index.headers import (
    decompress_header,
    first_instance_sql,
    load_references,
)
from hounsfield.index.keys import to_public_id
from hounsfield.index.matching import checker, predicate
from hounsfield.index.metadata import MetadataType
from hounsfield.index.metadata_columns import metadata_sql
from hounsfield.index.paging import MOST_AT_ONCE, marks, padded
from hounsfield.index.pending import TABLES
from hounsfield.index.query import Constraint, Match, Order, OrderKind, Query
from hounsfield.index.resources import PARENT_COLUMN

FEW = 16
_FIRST_PAGE = 32
_UNBOUNDED = 1 << 62
_PLAIN_VRS = frozenset(("AE", "AS", "CS", "DS", "IS", "UI"))
"""Those of the default repertoire, compared as they are written. PS3.5 6.2."""
_IDENTIFIERS: frozenset[Tag] = frozenset((0x00100020, 0x00080050, 0x0020000D, 0x0020000E, 0x00080018))


def _no_file(instance: PublicId) -> Dataset | None:
    del instance
    return None


@dataclass(frozen=True, slots=True)
class HeaderAccess:
    """How headers are read: `read_file` gives that of an instance whose header the index lacks, None if it cannot."""

    default_encoding: str = "Latin1"
    read_file: Callable[[PublicId], Dataset | None] = _no_file


_INDEX_ONLY = HeaderAccess()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row that satisfies what columns tell."""

    row: int
    key: bytes


def find(
    tx: Transaction,
    query: Query,
    main_tags: MainTags = DEFAULT_MAIN_TAGS,
    access: HeaderAccess = _INDEX_ONLY,
) -> list[PublicId]:
    """The resources that satisfy a query, by ascending public id or in its order."""
    found = _matching(tx, query, main_tags, access)
    limited = islice(found, query.limit) if query.limit else found
    return [to_public_id(candidate.key) for candidate in limited]


def count(
    tx: Transaction,
    query: Query,
    main_tags: MainTags = DEFAULT_MAIN_TAGS,
    access: HeaderAccess = _INDEX_ONLY,
) -> int:
    """How many resources satisfy a query, whatever its `since` and `limit`."""
    whole = replace(query, order=(), since=0, limit=0)
    plan = make_plan(tx, whole, main_tags)
    if not plan.checks and not plan.below and not plan.on_headers:
        row = tx.row(f"SELECT COUNT(*) FROM {joined(plan)}{_where(plan)}", *plan.parameters)
        return int(row[0]) if row else 0
    return sum(1 for _ in _matching(tx, whole, main_tags, access))


def is_indexed(tag: Tag, level: Level, main_tags: MainTags = DEFAULT_MAIN_TAGS) -> bool:
    """Whether a constraint on a tag is decided without headers at a level."""
    if tag in (MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, *COUNTERS):
        return True
    return home_of(tag, level, main_tags) is not None


def are_few(tx: Transaction, tag: Tag, value: str, level: Level) -> bool:
    """Whether a tag is an identifier of a level or of the one above, and at most `FEW` resources have this value."""
    known = COLUMNS.get(tag)
    if known is None or tag not in _IDENTIFIERS or known[0] not in (level, level - 1):
        return False
    home, column, is_normalized = known
    table = TABLES[level if home == Level.PATIENT else home]
    sql = f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT {FEW + 1}"
    return len(tx.rows(sql, normalize(value) if is_normalized else value)) <= FEW


def is_known(tag: Tag, main_tags: MainTags = DEFAULT_MAIN_TAGS) -> bool:
    """Whether a tag is computed, or a main tag of any level."""
    return is_indexed(tag, Level.INSTANCE, main_tags)


def _matching(
    tx: Transaction, query: Query, main_tags: MainTags, access: HeaderAccess
) -> Iterator[_Candidate]:
    plan = make_plan(tx, query, main_tags)
    candidates = _candidates(tx, query, plan)
    if not plan.below and not plan.on_headers:
        yield from candidates
        return
    yield from islice(_read_further(tx, query, plan, candidates, access), query.since, None)


def _read_further(
    tx: Transaction, query: Query, plan: Plan, candidates: Iterator[_Candidate], access: HeaderAccess
) -> Iterator[_Candidate]:
    """Those candidates that also satisfy what is read elsewhere."""
    pages = _pages(candidates)
    for below, constraint in plan.below:
        pages = _with_child(tx, query.level, pages, below, constraint)
    if plan.on_headers:
        pages = _with_header(tx, query.level, pages, plan.on_headers, access)
    for page in pages:
        yield from page


def _candidates(tx: Transaction, query: Query, plan: Plan) -> Iterator[_Candidate]:
    """What columns do not exclude, in the order of the query; after its `since`, unless more is to be read."""
    table = TABLES[query.level]
    order = [_order(tx, key, query.level, plan) for key in query.order]
    if query.newest_first and query.level == Level.STUDY:
        order.append("studies.study_date DESC")
    columns = [f"{table}.id", f"{table}.public_id", *plan.columns]
    sql = f"SELECT {', '.join(columns)} FROM {joined(plan)}{_where(plan)}"
    is_last = not plan.below and not plan.on_headers
    since = query.since if is_last else 0
    if order or not plan.checks or not plan.where:
        # Unless everything is wanted, nobody shall walk along all public ids until enough of them satisfy the rest.
        key = f"COALESCE({table}.public_id, {table}.public_id)" if plan.where else f"{table}.public_id"
        sql += f" ORDER BY {', '.join([*order, key])}"
        if is_last and not plan.checks:
            sql += f" LIMIT {query.limit or _UNBOUNDED} OFFSET {since}"
            since = 0
        rows = tx.stream(sql, *plan.parameters)
        passing = (row for row in rows if _passes(row, plan)) if plan.checks else iter(rows)
        return (_Candidate(row[0], bytes(row[1])) for row in islice(passing, since, None))
    # Sorting keys here costs less than sorting wide rows there.
    keys = ((bytes(row[1]), row[0]) for row in tx.stream(sql, *plan.parameters) if _passes(row, plan))
    is_cut = query.limit and is_last
    chosen = heapq.nsmallest(query.since + query.limit, keys) if is_cut else sorted(keys)
    return (_Candidate(row, key) for key, row in chosen[since:])


def _where(plan: Plan) -> str:
    return f" WHERE {' AND '.join(plan.where)}" if plan.where else ""


def _passes(row: Row, plan: Plan) -> bool:
    decoded: dict[int, dict[str, str]] = {}

    def value(column: int, key: str | None) -> str | None:
        held = row[2 + column]
        if key is None or held is None:
            return None if held is None else str(held)
        if column not in decoded:
            decoded[column] = orjson.loads(held)
        return decoded[column].get(key)

    return all(check.holds(*(value(column, key) for column, key in check.places)) for check in plan.checks)


def _pages(candidates: Iterator[_Candidate]) -> Iterator[list[_Candidate]]:
    """Pages that grow: whoever wants few results does not wait for many."""
    size = _FIRST_PAGE
    while page := list(islice(candidates, size)):
        yield page
        size = min(2 * size, MOST_AT_ONCE)


def _with_child(
    tx: Transaction, level: Level, pages: Iterator[list[_Candidate]], below: Level, constraint: Constraint
) -> Iterator[list[_Candidate]]:
    """Those of which a descendant at a lower level satisfies a constraint on one of its main tags."""
    holds, key = predicate(constraint), format_tag(constraint.tag)
    top, parent = f"t{level + 1}", PARENT_COLUMN[level + 1]
    source = f"{TABLES[below]} t{int(below)}"
    for between in range(below, level + 1, -1):
        upper = between - 1
        source += f" JOIN {TABLES[upper]} t{upper} ON t{upper}.id = t{between}.{PARENT_COLUMN[between]}"
    for page in pages:
        rows = padded([candidate.row for candidate in page])
        sql = f"SELECT {top}.{parent}, t{int(below)}.main_tags FROM {source} WHERE {top}.{parent} IN ({marks(rows)})"
        having: set[int] = set()
        for row, text in tx.stream(sql, *rows):
            if row not in having and holds(orjson.loads(text).get(key)):
                having.add(row)
        yield [candidate for candidate in page if candidate.row in having]


def _with_header(
    tx: Transaction,
    level: Level,
    pages: Iterator[list[_Candidate]],
    constraints: Sequence[Constraint],
    access: HeaderAccess,
) -> Iterator[list[_Candidate]]:
    """Those of which one instance has a header that satisfies some constraints."""
    checks = [checker(constraint) for constraint in constraints]
    needles = [found for constraint in constraints if (found := _needles(constraint))]
    wanted = frozenset(constraint.tag for constraint in constraints)
    references: dict[int, bytes] = {}
    table = TABLES[level]
    for page in pages:
        rows = tx.rows(
            f"SELECT {table}.id, x.public_id, x.header, x.header_reference FROM {table}"
            f" JOIN instances x ON x.id = {first_instance_sql(level)}"
            f" WHERE {table}.id IN ({marks(page)})",
            *padded([candidate.row for candidate in page]),
        )
        load_references(tx, references, [row[3] for row in rows])
        having: set[int] = set()
        for row, instance, data, reference in rows:
            dataset = None
            if data is not None:
                packed = decompress_header(data, references.get(reference, b""))
                if needles and not _may_hold(packed, needles):
                    continue
                header = unpack_header(packed, access.default_encoding)
                dataset = header.dataset if header.has_all(wanted) else None
            if dataset is None:
                dataset = access.read_file(to_public_id(instance))
            if dataset is not None and all(check(dataset) for check in checks):
                having.add(row)
        yield [candidate for candidate in page if candidate.row in having]


def _needles(constraint: Constraint) -> tuple[bytes, ...]:
    """Bytes of which a header that satisfies a constraint has one, whatever its character set; none if not known."""
    if constraint.match not in (Match.EXACT, Match.LIST) or not all(
        value and value.isascii() for value in constraint.values
    ):
        return ()
    vr = constraint.vr or lookup_vr(constraint.tag)
    return tuple(value.upper().encode() for value in constraint.values) if vr in _PLAIN_VRS else ()


def _may_hold(packed: bytes, needles: Sequence[tuple[bytes, ...]]) -> bool:
    """Whether a header has all that it must; what was left out of it may hold anything."""
    if has_omitted(packed):
        return True
    upper = packed.upper()
    return all(any(needle in upper for needle in each) for each in needles)


def _order(tx: Transaction, order: Order, level: Level, plan: Plan) -> str:
    """The SQL of one key of an order; what lacks the value comes last in both directions."""
    direction = "DESC" if order.is_descending else "ASC"
    if order.kind is OrderKind.METADATA and order.key == MetadataType.LAST_UPDATE and level < Level.INSTANCE:
        return f"{metadata_sql(level, order.key)} {direction}"
    if order.kind in (OrderKind.METADATA, OrderKind.METADATA_AS_INT, OrderKind.METADATA_AS_FLOAT):
        expression = metadata_sql(level, order.key)
    else:
        home = home_of(order.key, level, plan.main_tags)
        if home is None:
            return "1"
        expression = tx.json_text(plan.tags_column(home), format_tag(order.key))
        known = COLUMNS.get(order.key)
        if known is not None and known[0] == home and not known[2]:
            # Where the column holds the value, the JSON need not be read.
            on = Level.STUDY if known[1] in ON_STUDY and level > Level.PATIENT else home
            column = f"{plan.use(on)}.{known[1]}"
            expression = f"CASE WHEN {column} <> '' THEN {column} ELSE {expression} END"
            if order.kind is OrderKind.TAG and order.is_descending:
                # The empty ones are last anyway: an index of the column gives the others in their order.
                return f"{column} DESC, {expression} IS NULL, {expression} DESC"
    if order.kind in (OrderKind.TAG_AS_INT, OrderKind.METADATA_AS_INT):
        expression = tx.number(expression, is_integer=True)
    if order.kind in (OrderKind.TAG_AS_FLOAT, OrderKind.METADATA_AS_FLOAT):
        expression = tx.number(expression, is_integer=False)
    return f"{expression} IS NULL, {expression} {direction}"


def lookup(tx: Transaction, value: str) -> list[tuple[Level, PublicId]]:
    """The resources whose identifier is `value`, whatever its case: Patient ID, Study, Series or SOP Instance UID."""
    found = []
    for tag in (0x00100020, 0x0020000D, 0x0020000E, 0x00080018):
        level = COLUMNS[tag][0]
        constraint = Constraint(tag, Match.EXACT, (value,))
        found += [(level, public_id) for public_id in find(tx, Query(level, (constraint,)))]
    return found

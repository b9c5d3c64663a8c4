"""C-FIND of patients, studies, series and instances. PS3.4 C.4.1.

The index gives the candidates; what it does not hold is read from one file of each. Answers are read a page at a
time, so that a slow requester holds no transaction open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from hounsfield.archive import Archive
from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.keys import Keys, KeyValue, decode_keys, read_keys, text_of
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, MainTags
from hounsfield.dicom.tags import SOP_CLASS_UID, SPECIFIC_CHARACTER_SET, Tag, format_tag
from hounsfield.errors import ArchiveError, BadRequest, Corrupt, NotFound
from hounsfield.hooks import FindFilter
from hounsfield.index.answers import COMPUTED, MOST_AT_ONCE, Answer, child_tags, load_answers
from hounsfield.index.database import Transaction
from hounsfield.index.find import find, is_indexed
from hounsfield.index.matching import Predicate, predicate
from hounsfield.index.query import Constraint, Match, Query, parse_constraint
from hounsfield.index.resources import first_instance
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.messages import Burst, Operation, Request, Response, Responses, Service
from hounsfield.retrieve.datasets import read_instance
from hounsfield.scp.answers import AnswerWriter
from hounsfield.scp.status import CANNOT_UNDERSTAND
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES
from hounsfield.store.spool import SpoolFile

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"

QUERY_RETRIEVE_LEVEL: Tag = 0x00080052
RETRIEVE_AE_TITLE: Tag = 0x00080054
INSTANCE_AVAILABILITY: Tag = 0x00080056
TIMEZONE_OFFSET: Tag = 0x00080201
# Said in every answer, or of the query itself: these never constrain.
_UNCONSTRAINED = frozenset(
    (
        SPECIFIC_CHARACTER_SET,
        QUERY_RETRIEVE_LEVEL,
        RETRIEVE_AE_TITLE,
        INSTANCE_AVAILABILITY,
        TIMEZONE_OFFSET,
    )
)
_DATE_VRS = ("DA", "TM", "DT")
# Wildcards mean something only in these. PS3.4 C.2.2.2.4.
_TEXT_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"))
_MOST_IN_A_BURST = 50


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What the configuration says about queries; limits are 0 for none.

    `storage_access` is `Always`, `Answers` or `Never`: whether files may be read. `main_tags_version` is the number
    of `main_tags` in the index.
    """

    ae_title: str = "ORTHANC"
    default_encoding: str = "Latin1"
    is_name_case_sensitive: bool = False
    maximum_results: int = 0
    maximum_instances: int = 0
    storage_access: str = "Always"
    main_tags: MainTags = field(default=DEFAULT_MAIN_TAGS, repr=False)
    main_tags_version: int = 0


def query_service(archive: Archive, options: QueryOptions, filters: Sequence[FindFilter]) -> Service:
    """The service for the C-FIND SOP classes of query and retrieval."""
    return Service(
        {CommandField.C_FIND_RQ: Operation.FIND},
        partial(respond, archive, options, filters),
        PREFERRED_TRANSFER_SYNTAXES.__contains__,
        PREFERRED_TRANSFER_SYNTAXES,
        status_of=query_status,
    )


def query_status(error: ArchiveError) -> int:  # noqa: ARG001  # Whatever it is, the query cannot be processed.
    """The status of a query that failed. PS3.4 Table C.4-1."""
    return CANNOT_UNDERSTAND


def request_keys(request: Request, default_encoding: str) -> dict[Tag, KeyValue]:
    """The identifier of a request.

    Raises
    ------
    Corrupt
        If there is none, or it cannot be read.
    """
    payload = request.payload
    if payload is None:
        raise Corrupt("The request has no identifier")
    data = payload.view() if isinstance(payload, SpoolFile) else payload
    return read_keys(data, request.context.transfer_syntax, default_encoding)


def respond(
    archive: Archive, options: QueryOptions, filters: Sequence[FindFilter], request: Request
) -> Responses:
    """Answer a query: a pending response for each match, then a success.

    Raises
    ------
    BadRequest
        If the level is missing or unknown, or a wildcard is where none may be.
    """
    keys: Keys = request_keys(request, options.default_encoding)
    for find_filter in filters:
        keys = find_filter(keys, request.agreement.caller)
    level = parse_level(text_of(keys, QUERY_RETRIEVE_LEVEL))
    search = plan(keys, level, options)
    writer = AnswerWriter(
        keys,
        request.context.transfer_syntax,
        CharacterSet.parse(None, options.default_encoding),
        _fixed(keys, level, options),
    )
    maximum = options.maximum_instances if level == Level.INSTANCE else options.maximum_results
    waiting: list[bytes] = []
    for count, (known, answer) in enumerate(_answers(archive, options, search, writer.wanted, maximum)):
        if maximum and count >= maximum:
            yield Burst(waiting)
            yield Response(Status.CANCEL)
            return
        waiting.append(writer.write(known, answer))
        if known or len(waiting) >= _MOST_IN_A_BURST:  # What needs files comes slowly: it is not held back.
            yield Burst(waiting)
            waiting = []
    yield Burst(waiting)
    yield Response(Status.SUCCESS)


def _fixed(keys: Keys, level: Level, options: QueryOptions) -> dict[Tag, str]:
    """What is the same in all answers; the level is spelt as in the query."""
    fixed = {
        QUERY_RETRIEVE_LEVEL: text_of(keys, QUERY_RETRIEVE_LEVEL),
        RETRIEVE_AE_TITLE: options.ae_title,
    }
    if INSTANCE_AVAILABILITY in keys:
        fixed[INSTANCE_AVAILABILITY] = "ONLINE" if level == Level.INSTANCE else ""
    return fixed


def parse_level(text: str) -> Level:
    """A Query/Retrieve Level (0008,0052), in one or many, also as `INSTANCE`. PS3.4 C.6."""
    level = _LEVELS.get(text.strip().upper())
    if level is None:
        raise BadRequest("Query/Retrieve Level (0008,0052) is missing or unknown")
    return level


_LEVELS = {
    **{level.word.upper(): level for level in Level},
    **{level.plural.upper(): level for level in Level},
    "IMAGE": Level.INSTANCE,
    "IMAGES": Level.INSTANCE,
}


@dataclass(frozen=True, slots=True)
class Search:
    """Constraints by who can decide them: the index at the level, the index below it, or files."""

    query: Query
    below: tuple[tuple[Level, Constraint], ...] = ()
    on_files: tuple[Constraint, ...] = ()
    sop_classes: Constraint | None = None


def plan(keys: Keys, level: Level, options: QueryOptions) -> Search:
    """Turn the keys of a query into a search.

    Raises
    ------
    BadRequest
        If a wildcard is where none may be.
    """
    search = Search(Query(level))
    for tag, value in sorted(keys.items()):
        if tag >> 16 < 0x0008 or not tag & 0xFFFF or tag in _UNCONSTRAINED or not isinstance(value, str):
            continue
        if tag & 0x10000 and tag & 0xFFFF < 0x1000:  # A private creator says what others mean.
            continue
        constraint = _constraint(keys, tag, value, options)
        if constraint is not None:
            search = _add(search, constraint, options.main_tags)
    return search


def _constraint(keys: Keys, tag: Tag, value: str, options: QueryOptions) -> Constraint | None:
    creator = text_of(keys, (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)) if tag & 0x10000 else None
    vr = lookup.vr(tag, creator or None)
    constraint = parse_constraint(
        tag,
        value,
        is_date_or_time=vr in _DATE_VRS,
        is_case_sensitive=vr != "PN" or options.is_name_case_sensitive,
    )
    if constraint is None:
        return None
    has_wildcard = constraint.match in (Match.WILDCARD, Match.PRESENT)
    if has_wildcard and vr not in _TEXT_VRS:
        raise BadRequest(f"A wildcard is not allowed in {format_tag(tag)}")
    return constraint


def _add(search: Search, constraint: Constraint, main_tags: MainTags) -> Search:
    query, tag = search.query, constraint.tag
    if tag == 0x00080062:
        return replace(search, sop_classes=constraint)
    if is_indexed(tag, query.level, main_tags):
        return replace(search, query=replace(query, constraints=(*query.constraints, constraint)))
    for below in Level:
        if below > query.level and tag in main_tags.tags(below):
            return replace(search, below=(*search.below, (below, constraint)))
    return replace(search, on_files=(*search.on_files, constraint))


def candidates(archive: Archive, search: Search, main_tags: MainTags, limit: int = 0) -> list[PublicId]:
    """What satisfies the constraints that the index decides alone, `limit` at most if nothing else is to be asked."""
    is_decided = not (search.below or search.on_files or search.sop_classes)
    with archive.database.read() as tx:
        return find(tx, replace(search.query, limit=limit if is_decided else 0), main_tags)


def _answers(
    archive: Archive, options: QueryOptions, search: Search, wanted: frozenset[Tag], maximum: int
) -> Iterator[tuple[dict[Tag, KeyValue], Answer]]:
    """Each match, with the values that were read from its file; one more than `maximum` if there are more."""
    level, main_tags = search.query.level, options.main_tags
    if search.on_files and options.storage_access == "Never":
        return
    public_ids = candidates(archive, search, main_tags, maximum and maximum + 1)
    computed = [tag for tag in COMPUTED if tag in wanted or (search.sop_classes and tag == 0x00080062)]
    checks = [(each.tag, predicate(each)) for each in search.on_files]
    indexed = frozenset(tag for upper in Level if upper <= level for tag in main_tags.tags(upper))
    elsewhere = frozenset(tag for tag in wanted if tag not in COMPUTED and tag not in _UNCONSTRAINED)
    from_files = elsewhere - indexed - ({SOP_CLASS_UID} if level == Level.INSTANCE else set())
    for start in range(0, len(public_ids), MOST_AT_ONCE):
        page = public_ids[start : start + MOST_AT_ONCE]
        with archive.database.read() as tx:
            answers = load_answers(tx, level, page, computed)
            answers = [answer for answer in answers if _holds_in_index(tx, search, answer)]
        for answer in answers:
            needed = from_files
            if answer.main_tags_version != options.main_tags_version:
                # Main DICOM tags were added to the configuration since it was received.
                needed |= {tag for tag in elsewhere & indexed if format_tag(tag) not in answer.main_tags}
            if not checks and (not needed or options.storage_access == "Never"):
                yield {}, answer
                continue
            dataset = _read_file(archive, options, level, answer)
            if dataset is not None and all(holds(dataset.text(tag)) for tag, holds in checks):
                yield _values(dataset, needed), answer


def _holds_in_index(tx: Transaction, search: Search, answer: Answer) -> bool:
    level = search.query.level
    if search.sop_classes is not None:
        present = set(answer.computed.get(0x00080062, "").split("\\"))
        if not present & set(search.sop_classes.values):
            return False
    return all(
        _holds_below(tx, level, answer.row, below, format_tag(constraint.tag), predicate(constraint))
        for below, constraint in search.below
    )


def _holds_below(tx: Transaction, level: Level, row: int, below: Level, key: str, holds: Predicate) -> bool:
    """Whether one of the descendants at a level satisfies a constraint."""
    return any(holds(tags.get(key)) for tags in child_tags(tx, level, row, below))


def _read_file(archive: Archive, options: QueryOptions, level: Level, answer: Answer) -> Dataset | None:
    """The header of one instance; None if it was deleted since the search began, or is damaged."""
    try:
        with archive.database.read() as tx:
            instance = first_instance(tx, level, answer.public_id)
        return read_instance(archive, instance, default_encoding=options.default_encoding).dataset
    except (NotFound, Corrupt):
        return None


def _values(dataset: Dataset, tags: frozenset[Tag]) -> dict[Tag, KeyValue]:
    found: dict[Tag, KeyValue] = {}
    for tag in tags:
        if tag not in dataset:
            continue
        if dataset.vr(tag) == "SQ":
            found[tag] = [decode_keys(item) for item in dataset.items(tag)]
        else:
            found[tag] = dataset.text(tag) or ""
    return found

"""C-FIND of patients, studies, series and instances. PS3.4 C.4.1.

Everything comes from the index; answers are read a page at a time, so that a slow requester holds no transaction open.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from hounsfield.errors import ArchiveError, BadRequest, Corrupt
from hounsfield.hooks import FindFilter
from hounsfield.index.answers import COMPUTED, Answer, load_answers
from hounsfield.index.database import Transaction
from hounsfield.index.find import find, is_known
from hounsfield.index.paging import pages
from hounsfield.index.query import WILDCARD_VRS, Constraint, Match, Query, parse_constraint
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.messages import Burst, Operation, Request, Response, Responses, Service
from hounsfield.retrieve.headers import header_access, read_headers
from hounsfield.scp.answers import AnswerWriter
from hounsfield.scp.status import CANNOT_UNDERSTAND
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES
from hounsfield.settings import Settings
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
_MOST_IN_A_BURST = 50


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What the configuration says about queries; limits are 0 for none.

    `storage_access` is `Always`, `Answers` or `Never`: whether files may be read. `main_tags_version` is the number
    of `main_tags` in the index.
    """

    ae_title: str = "ORTHANC"
    settings: Settings = field(default_factory=Settings)
    is_name_case_sensitive: bool = False
    maximum_results: int = 0
    maximum_instances: int = 0
    storage_access: str = "Always"
    main_tags: MainTags = field(default=DEFAULT_MAIN_TAGS, repr=False)
    main_tags_version: int = 0

    @property
    def default_encoding(self) -> str:
        """The character set of files that name none, as it is now."""
        return self.settings.default_encoding


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
        CharacterSet.of_answers(options.default_encoding),
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
        if len(waiting) >= _MOST_IN_A_BURST:
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


def plan(keys: Keys, level: Level, options: QueryOptions) -> Query:
    """Turn the keys of a query into a search.

    Raises
    ------
    BadRequest
        If a wildcard is where none may be.
    """
    constraints = []
    for tag, value in sorted(keys.items()):
        if tag >> 16 < 0x0008 or not tag & 0xFFFF or tag in _UNCONSTRAINED or not isinstance(value, str):
            continue
        if tag & 0x10000 and tag & 0xFFFF < 0x1000:  # A private creator says what others mean.
            continue
        constraint = _constraint(keys, tag, value, options)
        if constraint is not None:
            constraints.append(constraint)
    return Query(level, tuple(constraints), looks_below=True)


def _constraint(keys: Keys, tag: Tag, value: str, options: QueryOptions) -> Constraint | None:
    creator = text_of(keys, (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)) if tag & 0x10000 else None
    vr = lookup.vr(tag, creator or None)
    constraint = parse_constraint(
        tag,
        value,
        vr=vr,
        is_case_sensitive=vr != "PN" or options.is_name_case_sensitive,
    )
    if constraint is None:
        return None
    has_wildcard = constraint.match in (Match.WILDCARD, Match.PRESENT)
    if has_wildcard and vr not in WILDCARD_VRS:
        raise BadRequest(f"A wildcard is not allowed in {format_tag(tag)}")
    return constraint


def _answers(
    archive: Archive, options: QueryOptions, search: Query, wanted: frozenset[Tag], maximum: int
) -> Iterator[tuple[dict[Tag, KeyValue], Answer]]:
    """Each match, with the values that were read from its header; one more than `maximum` if there are more."""
    level, main_tags = search.level, options.main_tags
    reads_headers = options.storage_access != "Never"
    if not reads_headers and not all(is_known(each.tag, main_tags) for each in search.constraints):
        return
    with archive.database.read() as tx:
        access = header_access(archive, options.default_encoding)
        public_ids = find(tx, replace(search, limit=maximum and maximum + 1), main_tags, access)
    computed = [tag for tag in COMPUTED if tag in wanted]
    indexed = frozenset(tag for upper in Level if upper <= level for tag in main_tags.tags(upper))
    elsewhere = frozenset(tag for tag in wanted if tag not in COMPUTED and tag not in _UNCONSTRAINED)
    from_headers = elsewhere - indexed - ({SOP_CLASS_UID} if level == Level.INSTANCE else set())
    for page in pages(public_ids):
        with archive.database.read() as tx:
            answers = load_answers(tx, level, page, computed)
            needed = {}
            for answer in answers:
                tags = from_headers
                if answer.main_tags_version != options.main_tags_version:
                    # Main DICOM tags were added to the configuration since it was received.
                    tags |= {tag for tag in elsewhere & indexed if format_tag(tag) not in answer.main_tags}
                if tags and reads_headers:
                    needed[answer.public_id] = tags
            headers = dict(_headers(archive, tx, options, level, needed))
        for answer in answers:
            dataset = headers.get(answer.public_id)
            yield ({} if dataset is None else _values(dataset, needed[answer.public_id])), answer


def _headers(
    archive: Archive,
    tx: Transaction,
    options: QueryOptions,
    level: Level,
    needed: Mapping[PublicId, frozenset[Tag]],
) -> Iterable[tuple[PublicId, Dataset]]:
    if not needed:
        return ()
    tags = frozenset().union(*needed.values())
    return read_headers(archive, tx, level, list(needed), tags, default_encoding=options.default_encoding)


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

"""QIDO-RS: searching for studies, series and instances. PS3.18 10.6."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from urllib.parse import quote

from hounsfield.dicom.dicom_json import BinaryMode, JsonObject, Options, dicom_json, text_member
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS
from hounsfield.dicom.tags import (
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
    format_tag,
)
from hounsfield.dicomweb.addresses import base_address
from hounsfield.dicomweb.media import answer_datasets
from hounsfield.dicomweb.query import Search, parse_search
from hounsfield.dicomweb.service import DicomWeb
from hounsfield.http.messages import Header, Request, Response, decode_path
from hounsfield.http.routing import Route
from hounsfield.index.answers import COMPUTED, Answer, load_answers
from hounsfield.index.database import Transaction
from hounsfield.index.find import find, is_known
from hounsfield.index.paging import pages
from hounsfield.retrieve.headers import header_access, read_headers

_RETRIEVE_URL: Tag = 0x00081190
_AVAILABILITY: Tag = 0x00080056
_MODALITY: Tag = 0x00080060
# PS3.18 Tables 10.6.3-3 to 10.6.3-5, and Study Description, which viewers show.
_RETURNED: Mapping[Level, tuple[Tag, ...]] = MappingProxyType(
    {
        Level.STUDY: (
            0x00080020,
            0x00080030,
            0x00080050,
            0x00080061,
            0x00080090,
            0x00080201,
            0x00081030,
            0x00100010,
            0x00100020,
            0x00100030,
            0x00100040,
            STUDY_INSTANCE_UID,
            0x00200010,
            0x00201206,
            0x00201208,
        ),
        Level.SERIES: (
            _MODALITY,
            0x00080201,
            0x0008103E,
            SERIES_INSTANCE_UID,
            0x00200011,
            0x00201209,
            0x00400244,
            0x00400245,
            0x00400275,
        ),
        Level.INSTANCE: (
            SOP_CLASS_UID,
            SOP_INSTANCE_UID,
            _AVAILABILITY,
            0x00080201,
            0x00200013,
            0x00280008,
            0x00280010,
            0x00280011,
            0x00280100,
        ),
    }
)
_WITHOUT_BINARY = Options(binary=BinaryMode.OMIT)
# Said of every answer, or of this server: never read from an instance.
_NOT_READ = frozenset((SPECIFIC_CHARACTER_SET, _RETRIEVE_URL, _AVAILABILITY, 0x00080054, *COMPUTED))
_MORE: Header = (b"warning", b'299 hounsfield "There are additional results that can be requested"')


def routes(service: DicomWeb) -> list[Route]:
    """The routes of searches."""
    root = service.options.root
    return [
        Route("GET", root + pattern, partial(search, service, level, names))
        for pattern, level, names in (
            ("studies", Level.STUDY, ()),
            ("series", Level.SERIES, ()),
            ("instances", Level.INSTANCE, ()),
            ("studies/{study}/series", Level.SERIES, ("study",)),
            ("studies/{study}/instances", Level.INSTANCE, ("study",)),
            ("studies/{study}/series/{series}/instances", Level.INSTANCE, ("study", "series")),
        )
    ]


def search(service: DicomWeb, level: Level, names: tuple[str, ...], request: Request) -> Response:
    """The studies, series or instances that match, with the attributes that are asked for."""
    options = service.options
    parents = [decode_path(request.values[name]) for name in names]
    wanted = parse_search(level, request.query, parents, is_case_sensitive=options.is_case_sensitive)
    base = base_address(options, request)
    with service.archive.database.read() as tx:
        public_ids, has_more = _find(service, tx, wanted)
        tags = _wanted_tags(service, wanted)
        datasets = [
            dataset
            for page in pages(public_ids)
            for dataset in _datasets(service, tx, level, page, tags, base)
        ]
    return answer_datasets(request, datasets, (_MORE,) if has_more else ())


def _find(service: DicomWeb, tx: Transaction, wanted: Search) -> tuple[list[PublicId], bool]:
    """What matches, within the limits; whether there is more than the configuration lets be told."""
    options, query = service.options, wanted.query
    if options.storage_access == "Never" and not all(
        is_known(each.tag, service.main_tags) for each in query.constraints
    ):
        return [], False
    cap = options.limit_instances if query.level == Level.INSTANCE else options.limit_results
    is_capped = bool(cap) and not 0 < query.limit <= cap
    limit = cap + 1 if is_capped else query.limit
    access = header_access(service.archive, service.settings.default_encoding)
    found = find(tx, replace(query, limit=limit), service.main_tags, access)
    return (found[:cap], len(found) > cap) if is_capped else (found, False)


def _wanted_tags(service: DicomWeb, wanted: Search) -> tuple[Tag, ...]:
    """The attributes of each answer: those of its level, of the levels above unless the arguments name these."""
    level = wanted.query.level
    tags: list[Tag] = list(_RETURNED[level])
    for upper, named in ((Level.STUDY, STUDY_INSTANCE_UID), (Level.SERIES, SERIES_INSTANCE_UID)):
        if upper < level and named not in wanted.named_parents:
            tags += [tag for tag in _RETURNED[upper] if tag not in COMPUTED]
    if wanted.includes_all:
        tags += [tag for upper in Level if upper <= level for tag in service.main_tags.tags(upper)]
    tags += wanted.keys
    tags += [tag for tag in wanted.included if tag != _AVAILABILITY]
    return tuple(tag for tag in dict.fromkeys(tags) if tag >> 16 > 0x0002)


def _datasets(
    service: DicomWeb, tx: Transaction, level: Level, page: Sequence[PublicId], tags: Sequence[Tag], base: str
) -> list[JsonObject]:
    """A page of answers."""
    computed = [tag for tag in tags if tag in COMPUTED]
    answers = load_answers(tx, level, page, computed)
    found = {answer.public_id: _from_index(answer, level, tags) for answer in answers}
    if service.options.storage_access != "Never":
        _add_from_headers(service, tx, level, found, answers, tags)
    for answer in answers:
        found[answer.public_id][f"{_RETRIEVE_URL:08X}"] = {
            "Value": [_address(base, level, answer.main_tags)],
            "vr": "UR",
        }
    return [found[answer.public_id] for answer in answers]


def _from_index(answer: Answer, level: Level, tags: Sequence[Tag]) -> JsonObject:
    """What main DICOM tags and computed attributes tell."""
    written: JsonObject = {f"{SPECIFIC_CHARACTER_SET:08X}": {"Value": ["ISO_IR 192"], "vr": "CS"}}
    texts = answer.main_tags
    for tag in tags:
        text = texts.get(format_tag(tag)) if tag not in COMPUTED else answer.computed.get(tag)
        if tag == SOP_CLASS_UID and level == Level.INSTANCE:
            text = answer.sop_class_uid
        elif tag == _AVAILABILITY and level == Level.INSTANCE:
            text = "ONLINE"
        if text is not None:
            written[f"{tag:08X}"] = text_member(tag, lookup.vr(tag), text)
    return written


def _add_from_headers(
    service: DicomWeb,
    tx: Transaction,
    level: Level,
    found: Mapping[PublicId, JsonObject],
    answers: Collection[Answer],
    tags: Sequence[Tag],
) -> None:
    """What only headers tell; what they lack stays away."""
    # Tags that were made main tags later are missing in older rows.
    main = {tag for upper in Level if upper <= level for tag in DEFAULT_MAIN_TAGS.tags(upper)}
    elsewhere = [tag for tag in tags if tag not in _NOT_READ and (tag not in main or lookup.vr(tag) == "SQ")]
    if level == Level.INSTANCE:
        elsewhere = [tag for tag in elsewhere if tag != SOP_CLASS_UID]
    if not elsewhere:
        return
    public_ids = [answer.public_id for answer in answers]
    encoding = service.settings.default_encoding
    for public_id, dataset in read_headers(
        service.archive, tx, level, public_ids, frozenset(elsewhere), default_encoding=encoding
    ):
        found[public_id].update(dicom_json(dataset, _WITHOUT_BINARY, only=elsewhere))


def _address(base: str, level: Level, texts: Mapping[str, str]) -> str:
    parts = (
        ("studies/", STUDY_INSTANCE_UID),
        ("/series/", SERIES_INSTANCE_UID),
        ("/instances/", SOP_INSTANCE_UID),
    )
    return base + "".join(name + quote(texts.get(format_tag(tag), "")) for name, tag in parts[:level])

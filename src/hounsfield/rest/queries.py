"""Queries to modalities, whose answers are kept for a while and may be retrieved."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from hounsfield.dicom.keys import Keys, KeyValue, text_of
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Tag
from hounsfield.http.errors import BadFileFormat, ParameterOutOfRange, UnknownResource
from hounsfield.http.messages import (
    EMPTY_TEXT,
    Request,
    Response,
    answer_json,
    answer_text,
    body_bytes,
    unsigned,
)
from hounsfield.http.routing import Route
from hounsfield.jobs.get_scu import GET_SCU
from hounsfield.jobs.move_scu import MOVE_SCU
from hounsfield.jobs.retrieval import retrieve_parameters
from hounsfield.remote.dialing import local_ae_title
from hounsfield.remote.finder import ACCESSION_NUMBER, IDENTIFYING, PATIENT_ID, find, normalize
from hounsfield.remote.modality import Modality
from hounsfield.rest.find import parse_level
from hounsfield.rest.formats import TagFormat, format_of
from hounsfield.rest.job_options import boolean_field
from hounsfield.rest.modalities import query_format
from hounsfield.rest.neighbours import (
    Neighbours,
    json_body,
    keys_field,
    object_body,
    text_field,
    timeout_field,
    write_keys,
)
from hounsfield.rest.retrievals import answer_retrieval

_SOP_CLASSES_IN_STUDY: Tag = 0x00080062
_IDENTIFIERS = (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
_METHODS = {"C-MOVE": MOVE_SCU, "C-GET": GET_SCU}


@dataclass(frozen=True, slots=True)
class RemoteQuery:
    """A query that was answered; `ae_title` is whom we called as."""

    modality: Modality
    ae_title: str
    level: Level
    keys: Keys
    answers: Sequence[dict[Tag, KeyValue]]


class QueryStore:
    """The last queries; the least recently used goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, RemoteQuery] = OrderedDict()

    def add(self, query: RemoteQuery) -> str:
        """Keep a query, under a new id."""
        query_id = str(uuid4())
        with self._lock:
            self._kept[query_id] = query
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return query_id

    def get(self, query_id: str) -> RemoteQuery:
        """A query; UnknownResource if it is not, or no more, kept."""
        with self._lock:
            query = self._kept.get(query_id)
            if query is None:
                raise UnknownResource("No such query")
            self._kept.move_to_end(query_id)
            return query

    def remove(self, query_id: str) -> None:
        """Forget a query, if it is kept."""
        with self._lock:
            self._kept.pop(query_id, None)

    def ids(self) -> list[str]:
        """The ids of all that are kept."""
        with self._lock:
            return sorted(self._kept)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where queries are asked, and kept."""

    neighbours: Neighbours
    queries: QueryStore

    def of(self, request: Request) -> RemoteQuery:
        """The query that an address names."""
        return self.queries.get(request.values["id"])


def routes(neighbours: Neighbours, size: int) -> list[Route]:
    """The routes of queries; `size` are kept."""
    desk = Desk(neighbours, QueryStore(size))

    def route(method: str, pattern: str, handler: Any) -> Route:
        return Route(method, pattern, partial(handler, desk))

    answer = "/queries/{id}/answers/{index}"
    return [
        route("POST", "/modalities/{name}/query", post_query),
        route("GET", "/queries", list_queries),
        route("GET", "/queries/{id}", get_query),
        route("DELETE", "/queries/{id}", delete_query),
        route("GET", "/queries/{id}/level", get_level),
        route("GET", "/queries/{id}/modality", get_modality_name),
        route("GET", "/queries/{id}/query", get_keys),
        route("GET", "/queries/{id}/answers", list_answers),
        route("POST", "/queries/{id}/retrieve", post_retrieve_all),
        route("GET", answer, get_answer),
        route("GET", f"{answer}/content", get_content),
        route("POST", f"{answer}/retrieve", post_retrieve_one),
        *(
            Route("POST", f"{answer}/query-{level.plural}", partial(post_query_below, desk, level))
            for level in (Level.STUDY, Level.SERIES, Level.INSTANCE)
        ),
    ]


def post_query(desk: Desk, request: Request) -> Response:
    """Query a modality, and keep its answers."""
    modality = desk.neighbours.modality(request.values["name"])
    body = object_body(request)
    if not isinstance(body.get("Level"), str):
        raise BadFileFormat("Field Level is missing, or should be a string")
    level = parse_level(body["Level"])
    keys = keys_field(body.get("Query", {}))
    ae_title = local_ae_title(modality, desk.neighbours.network.options, text_field(body, "LocalAet"))
    return _ask(desk, modality, ae_title, level, keys, body)


def _ask(
    desk: Desk, modality: Modality, ae_title: str, level: Level, keys: Keys, body: dict[str, Any]
) -> Response:
    network = desk.neighbours.network
    asked = normalize(level, keys) if boolean_field(body, "Normalize", True) else keys
    answers = find(
        modality,
        network.options,
        level,
        asked,
        filters=network.find_filters,
        calling_ae_title=ae_title,
        timeout_seconds=timeout_field(body),
    )
    query_id = desk.queries.add(RemoteQuery(modality, ae_title, level, keys, answers))
    return answer_json({"ID": query_id, "Path": f"/queries/{query_id}"})


def list_queries(desk: Desk, _request: Request) -> Response:
    """The ids of the queries that are kept."""
    return answer_json(desk.queries.ids())


def get_query(desk: Desk, request: Request) -> Response:
    """What can be done with a query."""
    desk.of(request)
    return answer_json(["answers", "level", "modality", "query", "retrieve"])


def delete_query(desk: Desk, request: Request) -> Response:
    """Forget a query."""
    desk.queries.remove(request.values["id"])
    return EMPTY_TEXT


def get_level(desk: Desk, request: Request) -> Response:
    """The level that was asked about."""
    return answer_text(desk.of(request).level.word)


def get_modality_name(desk: Desk, request: Request) -> Response:
    """The name of the modality that was asked."""
    return answer_text(desk.of(request).modality.name)


def get_keys(desk: Desk, request: Request) -> Response:
    """The attributes that were asked for, as the client gave them."""
    return answer_json(write_keys(desk.of(request).keys, format_of(request, TagFormat.FULL)))


def list_answers(desk: Desk, request: Request) -> Response:
    """The numbers of the answers, or the answers."""
    answers = desk.of(request).answers
    if request.flag("expand"):
        tag_format = format_of(request, TagFormat.FULL)
        return answer_json([write_keys(answer, tag_format) for answer in answers])
    return answer_json([str(number) for number in range(len(answers))])


def _answer(desk: Desk, request: Request) -> tuple[RemoteQuery, dict[Tag, KeyValue]]:
    query, index = desk.of(request), unsigned(request.values["index"])
    if index >= len(query.answers):
        raise ParameterOutOfRange("There is no answer of this number")
    return query, query.answers[index]


def get_answer(desk: Desk, request: Request) -> Response:
    """What can be done with an answer."""
    query, _ = _answer(desk, request)
    below = [level for level in Level if level > query.level]
    # `query-study` is what clients were always told of a patient, though the address is `query-studies`.
    words = ["query-study" if level == Level.STUDY else f"query-{level.plural}" for level in below]
    return answer_json(["content", "retrieve", *words])


def get_content(desk: Desk, request: Request) -> Response:
    """The attributes of an answer."""
    return answer_json(write_keys(_answer(desk, request)[1], format_of(request, TagFormat.FULL)))


def post_query_below(desk: Desk, level: Level, request: Request) -> Response:
    """Query the modality again, about what is below an answer."""
    query, answer = _answer(desk, request)
    if level <= query.level:
        raise UnknownResource("An answer can be asked for lower levels only")
    body = object_body(request)
    keys = keys_field(body.get("Query", {}))
    known = {tag: answer[tag] for tag in _IDENTIFIERS[: query.level + 1] if answer.get(tag)}
    asked = {**keys, **{tag: value for tag, value in known.items() if tag == _IDENTIFIERS[query.level]}}
    return _ask(desk, query.modality, query.ae_title, level, asked, body)


def post_retrieve_all(desk: Desk, request: Request) -> Response:
    """Retrieve all answers: by C-MOVE to an AE title (the body, or TargetAet), or by C-GET."""
    query = desk.of(request)
    return _retrieve(desk, request, query, query.answers)


def post_retrieve_one(desk: Desk, request: Request) -> Response:
    """Retrieve one answer: by C-MOVE to an AE title (the body, or TargetAet), or by C-GET."""
    query, answer = _answer(desk, request)
    return _retrieve(desk, request, query, [answer])


def _retrieve(
    desk: Desk, request: Request, query: RemoteQuery, answers: Sequence[dict[Tag, KeyValue]]
) -> Response:
    options = desk.neighbours.network.options
    body = _retrieve_body(request)
    method = text_field(body, "RetrieveMethod") or "SystemDefault"
    if method == "SystemDefault":
        method = query.modality.retrieve_method or options.retrieve_method
    if method not in _METHODS:
        raise ParameterOutOfRange(f"Unknown retrieve method: {method}")
    is_move = method == "C-MOVE"
    parameters = retrieve_parameters(
        query.modality,
        query.ae_title,
        query.level,
        [_identifiers(query.level, answer, is_move=is_move) for answer in answers],
        target_ae_title=(text_field(body, "TargetAet") or options.ae_title) if is_move else None,
        timeout_seconds=timeout_field(body),
        query_format=query_format(body),
        sop_classes=() if is_move else [text_of(answer, _SOP_CLASSES_IN_STUDY) for answer in answers],
    )
    return answer_retrieval(desk.neighbours.door, _METHODS[method], parameters, body)


def _retrieve_body(request: Request) -> dict[str, Any]:
    """The body of a retrieval: an object, or the target AE title as text."""
    text = body_bytes(request.body).decode("utf-8", "replace").strip()
    if not text:
        return {}
    if not text.startswith(("{", "[", '"')):
        return {"TargetAet": text}
    body = json_body(request)
    if isinstance(body, str):
        return {"TargetAet": body}
    if not isinstance(body, dict):
        raise BadFileFormat("The body must be an AE title or a JSON object")
    return body


def _identifiers(level: Level, answer: Keys, *, is_move: bool) -> dict[Tag, KeyValue]:
    """What says which resource an answer is; an empty accession number misleads some in C-GET."""
    return {
        tag: answer[tag]
        for tag in IDENTIFYING[level]
        if tag in answer and (answer[tag] or (is_move and tag == ACCESSION_NUMBER))
    }

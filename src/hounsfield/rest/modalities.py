"""DICOM modalities: who they are, and what is asked of them at once. Queries have a module of their own."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from hounsfield.dicom.keys import KeyValue
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULTS
from hounsfield.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Tag, format_tag
from hounsfield.dicom.uids import new_uid
from hounsfield.errors import BadRequest
from hounsfield.forwarding.destinations import Destination
from hounsfield.http.errors import BadFileFormat, NoAnswer
from hounsfield.http.messages import EMPTY_OBJECT, EMPTY_TEXT, Request, Response, answer_json, body_view
from hounsfield.http.routing import Route
from hounsfield.jobs.get_scu import GET_SCU
from hounsfield.jobs.move_scu import MOVE_SCU
from hounsfield.jobs.retrieval import retrieve_parameters
from hounsfield.jobs.store_scu import STORE_SCU, store_parameters
from hounsfield.net.scu import VERIFICATION_SOP_CLASS_UID, Proposal
from hounsfield.remote.dialing import associated, context_of, local_ae_title, override
from hounsfield.remote.finder import (
    IDENTIFYING,
    PATIENT_ID,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    TRANSFER_SYNTAXES,
    check_find,
    find,
    find_worklist,
    normalize,
)
from hounsfield.remote.modality import Modality, read_modality, write_modality
from hounsfield.remote.sender import Sender
from hounsfield.rest.find import parse_level
from hounsfield.rest.formats import TagFormat, format_of_body
from hounsfield.rest.forwarding import answer_queued, check_queueable, is_to_be_queued
from hounsfield.rest.job_options import answer_job, boolean_field
from hounsfield.rest.neighbours import (
    Neighbours,
    instances_to_send,
    json_body,
    keys_field,
    named_resources,
    object_body,
    resources_of,
    text_field,
    timeout_field,
    write_keys,
)
from hounsfield.rest.retrievals import answer_retrieval

_OPERATIONS = (
    "configuration",
    "echo",
    "find",
    "find-instance",
    "find-patient",
    "find-series",
    "find-study",
    "find-worklist",
    "get",
    "move",
    "query",
    "storage-commitment",
    "store",
    "store-straight",
)
_LONGEST_MESSAGE_ID = 0xFFFF


def routes(neighbours: Neighbours) -> list[Route]:
    """The routes of modalities."""

    def route(method: str, pattern: str, handler: Any) -> Route:
        return Route(method, pattern, partial(handler, neighbours))

    return [
        route("GET", "/modalities", list_modalities),
        route("GET", "/modalities/{name}", get_modality),
        route("PUT", "/modalities/{name}", put_modality),
        route("DELETE", "/modalities/{name}", delete_modality),
        route("GET", "/modalities/{name}/configuration", get_configuration),
        route("POST", "/modalities/{name}/echo", post_echo),
        route("POST", "/modalities/{name}/store", post_store),
        route("POST", "/modalities/{name}/store-straight", post_store_straight),
        route("POST", "/modalities/{name}/move", post_move),
        route("POST", "/modalities/{name}/get", post_get),
        route("POST", "/modalities/{name}/find", post_find),
        route("POST", "/modalities/{name}/find-worklist", post_find_worklist),
        *(
            Route(
                "POST",
                f"/modalities/{{name}}/find-{level.word.lower()}",
                partial(post_find_level, neighbours, level),
            )
            for level in Level
        ),
        route("POST", "/tools/dicom-echo", post_dicom_echo),
    ]


def list_modalities(neighbours: Neighbours, request: Request) -> Response:
    """The names of all modalities, or their configurations."""
    known = neighbours.network.modalities.all()
    if request.flag("expand"):
        return answer_json({name: write_modality(modality) for name, modality in known.items()})
    return answer_json(sorted(known))


def get_modality(neighbours: Neighbours, request: Request) -> Response:
    """What can be done with a modality."""
    if request.values["name"] not in neighbours.network.modalities.all():
        raise NoAnswer
    return answer_json(_OPERATIONS)


def put_modality(neighbours: Neighbours, request: Request) -> Response:
    """Define a modality: `["AET", "host", port, "Manufacturer"?]`, or an object as its configuration."""
    name = request.values["name"]
    neighbours.network.modalities.put(name, read_modality(name, json_body(request)))
    return EMPTY_TEXT


def delete_modality(neighbours: Neighbours, request: Request) -> Response:
    """Forget a modality."""
    neighbours.network.modalities.remove(request.values["name"])
    return EMPTY_TEXT


def get_configuration(neighbours: Neighbours, request: Request) -> Response:
    """The whole configuration of a modality."""
    return answer_json(write_modality(_modality(neighbours, request)))


def _modality(neighbours: Neighbours, request: Request) -> Modality:
    return neighbours.modality(request.values["name"])


def post_echo(neighbours: Neighbours, request: Request) -> Response:
    """C-ECHO, to see whether a modality answers."""
    modality = _modality(neighbours, request)
    return _echo(neighbours, modality, object_body(request, may_be_empty=True))


def post_dicom_echo(neighbours: Neighbours, request: Request) -> Response:
    """C-ECHO to a modality that is defined in the body."""
    body = json_body(request)
    modality = read_modality("echo", body)
    return _echo(neighbours, modality, body if isinstance(body, dict) else {})


def _echo(neighbours: Neighbours, modality: Modality, body: dict[str, Any]) -> Response:
    options = neighbours.network.options
    checks_find = boolean_field(body, "CheckFind", options.echo_checks_find)
    contexts = [(VERIFICATION_SOP_CLASS_UID, TRANSFER_SYNTAXES)]
    if checks_find:
        contexts += [(PATIENT_ROOT_FIND, TRANSFER_SYNTAXES), (STUDY_ROOT_FIND, TRANSFER_SYNTAXES)]
    proposal = Proposal(local_ae_title(modality, options), contexts)
    with associated(modality, options, proposal, timeout_seconds=timeout_field(body)) as requester:
        context_of(requester, VERIFICATION_SOP_CLASS_UID)
        requester.echo()
        if checks_find:
            check_find(requester, options)
    return EMPTY_OBJECT


def post_store(neighbours: Neighbours, request: Request) -> Response:
    """Send resources by C-STORE, at once or, with `StoreAndForward`, through the queue of the modality."""
    known = _modality(neighbours, request)
    public_ids, body = resources_of(request)
    modality = override(
        known, ae_title=text_field(body, "CalledAet"), host=text_field(body, "Host"), port=_port(body)
    )
    ae_title = local_ae_title(modality, neighbours.network.options, text_field(body, "LocalAet"))
    destination = Destination(known)
    if is_to_be_queued(body, destination):
        check_queueable(body, "CalledAet", "Host", "Port", "MoveOriginatorAet", "StorageCommitment")
        resources = named_resources(neighbours, public_ids, known.name)
        later: dict[str, object] = {"LocalAet": ae_title, "Timeout": timeout_field(body)}
        return answer_queued(neighbours, destination, resources, later)
    resources = named_resources(neighbours, public_ids, known.name)
    commitment_uid = None
    if boolean_field(body, "StorageCommitment", False):
        commitment_uid = new_uid()
        neighbours.network.commitments.expect(commitment_uid, modality.ae_title, ())
    parameters = store_parameters(
        modality,
        ae_title,
        resources,
        instances_to_send(neighbours, resources),
        timeout_seconds=timeout_field(body),
        originator=_originator(body),
        commitment_uid=commitment_uid,
        # A script sends what came in one by one, each by a job of its own.
        keeps_association=request.origin == "lua",
    )
    return answer_job(neighbours.door, STORE_SCU, parameters, body)


def _port(body: dict[str, Any]) -> int | None:
    value = body.get("Port")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 0xFFFF:
        raise BadFileFormat("Port number expected in field: Port")
    return value


def _originator(body: dict[str, Any]) -> tuple[str, int] | None:
    ae_title, message_id = text_field(body, "MoveOriginatorAet"), body.get("MoveOriginatorID", 0)
    if not isinstance(message_id, int) or isinstance(message_id, bool):
        raise BadFileFormat("Integer value expected in field: MoveOriginatorID")
    if not 0 <= message_id <= _LONGEST_MESSAGE_ID:
        raise BadFileFormat("Field MoveOriginatorID must be between 0 and 65535")
    return None if ae_title is None else (ae_title, message_id)


def post_store_straight(neighbours: Neighbours, request: Request) -> Response:
    """Send the file that is the body by C-STORE, without storing it here."""
    with Sender(neighbours.network.shipping, _modality(neighbours, request)) as sender:
        sop_class, sop_instance = sender.send_file(body_view(request.body))
    return answer_json({"SOPClassUID": sop_class, "SOPInstanceUID": sop_instance})


def post_move(neighbours: Neighbours, request: Request) -> Response:
    """Have a modality send resources to us, or to another, by C-MOVE."""
    return _retrieve(neighbours, request, MOVE_SCU)


def post_get(neighbours: Neighbours, request: Request) -> Response:
    """Fetch resources from a modality by C-GET."""
    return _retrieve(neighbours, request, GET_SCU)


def _retrieve(neighbours: Neighbours, request: Request, kind: str) -> Response:
    modality, options = _modality(neighbours, request), neighbours.network.options
    body = object_body(request)
    if not isinstance(body.get("Level"), str) or not isinstance(body.get("Resources"), list):
        raise BadFileFormat("Fields Level and Resources are missing, or of the wrong type")
    level = parse_level(body["Level"])
    queries = [_identifiers(level, keys_field(resource)) for resource in body["Resources"]]
    ae_title = local_ae_title(modality, options, text_field(body, "LocalAet"))
    parameters = retrieve_parameters(
        modality,
        ae_title,
        level,
        queries,
        target_ae_title=(text_field(body, "TargetAet") or options.ae_title) if kind == MOVE_SCU else None,
        timeout_seconds=timeout_field(body),
        query_format=query_format(body),
    )
    return answer_retrieval(neighbours.door, kind, parameters, body)


def query_format(body: dict[str, Any]) -> str:
    """The format in which a job tells its queries."""
    chosen = format_of_body(body, TagFormat.SHORT)
    return {TagFormat.SHORT: "Short", TagFormat.FULL: "Full", TagFormat.HUMAN: "Simplify"}[chosen]


_REQUIRED: dict[Level, tuple[Tag, ...]] = {
    Level.PATIENT: (PATIENT_ID,),
    Level.STUDY: (STUDY_INSTANCE_UID,),
    Level.SERIES: (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
    Level.INSTANCE: (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID),
}


def _identifiers(level: Level, keys: dict[Tag, KeyValue]) -> dict[Tag, KeyValue]:
    for tag in _REQUIRED[level]:
        if not keys.get(tag):
            raise BadRequest(f"Missing tag {format_tag(tag)}")
    return {tag: value for tag, value in keys.items() if tag in IDENTIFYING[level]}


def post_find_worklist(neighbours: Neighbours, request: Request) -> Response:
    """Query the worklist of a modality."""
    modality, body = _modality(neighbours, request), object_body(request)
    keys = keys_field(body["Query"] if "Query" in body else _without_options(body))
    answers = find_worklist(modality, neighbours.network.options, keys, timeout_seconds=timeout_field(body))
    tag_format = format_of_body(body, TagFormat.HUMAN)
    return answer_json([write_keys(answer, tag_format) for answer in answers])


def _without_options(body: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in body.items() if name not in ("Full", "Short", "Simplify", "Timeout")
    }


def post_find_level(neighbours: Neighbours, level: Level, request: Request) -> Response:
    """Query a modality about one level (deprecated)."""
    modality, keys = _modality(neighbours, request), keys_field(object_body(request))
    needed = (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
    last = level + 1 if level == Level.INSTANCE else level
    if any(not keys.get(tag) for tag in needed[:last]):
        raise NoAnswer
    return answer_json(
        [write_keys(answer, TagFormat.HUMAN) for answer in _find(neighbours, modality, level, keys)]
    )


def post_find(neighbours: Neighbours, request: Request) -> Response:
    """Query a modality about patients, with their studies and series (deprecated)."""
    modality, keys = _modality(neighbours, request), keys_field(object_body(request))
    return answer_json(list(_hierarchy(neighbours, modality, Level.PATIENT, keys)))


def _hierarchy(
    neighbours: Neighbours, modality: Modality, level: Level, keys: dict[Tag, KeyValue]
) -> Iterator[dict[str, object]]:
    """Answers at a level, each with those below it down to the series."""
    for answer in _find(neighbours, modality, level, keys):
        written = write_keys(answer, TagFormat.HUMAN)
        if level < Level.SERIES:
            below = Level(level + 1)
            found = {tag: answer[tag] for tag in IDENTIFYING[level] if answer.get(tag)}
            inner = _hierarchy(neighbours, modality, below, {**keys, **found})
            written["Studies" if below == Level.STUDY else "Series"] = list(inner)
        yield written


def _find(
    neighbours: Neighbours, modality: Modality, level: Level, keys: dict[Tag, KeyValue]
) -> list[dict[Tag, KeyValue]]:
    network = neighbours.network
    wanted = dict.fromkeys((tag for upper in Level if upper <= level for tag in DEFAULTS[upper]), "")
    keys = {**wanted, **normalize(level, keys)}
    return find(modality, network.options, level, keys, filters=network.find_filters)

"""Transfers between peers in buckets, as Orthanc's transfers accelerator has them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

import orjson
from isal import igzip

from hounsfield.errors import Corrupt, NotFound, PeerFailure
from hounsfield.http.errors import BadFileFormat, ParameterOutOfRange, ReadOnly, UnknownResource
from hounsfield.http.messages import (
    EMPTY_OBJECT,
    Request,
    Response,
    answer_bytes,
    answer_json,
    body_view,
    unsigned,
)
from hounsfield.http.routing import Route
from hounsfield.index.sending import load_to_send
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.jobs.resources import instances_of
from hounsfield.jobs.transfers import PULL, PUSH
from hounsfield.remote.directory import UnknownName
from hounsfield.remote.peer import Peer
from hounsfield.remote.transfer import (
    Part,
    Reception,
    Receptions,
    TransferOptions,
    look_up,
    read_buckets,
    read_parts,
    write_parts,
)
from hounsfield.remote.web_client import WebClient
from hounsfield.rest.find import parse_level
from hounsfield.rest.job_options import answer_submitted
from hounsfield.rest.neighbours import Neighbours, json_body, object_body, text_field
from hounsfield.retrieve.files import map_attachment

_MEGABYTE = 1 << 20
_REMOTE_SELF = "RemoteSelf"
_GZIP_LEVEL = 1
_ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Dock:
    """Where transfers arrive and leave. `originator` names this server for as long as it runs."""

    neighbours: Neighbours
    options: TransferOptions
    receptions: Receptions
    originator: str = field(default_factory=lambda: str(uuid4()))


def routes(neighbours: Neighbours, options: TransferOptions) -> list[Route]:
    """The routes of transfers."""
    dock = Dock(neighbours, options, Receptions(options.max_pushes))

    def route(method: str, pattern: str, handler: Any) -> Route:
        return Route(method, pattern, partial(handler, dock))

    return [
        route("GET", "/transfers/peers", list_transfer_peers),
        route("POST", "/transfers/send", post_send),
        route("POST", "/transfers/pull", post_pull),
        route("POST", "/transfers/lookup", post_lookup),
        route("GET", "/transfers/chunks/{ids}", get_chunks),
        route("POST", "/transfers/push", post_push),
        route("DELETE", "/transfers/push/{id}", delete_push),
        route("PUT", "/transfers/push/{id}/{index}", put_bucket),
        route("POST", "/transfers/push/{id}/commit", post_commit),
    ]


def list_transfer_peers(dock: Dock, _request: Request) -> Response:
    """Which peers understand transfers: `disabled`, `installed` or `bidirectional`."""
    peers = dock.neighbours.network.peers.all()
    if not peers:
        return answer_json({})
    with ThreadPoolExecutor(min(len(peers), _ASKED_AT_ONCE), "TRANSFER-PEERS") as pool:
        return answer_json(dict(zip(peers, pool.map(partial(_ability, dock), peers.values()), strict=True)))


def _ability(dock: Dock, peer: Peer) -> str:
    quick = replace(peer, timeout_seconds=dock.options.connectivity_timeout_seconds)
    try:
        with WebClient(quick, dock.neighbours.network.web) as client:
            plugins = orjson.loads(client.request("GET", "plugins").body)
    except (PeerFailure, orjson.JSONDecodeError):
        return "disabled"
    if not isinstance(plugins, list) or "transfers" not in plugins:
        return "disabled"
    return "bidirectional" if _REMOTE_SELF in peer.properties else "installed"


def post_send(dock: Dock, request: Request) -> Response:
    """Send resources to a peer; one that knows us by `RemoteSelf` is told to fetch them."""
    body = object_body(request)
    parameters = _parameters(dock, body)
    peer = dock.neighbours.network.peers.get(str(parameters["Peer"]))
    remote_self = peer.properties.get(_REMOTE_SELF)
    if remote_self is None:
        return _submit(dock, PUSH, parameters, body)
    asked = {
        "Resources": parameters["Resources"],
        "Compression": parameters["Compression"],
        "Peer": remote_self,
        "Originator": dock.originator,
        "Priority": 0,
    }
    with WebClient(peer, dock.neighbours.network.web) as client:
        answer = client.request("POST", "transfers/pull", orjson.dumps(asked))
    try:
        job = orjson.loads(answer.body)["ID"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise PeerFailure("The peer does not understand transfers") from error
    return answer_json({"Peer": peer.name, "RemoteJob": job, "URL": f"{peer.url}jobs/{job}"})


def post_pull(dock: Dock, request: Request) -> Response:
    """Fetch resources from a peer."""
    body = object_body(request)
    parameters = _parameters(dock, body)
    originator = text_field(body, "Originator")
    if originator is not None:
        parameters["Originator"] = originator
    return _submit(dock, PULL, parameters | {"RemoteIp": request.remote_ip}, body)


def _parameters(dock: Dock, body: dict[str, Any]) -> dict[str, object]:
    compression, peer = body.get("Compression"), body.get("Peer")
    if not isinstance(compression, str) or not isinstance(peer, str):
        raise BadFileFormat("String values expected in fields: Compression, Peer")
    if compression not in ("gzip", "none"):
        raise ParameterOutOfRange(f"Unknown compression: {compression}")
    try:
        dock.neighbours.network.peers.get(peer)
    except UnknownName as error:
        raise UnknownResource(str(error)) from error
    parameters: dict[str, object] = {
        "Resources": _resources(body.get("Resources")),
        "Compression": compression,
        "Peer": peer,
    }
    sender_id = text_field(body, "SenderTransferID")
    return parameters if sender_id is None else {**parameters, "SenderTransferID": sender_id}


def _resources(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise BadFileFormat("A list of resources was expected")
    found = []
    for each in value:
        if not isinstance(each, dict) or not all(isinstance(each.get(key), str) for key in ("Level", "ID")):
            raise BadFileFormat("A resource has a Level and an ID")
        found.append({"Level": parse_level(each["Level"]).word, "ID": each["ID"]})
    return found


def _submit(dock: Dock, kind: str, parameters: dict[str, object], body: dict[str, Any]) -> Response:
    priority = body.get("Priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise BadFileFormat("Integer value expected in field: Priority")
    engine = dock.neighbours.door.engine
    return answer_submitted(engine.submit(kind, parameters, priority=priority, description="REST API"))


def _look_up(dock: Dock, resources: list[dict[str, str]]) -> list[Part]:
    archive = dock.neighbours.network.archive
    named = [{"ID": each["ID"], "Type": each["Level"]} for each in resources]
    with archive.database.read() as tx:
        public_ids = instances_of(tx, named, is_complete=True)
    return look_up(archive, public_ids)


def post_lookup(dock: Dock, request: Request) -> Response:
    """The instances of resources, with sizes and MD5."""
    try:
        parts = _look_up(dock, _resources(json_body(request)))
    except NotFound as error:
        raise UnknownResource(str(error)) from error
    total = sum(part.size for part in parts)
    return answer_json(
        {
            "Instances": write_parts(parts),
            "Originator": dock.originator,
            "CountInstances": len(parts),
            "TotalSize": str(total),
            "TotalSizeMB": total // _MEGABYTE,
        }
    )


def get_chunks(dock: Dock, request: Request) -> Response:
    """The files of instances one after the other, from an offset on, as many bytes as asked; 0 for all."""
    offset = unsigned(request.arguments.get("offset", "0"))
    size = unsigned(request.arguments.get("size", "0"))
    compression = request.arguments.get("compression", "none")
    if compression not in ("gzip", "none"):
        raise ParameterOutOfRange(f"Unknown compression: {compression}")
    body = _stretch(dock, request.values["ids"].split("."), offset, size)
    if compression == "gzip":
        return answer_bytes(igzip.compress(body, _GZIP_LEVEL), "application/gzip")
    return answer_bytes(body, "application/octet-stream")


def _stretch(dock: Dock, public_ids: list[str], offset: int, size: int) -> bytes:
    archive = dock.neighbours.network.archive
    with archive.database.read() as tx:
        stored = load_to_send(tx, public_ids)
    if len(stored) != len(set(public_ids)):
        raise UnknownResource("No such instance")
    pieces, left = [], size or sum(each.file.size for each in stored)
    for instance in stored:
        piece = memoryview(map_attachment(archive, instance.file))[offset : offset + left]
        offset = max(0, offset - instance.file.size)
        left -= len(piece)
        pieces.append(piece)
        if left <= 0:
            break
    return b"".join(pieces)


def post_push(dock: Dock, request: Request) -> Response:
    """Announce what will be sent here: instances, and the buckets they will come in."""
    _check_writable(dock)
    body = object_body(request)
    compression = text_field(body, "Compression")
    if compression not in ("gzip", "none"):
        raise ParameterOutOfRange(f"Unknown compression: {compression}")
    spool = dock.neighbours.door.uploads.spool
    parts, buckets = read_parts(body.get("Instances")), read_buckets(body.get("Buckets"))
    reception_id = dock.receptions.add(Reception(parts, buckets, compression == "gzip", spool))
    _count(dock, "created_push_count")
    return answer_json({"ID": reception_id, "Path": f"/transfers/push/{reception_id}"})


def _count(dock: Dock, name: str, amount: int = 1) -> None:
    dock.neighbours.door.intake.metrics.add(f"orthanc_transfers_{name}", amount)


def _check_writable(dock: Dock) -> None:
    if dock.neighbours.door.options.is_read_only:
        raise ReadOnly


def _reception(dock: Dock, request: Request) -> Reception:
    try:
        return dock.receptions.get(request.values["id"])
    except NotFound as error:
        raise UnknownResource(str(error)) from error


def put_bucket(dock: Dock, request: Request) -> Response:
    """One bucket of what was announced."""
    index = request.values["index"]
    if not index.isascii() or not index.isdigit():
        raise UnknownResource("Not the number of a bucket")
    reception = _reception(dock, request)
    body = body_view(request.body)
    try:
        reception.put(int(index[:12]), body)
        _count(dock, "push_total_received_bytes_count", len(body))
    except Corrupt as error:
        raise BadFileFormat(str(error)) from error
    return EMPTY_OBJECT


def post_commit(dock: Dock, request: Request) -> Response:
    """Store what came, if all came and is right."""
    _check_writable(dock)
    reception = _reception(dock, request)
    origin = Origin(OriginKind.REST_API, remote_ip=request.remote_ip, http_username=request.username)
    reception.commit(dock.neighbours.door.intake, origin)
    dock.receptions.remove(request.values["id"])
    _count(dock, "committed_push_count")
    return EMPTY_OBJECT


def delete_push(dock: Dock, request: Request) -> Response:
    """Give up what was announced."""
    try:
        dock.receptions.remove(request.values["id"])
    except NotFound as error:
        raise UnknownResource(str(error)) from error
    _count(dock, "aborted_push_count")
    return EMPTY_OBJECT

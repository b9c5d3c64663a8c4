"""Peers: other servers with this interface."""

from functools import partial
from typing import Any

import orjson

from hounsfield.forwarding.destinations import Destination
from hounsfield.http.errors import BadFileFormat, NoAnswer, ParameterOutOfRange, UnknownResource
from hounsfield.http.messages import (
    EMPTY_TEXT,
    Request,
    Response,
    answer_bytes,
    answer_json,
    body_bytes,
    body_view,
)
from hounsfield.http.routing import Route
from hounsfield.imaging.transcode import can_encode
from hounsfield.jobs.peer_store import PEER_STORE, peer_store_parameters
from hounsfield.remote.directory import UnknownName
from hounsfield.remote.peer import Peer, read_peer, show_peer
from hounsfield.remote.web_client import WebClient
from hounsfield.rest.forwarding import answer_queued, is_to_be_queued
from hounsfield.rest.job_options import answer_job, boolean_field
from hounsfield.rest.neighbours import (
    Neighbours,
    instances_to_send,
    named_resources,
    resources_of,
    text_field,
)

_OPERATIONS = ("configuration", "store", "store-straight", "system")


def routes(neighbours: Neighbours) -> list[Route]:
    """The routes of peers."""

    def route(method: str, pattern: str, handler: Any) -> Route:
        return Route(method, pattern, partial(handler, neighbours))

    return [
        route("GET", "/peers", list_peers),
        route("GET", "/peers/{name}", get_peer),
        route("PUT", "/peers/{name}", put_peer),
        route("DELETE", "/peers/{name}", delete_peer),
        route("GET", "/peers/{name}/configuration", get_configuration),
        route("GET", "/peers/{name}/system", get_peer_system),
        route("POST", "/peers/{name}/store", post_peer_store),
        route("POST", "/peers/{name}/store-straight", post_peer_store_straight),
    ]


def list_peers(neighbours: Neighbours, request: Request) -> Response:
    """The names of all peers, or their configurations."""
    known = neighbours.network.peers.all()
    if request.flag("expand"):
        return answer_json({name: show_peer(peer) for name, peer in known.items()})
    return answer_json(sorted(known))


def get_peer(neighbours: Neighbours, request: Request) -> Response:
    """What can be done with a peer."""
    if request.values["name"] not in neighbours.network.peers.all():
        raise NoAnswer
    return answer_json(_OPERATIONS)


def put_peer(neighbours: Neighbours, request: Request) -> Response:
    """Define a peer: `["url"]`, `["url", "user", "password"]`, or an object with a `Url`."""
    name = request.values["name"]
    try:
        value = orjson.loads(body_bytes(request.body))
    except orjson.JSONDecodeError as cause:
        raise NoAnswer from cause
    neighbours.network.peers.put(name, read_peer(name, value))
    return EMPTY_TEXT


def delete_peer(neighbours: Neighbours, request: Request) -> Response:
    """Forget a peer."""
    neighbours.network.peers.remove(request.values["name"])
    return EMPTY_TEXT


def _peer(neighbours: Neighbours, request: Request) -> Peer:
    try:
        return neighbours.network.peers.get(request.values["name"])
    except UnknownName as error:
        raise UnknownResource(str(error)) from error


def get_configuration(neighbours: Neighbours, request: Request) -> Response:
    """The configuration of a peer, without its secrets."""
    return answer_json(show_peer(_peer(neighbours, request)))


def get_peer_system(neighbours: Neighbours, request: Request) -> Response:
    """What a peer says of itself."""
    with WebClient(_peer(neighbours, request), neighbours.network.web) as client:
        return answer_bytes(client.request("GET", "system").body, "application/json")


def post_peer_store(neighbours: Neighbours, request: Request) -> Response:
    """Send resources to a peer, at once or, with `StoreAndForward`, through its queue."""
    peer = _peer(neighbours, request)
    public_ids, body = resources_of(request)
    transfer_syntax_uid = text_field(body, "Transcode")
    if transfer_syntax_uid is not None and not can_encode(transfer_syntax_uid):
        raise ParameterOutOfRange(f"Cannot transcode to {transfer_syntax_uid}")
    is_compressed = boolean_field(body, "Compress", False)
    resources = named_resources(neighbours, public_ids, peer.name)
    destination = Destination(peer)
    if is_to_be_queued(body, destination):
        later: dict[str, object] = {"Compress": is_compressed, "Transcode": transfer_syntax_uid}
        return answer_queued(neighbours, destination, resources, later)
    parameters = peer_store_parameters(
        peer.name,
        resources,
        instances_to_send(neighbours, resources),
        is_compressed=is_compressed,
        transfer_syntax_uid=transfer_syntax_uid,
    )
    return answer_job(neighbours.door, PEER_STORE, parameters, body)


def post_peer_store_straight(neighbours: Neighbours, request: Request) -> Response:
    """Send the file that is the body to a peer, without storing it here; the peer's answer is given."""
    view = body_view(request.body)
    if not view:
        raise BadFileFormat("There is no file in the body")
    with WebClient(_peer(neighbours, request), neighbours.network.web) as client:
        answer = client.request("POST", "instances", view, {"Content-Type": "application/dicom"})
    return answer_bytes(answer.body, answer.headers.get("content-type", "application/json"))

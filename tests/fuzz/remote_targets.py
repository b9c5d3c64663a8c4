"""Definitions of other servers as JSON of any kind, and what peers announce to send."""

from collections.abc import Callable
from pathlib import Path

import orjson

from hounsfield.errors import BadRequest
from hounsfield.remote.modality import read_modality, write_modality
from hounsfield.remote.peer import read_peer, show_destination, show_peer, write_peer
from hounsfield.remote.transfer import Reception, expand, read_buckets, read_parts
from hounsfield.store.spool import FolderSpool

_NOWHERE = Path("nowhere")


def _json(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _NoJson from error


class _NoJson(BadRequest):
    """What the door answers before anything is read."""


def define_modality(data: bytes) -> None:
    """What can be defined is defined the same when it is written and read again."""
    modality = read_modality("name", _json(data))
    assert read_modality("name", write_modality(modality)) == modality


def define_peer(data: bytes) -> None:
    """As a modality."""
    peer = read_peer("name", _json(data))
    show_peer(peer)
    show_destination(peer)
    assert read_peer("name", write_peer(peer)) == peer


def announce(data: bytes) -> None:
    """Instances and buckets of a transfer, and a bucket."""
    value = _json(data.partition(b"\n")[0])
    if isinstance(value, dict):
        parts, buckets = read_parts(value.get("Instances")), read_buckets(value.get("Buckets"))
        Reception(parts, buckets, True, FolderSpool(_NOWHERE))
    expand(data.partition(b"\n")[2], 1000)


def _announcement() -> bytes:
    part = {"ID": "a", "Size": "10", "MD5": "x"}
    return orjson.dumps({"Instances": [part], "Buckets": [[{"ID": "a", "Offset": "0", "Size": "10"}]]})


TARGETS: dict[str, Callable[[bytes], None]] = {
    "modality": define_modality,
    "peer": define_peer,
    "transfer": announce,
}
SEEDS: dict[str, list[bytes]] = {
    "modality": [
        b'["AET", "host", 104, "GE"]',
        b'{"AET": "A", "Host": "h", "Port": "1", "AllowEcho": false, "Timeout": 5, "RetrieveMethod": "C-GET"}',
    ],
    "peer": [
        b'["http://h/", "u", "p"]',
        b'{"Url": "http://h", "HttpHeaders": {"a": "b"}, "Timeout": 3, "RemoteSelf": "x", "Color": 1.5}',
    ],
    "transfer": [_announcement() + b"\n\x1f\x8b\x08\0\0\0\0\0\0\0"],
}

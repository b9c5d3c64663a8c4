"""What is written at the end of a file until its row is durable: all that the file itself does not say."""

from dataclasses import dataclass

import orjson

from hounsfield.errors import Corrupt
from hounsfield.ingest.instance import Origin, OriginKind, Reception

ATTACHMENT_NOTE = b"attachment"
"""Of a file that no instance can be made of: without a row it is worth nothing."""


@dataclass(frozen=True, slots=True)
class Note:
    """How an instance came in; `size` is that of its file before compression.

    One that is `staged` is to take the place of another together with others. Before its row is there, it is nothing.
    """

    size: int
    compression: int
    overwrite: bool
    reception: Reception
    is_staged: bool = False


def write_note(note: Note) -> bytes:
    """The note as JSON."""
    origin, made_from = note.reception.origin, note.reception.made_from
    return orjson.dumps(
        {
            "size": note.size,
            "compression": note.compression,
            "overwrite": note.overwrite,
            "at": note.reception.received_at,
            "ns": note.reception.received_ns,
            "origin": origin.kind.value,
            "remote_aet": origin.remote_aet,
            "called_aet": origin.called_aet,
            "remote_ip": origin.remote_ip,
            "http_username": origin.http_username,
            **({"made_from": made_from} if made_from else {}),
            **({"staged": True} if note.is_staged else {}),
        }
    )


def read_note(data: bytes) -> Note:
    """What `write_note` wrote.

    Raises
    ------
    Corrupt
        If this is something else.
    """
    try:
        found = orjson.loads(data)
        origin = Origin(
            OriginKind(found["origin"]),
            str(found["remote_aet"]),
            str(found["called_aet"]),
            str(found["remote_ip"]),
            str(found["http_username"]),
        )
        made_from = found.get("made_from")
        if made_from is not None:
            made_from = int(made_from[0]), str(made_from[1])
        reception = Reception(origin, str(found["at"]), int(found["ns"]), made_from)
        return Note(
            int(found["size"]),
            int(found["compression"]),
            bool(found["overwrite"]),
            reception,
            bool(found.get("staged", False)),
        )
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise Corrupt("The note of a file is not ours") from error

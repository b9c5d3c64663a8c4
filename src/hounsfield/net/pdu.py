"""Protocol data units of the DICOM upper layer, as records. PS3.8 9.3.

A PDU is a type, a reserved byte, a 32-bit length and a body. P-DATA-TF is the exception here: its body can be
gigabytes, so `upper_layer` reads it piece by piece, and only `fragment` below writes it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from hounsfield.errors import Corrupt
from hounsfield.net.items import (
    ItemType,
    UserInformation,
    read_items,
    read_text,
    read_user_information,
    write_item,
    write_user_information,
)
from hounsfield.store.spool import Buffer

APPLICATION_CONTEXT_UID = "1.2.840.10008.3.1.1.1"
AE_TITLE_LENGTH = 16

HEADER = struct.Struct(">BBI")
VALUE_HEADER = struct.Struct(">IBB")
"""Length of what follows it, presentation context, message control header. PS3.8 9.3.5.1."""

IS_COMMAND = 1
IS_LAST = 2

_DATA_HEADER = struct.Struct(">BBIIBB")
_ASSOCIATE_HEADER = struct.Struct(">HH16s16s32x")


class PduType(IntEnum):
    """First byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ContextResult(IntEnum):
    """What the acceptor says of a presentation context. PS3.8 Table 9-18."""

    ACCEPTED = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class AbortSource(IntEnum):
    """Who aborts. PS3.8 Table 9-26."""

    SERVICE_USER = 0
    RESERVED = 1
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the provider aborts; a service user gives no reason. PS3.8 Table 9-26."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed; `id` is odd, 1 to 255."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """A presentation context as answered; the transfer syntax means nothing unless accepted."""

    id: int
    result: int
    transfer_syntax: str = ""


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context: str = APPLICATION_CONTEXT_UID
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC; the AE titles repeat those of the request and are not tested."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[AnsweredContext, ...]
    user_information: UserInformation
    application_context: str = APPLICATION_CONTEXT_UID
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ; the numbers of PS3.8 Table 9-21, named in `negotiation`."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT."""

    source: int = AbortSource.SERVICE_USER
    reason: int = AbortReason.NOT_SPECIFIED


Pdu = AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseResponse | Abort


def encode(pdu: Pdu) -> bytes:
    """The bytes of any PDU but P-DATA-TF."""
    match pdu:
        case AssociateRequest():
            kind, body = PduType.ASSOCIATE_RQ, _write_associate(pdu, _write_proposals(pdu.contexts))
        case AssociateAccept():
            kind, body = PduType.ASSOCIATE_AC, _write_associate(pdu, _write_answers(pdu.contexts))
        case AssociateReject():
            kind, body = PduType.ASSOCIATE_RJ, bytes((0, pdu.result, pdu.source, pdu.reason))
        case ReleaseRequest():
            kind, body = PduType.RELEASE_RQ, bytes(4)
        case ReleaseResponse():
            kind, body = PduType.RELEASE_RP, bytes(4)
        case Abort():
            kind, body = PduType.ABORT, bytes((0, 0, pdu.source, pdu.reason))
    return HEADER.pack(kind, 0, len(body)) + body


def decode(kind: int, body: bytes) -> Pdu:
    """The record for a PDU of type `kind`, which is not P-DATA-TF.

    Raises
    ------
    Corrupt
        If the type is unknown, or the body is not what the type says.
    """
    if kind == PduType.ASSOCIATE_RQ:
        return _read_request(body)
    if kind == PduType.ASSOCIATE_AC:
        return _read_accept(body)
    if kind not in _SHORT_PDUS or len(body) != 4:
        raise Corrupt(f"PDU type {kind:02X}H with {len(body)} bytes is not one of the DICOM upper layer")
    if kind == PduType.ASSOCIATE_RJ:
        return AssociateReject(*body[1:])
    if kind == PduType.ABORT:
        return Abort(*body[2:])
    return ReleaseRequest() if kind == PduType.RELEASE_RQ else ReleaseResponse()


_SHORT_PDUS = {PduType.ASSOCIATE_RJ, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT}


def fragment(
    context_id: int, payload: Buffer, *, is_command: bool, maximum_length: int, is_last: bool = True
) -> Iterator[tuple[bytes, memoryview]]:
    """Header and body of each P-DATA-TF PDU that carries `payload`, one fragment a PDU.

    `maximum_length` is the longest PDU that the receiver takes, without the 6 bytes of the PDU header, and at
    least 7. `is_last` says whether `payload` ends the command or data set, rather than being a stretch of it.
    An empty payload gives one empty fragment.
    """
    view = memoryview(payload).cast("B")
    step = maximum_length - VALUE_HEADER.size
    final = (len(view) - 1) // step * step if view else 0
    control = IS_COMMAND if is_command else 0
    if final:
        header = _DATA_HEADER.pack(PduType.DATA_TF, 0, step + 6, step + 2, context_id, control)
        for start in range(0, final, step):
            yield header, view[start : start + step]
    size = len(view) - final
    control |= is_last * IS_LAST
    yield _DATA_HEADER.pack(PduType.DATA_TF, 0, size + 6, size + 2, context_id, control), view[final:]


def _write_associate(pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    called, calling = _write_ae_title(pdu.called_ae_title), _write_ae_title(pdu.calling_ae_title)
    return b"".join(
        (
            _ASSOCIATE_HEADER.pack(pdu.protocol_version, 0, called, calling),
            write_item(ItemType.APPLICATION_CONTEXT, pdu.application_context.encode()),
            contexts,
            write_user_information(pdu.user_information),
        )
    )


def _write_ae_title(title: str) -> bytes:
    encoded = title.encode("latin-1")
    if len(encoded) > AE_TITLE_LENGTH:
        raise ValueError(f"AE title {title} is longer than {AE_TITLE_LENGTH} characters")
    return encoded.ljust(AE_TITLE_LENGTH)


def _write_proposals(contexts: tuple[ProposedContext, ...]) -> bytes:
    parts = []
    for context in contexts:
        syntaxes = [write_item(ItemType.TRANSFER_SYNTAX, uid.encode()) for uid in context.transfer_syntaxes]
        abstract = write_item(ItemType.ABSTRACT_SYNTAX, context.abstract_syntax.encode())
        value = bytes((context.id, 0, 0, 0)) + abstract + b"".join(syntaxes)
        parts.append(write_item(ItemType.PROPOSED_CONTEXT, value))
    return b"".join(parts)


def _write_answers(contexts: tuple[AnsweredContext, ...]) -> bytes:
    parts = []
    for context in contexts:
        syntax = write_item(ItemType.TRANSFER_SYNTAX, context.transfer_syntax.encode())
        value = bytes((context.id, 0, context.result, 0)) + syntax
        parts.append(write_item(ItemType.ANSWERED_CONTEXT, value))
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class _Associate:
    """What the bodies of a request and of an acceptance have in common."""

    protocol_version: int
    called: str
    calling: str
    application_context: str
    contexts: list[bytes]
    user_information: UserInformation


def _read_associate(body: bytes, context_item: ItemType) -> _Associate:
    if len(body) < _ASSOCIATE_HEADER.size:
        raise Corrupt("An association PDU is cut before its items")
    version, _, called, calling = _ASSOCIATE_HEADER.unpack_from(body)
    application_context = ""
    contexts = []
    information = UserInformation()
    for kind, value in read_items(body[_ASSOCIATE_HEADER.size :]):
        if kind == ItemType.APPLICATION_CONTEXT:
            application_context = read_text(value)
        elif kind == context_item:
            contexts.append(value)
        elif kind == ItemType.USER_INFORMATION:
            information = read_user_information(value)
    titles = read_text(called), read_text(calling)
    return _Associate(version, *titles, application_context, contexts, information)


def _read_request(body: bytes) -> AssociateRequest:
    read = _read_associate(body, ItemType.PROPOSED_CONTEXT)
    contexts = tuple(_read_proposal(value) for value in read.contexts)
    if len({context.id for context in contexts}) != len(contexts):
        raise Corrupt("Two proposed presentation contexts have the same number")
    return AssociateRequest(
        read.called,
        read.calling,
        contexts,
        read.user_information,
        read.application_context,
        read.protocol_version,
    )


def _read_accept(body: bytes) -> AssociateAccept:
    read = _read_associate(body, ItemType.ANSWERED_CONTEXT)
    contexts = tuple(_read_answer(value) for value in read.contexts)
    return AssociateAccept(
        read.called,
        read.calling,
        contexts,
        read.user_information,
        read.application_context,
        read.protocol_version,
    )


def _context_id(value: bytes) -> int:
    if len(value) < 4 or value[0] % 2 == 0:
        raise Corrupt("A presentation context has no odd number")
    return value[0]


def _read_proposal(value: bytes) -> ProposedContext:
    return _read_again(value) if len(value) <= _LONGEST_KNOWN else _read_new(value)


def _read_new(value: bytes) -> ProposedContext:
    context_id = _context_id(value)
    items = list(read_items(value[4:]))
    abstract = [read_text(uid) for kind, uid in items if kind == ItemType.ABSTRACT_SYNTAX]
    if len(abstract) != 1:
        raise Corrupt(f"Presentation context {context_id} has {len(abstract)} abstract syntaxes instead of 1")
    transfer = tuple(read_text(uid) for kind, uid in items if kind == ItemType.TRANSFER_SYNTAX)
    return ProposedContext(context_id, abstract[0], transfer)


_LONGEST_KNOWN = 512
_read_again = lru_cache(maxsize=1024)(_read_new)
"""A device proposes the same each time: 120 contexts take longer to read than a slice takes to be sent."""


def _read_answer(value: bytes) -> AnsweredContext:
    context_id = _context_id(value)
    syntaxes = [read_text(uid) for kind, uid in read_items(value[4:]) if kind == ItemType.TRANSFER_SYNTAX]
    return AnsweredContext(context_id, value[2], syntaxes[0] if syntaxes else "")

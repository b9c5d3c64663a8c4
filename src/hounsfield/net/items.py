"""The items nested in association PDUs, and the few readers they share. PS3.8 9.3, PS3.7 Annex D.3.3.

Every item is a type, a byte that is almost always reserved, a length and a value. Items and sub-items of an
unknown type are skipped, as PS3.8 9.3.1 asks.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from hounsfield.errors import Corrupt

MAXIMUM_ITEM_LENGTH = 0xFFFF

_HEADER = struct.Struct(">BBH")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class ItemType(IntEnum):
    """First byte of an item or sub-item."""

    APPLICATION_CONTEXT = 0x10
    PROPOSED_CONTEXT = 0x20
    ANSWERED_CONTEXT = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS = 0x52
    ASYNCHRONOUS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION = 0x55
    EXTENDED_NEGOTIATION = 0x56
    COMMON_EXTENDED_NEGOTIATION = 0x57
    USER_IDENTITY = 0x58
    USER_IDENTITY_ANSWER = 0x59


class IdentityType(IntEnum):
    """How a requester says who its user is. PS3.7 D.3.3.7.1."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JSON_WEB_TOKEN = 5


@dataclass(frozen=True, slots=True)
class AsynchronousWindow:
    """How many operations may be outstanding; 0 is without limit. PS3.7 D.3.3.3."""

    invoked: int
    performed: int


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Roles of the requester for one SOP class. PS3.7 D.3.3.4."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """Service-class application information, its meaning left to the service class. PS3.7 D.3.3.5."""

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """The service class, and related general classes, of a SOP class. PS3.7 D.3.3.6."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who the user of the requester is. PS3.7 D.3.3.7. Its fields never reach a log."""

    type: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    wants_answer: bool = False


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user-information item. `maximum_length` 0 means without limit; PS3.8 D.1."""

    maximum_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_window: AsynchronousWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_answer: bytes | None = None


def read_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item in `data`.

    Raises
    ------
    Corrupt
        If an item is cut, or says it is longer than what holds it.
    """
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise Corrupt("An item of an association PDU is cut in its header")
        kind, _, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if length > len(data) - position:
            raise Corrupt(f"Item {kind:02X}H of an association PDU is longer than the PDU")
        yield kind, data[position : position + length]
        position += length


def write_item(kind: int, value: bytes) -> bytes:
    """One item.

    Raises
    ------
    ValueError
        If `value` is too long for an item.
    """
    if len(value) > MAXIMUM_ITEM_LENGTH:
        raise ValueError(f"An item of {len(value)} bytes does not fit an association PDU")
    return _HEADER.pack(kind, 0, len(value)) + value


def read_text(value: bytes) -> str:
    """A UID, a version name or an AE title, without its padding.

    NUL is accepted as padding everywhere, since devices disagree; other control characters are not: these
    texts reach logs and files.
    """
    text = value.decode("latin-1").strip(" \0")
    if not text.isprintable():
        raise Corrupt("A name in an association PDU holds control characters")
    return text


def _read_counted(data: bytes, position: int) -> tuple[bytes, int]:
    """A value preceded by its 16-bit length, and the position after it."""
    if len(data) - position < _U16.size:
        raise Corrupt("A sub-item of the user information is cut")
    (length,) = _U16.unpack_from(data, position)
    position += _U16.size
    if length > len(data) - position:
        raise Corrupt("A sub-item of the user information is cut")
    return data[position : position + length], position + length


def _write_counted(value: bytes) -> bytes:
    return _U16.pack(len(value)) + value


def _exactly(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise Corrupt(f"A sub-item of the user information has {len(value)} bytes instead of {length}")
    return value


def _read_window(value: bytes) -> AsynchronousWindow:
    return AsynchronousWindow(*struct.unpack(">HH", _exactly(value, 4)))


def _read_role(value: bytes) -> RoleSelection:
    return _read_role_again(value) if len(value) <= _LONGEST_ROLE else _read_new_role(value)


def _read_new_role(value: bytes) -> RoleSelection:
    uid, position = _read_counted(value, 0)
    scu, scp = _exactly(value[position:], 2)
    return RoleSelection(read_text(uid), scu == 1, scp == 1)


_LONGEST_ROLE = 68
_read_role_again = lru_cache(maxsize=512)(_read_new_role)
"""Who asks by C-GET proposes a role for each storage class, the same each time."""


def _read_extended(value: bytes) -> ExtendedNegotiation:
    uid, position = _read_counted(value, 0)
    return ExtendedNegotiation(read_text(uid), value[position:])


def _read_common_extended(value: bytes) -> CommonExtendedNegotiation:
    uid, position = _read_counted(value, 0)
    service, position = _read_counted(value, position)
    related, _ = _read_counted(value, position)
    uids = []
    position = 0
    while position < len(related):
        general, position = _read_counted(related, position)
        uids.append(read_text(general))
    return CommonExtendedNegotiation(read_text(uid), read_text(service), tuple(uids))


def _read_identity(value: bytes) -> UserIdentity:
    if len(value) < 2:
        raise Corrupt("The user identity is cut")
    primary, position = _read_counted(value, 2)
    secondary, _ = _read_counted(value, position)
    return UserIdentity(value[0], primary, secondary, value[1] == 1)


def read_user_information(value: bytes) -> UserInformation:
    """Decode the value of a user-information item.

    Raises
    ------
    Corrupt
        If a known sub-item does not hold what its type says.
    """
    single: dict[int, bytes] = {}
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    for kind, body in read_items(value):
        if kind == ItemType.ROLE_SELECTION:
            roles.append(_read_role(body))
        elif kind == ItemType.EXTENDED_NEGOTIATION:
            extended.append(_read_extended(body))
        elif kind == ItemType.COMMON_EXTENDED_NEGOTIATION:
            common.append(_read_common_extended(body))
        else:
            single[kind] = body
    length = single.get(ItemType.MAXIMUM_LENGTH, bytes(4))
    window = single.get(ItemType.ASYNCHRONOUS_WINDOW)
    identity = single.get(ItemType.USER_IDENTITY)
    answer = single.get(ItemType.USER_IDENTITY_ANSWER)
    return UserInformation(
        maximum_length=_U32.unpack(_exactly(length, 4))[0],
        implementation_class_uid=read_text(single.get(ItemType.IMPLEMENTATION_CLASS, b"")),
        implementation_version_name=read_text(single.get(ItemType.IMPLEMENTATION_VERSION, b"")),
        asynchronous_window=None if window is None else _read_window(window),
        roles=tuple(roles),
        extended=tuple(extended),
        common_extended=tuple(common),
        user_identity=None if identity is None else _read_identity(identity),
        user_identity_answer=None if answer is None else _read_counted(answer, 0)[0],
    )


def write_user_information(information: UserInformation) -> bytes:
    """Encode a user-information item, header included, sub-items in the order of their types."""
    parts = [write_item(ItemType.MAXIMUM_LENGTH, _U32.pack(information.maximum_length))]
    if information.implementation_class_uid:
        parts.append(write_item(ItemType.IMPLEMENTATION_CLASS, information.implementation_class_uid.encode()))
    if window := information.asynchronous_window:
        value = struct.pack(">HH", window.invoked, window.performed)
        parts.append(write_item(ItemType.ASYNCHRONOUS_WINDOW, value))
    for role in information.roles:
        value = _write_counted(role.sop_class_uid.encode()) + bytes((role.scu, role.scp))
        parts.append(write_item(ItemType.ROLE_SELECTION, value))
    if information.implementation_version_name:
        name = information.implementation_version_name.encode("latin-1")
        parts.append(write_item(ItemType.IMPLEMENTATION_VERSION, name))
    for extended in information.extended:
        value = _write_counted(extended.sop_class_uid.encode()) + extended.information
        parts.append(write_item(ItemType.EXTENDED_NEGOTIATION, value))
    parts += (_write_common_extended(common) for common in information.common_extended)
    if identity := information.user_identity:
        value = bytes((identity.type, identity.wants_answer))
        value += _write_counted(identity.primary) + _write_counted(identity.secondary)
        parts.append(write_item(ItemType.USER_IDENTITY, value))
    if information.user_identity_answer is not None:
        value = _write_counted(information.user_identity_answer)
        parts.append(write_item(ItemType.USER_IDENTITY_ANSWER, value))
    return write_item(ItemType.USER_INFORMATION, b"".join(parts))


def _write_common_extended(common: CommonExtendedNegotiation) -> bytes:
    related = b"".join(_write_counted(uid.encode()) for uid in common.related_general_sop_class_uids)
    value = _write_counted(common.sop_class_uid.encode()) + _write_counted(common.service_class_uid.encode())
    return write_item(ItemType.COMMON_EXTENDED_NEGOTIATION, value + _write_counted(related))

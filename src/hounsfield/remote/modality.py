"""A modality: a DICOM application entity that we know, as the configuration and the REST interface define it."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hounsfield.errors import BadRequest, Corrupt

_log = logging.getLogger("hounsfield.dicom")

MANUFACTURERS: Final = (
    "Generic",
    "GenericNoWildcardInDates",
    "GenericNoUniversalWildcard",
    "Vitrea",
    "GE",
    "SiemensSyngoCT",
)
_OBSOLETE: Final = {
    "MedInria": "Generic",
    "ClearCanvas": "Generic",
    "EFilm2": "Generic",
    "Dcm4Chee": "Generic",
    "SyngoVia": "GenericNoWildcardInDates",
    "AgfaImpax": "GenericNoWildcardInDates",
}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_LARGEST_PORT: Final = 65534
SYSTEM_DEFAULT: Final = "SystemDefault"
STORE_AND_FORWARD: Final = "StoreAndForward"
STORE_ASSOCIATIONS: Final = "StoreAssociations"
_MOST_ASSOCIATIONS: Final = 16


class BadDefinition(Corrupt):
    """A modality or a peer is not defined as it must be."""


class ImpossibleValue(BadRequest):
    """A port, a manufacturer or a method that does not exist."""


@dataclass(frozen=True, slots=True)
class Modality:
    """A DICOM server we know, and what it may ask of us. `timeout_seconds` None stands for the global one.

    What is sent to one that `is_forwarded` goes into its queue.
    """

    name: str
    ae_title: str
    host: str
    port: int
    manufacturer: str = "Generic"
    allow_echo: bool = True
    allow_store: bool = True
    allow_find: bool = True
    allow_find_worklist: bool = True
    allow_move: bool = True
    allow_get: bool = True
    allow_n_action: bool = True
    allow_event_report: bool = True
    allow_transcoding: bool = True
    use_tls: bool = False
    local_ae_title: str = ""
    timeout_seconds: int | None = None
    retrieve_method: str | None = None
    is_forwarded: bool = False
    store_associations: int = 1
    """How many associations a job may send on at the same time."""


_SWITCHES: Final = {
    "AllowEcho": "allow_echo",
    "AllowStore": "allow_store",
    "AllowFind": "allow_find",
    "AllowFindWorklist": "allow_find_worklist",
    "AllowMove": "allow_move",
    "AllowGet": "allow_get",
    "AllowNAction": "allow_n_action",
    "AllowEventReport": "allow_event_report",
    "AllowTranscoding": "allow_transcoding",
}
_COMMITMENT: Final = ("AllowNAction", "AllowEventReport")


def check_name(name: str, what: str) -> None:
    """Raise BadDefinition unless `name` may be that of a modality or peer."""
    if not _NAME.fullmatch(name):
        raise BadDefinition(f"Only letters, digits, dashes and underscores may name a {what}: {name!r}")


def read_modality(name: str, value: object) -> Modality:
    """Read a definition: `["AET", "host", port, "Manufacturer"?]`, or an object.

    Raises
    ------
    BadDefinition
        If it has the wrong shape.
    ImpossibleValue
        For a port, a manufacturer or a method of retrieval that does not exist.
    """
    check_name(name, "modality")
    if isinstance(value, list):
        if len(value) not in (3, 4):
            raise BadDefinition(f'The modality "{name}" must be [ "AET", "host", port ]')
        value = dict(zip(("AET", "Host", "Port", "Manufacturer"), value, strict=False))
    if not isinstance(value, dict):
        raise BadDefinition(f'The modality "{name}" must be an array or an object')
    return _modality(name, _Fields(f'modality "{name}"', value))


def _modality(name: str, fields: "_Fields") -> Modality:
    commitment = fields.boolean("AllowStorageCommitment", default=True)
    switches = {
        attribute: fields.boolean(key, default=commitment if key in _COMMITMENT else True)
        for key, attribute in _SWITCHES.items()
    }
    method = fields.text("RetrieveMethod", SYSTEM_DEFAULT)
    if method not in ("C-MOVE", "C-GET", SYSTEM_DEFAULT):
        raise ImpossibleValue(f'"RetrieveMethod" of the modality "{name}" must be C-MOVE or C-GET')
    return Modality(
        name=name,
        ae_title=fields.text("AET"),
        host=fields.text("Host"),
        port=fields.port(),
        manufacturer=_manufacturer(name, fields.text("Manufacturer", "Generic")),
        use_tls=fields.boolean("UseDicomTls", default=False),
        local_ae_title=fields.text("LocalAet", ""),
        timeout_seconds=fields.integer("Timeout", 0) or None,
        retrieve_method=None if method == SYSTEM_DEFAULT else method,
        is_forwarded=fields.boolean(STORE_AND_FORWARD, default=False),
        store_associations=_store_associations(name, fields.integer(STORE_ASSOCIATIONS, 1)),
        **switches,
    )


def _store_associations(name: str, given: int) -> int:
    if not 1 <= given <= _MOST_ASSOCIATIONS:
        raise ImpossibleValue(
            f'"{STORE_ASSOCIATIONS}" of the modality "{name}" must be between 1 and {_MOST_ASSOCIATIONS}'
        )
    return given


def _manufacturer(name: str, given: str) -> str:
    if given in _OBSOLETE:
        _log.warning(
            'The manufacturer %s of the modality "%s" is obsolete: %s is taken', given, name, _OBSOLETE[given]
        )
        return _OBSOLETE[given]
    if given not in MANUFACTURERS:
        raise ImpossibleValue(
            f'The manufacturer of the modality "{name}" must be one of {", ".join(MANUFACTURERS)}'
        )
    return given


def write_modality(modality: Modality) -> dict[str, object]:
    """The whole configuration of a modality, as `/modalities/{m}/configuration` gives it."""
    written: dict[str, object] = {
        "AET": modality.ae_title,
        "Host": modality.host,
        "Port": modality.port,
        "Manufacturer": modality.manufacturer,
        **{key: getattr(modality, attribute) for key, attribute in _SWITCHES.items()},
        "UseDicomTls": modality.use_tls,
        "LocalAet": modality.local_ae_title,
        "Timeout": modality.timeout_seconds or 0,
        "RetrieveMethod": modality.retrieve_method or SYSTEM_DEFAULT,
    }
    if modality.is_forwarded:
        written[STORE_AND_FORWARD] = True
    if modality.store_associations > 1:
        written[STORE_ASSOCIATIONS] = modality.store_associations
    return written


@dataclass(frozen=True, slots=True)
class _Fields:
    """The members of one definition, with errors that name it."""

    what: str
    members: Mapping[str, object]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.members.get(key, default)
        if not isinstance(value, str):
            raise BadDefinition(f'"{key}" of the {self.what} must be a string')
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.members.get(key, default)
        if not isinstance(value, bool):
            raise BadDefinition(f'"{key}" of the {self.what} must be true or false')
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.members.get(key, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)  # Ports in quotes are common in files of old versions.
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadDefinition(f'"{key}" of the {self.what} must be a positive integer')
        if value < 0:
            raise ImpossibleValue(f'"{key}" of the {self.what} must be a positive integer')
        return value

    def port(self) -> int:
        value = self.integer("Port")
        if not 1 <= value <= _LARGEST_PORT:
            raise ImpossibleValue(f"The port of the {self.what} must be between 1 and {_LARGEST_PORT}")
        return value

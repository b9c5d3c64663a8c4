"""The DICOM servers and peers that the configuration names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hounsfield.config.lenient_json import Json
from hounsfield.config.refusal import ConfigurationRefused, Refusal, refuse

MANUFACTURERS: Final = (
    "Generic",
    "GenericNoWildcardInDates",
    "GenericNoUniversalWildcard",
    "Vitrea",
    "GE",
    "SiemensSyngoCT",
)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Modality:
    """A DICOM server we know, and what it may ask of us. `timeout_seconds` None stands for the global one."""

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


def read_modality(name: str, value: Json) -> Modality:
    """Read one entry of `DicomModalities`: `["AET", "host", port, "Manufacturer"?]`, or an object.

    Raises
    ------
    ConfigurationRefused
        With Orthanc's numbers: 15 for a wrong shape, 3 for a port or a manufacturer that does not exist.
    """
    if not _NAME.fullmatch(name):
        raise refuse(15, f"Only letters, digits, dashes and underscores may name a modality: {name!r}")
    if isinstance(value, list):
        if len(value) not in (3, 4):
            raise refuse(15, f'The modality "{name}" must be [ "AET", "host", port ]')
        value = dict(zip(("AET", "Host", "Port", "Manufacturer"), value, strict=False))
    if not isinstance(value, dict):
        raise refuse(15, f'The modality "{name}" must be an array or an object')
    fields = _Fields(f'modality "{name}"', value)
    return _modality(name, fields)


def _modality(name: str, fields: "_Fields") -> Modality:
    commitment = fields.boolean("AllowStorageCommitment", default=True)
    manufacturer = fields.text("Manufacturer", "Generic")
    if manufacturer not in MANUFACTURERS:
        raise refuse(
            3, f'The manufacturer of the modality "{name}" must be one of {", ".join(MANUFACTURERS)}'
        )
    method = fields.text("RetrieveMethod", "SystemDefault")
    if method not in ("C-MOVE", "C-GET", "SystemDefault"):
        raise refuse(3, f'"RetrieveMethod" of the modality "{name}" must be C-MOVE or C-GET')
    return Modality(
        name=name,
        ae_title=fields.text("AET"),
        host=fields.text("Host"),
        port=fields.port(),
        manufacturer=manufacturer,
        allow_echo=fields.boolean("AllowEcho", default=True),
        allow_store=fields.boolean("AllowStore", default=True),
        allow_find=fields.boolean("AllowFind", default=True),
        allow_find_worklist=fields.boolean("AllowFindWorklist", default=True),
        allow_move=fields.boolean("AllowMove", default=True),
        allow_get=fields.boolean("AllowGet", default=True),
        allow_n_action=fields.boolean("AllowNAction", default=commitment),
        allow_event_report=fields.boolean("AllowEventReport", default=commitment),
        allow_transcoding=fields.boolean("AllowTranscoding", default=True),
        use_tls=fields.boolean("UseDicomTls", default=False),
        local_ae_title=fields.text("LocalAet", ""),
        timeout_seconds=fields.integer("Timeout", 0) or None,
        retrieve_method=None if method == "SystemDefault" else method,
    )


@dataclass(frozen=True, slots=True)
class _Fields:
    """The members of one entry, with errors that name it."""

    what: str
    members: Mapping[str, Json]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.members.get(key, default)
        if not isinstance(value, str):
            raise refuse(15, f'"{key}" of the {self.what} must be a string')
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.members.get(key, default)
        if not isinstance(value, bool):
            raise refuse(15, f'"{key}" of the {self.what} must be true or false')
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.members.get(key, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)  # Ports in quotes are common in files of old versions.
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise refuse(15, f'"{key}" of the {self.what} must be a positive integer')
        return value

    def port(self) -> int:
        value = self.integer("Port")
        if not 1 <= value <= 65534:
            raise refuse(3, f"The port of the {self.what} must be between 1 and 65534")
        return value


def check_modalities(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """What is wrong in `DicomModalities`."""
    entries = given.get("DicomModalities")
    for name, value in entries.items() if isinstance(entries, dict) else ():
        try:
            read_modality(name, value)
        except ConfigurationRefused as refused:
            yield from refused.refusals


def check_peers(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """What is wrong in `OrthancPeers`; URLs are not looked at."""
    entries = given.get("OrthancPeers")
    for name, value in entries.items() if isinstance(entries, dict) else ():
        if not _NAME.fullmatch(name):
            yield Refusal(15, f"Only letters, digits, dashes and underscores may name a peer: {name!r}")
        elif isinstance(value, list):
            if len(value) not in (1, 3) or not all(isinstance(item, str) for item in value):
                yield Refusal(15, f'The peer "{name}" must be [ "url" ] or [ "url", "user", "password" ]')
        elif not isinstance(value, dict) or not isinstance(value.get("Url"), str):
            yield Refusal(15, f'The peer "{name}" must be an array, or an object with a "Url"')

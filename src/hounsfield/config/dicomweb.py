"""The section `DicomWeb`, with the members of Orthanc's plugin."""

from hounsfield.config.configuration import Configuration
from hounsfield.config.lenient_json import Json
from hounsfield.config.table.dicomweb import DICOMWEB_MEMBERS
from hounsfield.dicomweb.service import DicomWebOptions

_MEMBERS = {member.name: member for member in DICOMWEB_MEMBERS}


def read_dicomweb(configuration: Configuration) -> DicomWebOptions:
    """What DICOMweb is told of a configuration."""
    section = configuration.get("DicomWeb")
    members: dict[str, Json] = {name: member.default for name, member in _MEMBERS.items()}
    if isinstance(section, dict):
        members.update({name: value for name, value in section.items() if value is not None})
    root = _root(str(members["Root"]))
    case = members["QidoCaseSensitive"]
    return DicomWebOptions(
        is_enabled=members["Enable"] is True,
        root=root,
        public_root=_root(str(members["PublicRoot"] or root)),
        host=str(members["Host"]),
        is_secure=members["Ssl"] is True,
        is_case_sensitive=configuration.boolean("CaseSensitivePN") if case is None else case is True,
        limit_results=configuration.integer("LimitFindResults"),
        limit_instances=configuration.integer("LimitFindInstances"),
        storage_access=configuration.text("StorageAccessOnFind"),
    )


def _root(text: str) -> str:
    """A root with a slash at both ends."""
    inner = text.strip("/")
    return f"/{inner}/" if inner else "/"

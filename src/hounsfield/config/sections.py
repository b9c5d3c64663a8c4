"""Checks of the objects that Orthanc's plugins have in a configuration."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hounsfield.config.lenient_json import Json
from hounsfield.config.option import check
from hounsfield.config.refusal import Refusal
from hounsfield.config.table.dicomweb import DICOMWEB_MEMBERS


def check_dicomweb(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """Reasons not to start: wrong types."""
    section = given.get("DicomWeb")
    for member in DICOMWEB_MEMBERS if isinstance(section, dict) else ():
        name = member.name
        if isinstance(section, dict) and section.get(name) is not None:
            found = check(replace(member, name=f"DicomWeb.{name}"), section[name])
            if found is not None:
                yield found

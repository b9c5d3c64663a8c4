"""The DICOM servers and peers that the configuration names."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from hounsfield.config.lenient_json import Json
from hounsfield.config.refusal import ConfigurationRefused, Refusal, refuse
from hounsfield.remote import modality
from hounsfield.remote.modality import BadDefinition, ImpossibleValue, Modality

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def read_modality(name: str, value: Json) -> Modality:
    """Read one entry of `DicomModalities`: `["AET", "host", port, "Manufacturer"?]`, or an object.

    Raises
    ------
    ConfigurationRefused
        With Orthanc's numbers: 15 for a wrong shape, 3 for a port or a manufacturer that does not exist.
    """
    try:
        return modality.read_modality(name, value)
    except BadDefinition as error:
        raise refuse(15, str(error)) from error
    except ImpossibleValue as error:
        raise refuse(3, str(error)) from error


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

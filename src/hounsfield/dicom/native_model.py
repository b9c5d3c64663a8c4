"""Data sets in XML, the Native DICOM Model. PS3.19 A.1.

Made from the JSON of DICOMweb, which says the same (PS3.18 F.2.1.1).
"""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from hounsfield.dicom.dicom_json import Json, JsonObject
from hounsfield.dicom.dictionary import lookup

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
# XML 1.0 has no way to write these. https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def native_model(dataset: JsonObject) -> bytes:
    """Write what `dicom_json` gave as an XML document; characters XML cannot hold are dropped."""
    parts = [f'<?xml version="1.0" encoding="utf-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}">']
    parts += _attributes(dataset)
    parts.append("</NativeDicomModel>\n")
    return _FORBIDDEN.sub("", "".join(parts)).encode()


def _attributes(dataset: JsonObject) -> Iterator[str]:
    for key, member in dataset.items():
        if isinstance(member, dict):
            yield from _attribute(dataset, key, member)


def _attribute(dataset: JsonObject, key: str, member: JsonObject) -> Iterator[str]:
    creator = _private_creator(dataset, key)
    keyword = lookup.keyword(int(key, 16), creator)
    yield f'<DicomAttribute tag="{key}" vr="{member["vr"]}"'
    if keyword:
        yield f" keyword={quoteattr(keyword)}"
    if creator:
        yield f" privateCreator={quoteattr(creator)}"
    yield ">"
    if "BulkDataURI" in member:
        yield f"<BulkData uri={quoteattr(str(member['BulkDataURI']))}/>"
    elif "InlineBinary" in member:
        yield f"<InlineBinary>{member['InlineBinary']}</InlineBinary>"
    values = member.get("Value")
    if isinstance(values, list):
        for number, value in enumerate(values, 1):
            yield from _value(number, value, str(member["vr"]))
    yield "</DicomAttribute>"


def _value(number: int, value: Json, vr: str) -> Iterator[str]:
    if vr == "SQ" and isinstance(value, dict):
        yield f'<Item number="{number}">'
        yield from _attributes(value)
        yield "</Item>"
    elif isinstance(value, dict):
        if value:
            yield f'<PersonName number="{number}">'
            yield from _name(value)
            yield "</PersonName>"
    elif value is None:
        yield f'<Value number="{number}"/>'
    else:
        yield f'<Value number="{number}">{escape(str(value))}</Value>'


def _name(groups: JsonObject) -> Iterator[str]:
    for group, text in groups.items():
        yield f"<{group}>"
        for part, component in zip(_NAME_PARTS, str(text).split("^"), strict=False):
            if component:
                yield f"<{part}>{escape(component)}</{part}>"
        yield f"</{group}>"


def _private_creator(dataset: JsonObject, key: str) -> str | None:
    """The creator of a private attribute's block, found in the same data set. PS3.5 7.8.1."""
    if int(key[:4], 16) % 2 == 0 or key[4:6] == "00":
        return None
    member = dataset.get(f"{key[:4]}00{key[4:6]}")
    values = member.get("Value") if isinstance(member, dict) else None
    return str(values[0]) if isinstance(values, list) and values and values[0] else None

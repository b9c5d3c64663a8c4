"""JSON as XML, for clients that accept nothing else."""

import re
from xml.sax.saxutils import escape

_ILLEGAL_IN_NAME = re.compile(r"[^\w.,-]", re.ASCII)
# XML 1.0 knows no control characters but tab, line feed and carriage return.
_ILLEGAL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def json_to_xml(value: object) -> bytes:
    """Write a JSON value as `<root>`: members become elements of their name, elements of an array `<item>`.

    >>> json_to_xml({"a": [1, True]}).decode().splitlines()[1]
    '<root><a><item>1</item><item>true</item></a></root>'
    """
    pieces = ['<?xml version="1.0" encoding="utf-8"?>\n']
    _write(pieces, "root", value)
    return "".join(pieces).encode()


def _write(pieces: list[str], name: str, value: object) -> None:
    pieces.append(f"<{name}>")
    if isinstance(value, dict):
        for key, member in value.items():
            _write(pieces, _element_name(str(key)), member)
    elif isinstance(value, list):
        for item in value:
            _write(pieces, "item", item)
    else:
        pieces.append(_scalar(value))
    pieces.append(f"</{name}>")


def _scalar(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_ILLEGAL_IN_TEXT.sub("", str(value)))


def _element_name(key: str) -> str:
    """A key such as `0010,0020` stays as it is, although no XML name starts so: clients look for it."""
    cleaned = _ILLEGAL_IN_NAME.sub("_", key)
    return cleaned or "_"

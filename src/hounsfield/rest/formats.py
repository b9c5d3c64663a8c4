"""The three formats of tags, and the arguments and bodies that choose among them."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

import orjson

from hounsfield.dicom import json
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.tags import Tag
from hounsfield.errors import BadRequest
from hounsfield.http.errors import BadFileFormat
from hounsfield.http.messages import Request, body_bytes


class TagFormat(Enum):
    """How tags are written."""

    FULL = "full"
    SHORT = "short"
    HUMAN = "human"


_WRITERS = {TagFormat.FULL: json.full, TagFormat.SHORT: json.short, TagFormat.HUMAN: json.simplified}


def format_of(request: Request, default: TagFormat) -> TagFormat:
    """The format a GET asks for, by the presence of an argument."""
    if request.query:
        for name, chosen in (
            ("simplify", TagFormat.HUMAN),
            ("short", TagFormat.SHORT),
            ("full", TagFormat.FULL),
        ):
            if name in request.arguments:
                return chosen
    return default


def format_of_body(body: Mapping[str, Any], default: TagFormat) -> TagFormat:
    """The format a POST asks for, by a true member of its body."""
    for name, chosen in (
        ("Simplify", TagFormat.HUMAN),
        ("Short", TagFormat.SHORT),
        ("Full", TagFormat.FULL),
    ):
        value = body.get(name, False)
        if not isinstance(value, bool):
            raise BadFileFormat(f"Boolean value expected in field: {name}")
        if value:
            return chosen
    return default


def write_dataset(
    dataset: Dataset,
    tag_format: TagFormat,
    ignore_length: tuple[Tag, ...] = (),
    only: tuple[Tag, ...] | None = None,
) -> dict[str, json.JsonValue]:
    """A data set in a format, or of its top level `only` some tags."""
    return _WRITERS[tag_format](dataset, ignore_length=ignore_length, only=only)


def write_texts(texts: Mapping[str, str], tag_format: TagFormat) -> dict[str, Any]:
    """Texts by `gggg,eeee`, such as main DICOM tags, in a format."""
    if tag_format is TagFormat.HUMAN:
        return {keyword(key): text for key, text in texts.items()}
    if tag_format is TagFormat.SHORT:
        return dict(texts)
    return {key: {"Name": keyword(key), "Type": "String", "Value": text} for key, text in texts.items()}


def convert_full(entries: Mapping[str, Any], tag_format: TagFormat) -> dict[str, Any]:
    """What is in the full format, in another."""
    if tag_format is TagFormat.FULL:
        return dict(entries)
    converted: dict[str, Any] = {}
    for key, entry in entries.items():
        value = entry["Value"]
        if isinstance(value, list):
            value = [convert_full(item, tag_format) for item in value]
        converted[entry["Name"] if tag_format is TagFormat.HUMAN else key] = value
    return converted


@lru_cache(maxsize=4096)
def keyword(key: str) -> str:
    """The keyword of a `gggg,eeee`."""
    return lookup.name(int(key.replace(",", ""), 16))


def ignored_lengths(request: Request) -> tuple[Tag, ...]:
    """The tags of `ignore-length`, whose values are given however long."""
    text = request.arguments.get("ignore-length", "") if request.query else ""
    # `0010,0010,0010,0020` cannot be cut at commas alone.
    return tuple(lookup.parse_tag(name) for name in _tag_list(text)) if text else ()


def _tag_list(text: str) -> list[str]:
    pieces = [piece for piece in text.replace(";", ",").split(",") if piece]
    names: list[str] = []
    while pieces:
        piece = pieces.pop(0)
        if len(piece) == 4 and pieces and len(pieces[0]) == 4 and _is_hexadecimal(piece + pieces[0]):
            piece += "," + pieces.pop(0)
        names.append(piece)
    return names


def _is_hexadecimal(text: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in text)


def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises
    ------
    BadRequest
        If it is anything else.
    """
    try:
        value = orjson.loads(body_bytes(request.body))
    except orjson.JSONDecodeError as cause:
        raise BadRequest("The body must contain a JSON object") from cause
    if not isinstance(value, dict):
        raise BadRequest("The body must contain a JSON object")
    return value

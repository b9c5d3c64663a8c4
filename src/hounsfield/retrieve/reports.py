"""Structured reports as text that people read: the tree of content items. PS3.3 C.17.3.

What the observers concluded is there with every code's meaning and every unit; references are by UID. Nothing is taken
from the Patient module.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag
from hounsfield.errors import Corrupt

VALUE_TYPE: Tag = 0x0040A040
_CONCEPT_NAME: Tag = 0x0040A043
_CONTENT: Tag = 0x0040A730
_CONCEPT_CODE: Tag = 0x0040A168
_MEASURED_VALUE: Tag = 0x0040A300
_NUMERIC_VALUE: Tag = 0x0040A30A
_NUMERIC_QUALIFIER: Tag = 0x0040A301
_UNITS: Tag = 0x004008EA
_RELATIONSHIP: Tag = 0x0040A010
_REFERENCED_INSTANCES: Tag = 0x00081199
_REFERENCED_UID: Tag = 0x00081155
_REFERENCED_FRAMES: Tag = 0x00081160
_GRAPHIC_TYPE: Tag = 0x00700023
_GRAPHIC_DATA: Tag = 0x00700022
_TEMPORAL_RANGE: Tag = 0x0040A130
_REFERENCED_ITEM: Tag = 0x0040DB73
_CODE_VALUE, _CODE_MEANING = 0x00080100, 0x00080104
_COMPLETION, _VERIFICATION = 0x0040A491, 0x0040A493
_ITEMS_MAX = 20_000

_TEXT_VALUES: dict[str, Tag] = {
    "TEXT": 0x0040A160,
    "DATETIME": 0x0040A120,
    "DATE": 0x0040A121,
    "TIME": 0x0040A122,
    "PNAME": 0x0040A123,
    "UIDREF": 0x0040A124,
}
_REFERENCES = ("IMAGE", "WAVEFORM", "COMPOSITE")


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One item of the tree: what it is about, what it says, and what follows from it."""

    kind: str
    """Value Type (0040,A040)."""

    name: str
    value: str
    relationship: str
    depth: int
    """0 for the root."""


def read_report(dataset: Dataset) -> list[ContentItem]:
    """The content items of a report in the order they are read, the root first.

    Raises
    ------
    Corrupt
        If there are more than anybody writes, or they are nested too deep.
    """
    items: list[ContentItem] = []
    for item in _walk(dataset, 0):
        items.append(item)
        if len(items) > _ITEMS_MAX:
            raise Corrupt(f"a report of more than {_ITEMS_MAX} content items")
    return items


def report_status(dataset: Dataset) -> dict[str, str]:
    """Whether a report is complete, and whether somebody has verified it."""
    return {
        "CompletionFlag": (dataset.text(_COMPLETION) or "").strip(),
        "VerificationFlag": (dataset.text(_VERIFICATION) or "").strip(),
    }


def _walk(dataset: Dataset, depth: int) -> Iterator[ContentItem]:
    yield ContentItem(
        kind=_word(dataset, VALUE_TYPE),
        name=_code(dataset, _CONCEPT_NAME),
        value=_value(dataset),
        relationship=_word(dataset, _RELATIONSHIP),
        depth=depth,
    )
    for item in dataset.items(_CONTENT):
        yield from _walk(item, depth + 1)


def _value(dataset: Dataset) -> str:
    """What an item says, by its type."""
    kind = _word(dataset, VALUE_TYPE)
    if kind in _TEXT_VALUES:
        return _name_or_text(kind, (dataset.text(_TEXT_VALUES[kind]) or "").strip())
    if kind == "CODE":
        return _code(dataset, _CONCEPT_CODE)
    if kind == "NUM":
        return _number(dataset)
    if kind in _REFERENCES:
        return ", ".join(_reference(each) for each in dataset.items(_REFERENCED_INSTANCES))
    if kind in ("SCOORD", "SCOORD3D"):
        points = (dataset.text(_GRAPHIC_DATA) or "").count("\\") + 1
        return f"{_word(dataset, _GRAPHIC_TYPE)} ({points // (2 if kind == 'SCOORD' else 3)} points)"
    if kind == "TCOORD":
        return _word(dataset, _TEMPORAL_RANGE)
    reference = (dataset.text(_REFERENCED_ITEM) or "").strip()
    return f"see item {reference.replace(chr(92), '.')}" if reference else ""


def _name_or_text(kind: str, text: str) -> str:
    """A person's name as it is spoken; line ends of other text as they are."""
    if kind != "PNAME":
        return text.replace("\r\n", "\n").replace("\r", "\n")
    family, given, middle, prefix, suffix = [*text.partition("=")[0].split("^"), *[""] * 5][:5]
    return " ".join(part for part in (prefix, given, middle, family, suffix) if part)


def _number(dataset: Dataset) -> str:
    for measured in dataset.items(_MEASURED_VALUE)[:1]:
        value = (measured.text(_NUMERIC_VALUE) or "").strip()
        unit = next(((item.text(_CODE_VALUE) or "").strip() for item in measured.items(_UNITS)[:1]), "")
        return f"{value} {unit}".strip() if unit != "1" else value
    return _code(dataset, _NUMERIC_QUALIFIER) or "no value"


def _reference(item: Dataset) -> str:
    frames = (item.text(_REFERENCED_FRAMES) or "").strip().replace("\\", ", ")
    uid = (item.text(_REFERENCED_UID) or "").strip()
    return f"{uid} frame {frames}" if frames else uid


def _code(dataset: Dataset, sequence: Tag) -> str:
    for code in dataset.items(sequence)[:1]:
        return (code.text(_CODE_MEANING) or code.text(_CODE_VALUE) or "").strip()
    return ""


def _word(dataset: Dataset, tag: Tag) -> str:
    return (dataset.text(tag) or "").strip()


def report_text(items: list[ContentItem]) -> str:
    """A report as plain text, indented."""
    lines = []
    for item in items:
        indent = "  " * item.depth
        value = item.value.replace("\n", "\n" + indent + "  ")
        lines.append(
            indent + (f"{item.name}: {value}" if item.name and value else item.name or value or item.kind)
        )
    return "\n".join(lines) + "\n"


def report_html(items: list[ContentItem]) -> str:
    """A report as nested lists; every text is escaped, so that none can do anything."""
    parts: list[str] = []
    depth = 0
    for item in items[1:]:
        while depth < item.depth:
            parts.append("<ul>")
            depth += 1
        while depth > item.depth:
            parts.append("</ul>")
            depth -= 1
        name = f"<b>{escape(item.name)}</b>" if item.name else ""
        value = escape(item.value).replace("\n", "<br>")
        parts.append(
            f"<li>{name}{': ' if name and value else ''}{value or ('' if name else escape(item.kind))}</li>"
        )
    return "".join(parts) + "</ul>" * depth

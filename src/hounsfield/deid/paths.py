"""Paths to attributes in sequences: `RequestAttributesSequence[*].ScheduledProcedureStepID`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.tags import Tag
from hounsfield.errors import BadRequest

_STEP = re.compile(r"(.*?)\s*\[\s*(.*?)\s*\]", re.DOTALL)
_LONGEST = 4096
EVERY_ITEM = -1


class BadPath(BadRequest):
    """A path without the number of an item where one is needed, or with an impossible one."""


@dataclass(frozen=True, slots=True)
class Path:
    """An attribute in an item of a sequence.

    `steps` are the sequences from the outside inwards, with the number of an item, counted from 0, or `EVERY_ITEM`.
    """

    steps: tuple[tuple[Tag, int], ...]
    tag: Tag

    def matches(self, place: tuple[tuple[Tag, int], ...], tag: Tag) -> bool:
        """Whether an attribute at a place is meant."""
        return (
            tag == self.tag
            and len(place) == len(self.steps)
            and all(
                here == there and index in (EVERY_ITEM, at)
                for (here, at), (there, index) in zip(place, self.steps, strict=True)
            )
        )


def parse_path(text: str, private_creator: str = "") -> Path:
    """Read a path; one without steps is a tag of the data set itself.

    Raises
    ------
    UnknownTag
        If a part is neither a tag nor a keyword.
    BadPath
        If a sequence on the way has no number of an item.

    >>> parse_path("(0008,1140)[*].0008,1155")
    Path(steps=((528704, -1),), tag=528725)
    """
    parts = text[:_LONGEST].split(".")
    steps = tuple(_step(part, private_creator) for part in parts[:-1])
    return Path(steps, _tag(parts[-1], private_creator))


def _step(text: str, private_creator: str) -> tuple[Tag, int]:
    found = _STEP.fullmatch(text.strip())
    if found is None:
        raise BadPath("Parent path doesn't contain an index")
    name, index = found.groups()
    if index == "*":
        return _tag(name, private_creator), EVERY_ITEM
    if re.fullmatch(r"-[0-9]+", index):
        raise BadPath(f"Negative index in parent path: {index}")
    if not re.fullmatch(r"[0-9]{1,9}", index):
        raise BadPath(f"Not a valid index in parent path: [{index}]")
    return _tag(name, private_creator), int(index)


def _tag(text: str, private_creator: str) -> Tag:
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return lookup.parse_tag(text, private_creator)


def datasets_at(dataset: MutableDataset, steps: tuple[tuple[Tag, int], ...]) -> Iterator[MutableDataset]:
    """The items that the steps of a path lead to; none where a sequence or an item is missing."""
    if not steps:
        yield dataset
        return
    (tag, index), *rest = steps
    items = dataset.items(tag) if tag in dataset else []
    chosen = items if index == EVERY_ITEM else items[index : index + 1]
    for item in chosen:
        yield from datasets_at(item, tuple(rest))

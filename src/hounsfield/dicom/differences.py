"""What differs between two data sets, attribute by attribute, also within sequences."""

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.tags import Tag

_WORD_CODES: Final = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
_LONGEST_SHOWN: Final = 1 << 16
_PADDING: Final = 0xFFFCFFFC

_Key = tuple[int, str, int]
"""Group, private creator and element: the same private attribute may be in another block of another file. PS3.5 7.8."""

Ignored = Callable[[Tag, str | None], bool]
"""Whether a tag with its private creator is to be passed over."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An attribute that is not the same; a value is None where the attribute is absent.

    `path` names it from the outside in, items numbered from 1, as in `ReferencedSeriesSequence[1].Modality`.
    """

    path: str
    tag: Tag
    name: str
    first: str | None
    second: str | None


def differences(first: Dataset, second: Dataset, is_ignored: Ignored) -> Iterator[Difference]:
    """What is not the same in two data sets, in the order of tags.

    Values count, not how they are written: padding, the character set of texts, byte order and explicit or implicit
    VR make no difference.

    Raises
    ------
    Corrupt
        If a sequence cannot be read.
    """
    yield from _differences(first, second, is_ignored, "")


def _differences(first: Dataset, second: Dataset, is_ignored: Ignored, outside: str) -> Iterator[Difference]:
    ours, theirs = _tags(first, is_ignored), _tags(second, is_ignored)
    for key in sorted(ours.keys() | theirs.keys()):
        yield from _compare(first, ours.get(key), second, theirs.get(key), is_ignored, outside)


def _tags(dataset: Dataset, is_ignored: Ignored) -> dict[_Key, Tag]:
    found: dict[_Key, Tag] = {}
    for tag in dataset.elements:
        if not tag & 0xFFFF or tag == _PADDING:
            continue  # Group lengths and padding are about the writing.
        creator = dataset.private_creator(tag)
        if (tag >> 16) % 2 and 0x10 <= tag & 0xFFFF <= 0xFF:
            continue  # A reservation of a block: the attributes in it tell its creator.
        if is_ignored(tag, creator):
            continue
        element = tag & 0xFF if creator is not None else tag & 0xFFFF
        found.setdefault((tag >> 16, creator or "", element), tag)
    return found


def _compare(
    first: Dataset, ours: Tag | None, second: Dataset, theirs: Tag | None, is_ignored: Ignored, outside: str
) -> Iterator[Difference]:
    """One attribute, which may be in one of the data sets only."""
    dataset, tag = (first, ours) if ours is not None else (second, theirs)
    assert tag is not None
    name = lookup.name(tag, dataset.private_creator(tag))
    path = outside + _step(tag, name)
    if ours is None or theirs is None:
        shown = _show(dataset, tag)
        yield Difference(path, tag, name, *((None, shown) if ours is None else (shown, None)))
    elif first.vr(ours) == second.vr(theirs) == "SQ":
        yield from _compare_items(first, ours, second, theirs, is_ignored, path, name)
    elif not _are_equal(first, ours, second, theirs):
        yield Difference(path, tag, name, _show(first, ours), _show(second, theirs))


def _step(tag: Tag, name: str) -> str:
    """How an attribute is named in a path: by its keyword, or by its tag if it has none of its own."""
    is_standard = not (tag >> 16) % 2 and name.isidentifier()
    return name if is_standard else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _compare_items(
    first: Dataset, ours: Tag, second: Dataset, theirs: Tag, is_ignored: Ignored, path: str, name: str
) -> Iterator[Difference]:
    left, right = first.items(ours), second.items(theirs)
    if len(left) != len(right):
        yield Difference(path, ours, name, f"{len(left)} items", f"{len(right)} items")
    for number, (one, other) in enumerate(zip(left, right, strict=False), 1):
        yield from _differences(one, other, is_ignored, f"{path}[{number}].")


def _are_equal(first: Dataset, ours: Tag, second: Dataset, theirs: Tag) -> bool:
    left, right = first.text(ours), second.text(theirs)
    if left is not None and right is not None:
        return left == right
    return _little_endian(first, ours) == _little_endian(second, theirs)


def _little_endian(dataset: Dataset, tag: Tag) -> bytes:
    """The bytes of a binary value, as they would be in little endian."""
    raw, code = dataset.raw(tag), _WORD_CODES.get(dataset.vr(tag), "")
    if not dataset.encoding.is_big_endian or not code:
        return raw
    words = array(code)
    whole = len(raw) - len(raw) % words.itemsize
    words.frombytes(raw[:whole])
    words.byteswap()
    return words.tobytes() + raw[whole:]


def _show(dataset: Dataset, tag: Tag) -> str:
    """A value for people: binary ones by their length and MD5."""
    if dataset.vr(tag) == "SQ":
        return f"{len(dataset.items(tag))} items"
    element = dataset.element(tag)
    length = element.length if element is not None else 0
    text = dataset.text(tag) if length <= _LONGEST_SHOWN else None
    if text is not None:
        return text
    digest = hashlib.md5(_little_endian(dataset, tag), usedforsecurity=False).hexdigest()
    return f"{length} bytes, MD5 {digest}"

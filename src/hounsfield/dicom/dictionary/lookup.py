"""Names and value representations of attributes. PS3.6, and private dictionaries.

The standard table is read when first asked for, a private creator's block when first met.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

from hounsfield.dicom.tags import Tag
from hounsfield.errors import BadRequest

UNKNOWN_NAME = "Unknown Tag & Data"


class UnknownTag(BadRequest):
    """A text that is neither a tag nor a keyword of the dictionary."""


class Entry(NamedTuple):
    """One attribute; `vr` has the choices joined by a slash where the standard leaves some.

    Some private attributes have a VR but no keyword, which is then empty.
    """

    vr: str
    vm: str
    keyword: str


def entry(tag: Tag, private_creator: str | None = None) -> Entry | None:
    """Find an attribute, also in the repeating groups and, with its creator, among private ones."""
    if tag & 0x10000:
        return _private_entry(tag, private_creator)
    return standard_entry(tag) or _declared.get(("", tag))


def standard_entry(tag: Tag) -> Entry | None:
    """Find an attribute of an even group, by the standard alone."""
    found = _standard().get(tag)
    if found is not None:
        return found
    if tag & 0xFFFF == 0:
        return _GROUP_LENGTH
    for mask, value in _REPEATING:
        if tag & mask == value:
            return _standard().get(-(tag & _REPEATING_KEYS[value]) - 1)
    return None


def keyword(tag: Tag, private_creator: str | None = None) -> str | None:
    """Give the keyword as printed in PS3.6, `PatientName`; None if unknown."""
    found = entry(tag, private_creator)
    return None if found is None else found.keyword or None


def name(tag: Tag, private_creator: str | None = None) -> str:
    """Give the keyword, or `Unknown Tag & Data`."""
    found = entry(tag, private_creator)
    return UNKNOWN_NAME if found is None else found.keyword or UNKNOWN_NAME


def vr(tag: Tag, private_creator: str | None = None) -> str:
    """Give the VR, the widest fitting one where the standard leaves a choice, `UN` if unknown.

    `US or SS` is answered `US`: the caller who knows Pixel Representation (0028,0103) may know better.
    """
    found = entry(tag, private_creator)
    if found is None:
        return "UN"
    return _CHOSEN.get(found.vr, found.vr)


def is_signed_by_pixels(tag: Tag) -> bool:
    """Whether the VR is `US` or `SS` according to Pixel Representation (0028,0103). PS3.5 A.1."""
    found = entry(tag)
    return found is not None and found.vr == "US/SS"


def tag_of(keyword: str) -> Tag:
    """Find a tag by keyword.

    Raises
    ------
    UnknownTag
        If the dictionary has no such keyword.
    """
    try:
        return _by_keyword()[keyword]
    except KeyError as cause:
        raise UnknownTag(keyword) from cause


def parse_tag(text: str, private_creator: str = "") -> Tag:
    """Read `gggg,eeee`, `gggg-eeee`, `ggggeeee` or a keyword; with its creator, also one of a private attribute.

    A private attribute known by its keyword alone is taken to be in the first block, (gggg,10xx).

    Raises
    ------
    UnknownTag
        If it is none of them.

    >>> format(parse_tag("PatientName"), "08x"), format(parse_tag("7FE0-0010"), "08x")
    ('00100010', '7fe00010')
    """
    match = _HEXADECIMAL.fullmatch(text)
    if match is not None:
        return int(match[1] + match[2], 16)
    found = _declared_keywords.get((private_creator, text)) or _declared_keywords.get(("", text))
    if found is None and private_creator in _private_blocks() and text not in _by_keyword():
        found = _private_keywords(private_creator).get(text)
    return tag_of(text) if found is None else found


class Declared(NamedTuple):
    """An attribute that the configuration adds; of a private one, the first digits of the element do not matter."""

    tag: Tag
    vr: str
    keyword: str
    creator: str = ""


def declare(attributes: Iterable[Declared]) -> None:
    """Add attributes to the dictionary of this process, in place of those added before."""
    _declared.clear()
    _declared_keywords.clear()
    for tag, vr, keyword, creator in attributes:
        if tag & 0x10000:
            _declared[creator, tag & 0xFFFF00FF] = Entry(vr, "1-n", keyword)
            _declared_keywords[creator, keyword] = tag if tag & 0xF000 else tag | 0x1000
        else:
            _declared["", tag] = Entry(vr, "1-n", keyword)
            _declared_keywords["", keyword] = tag


_declared: dict[tuple[str, Tag], Entry] = {}
_declared_keywords: dict[tuple[str, str], Tag] = {}


_HEXADECIMAL = re.compile(r"([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{4})", re.ASCII)
_GROUP_LENGTH = Entry("UL", "1", "GenericGroupLength")
_PRIVATE_CREATOR = Entry("LO", "1", "PrivateCreator")
_CHOSEN = MappingProxyType(
    {"US/SS": "US", "US/OW": "OW", "US/SS/OW": "OW", "OB/OW": "OW", "--": "UN"},
)
# Where digits repeat: which bits identify the family, and which bits are kept to look it up. PS3.5 7.6.
_REPEATING = (
    (0xFF010000, 0x50000000),
    (0xFF010000, 0x60000000),
    (0xFF010000, 0x7F000000),
    (0xFFFFFF00, 0x00203100),
    (0xFFFFFF00, 0x00280400),
    (0xFFFFFF00, 0x00280800),
    (0xFFFF0000, 0x10000000),
    (0xFFFF0000, 0x10100000),
)
_REPEATING_KEYS = MappingProxyType(
    {
        0x50000000: 0xFF00FFFF,
        0x60000000: 0xFF00FFFF,
        0x7F000000: 0xFF00FFFF,
        0x00203100: 0xFFFFFF00,
        0x00280400: 0xFFFFFF0F,
        0x00280800: 0xFFFFFF0F,
        0x10000000: 0xFFFF000F,
        0x10100000: 0xFFFF0000,
    }
)


@cache
def _standard() -> dict[Tag, Entry]:
    """The standard table; a repeating attribute has the key -(tag with zeros) - 1, which no tag can have."""
    table = {}
    text = files(__package__).joinpath("standard.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        tag, *rest = line.split("\t")
        key = -int(tag.replace("x", "0"), 16) - 1 if "x" in tag else int(tag, 16)
        table[key] = Entry(*rest)
    return table


@cache
def _by_keyword() -> dict[str, Tag]:
    """Tags by keyword; a repeating attribute stands for its first group."""
    return {entry.keyword: tag if tag >= 0 else -tag - 1 for tag, entry in reversed(_standard().items())}


@cache
def _private_blocks() -> dict[str, str]:
    """The lines of each private creator, not yet taken apart."""
    text = files(__package__).joinpath("private.tsv").read_text(encoding="utf-8")
    blocks = ("\n" + text).split("\n# ")[1:]
    return {block.partition("\n")[0]: block.partition("\n")[2] for block in blocks}


@cache
def _private_block(creator: str) -> dict[tuple[int, int], Entry]:
    """The attributes of a known creator, by group and by last byte of the element."""
    table = {}
    for line in _private_blocks()[creator].splitlines():
        group, element, *rest = line.split("\t")
        table[int(group, 16), int(element, 16)] = Entry(*rest)
    return table


def _private_entry(tag: Tag, creator: str | None) -> Entry | None:
    """A private attribute. PS3.5 7.8.1: elements (gggg,0010-00FF) name the creators of blocks."""
    element = tag & 0xFFFF
    if 0x10 <= element <= 0xFF:
        return _PRIVATE_CREATOR
    if element == 0:
        return _GROUP_LENGTH
    if element < 0x1000:
        return None
    declared = _declared.get((creator or "", tag & 0xFFFF00FF))
    if declared is not None:
        return declared
    if creator is None or creator not in _private_blocks():
        return None
    return _private_block(creator).get((tag >> 16, element & 0xFF))


@cache
def _private_keywords(creator: str) -> dict[str, Tag]:
    """The attributes of a known creator by keyword, in the first block."""
    return {
        entry.keyword: group << 16 | 0x1000 | element
        for (group, element), entry in reversed(_private_block(creator).items())
        if entry.keyword
    }

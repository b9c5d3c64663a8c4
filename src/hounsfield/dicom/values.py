"""The values of elements as text, as the REST interface shows them. PS3.5 6.2."""

import re
from enum import Enum
from struct import Struct, unpack
from types import MappingProxyType

from hounsfield.dicom.charset import CharacterSet


class Kind(Enum):
    """What the bytes of a value are."""

    TEXT = "text"
    NUMBERS = "numbers"
    TAGS = "tags"
    BINARY = "binary"
    SEQUENCE = "sequence"


KINDS = MappingProxyType(
    {
        **dict.fromkeys(
            [
                "AE",
                "AS",
                "CS",
                "DA",
                "DS",
                "DT",
                "IS",
                "LO",
                "LT",
                "PN",
                "SH",
                "ST",
                "TM",
                "UC",
                "UI",
                "UR",
                "UT",
            ],
            Kind.TEXT,
        ),
        **dict.fromkeys(
            ["FL", "FD", "SL", "SS", "SV", "UL", "US", "UV", "OF", "OD", "OL", "OV"], Kind.NUMBERS
        ),
        **dict.fromkeys(["OB", "OW", "UN"], Kind.BINARY),
        "AT": Kind.TAGS,
        "SQ": Kind.SEQUENCE,
    }
)
# Format character of `struct` and size in bytes.
NUMBER_FORMATS = MappingProxyType(
    {
        "US": ("H", 2),
        "SS": ("h", 2),
        "UL": ("I", 4),
        "SL": ("i", 4),
        "OL": ("I", 4),
        "UV": ("Q", 8),
        "SV": ("q", 8),
        "OV": ("Q", 8),
        "FL": ("f", 4),
        "OF": ("f", 4),
        "FD": ("d", 8),
        "OD": ("d", 8),
    }
)
_AFTER_NUL = re.compile(r"\0[^\\]*")

# No character set needs more, escapes included.
_BYTES_A_CHARACTER = 10

Numbers = tuple[int, ...] | tuple[float, ...]

_ONE_UNSIGNED_SHORT = (Struct("<H"), Struct(">H"))


def decode_text(raw: bytes, vr: str, character_set: CharacterSet) -> str:
    """Give the values of a text element joined by backslashes, without padding at the end.

    >>> decode_text(b"DOE^JOHN ", "PN", CharacterSet.parse(None))
    'DOE^JOHN'
    """
    return trim(character_set.decode(raw, vr), vr)


def is_surely_longer(raw: bytes, characters: int) -> bool:
    """Whether a text has more characters than that, told without decoding what may be megabytes."""
    limit = characters * _BYTES_A_CHARACTER
    return len(raw) > limit and len(raw.rstrip(b" \0")) > limit


def trim(text: str, vr: str) -> str:
    r"""Take away padding: at the end, in a UID also in front, and what follows a NUL in a value.

    Identifiers are hashed from this form, so it must never change.

    >>> trim(" A \0", "LO"), trim(" 1.2\0", "UI"), trim("A\0rest", "LO")
    (' A', '1.2', 'A')
    """
    text = text.strip(" \0") if vr == "UI" else text.rstrip(" \0")
    return text if "\0" not in text else _AFTER_NUL.sub("", text).rstrip(" ")


def numbers(raw: bytes, vr: str, *, is_big_endian: bool) -> Numbers:
    """Give the numbers of a binary numeric element; an incomplete last one is left out."""
    letter, size = NUMBER_FORMATS[vr]
    count = len(raw) // size
    return unpack(f"{'>' if is_big_endian else '<'}{count}{letter}", raw[: count * size])


def number_text(raw: bytes, vr: str, *, is_big_endian: bool) -> str:
    """Give numbers in decimal joined by backslashes; floating point with 17 significant digits."""
    if len(raw) == 2 and vr == "US":
        return str(_ONE_UNSIGNED_SHORT[is_big_endian].unpack(raw)[0])
    values = numbers(raw, vr, is_big_endian=is_big_endian)
    if vr in ("FL", "FD", "OF", "OD"):
        return "\\".join([format(value, ".17g") for value in values])
    return "\\".join(map(str, values))


def tags_text(raw: bytes, *, is_big_endian: bool) -> str:
    """Give attribute tags as `gggg,eeee` joined by backslashes."""
    count = len(raw) // 4
    halves = unpack(f"{'>' if is_big_endian else '<'}{2 * count}H", raw[: 4 * count])
    return "\\".join([f"{halves[i]:04x},{halves[i + 1]:04x}" for i in range(0, 2 * count, 2)])

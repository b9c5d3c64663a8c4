"""Data sets in the JSON of DICOMweb. PS3.18 Annex F.

`{"00100010": {"Value": [{"Alphabetic": "KNIX"}], "vr": "PN"}}`. Large values may be given as an address instead.
"""

import math
import re
from array import array
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.json import MAXIMUM_ELEMENTS
from hounsfield.dicom.tags import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    Tag,
)
from hounsfield.dicom.values import KINDS, NUMBER_FORMATS, Kind, numbers
from hounsfield.errors import Corrupt

Json = str | int | float | None | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]


class BinaryMode(Enum):
    """How the values of OB, OW, OD, OF, OL, OV and UN are given; pixel data and UN are addresses if there is one."""

    ADDRESS = "BulkDataURI"
    INLINE = "InlineBinary"
    ARRAY = "ArrayOfValues"
    OMIT = "Ignore"


@dataclass(frozen=True, slots=True)
class Options:
    """The choices the standard leaves.

    `bulk_uri` is what comes before `/{tag}` in addresses; empty if there are none. Decimal strings (DS) stay
    texts to be exact, unless `are_decimals_numbers`, which gives the whole ones as integers.
    """

    binary: BinaryMode = BinaryMode.ARRAY
    bulk_uri: str = ""
    are_decimals_numbers: bool = False


DEFAULT_OPTIONS = Options()
_PIXEL_TAGS = frozenset((PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA))
_OTHER = frozenset(("OB", "OW", "OD", "OF", "OL", "OV", "UN"))
_ONE_VALUE = frozenset(("ST", "LT", "UT", "UR"))
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_LARGEST_SAFE_INTEGER = 2**53 - 1
# Longer than any IS; Python refuses to read numbers of thousands of digits.
_LONGEST_INTEGER = 40


def dicom_json(
    dataset: Dataset, options: Options = DEFAULT_OPTIONS, *, only: Iterable[Tag] | None = None
) -> JsonObject:
    """Convert a data set; `only` names the top-level tags to give, all if None.

    Raises
    ------
    Corrupt
        If sequences are nested too deeply, or there are more than a million elements.
    """
    return _Walk(options).object(dataset, "", only)


class _Walk:
    """One conversion: the options, and what is left of the limit on elements."""

    __slots__ = ("left", "options")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.left = MAXIMUM_ELEMENTS

    def object(self, dataset: Dataset, path: str, only: Iterable[Tag] | None = None) -> JsonObject:
        """Convert a data set or an item; `path` is its place in addresses."""
        elements = dataset.elements
        chosen = elements if only is None else [tag for tag in only if tag in elements]
        self.left -= len(chosen) + 1
        if self.left < 0:
            raise Corrupt(f"More than {MAXIMUM_ELEMENTS} elements")
        output: JsonObject = {}
        for tag in chosen:
            if tag & 0xFFFF:
                member = self._element(dataset, tag, path)
                if member is not None:
                    output[f"{tag:08X}"] = member
        if only is None and dataset.pixel_data_tag is not None and self.options.bulk_uri:
            tag = dataset.pixel_data_tag
            output[f"{tag:08X}"] = self._address(tag, dataset.pixel_data_vr or "OW", path)
        return output

    def _element(self, dataset: Dataset, tag: Tag, path: str) -> JsonObject | None:
        vr = dataset.vr(tag)
        kind = KINDS.get(vr, Kind.BINARY)
        if kind is Kind.SEQUENCE:
            return self._sequence(dataset, tag, path)
        if vr in _OTHER or kind is Kind.BINARY:
            return self._binary(dataset, tag, vr, path)
        if kind is Kind.NUMBERS:
            values = [_number(value) for value in dataset.numbers(tag)]
            return {"Value": values, "vr": vr} if values else {"vr": vr}
        return text_member(tag, vr, dataset.text(tag) or "", self.options)

    def _sequence(self, dataset: Dataset, tag: Tag, path: str) -> JsonObject:
        values: list[Json] = [
            self.object(item, f"{path}/{tag:08x}/{number}")
            for number, item in enumerate(dataset.items(tag), 1)
        ]
        return {"Value": values, "vr": "SQ"} if values else {"vr": "SQ"}

    def _binary(self, dataset: Dataset, tag: Tag, vr: str, path: str) -> JsonObject | None:
        mode, has_addresses = self.options.binary, bool(self.options.bulk_uri)
        is_pixels = tag in _PIXEL_TAGS
        if mode is BinaryMode.OMIT:
            return None
        raw_length = dataset.elements[tag][2]
        if not raw_length and not is_pixels:
            return {"vr": vr}
        if has_addresses and (mode is BinaryMode.ADDRESS or vr == "UN" or is_pixels):
            return self._address(tag, vr, path)
        if mode is BinaryMode.ADDRESS or not raw_length:
            return {"vr": vr}
        raw, is_big_endian = dataset.raw(tag), dataset.encoding.is_big_endian
        if mode is BinaryMode.ARRAY and vr not in ("OB", "UN") and not is_pixels:
            as_vr = "US" if vr == "OW" else vr
            values: list[Json] = [_number(v) for v in numbers(raw, as_vr, is_big_endian=is_big_endian)]
            return {"Value": values, "vr": vr}
        return {"InlineBinary": b64encode(_little_endian(raw, vr, is_big_endian)).decode(), "vr": vr}

    def _address(self, tag: Tag, vr: str, path: str) -> JsonObject:
        return {"BulkDataURI": f"{self.options.bulk_uri}{path}/{tag:08x}", "vr": vr}


def text_member(tag: Tag, vr: str, text: str, options: Options = DEFAULT_OPTIONS) -> JsonObject:
    """Write an element given as text: what `Dataset.text` gives of texts, numbers and attribute tags.

    >>> text_member(0x00280010, "US", "512"), text_member(0x00100010, "PN", "A^B")
    ({'Value': [512], 'vr': 'US'}, {'Value': [{'Alphabetic': 'A^B'}], 'vr': 'PN'})
    """
    text = text.strip()
    if tag == SPECIFIC_CHARACTER_SET:
        text = text.lstrip("\\ ")
    if not text:
        return {"vr": vr}
    parts = [text] if vr in _ONE_VALUE else [part.strip() for part in text.split("\\")]
    values: list[Json]
    if vr == "PN":
        values = [_person_name(part) for part in parts]
    elif vr == "IS":
        values = [_integer(part) for part in parts if not part or _integer(part) is not None]
    elif vr == "DS":
        decimals = [_decimal(part) for part in parts]
        values = [
            _decimal_value(decimal, options)
            for part, decimal in zip(parts, decimals, strict=True)
            if not part or decimal
        ]
    elif vr == "AT":
        values = [part.replace(",", "").upper() for part in parts if part]
    elif KINDS.get(vr) is Kind.NUMBERS:
        values = [_number(_parsed(part)) for part in parts if part]
    else:
        values = [part or None for part in parts]
    return {"Value": values, "vr": vr}


def _parsed(text: str) -> int | float:
    return int(text) if _INTEGER.fullmatch(text) else float(text)


def _decimal_value(text: str, options: Options) -> Json:
    if not text:
        return None
    if options.are_decimals_numbers:
        value = float(text)
        if value.is_integer() and abs(value) <= _LARGEST_SAFE_INTEGER:
            return int(value)
    return text


def _person_name(text: str) -> JsonObject:
    """The groups that are written, even if empty; none for an empty name. PS3.18 F.2.2."""
    return dict(zip(_NAME_GROUPS, text.split("="), strict=False)) if text else {}


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= _LONGEST_INTEGER and _INTEGER.fullmatch(text) else None


def _decimal(text: str) -> str:
    """A decimal as JSON readers know it; empty if it is none. Some devices write commas, or end with a point."""
    text = text.replace(",", ".").removesuffix(".")
    return text if len(text) <= _LONGEST_INTEGER and _DECIMAL.fullmatch(text) else ""


def _number(value: int | float) -> Json:
    """Whole numbers as integers; what JSON has no number for, or readers would round, as text."""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_SAFE_INTEGER else value
    return value if abs(value) <= _LARGEST_SAFE_INTEGER else str(value)


def _little_endian(raw: bytes, vr: str, is_big_endian: bool) -> bytes:
    """The bytes as PS3.18 F.2.7 wants them."""
    if not is_big_endian or vr in ("OB", "UN"):
        return raw
    letter, size = ("H", 2) if vr == "OW" else NUMBER_FORMATS[vr]
    values = array(letter, raw[: len(raw) // size * size])
    values.byteswap()
    return values.tobytes()

"""Character sets of data sets. PS3.5 6.1.2 and 6.1.3, PS3.3 C.12.1.1.2.

Text is either in one set throughout (a Python codec does it), or switches between sets by ISO 2022 escapes:
G0 holds what bytes below 0x80 mean, G1 what the others mean, and delimiters bring the first set back.
Bytes that mean nothing are dropped: a wrong character set must never hide an image.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

# Names used in the configuration and in the REST interface, with their Specific Character Set (0008,0005).
ENCODINGS = MappingProxyType(
    {
        "Ascii": "ISO_IR 6",
        "Utf8": "ISO_IR 192",
        "Latin1": "ISO_IR 100",
        "Latin2": "ISO_IR 101",
        "Latin3": "ISO_IR 109",
        "Latin4": "ISO_IR 110",
        "Latin5": "ISO_IR 148",
        "Cyrillic": "ISO_IR 144",
        "Arabic": "ISO_IR 127",
        "Greek": "ISO_IR 126",
        "Hebrew": "ISO_IR 138",
        "Thai": "ISO_IR 166",
        "Japanese": "ISO_IR 13",
        "Chinese": "GB18030",
        "JapaneseKanji": "ISO 2022 IR 87",
        "Korean": "ISO 2022 IR 149",
        "SimplifiedChinese": "ISO 2022 IR 58",
        "Windows1251": "",
    }
)

# Sets that need no escapes: registration number, or the term itself, to codec.
_CODECS = MappingProxyType(
    {
        "6": "ascii",
        "100": "latin_1",
        "101": "iso8859_2",
        "109": "iso8859_3",
        "110": "iso8859_4",
        "144": "iso8859_5",
        "127": "iso8859_6",
        "126": "iso8859_7",
        "138": "iso8859_8",
        "148": "iso8859_9",
        "203": "iso8859_15",
        "166": "iso8859_11",
        "192": "utf_8",
        "GB18030": "gb18030",
        "GBK": "gb18030",
        "WINDOWS-1251": "cp1251",
    }
)
# Multi-byte sets reached by escapes only, with the codec of their G1 (or G0, shifted up) form.
_MULTIBYTE = MappingProxyType({"87": "euc_jp", "159": "euc_jp", "149": "euc_kr", "58": "gb2312"})

# What careless devices write for a term, and the registration number or term that they mean.
_MISTAKEN = MappingProxyType(
    {
        "UTF8": "192",
        "UTF-8": "192",
        "UTF_8": "192",
        "LATIN1": "100",
        "GB2312": "GBK",
        "GB_2312-80": "GBK",
    }
)
# Bytes that JIS X 0201 does not have, and with which Shift JIS begins a character of two bytes.
_SHIFT_JIS_LEADS = re.compile(rb"[\x81-\x9f\xe0-\xfc]")

_ASCII, _ROMAJI, _KANJI, _KANJI_SUPPLEMENT = "6", "14", "87", "159"

# PS3.3 Tables C.12-3 and C.12-4: the escape sequence, the element it designates, the set.
_ESCAPES = MappingProxyType(
    {
        b"\x1b(B": (0, _ASCII),
        b"\x1b(J": (0, _ROMAJI),
        b"\x1b$B": (0, _KANJI),
        b"\x1b$@": (0, _KANJI),
        b"\x1b$(D": (0, _KANJI_SUPPLEMENT),
        b"\x1b)I": (1, "13"),
        b"\x1b-A": (1, "100"),
        b"\x1b-B": (1, "101"),
        b"\x1b-C": (1, "109"),
        b"\x1b-D": (1, "110"),
        b"\x1b-L": (1, "144"),
        b"\x1b-G": (1, "127"),
        b"\x1b-F": (1, "126"),
        b"\x1b-H": (1, "138"),
        b"\x1b-M": (1, "148"),
        b"\x1b-b": (1, "203"),
        b"\x1b-T": (1, "166"),
        b"\x1b$)C": (1, "149"),
        b"\x1b$)A": (1, "58"),
    }
)
_DESIGNATIONS = MappingProxyType(
    {(element, number): code for code, (element, number) in reversed(list(_ESCAPES.items()))}
)
_PIECES = re.compile(rb"\x1b(?:\$[()]?|[()\-])?[@-~]?|[^\x1b]+")
# Long texts have one value: in them a backslash is an ordinary character. PS3.5 6.2.
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
_DELIMITERS = MappingProxyType({"PN": re.compile(rb"([\\^=\t\n\f\r])"), "": re.compile(rb"([\\\t\n\f\r])")})
_LONG_TEXT_DELIMITERS = re.compile(rb"([\t\n\f\r])")
_TEXT_DELIMITERS = MappingProxyType(
    {"PN": re.compile(r"([\\^=\t\n\f\r])"), "": re.compile(r"([\\\t\n\f\r])")}
)
_LONG_TEXT_BREAKS = re.compile(r"([\t\n\f\r])")


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """What the bytes of text mean in one data set.

    `codec` is set when the Python codec of that name does it all, as long as there is no escape in the bytes.
    `numbers` are the ISO registration numbers in order; `term` is the Specific Character Set, empty if it has none.
    """

    term: str
    numbers: tuple[str, ...]
    codec: str | None

    @staticmethod
    def parse(specific_character_set: str | None, default: str = "Latin1") -> "CharacterSet":
        """Understand Specific Character Set (0008,0005); missing or empty means `default`, a name of `ENCODINGS`."""
        return _parse((specific_character_set or "")[:1024], default)

    @staticmethod
    def of_answers(encoding: str) -> "CharacterSet":
        """The set that answers are written in, by its name in `ENCODINGS`.

        Answers in `Japanese` are Shift JIS under the name of its single-byte part, as customary among Japanese
        devices and in Orthanc: a name would lose its kanji otherwise. What is stored follows PS3.3 C.12.1.1.2.
        """
        found = _parse("", encoding)
        return CharacterSet(found.term, found.numbers, "shift_jis") if found.numbers == ("13",) else found

    def decode(self, raw: bytes, vr: str) -> str:
        """Turn bytes into text, all values of an element together."""
        if self.codec is not None and (b"\x1b" not in raw or self.codec in ("utf_8", "gb18030")):
            return raw.decode(self.codec, "ignore")
        if raw.isascii() and b"\x1b" not in raw and self.numbers[0] != "13":
            return raw.decode("ascii")
        if self.numbers == ("13",) and _SHIFT_JIS_LEADS.search(raw):
            # Many Japanese devices write Shift JIS, of which this set is a part, under its name.
            with suppress(UnicodeDecodeError):
                return raw.decode("shift_jis")
        return _decode_2022(raw, vr, self.numbers)

    def encode(self, text: str, vr: str) -> bytes:
        """Turn text into bytes, dropping what the set does not have."""
        if self.codec is not None:
            return text.encode(self.codec, "ignore")
        return _encode_2022(text, vr, self.numbers)


def character_set_of(encoding: str) -> str:
    """The Specific Character Set of an encoding of `ENCODINGS`; that of UTF-8 for one that has none."""
    return ENCODINGS.get(encoding) or ENCODINGS["Utf8"]


def is_known(specific_character_set: str) -> bool:
    """Whether all terms of a Specific Character Set are known; an empty one is."""
    terms = (term.strip(" \0") for term in specific_character_set.split("\\"))
    return all(_number(term) for term in terms if term)


@lru_cache(maxsize=256)
def _parse(specific: str, default: str) -> CharacterSet:
    terms = [term.strip(" \0") for term in specific.split("\\")]
    if not any(terms):
        return _named(default)
    numbers = [_number(term) for term in terms]
    known = [number for number in numbers if number]
    if not known:
        return CharacterSet(specific, (_ASCII,), "ascii")
    alone = len(known) == 1 or known[0] in ("192", "GB18030", "GBK")
    codec = _CODECS.get(known[0]) if alone else None
    return CharacterSet(specific, tuple(known), codec)


def _named(name: str) -> CharacterSet:
    """The set with a name of `ENCODINGS`."""
    if name == "Windows1251":
        return CharacterSet("", ("WINDOWS-1251",), "cp1251")
    return _parse(ENCODINGS.get(name, "") or "ISO_IR 6", "Ascii")


def _number(term: str) -> str:
    """`100` for `ISO_IR 100`, `ISO 2022 IR 100`, `ISO_IR_100` and the like; empty if unknown."""
    match = re.fullmatch(r"ISO[ _-]?(?:2022[ _-]?)?IR[ _-]?(\d+)", term.upper())
    number = match[1] if match else _meant(term.upper())
    return number if number in _CODECS or number in _MULTIBYTE or number == "13" else ""


def _meant(term: str) -> str:
    """The number or term that is meant by what is no term of the standard; the term itself if that is not known."""
    iso_8859 = re.fullmatch(r"ISO[ _-]?8859[ _-](\d+)", term)
    if iso_8859 is not None:
        codec = f"iso8859_{iso_8859[1]}" if iso_8859[1] != "1" else "latin_1"
        return next((number for number, each in _CODECS.items() if each == codec), "")
    return _MISTAKEN.get(term, term)


def _decode_2022(raw: bytes, vr: str, numbers: tuple[str, ...]) -> str:
    """Follow the escapes; `numbers` says what holds before the first one and after a delimiter."""
    first_g0, first_g1 = _initial(numbers)
    g0, g1 = first_g0, first_g1
    has_one_value = vr in _ONE_VALUE
    delimiters = _LONG_TEXT_DELIMITERS if has_one_value else _DELIMITERS.get(vr, _DELIMITERS[""])
    output: list[str] = []
    for piece in _PIECES.findall(raw):
        if piece[0] == 0x1B:
            element, number = _ESCAPES.get(piece, (2, ""))
            if element == 0:
                g0 = number
            elif element == 1:
                g1 = number
            continue
        if g0 in (_KANJI, _KANJI_SUPPLEMENT):
            output.append(_decode_kanji(piece, g0))
            continue
        for part in delimiters.split(piece):
            if len(part) == 1 and delimiters.match(part):
                # Many devices do not designate G1 again after a delimiter; without a first G1 the last one stays.
                g0, g1 = first_g0, first_g1 or g1
                output.append(part.decode("ascii"))
            elif part:
                output.append(_decode_single(part, g0, g1, has_one_value=has_one_value))
    return "".join(output)


def _initial(numbers: tuple[str, ...]) -> tuple[str, str]:
    """G0 and G1 at the beginning of a value."""
    first = numbers[0]
    g1 = (
        next((number for number in numbers if (1, number) in _DESIGNATIONS), "") if first == _ASCII else first
    )
    if first in (_KANJI, _KANJI_SUPPLEMENT):
        g1 = ""
    if first == _ASCII and g1 not in _MULTIBYTE:
        g1 = ""
    return (_ROMAJI if first == "13" else _ASCII), g1


def _decode_single(part: bytes, g0: str, g1: str, *, has_one_value: bool) -> str:
    """A run without escapes or delimiters, G0 being a single-byte set."""
    if g1 == "13":
        text = "".join(map(_katakana, part))
    elif g1 in _MULTIBYTE:
        text = part.decode(_MULTIBYTE[g1], "ignore")
    else:
        text = part.decode(_CODECS.get(g1, "ascii"), "ignore")
    # JIS X 0201 has a yen sign at 0x5C, but where it separates values it must stay a backslash. PS3.5 6.1.2.3.
    return text.replace("\\", "¥") if g0 == _ROMAJI and has_one_value else text


def _katakana(byte: int) -> str:
    """One byte of JIS X 0201."""
    if byte < 0x80:
        return chr(byte)
    return chr(0xFF61 + byte - 0xA1) if 0xA1 <= byte <= 0xDF else ""


def _decode_kanji(piece: bytes, g0: str) -> str:
    """Pairs of bytes below 0x80, as `euc_jp` knows them with the high bits set; control characters stay."""
    output: list[str] = []
    for part in re.findall(rb"[\x21-\x7e]+|[^\x21-\x7e]+", piece):
        if not 0x21 <= part[0] <= 0x7E:
            output.append(part.decode("ascii", "ignore"))
            continue
        pairs = bytes(byte | 0x80 for byte in part[: len(part) & ~1])
        if g0 == _KANJI_SUPPLEMENT:
            pairs = b"".join(b"\x8f" + pairs[i : i + 2] for i in range(0, len(pairs), 2))
        output.append(pairs.decode("euc_jp", "ignore"))
    return "".join(output)


def _encode_2022(text: str, vr: str, numbers: tuple[str, ...]) -> bytes:
    """Each stretch between delimiters begins and ends in the first set."""
    has_one_value = vr in _ONE_VALUE
    breaks = _LONG_TEXT_BREAKS if has_one_value else _TEXT_DELIMITERS.get(vr, _TEXT_DELIMITERS[""])
    return b"".join(_encode_stretch(part, numbers) for part in breaks.split(text))


def _encode_stretch(text: str, numbers: tuple[str, ...]) -> bytes:
    """Characters one by one, designating a set whenever the current ones lack the character."""
    first_g0, first_g1 = _initial(numbers)
    g0, g1 = first_g0, "" if first_g1 in _MULTIBYTE else first_g1
    output = bytearray()
    for character in text:
        found = next(_homes(character, g0, g1, numbers), None)
        if found is None:
            continue
        element, number, encoded = found
        if element == 0 and number != g0:
            output += _DESIGNATIONS[0, number]
            g0 = number
        elif element == 1 and number != g1:
            output += _DESIGNATIONS[1, number]
            g1 = number
        output += encoded
    if g0 != first_g0 and g0 in (_KANJI, _KANJI_SUPPLEMENT):
        output += _DESIGNATIONS[0, first_g0]
    return bytes(output)


def _homes(character: str, g0: str, g1: str, numbers: tuple[str, ...]) -> Iterator[tuple[int, str, bytes]]:
    """The sets that have a character, as (G0 or G1, set, bytes), the ones in force first."""
    if character.isascii():
        single = g0 if g0 not in (_KANJI, _KANJI_SUPPLEMENT) else _initial(numbers)[0]
        yield 0, single, character.encode("ascii")
        return
    for number in dict.fromkeys((g1, g0, *numbers)):
        if number == "13":
            if 0xFF61 <= ord(character) <= 0xFF9F:
                yield 1, number, bytes((ord(character) - 0xFF61 + 0xA1,))
            elif character == "¥":
                yield 0, _ROMAJI, b"\\"
        elif number in (_KANJI, _KANJI_SUPPLEMENT):
            encoded = character.encode("euc_jp", "ignore")
            if number == _KANJI and len(encoded) == 2 and encoded[0] != 0x8E:
                yield 0, number, bytes(byte & 0x7F for byte in encoded)
            elif number == _KANJI_SUPPLEMENT and len(encoded) == 3:
                yield 0, number, bytes(byte & 0x7F for byte in encoded[1:])
        elif (1, number) in _DESIGNATIONS:
            encoded = character.encode(_MULTIBYTE.get(number) or _CODECS[number], "ignore")
            if encoded:
                yield 1, number, encoded

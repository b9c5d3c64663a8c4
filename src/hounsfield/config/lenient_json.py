"""JSON as administrators write it: with comments, trailing commas, and errors that say where.

RFC 8259 with four liberties that Orthanc's files take: `//` and `/* */` comments, a comma before a closing bracket,
raw control characters inside strings, and a byte order mark. Anything after the closing bracket is an error: a
misplaced bracket must not silently drop half of a configuration.
"""

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from hounsfield.errors import Corrupt

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_MAXIMUM_DEPTH: Final = 100
_MAXIMUM_DIGITS: Final = 300
_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r'[^"\\]*')
_WORD: Final = re.compile(r"[A-Za-z]+")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Document:
    """The value of a text, and where a name stands twice in one object (the last one counts)."""

    value: Json
    repeated: tuple[str, ...]


def decode(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether it had to be taken for Latin-1 because it is not UTF-8."""
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return data.decode("latin-1"), True


def parse(text: str) -> Document:
    """Read a whole text.

    Raises
    ------
    Corrupt
        If it is not JSON, with line and column counted from 1. The message does not quote the text, which may
        hold passwords.

    >>> parse('{"HttpPort": 8042, /* of the clinic */ "Name": "CT//1",}').value
    {'HttpPort': 8042, 'Name': 'CT//1'}
    """
    reader = _Reader(text)
    value = reader.value(depth=0)
    reader.skip()
    if reader.position < len(text):
        raise reader.fault("nothing more is expected after the end of the value")
    return Document(value, tuple(reader.repeated))


@dataclass(slots=True)
class _Reader:
    """A cursor over the text."""

    text: str
    position: int = 0
    repeated: list[str] = field(default_factory=list)

    def fault(self, expected: str, at: int | None = None) -> Corrupt:
        return Corrupt(f"{self.place(at)}: {expected}")

    def place(self, at: int | None = None) -> str:
        position = min(self.position if at is None else at, len(self.text))
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        return f"line {line}, column {column}"

    def skip(self) -> None:
        if blank := _BLANK.match(self.text, self.position):
            self.position = blank.end()
        if self.text.startswith("/*", self.position):
            raise self.fault("this comment is not closed by */")

    def peek(self) -> str:
        self.skip()
        return self.text[self.position : self.position + 1]

    def value(self, depth: int) -> Json:
        if depth > _MAXIMUM_DEPTH:
            raise self.fault(f"more than {_MAXIMUM_DEPTH} brackets are open")
        match self.peek():
            case "{":
                return self.object(depth)
            case "[":
                return self.array(depth)
            case '"':
                return self.string()
            case "":
                raise self.fault("the text ends where a value is expected")
            case character if character == "-" or character.isdecimal():
                return self.number()
            case _:
                return self.word()

    def object(self, depth: int) -> dict[str, Json]:
        result: dict[str, Json] = {}
        self.position += 1
        while self.peek() != "}":
            if self.peek() != '"':
                raise self.fault('a name in double quotes or "}" is expected')
            start = self.position
            name = self.string()
            if name in result:
                self.repeated.append(f"{self.place(start)}: {name} is given twice, the last one counts")
            if self.peek() != ":":
                raise self.fault('":" is expected after a name')
            self.position += 1
            result[name] = self.value(depth + 1)
            self.comma_unless("}")
        self.position += 1
        return result

    def array(self, depth: int) -> list[Json]:
        result: list[Json] = []
        self.position += 1
        while self.peek() != "]":
            result.append(self.value(depth + 1))
            self.comma_unless("]")
        self.position += 1
        return result

    def comma_unless(self, closing: str) -> None:
        found = self.peek()
        if found == ",":
            self.position += 1
        elif found != closing:
            raise self.fault(f'"," or "{closing}" is expected')

    def string(self) -> str:
        start, parts = self.position, []
        self.position += 1
        while True:
            plain = _PLAIN.match(self.text, self.position)
            if plain:
                parts.append(plain.group())
                self.position = plain.end()
            if self.position >= len(self.text):
                raise self.fault("this string is not closed", start)
            if self.text[self.position] == '"':
                self.position += 1
                return "".join(parts)
            parts.append(self.escape())

    def escape(self) -> str:
        start = self.position
        letter = self.text[start + 1 : start + 2]
        if letter in _ESCAPES and letter:
            self.position += 2
            return _ESCAPES[letter]
        if letter != "u":
            raise self.fault("unknown escape; write a backslash in a path as \\\\ or /", start)
        high = self.code_unit()
        if 0xD800 <= high < 0xDC00 and self.text.startswith("\\u", self.position):
            low = self.code_unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        if 0xD800 <= high < 0xE000:
            raise self.fault("half of a surrogate pair", start)
        return chr(high)

    def code_unit(self) -> int:
        digits = self.text[self.position + 2 : self.position + 6]
        if not re.fullmatch(r"[0-9A-Fa-f]{4}", digits):
            raise self.fault("four hexadecimal digits are expected after \\u")
        self.position += 6
        return int(digits, 16)

    def number(self) -> int | float:
        found = _NUMBER.match(self.text, self.position)
        if found is None or len(found.group()) > _MAXIMUM_DIGITS:
            raise self.fault("this is not a number")
        if self.text[found.end() : found.end() + 1].isalnum():
            raise self.fault("this is not a number")
        self.position = found.end()
        if found.group(1) or found.group(2):
            value = float(found.group())
            if value in (float("inf"), float("-inf")):
                raise self.fault("this number is too large", found.start())
            return value
        return int(found.group())

    def word(self) -> bool | None:
        found = _WORD.match(self.text, self.position)
        if found is None or found.group() not in _WORDS:
            raise self.fault("a value is expected (strings stand in double quotes)")
        self.position = found.end()
        return _WORDS[found.group()]

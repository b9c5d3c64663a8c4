"""Byte ranges as this interface has them: one range, and `-b` means from the start. Not RFC 9110 14."""

from hounsfield.http.errors import BadSequenceOfCalls, RangeNotSatisfiable


def parse_range(header: str, total: int) -> tuple[int, int]:
    """The first byte and the length asked for by a Range header over `total` bytes.

    Raises
    ------
    RangeNotSatisfiable
        For several ranges, other units, anything that is not a number, or an end beyond the last byte.

    >>> parse_range("bytes=-3", 10)
    (0, 4)
    """
    unit, _, span = header.partition("=")
    first, dash, last = span.strip().partition("-")
    if unit.strip() != "bytes" or not dash:
        raise RangeNotSatisfiable
    start = _number(first) if first else 0
    end = _number(last) if last else total - 1
    if start > end + 1 or (start > end and total > 0):
        raise BadSequenceOfCalls("The range starts after its end")
    if end >= total:
        raise RangeNotSatisfiable
    return start, end - start + 1


def content_range(start: int, length: int, total: int) -> tuple[bytes, bytes]:
    """The header of a partial answer."""
    return b"content-range", b"bytes %d-%d/%d" % (start, start + length - 1, total)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise RangeNotSatisfiable
    return int(text)

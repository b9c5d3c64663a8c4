"""Dates, times and both, in forms that compare as texts. PS3.5 6.2, PS3.4 C.2.2.2.5."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

_TIME = re.compile(r"(\d\d)(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}(?:\d\d){0,5})(\.\d{1,6})?([+-]\d{4})?", re.ASCII)


def date_of(text: str) -> str:
    """A date without the points that ACR-NEMA 2.0 put in: `2020.01.31` is `20200131`."""
    return text.replace(".", "") if "." in text else text


def time_of(text: str) -> str | None:
    """The first instant of a time, `HHMMSS.FFFFFF`; None if it is none."""
    match = _TIME.fullmatch(text.strip())
    return None if match is None else _joined(match, "0")


def moment(text: str, filler: str) -> str:
    """The first (`0`) or last (`9`) instant of a time that may lack minutes, seconds or fractions.

    What is no time compares as it is.

    >>> moment("1015", "9"), moment("10:15:30.5", "0")
    ('101599.999999', '101530.500000')
    """
    match = _TIME.fullmatch(text.strip())
    return text if match is None else _joined(match, filler)


def _joined(match: re.Match[str], filler: str) -> str:
    hours, minutes, seconds, fraction = match.groups()
    return f"{hours}{minutes or filler * 2}{seconds or filler * 2}.{(fraction or '').ljust(6, filler)}"


def date_time_range(first: str, last: str) -> Callable[[str], bool]:
    """Whether a date with time is in a range, either end of which may be empty or lack components.

    Offsets from UTC count where the value and the end have one.
    """

    def holds(value: str) -> bool:
        if _DATE_TIME.fullmatch(value.strip()) is None:
            return False
        return (not first or _compare(first, value, "0") <= 0) and (
            not last or _compare(last, value, "9") >= 0
        )

    return holds


def _compare(end: str, value: str, filler: str) -> int:
    """-1, 0 or 1 as an end of a range is before, at or after a value."""
    has_offsets = _offset(end) and _offset(value)
    a, b = _instant(end, filler, in_utc=bool(has_offsets)), _instant(value, "0", in_utc=bool(has_offsets))
    return (a > b) - (a < b)


def _offset(text: str) -> str | None:
    match = _DATE_TIME.fullmatch(text.strip())
    return match[3] if match else None


def _instant(text: str, filler: str, *, in_utc: bool) -> str:
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        return text
    digits, fraction, offset = match.groups()
    padded = digits + _FILLERS[filler][len(digits) :]
    micros = (fraction or ".")[1:].ljust(6, filler)
    if in_utc and offset:
        padded = _to_utc(padded, offset) or padded
    return f"{padded}.{micros}"


_FILLERS = {"0": "00000101000000", "9": "9" * 14}


def _to_utc(padded: str, offset: str) -> str | None:
    """The same instant in UTC; None if there is no such day, as at the end of a range that lacks components."""
    sign = -1 if offset[0] == "-" else 1
    try:
        zone = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])))
        local = datetime.strptime(_last_valid(padded), "%Y%m%d%H%M%S").replace(tzinfo=zone)
        utc = local.astimezone(UTC)
        return f"{utc.year:04d}{utc:%m%d%H%M%S}"
    except (ValueError, OverflowError):
        return None


def _last_valid(padded: str) -> str:
    """The last day, hour, minute and second where 99 stands for it."""
    year, month, day, rest = padded[:4], padded[4:6], padded[6:8], padded[8:]
    month = "12" if month == "99" else month
    if day == "99":
        first_of_next = datetime(int(year) + (month == "12"), int(month) % 12 + 1, 1, tzinfo=UTC)
        day = f"{(first_of_next - timedelta(days=1)).day:02d}"
    parts = [rest[:2], rest[2:4], rest[4:6]]
    limits = ("23", "59", "59")
    return (
        year
        + month
        + day
        + "".join(limit if part == "99" else part for part, limit in zip(parts, limits, strict=True))
    )

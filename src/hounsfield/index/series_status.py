"""Whether a series has all its instances. The rules are Orthanc's."""

from collections.abc import Iterable

from hounsfield.index.database import Transaction


def parse_index(text: str | None) -> int | None:
    """The index of an instance in its series, from the raw text of its tag; None if it is no number."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def series_status(indexes: Iterable[str | None], expected: int | None) -> str:
    """`Unknown`, `Missing`, `Complete` or `Inconsistent`."""
    if expected is None:
        return "Unknown"
    seen: set[int] = set()
    for text in indexes:
        index = parse_index(text)
        if index is None:
            return "Unknown"
        if not 1 <= index <= expected or index in seen:
            return "Inconsistent"
        seen.add(index)
    return "Complete" if len(seen) == expected else "Missing"


def is_complete(tx: Transaction, series: int, expected: int) -> bool:
    """Whether a series now holds exactly the instances it should."""
    (count,) = tx.row("SELECT COUNT(*) FROM instances WHERE series = ?", series) or (0,)
    if count != expected:
        return False
    rows = tx.rows("SELECT index_in_series FROM instances WHERE series = ?", series)
    return series_status((row[0] for row in rows), expected) == "Complete"

"""Many parameters in few statements: databases limit their number, and remember statements by their text."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST_AT_ONCE = 512
"""Parameters of one statement at most."""


def pages(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut into pages that one statement takes."""
    if len(values) <= MOST_AT_ONCE:
        if values:
            yield values
        return
    for start in range(0, len(values), MOST_AT_ONCE):
        yield values[start : start + MOST_AT_ONCE]


def padded(page: Sequence[T]) -> Sequence[T]:
    """The values, the last one repeated, so that there are a power of two of them.

    >>> padded([1, 2, 3])
    [1, 2, 3, 3]
    """
    wanted = _wanted(len(page))
    return page if wanted == len(page) else [*page, *[page[-1]] * (wanted - len(page))]


def marks(page: Sequence[T]) -> str:
    """The question marks of a page that is padded.

    >>> marks([1, 2, 3])
    '?, ?, ?, ?'
    """
    return _MARKS[_wanted(len(page))]


def rows_of_marks(count: int, width: int) -> str:
    """The question marks of several rows of values.

    >>> rows_of_marks(2, 3)
    '(?, ?, ?), (?, ?, ?)'
    """
    row = f"({', '.join('?' * width)})"
    return ", ".join([row] * count)


def _wanted(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()


_MARKS = {1 << power: ", ".join("?" * (1 << power)) for power in range(11)}

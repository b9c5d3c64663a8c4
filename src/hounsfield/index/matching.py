"""Comparing true values: what decides, after the index gave the candidates."""

import re
from collections.abc import Callable
from functools import lru_cache

from hounsfield.index.query import Constraint, Match

Predicate = Callable[[str | None], bool]


def predicate(constraint: Constraint) -> Predicate:
    """A function that tells whether the value of an attribute, None if absent, satisfies a constraint.

    >>> predicate(Constraint(0x00080020, Match.RANGE, ("20200101", "")))("20210203")
    True
    """
    fold: Callable[[str], str] = str if constraint.is_case_sensitive else str.casefold
    values = tuple(fold(value) for value in constraint.values)
    if constraint.match is Match.PRESENT:
        return lambda value: value is not None
    if constraint.match is Match.RANGE:
        first, last = values
        return lambda value: bool(value) and first <= value and (not last or value[: len(last)] <= last)  # type: ignore[operator,index]
    if constraint.match is Match.WILDCARD:
        pattern = wildcard_pattern(values[0])
        return lambda value: value is not None and pattern.fullmatch(fold(value)) is not None
    wanted = frozenset(values)
    return lambda value: value is not None and fold(value) in wanted


@lru_cache(maxsize=256)
def wildcard_pattern(text: str) -> re.Pattern[str]:
    """The regular expression of a value with `*` and `?`. PS3.4 C.2.2.2.4.

    Each piece between two `*` matches as early as it can and is not tried again further on, which would change nothing
    but take a time that grows with the power of their number.
    """
    first, *others = (
        "".join("." if character == "?" else re.escape(character) for character in piece)
        for piece in re.sub(r"\*+", "*", text).split("*")
    )
    if others:
        *middle, last = others
        first += "".join(f"(?>.*?{piece})" for piece in middle) + f".*{last}"
    return re.compile(first, re.DOTALL)


def like_pattern(normalized: str) -> str:
    r"""A superset of a normalised pattern in SQL's LIKE, with `\` as escape.

    `?` becomes `%` because normalising may change how many characters there are.
    """
    escaped = normalized.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "%")

"""Comparing true values: what decides, after the index gave the candidates. PS3.4 C.2.2.2."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.index.moments import date_of, date_time_range, moment, time_of
from hounsfield.index.query import Constraint, Match

Predicate = Callable[[str | None], bool]
_Test = Callable[[str], bool]
_ONE_VALUE = frozenset(("ST", "LT", "UT", "UR"))
# From here on there are no Latin letters: such a name may be in the ideographic or phonetic group. PS3.5 6.2.1.
_BEYOND_LATIN = "\u0250"
_SOUNDEX = str.maketrans("BFPVCGJKQSXZDTLMNR", "111122222222334556")


def predicate(constraint: Constraint) -> Predicate:
    """A function that tells whether the value of an attribute, None if absent, satisfies a constraint.

    >>> predicate(Constraint(0x00080020, Match.RANGE, ("20200101", "")))("20210203")
    True
    """
    if constraint.match is Match.PRESENT:
        return lambda value: value is not None
    vr, vm = _vr_and_vm(constraint)
    test = _test(constraint, vr)
    if vm == "1" or vr in _ONE_VALUE:
        return lambda value: value is not None and test(value)
    # One of several values is enough. PS3.4 C.2.2.2.1.
    return lambda value: (
        value is not None and (test(value) or ("\\" in value and any(map(test, value.split("\\")))))
    )


def satisfies(dataset: Dataset, constraint: Constraint) -> bool:
    """Whether a data set, such as the header of an instance or an item, satisfies a constraint."""
    return checker(constraint)(dataset)


def checker(constraint: Constraint) -> Callable[[Dataset], bool]:
    """As `satisfies`, prepared for many data sets."""
    tag = constraint.tag
    if constraint.match is not Match.SEQUENCE:
        holds = predicate(constraint)
        return lambda dataset: holds(dataset.text(tag))
    inner = [checker(each) for each in constraint.items]
    return lambda dataset: any(all(check(item) for check in inner) for item in dataset.items(tag))


def _vr_and_vm(constraint: Constraint) -> tuple[str, str]:
    entry = lookup.entry(constraint.tag) if constraint.tag else None
    if entry is None:
        return constraint.vr, "1"
    return constraint.vr or lookup.vr(constraint.tag), entry.vm


def _test(constraint: Constraint, vr: str) -> _Test:
    """What one value must satisfy."""
    if constraint.match is Match.RANGE:
        return _range(constraint.values, vr)
    if constraint.match is Match.FUZZY:
        return _sounds_like(constraint.values[0])
    if constraint.match is Match.SEQUENCE:
        return lambda _value: False
    fold = date_of if vr == "DA" else _folding(constraint)
    if vr == "PN":
        return _any_of(
            [_name(value, constraint.match is Match.WILDCARD, fold) for value in constraint.values]
        )
    if constraint.match is Match.WILDCARD:
        pattern = wildcard_pattern(fold(constraint.values[0]))
        return lambda value: pattern.fullmatch(fold(value)) is not None
    wanted = frozenset(map(fold, constraint.values))
    if vr == "TM":
        times = frozenset(filter(None, map(time_of, constraint.values)))
        return lambda value: value in wanted or time_of(value) in times
    return lambda value: fold(value) in wanted


def _any_of(tests: list[_Test]) -> _Test:
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _folding(constraint: Constraint) -> Callable[[str], str]:
    if constraint.ignores_accents:
        return str if constraint.is_case_sensitive else without_accents
    return str if constraint.is_case_sensitive else str.casefold


@lru_cache(maxsize=4096)
def without_accents(text: str) -> str:
    """A text without case and accents.

    >>> without_accents("Müller^Zoé")
    'muller^zoe'
    """
    if text.isascii():
        return text.casefold()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _range(values: tuple[str, ...], vr: str) -> _Test:
    first, last = values
    if vr == "TM":
        low, high = moment(first, "0") if first else "", moment(last, "9") if last else "~"
        return lambda value: low <= (time_of(value) or "") <= high and bool(time_of(value))
    if vr == "DT":
        return date_time_range(first, last)
    first, last = date_of(first), date_of(last)
    return lambda value: (
        bool(value) and first <= date_of(value) and (not last or date_of(value)[: len(last)] <= last)
    )


def _name(wanted: str, is_pattern: bool, fold: Callable[[str], str]) -> _Test:
    """A person name: the value as a whole, or the component groups that are asked for. PS3.5 6.2.1.

    Empty components at the end mean nothing.
    """
    whole = fold(wanted)
    tests = [_group_test(_group(part), is_pattern) for part in whole.split("=")]
    as_whole = _group_test(whole, is_pattern)
    others = range(3) if any(character >= _BEYOND_LATIN for character in wanted) else range(1)

    def holds(value: str) -> bool:
        folded = fold(value)
        if as_whole(folded):
            return True
        groups = [_group(part) for part in folded.split("=")]
        if len(tests) == 1:
            return any(tests[0](groups[number]) for number in others if number < len(groups))
        return len(tests) <= len(groups) and all(
            not part or test(group)
            for part, test, group in zip(whole.split("="), tests, groups, strict=False)
        )

    return holds


def _group(text: str) -> str:
    return text.rstrip("^ ") if text[-1:] in ("^", " ") else text


def _group_test(wanted: str, is_pattern: bool) -> _Test:
    if not is_pattern:
        return wanted.__eq__
    pattern = wildcard_pattern(wanted)
    return lambda value: pattern.fullmatch(value) is not None


def _sounds_like(wanted: str) -> _Test:
    """Fuzzy semantic matching of names: each word asked for begins a word of the name, or sounds like one.

    PS3.4 C.2.2.2.1.3 leaves the rule to the server.
    """
    words = [word for word in re.split(r"[\s^=,*?]+", without_accents(wanted)) if word]

    def holds(value: str) -> bool:
        present = [word for word in re.split(r"[\s^=,]+", without_accents(value)) if word]
        sounds = {soundex(word) for word in present}
        return bool(words) and all(
            any(each.startswith(word) for each in present) or (len(word) > 2 and soundex(word) in sounds)
            for word in words
        )

    return holds


@lru_cache(maxsize=4096)
def soundex(word: str) -> str:
    """The American Soundex of a word; the word itself if it does not begin with an ASCII letter.

    >>> soundex("robert") == soundex("rupert"), soundex("ashcraft")
    (True, 'A261')
    """
    upper = word.upper()
    if not ("A" <= upper[:1] <= "Z"):
        return word
    codes = upper.translate(_SOUNDEX)
    found, previous = upper[0], codes[0]
    for letter, code in zip(upper[1:], codes[1:], strict=True):
        if code.isdigit() and code != previous:
            found += code
        if letter not in "HW":
            previous = code
    return (found + "000")[:4]


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

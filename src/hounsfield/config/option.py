"""What is known about one option: its type, its default, what it means, and whether it has an effect here."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hounsfield.config.lenient_json import Json
from hounsfield.config.refusal import Refusal


class Kind(Enum):
    """The type of an option; the value is how messages and documentation call it."""

    BOOLEAN = "a Boolean (true or false)"
    COUNT = "an integer"
    TEXT = "a string"
    PATH = "a path, as a string"
    TEXTS = "an array of strings"
    TEXT_OR_TEXTS = "a string or an array of strings"
    OBJECT = "an object"
    BOOLEAN_OR_TEXT = "a Boolean or a string"


class Effect(Enum):
    """What happens when an option is set to something else than its default."""

    ACTS = "yes"
    IGNORED = "not yet: accepted, with a warning when it is set"
    REFUSED = (
        "not yet: the server does not start when it is set, because ignoring it would lower the protection"
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `default` is None where the option is not set at all; `minimum` and `maximum` are inclusive."""

    name: str
    kind: Kind
    default: Json
    meaning: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    since: str = ""
    effect: Effect = Effect.ACTS
    reason: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Options that are documented together."""

    title: str
    options: tuple[Option, ...]


_INTEGER_RANGE = range(-(2**63), 2**63)


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INTEGER_RANGE


def _is_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_IS_OF_KIND: dict[Kind, Callable[[Json], bool]] = {
    Kind.BOOLEAN: lambda value: isinstance(value, bool),
    Kind.COUNT: _is_integer,
    Kind.TEXT: lambda value: isinstance(value, str),
    Kind.PATH: lambda value: isinstance(value, str) and "\0" not in value,
    Kind.TEXTS: _is_texts,
    Kind.TEXT_OR_TEXTS: lambda value: isinstance(value, str) or _is_texts(value),
    Kind.OBJECT: lambda value: isinstance(value, dict),
    Kind.BOOLEAN_OR_TEXT: lambda value: isinstance(value, bool | str),
}


def check(option: Option, value: Json) -> Refusal | None:
    """Why `value` is not good for `option`, with Orthanc's codes: 5 for a wrong type, 3 for a wrong value."""
    named = f'The configuration option "{option.name}"'
    if not _IS_OF_KIND[option.kind](value):
        code = 15 if option.kind in (Kind.TEXTS, Kind.TEXT_OR_TEXTS, Kind.OBJECT) else 5
        return Refusal(code, f"{named} must be {option.kind.value}")
    if isinstance(value, int) and not isinstance(value, bool):
        return _check_range(option, value, named)
    if option.choices and isinstance(value, str) and value not in option.choices:
        return Refusal(3, f"{named} must be one of {', '.join(option.choices)} (upper and lower case matter)")
    return None


def _check_range(option: Option, value: int, named: str) -> Refusal | None:
    if value < 0:
        return Refusal(3, f"{named} must be a positive integer")
    if option.minimum is not None and value < option.minimum:
        return Refusal(3, f"{named} must not be below {option.minimum}")
    if option.maximum is not None and value > option.maximum:
        return Refusal(3, f"{named} must not be above {option.maximum}")
    return None

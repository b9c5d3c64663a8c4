"""Configurations: JSON of any shape, and the options that exist with values of any kind."""

import json as plain_json
from random import Random

from tests.fuzz.words import words

from hounsfield.config.options import OPTIONS

_NAMES = tuple(OPTIONS)
_TEXTS = (
    "", " ", "a", "é", "\0", "\ud800", "A" * 17, "x" * 300, "x" * 5000, "/", "..", "/etc/passwd", "/dev/full",
    "/proc/self", "1.2.840.10008.1.2.1", "1.2", "GenericNoWildcardInDates", "Latin1", "127.0.0.1", "::1",
    "IfChanged", "Always", "http://a", "0010,0020", "PatientName", "PatientID", "Study", "default", "StoreSCP",
    "STUDY", "1e9", "-1", "*", "${A}",
)  # fmt: skip
_NUMBERS = (0, 1, -1, 104, 65535, 65536, 2**31, 2**32, 2**63, 2**64, -(2**63), 0.5, 1e300, True, False, None)


def json(rng: Random, depth: int = 0) -> bytes:
    """JSON of any shape, with comments, trailing commas and known option names."""
    choice = rng.random()
    if depth > 6 or choice < 0.3:
        return rng.choice(
            (b"1", b"-1.5e3", b"true", b"null", b'""', b'"a\\u00e9"', rng.choice(words("config")))
        )
    names = [word for word in words("config") if word[:1] == b'"']
    if choice < 0.5:
        return b"[" + b",".join(json(rng, depth + 1) for _ in range(rng.randrange(6))) + b"]"
    pairs = (rng.choice(names) + b":" + json(rng, depth + 1) for _ in range(rng.randrange(6)))
    return b"{" + b",/**/".join(pairs) + rng.choice((b"}", b",}", b"} // end"))


def configuration(rng: Random) -> bytes:
    """A few options, mostly of their own type."""
    given = {rng.choice(_NAMES): None for _ in range(rng.randrange(1, 12))}
    return plain_json.dumps({name: _value(rng, name) for name in given}).encode()


def _value(rng: Random, name: str) -> object:
    default = OPTIONS[name].default
    if rng.random() < 0.2:
        return _anything(rng, 0)
    match default:
        case bool():
            return rng.random() < 0.7
        case int():
            return rng.choice(_NUMBERS)
        case list():
            return [_anything(rng, 2) for _ in range(rng.randrange(4))]
        case dict():
            return {rng.choice(_TEXTS): _anything(rng, 0) for _ in range(rng.randrange(4))}
        case _:
            choices = OPTIONS[name].choices
            return rng.choice(choices) if choices and rng.random() < 0.5 else rng.choice(_TEXTS)


def _anything(rng: Random, depth: int) -> object:
    choice = rng.random()
    if depth > 2 or choice < 0.3:
        return rng.choice(_TEXTS)
    if choice < 0.6:
        return rng.choice(_NUMBERS)
    if choice < 0.8:
        return [_anything(rng, depth + 1) for _ in range(rng.randrange(7))]
    names = (
        *_TEXTS,
        "AET",
        "Host",
        "Port",
        "Manufacturer",
        "AllowEcho",
        "LocalAet",
        "Timeout",
        "Url",
        "HttpHeaders",
    )
    return {rng.choice(names): _anything(rng, depth + 1) for _ in range(rng.randrange(5))}

"""From a seed and a number to an input: the same bytes every time.

Most inputs are a member of the corpus with a few changes; some are built by rule, some are noise.
"""

import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from tests.fuzz.gather import Target
from tests.fuzz.structures import BUILDERS, ENVELOPES, sentence
from tests.fuzz.words import INTEGERS, words

_T = TypeVar("_T")

LONGEST = 1 << 16
"""Bytes; longer inputs cost time and find little."""

Change = Callable[[Random, bytearray, "Mutator"], None]


class Mutator:
    """The inputs of one target. The corpus may grow, and then the inputs that follow are others."""

    def __init__(self, target: Target, seed: int) -> None:
        self.corpus: list[bytes] = list(target.seeds) or [b""]
        self.words = words(target.name)
        self._rng = Random()
        self._key = seed << 96 | zlib.crc32(target.name.encode()) << 64
        self._builders = (*BUILDERS.get(target.name, ()), sentence(target.name))
        self._envelopes = ENVELOPES.get(target.name, ())

    def make(self, number: int) -> bytes:
        """The input of that number."""
        rng = self._rng
        rng.seed(self._key | number)
        choice = rng.random()
        if choice < 0.02:
            return rng.randbytes(int(rng.expovariate(0.02)))
        if choice > 0.9997:
            return self._repeat(rng, _pick(rng, self.corpus))
        if choice < 0.20:
            data = bytearray(_pick(rng, self._builders)(rng))
            if choice < 0.11:
                data = self._change(rng, data)
        else:
            data = self._change(rng, bytearray(_pick(rng, self.corpus)))
        made = bytes(data[:LONGEST])
        if self._envelopes and rng.random() < 0.08:
            return _pick(rng, self._envelopes)(rng, made)
        return made

    def _repeat(self, rng: Random, data: bytes) -> bytes:
        """A piece as often as fits: what takes time that grows with the square shows."""
        start = int(rng.random() * (len(data) + 1))
        piece = data[start : start + 1 + int(rng.random() * 16)]
        if not piece or rng.random() < 0.5:
            piece = _pick(rng, self.words) or b"\0"
        return (data[:start] + piece * (LONGEST // len(piece)) + data[start:])[:LONGEST]

    def _change(self, rng: Random, data: bytearray) -> bytearray:
        count = 1
        while count < 32 and rng.random() < 0.5:
            count *= 2
        for _ in range(count):
            _pick(rng, _CHANGES)(rng, data, self)
        return data


def _pick(rng: Random, choices: Sequence[_T]) -> _T:
    return choices[int(rng.random() * len(choices))]


def _place(rng: Random, data: bytearray) -> int:
    return int(rng.random() * (len(data) + 1))


def _span(rng: Random, data: bytearray) -> slice:
    """A block, mostly short."""
    start = _place(rng, data)
    longest = 8 if rng.random() < 0.6 else 256
    return slice(start, start + 1 + int(rng.random() * longest))


def _flip_bit(rng: Random, data: bytearray, mutator: Mutator) -> None:
    if data:
        data[int(rng.random() * len(data))] ^= 1 << int(rng.random() * 8)


def _set_byte(rng: Random, data: bytearray, mutator: Mutator) -> None:
    if data:
        data[int(rng.random() * len(data))] = int(rng.random() * 256)


def _add_to_byte(rng: Random, data: bytearray, mutator: Mutator) -> None:
    if data:
        place = int(rng.random() * len(data))
        data[place] = data[place] + int(rng.random() * 33) - 16 & 0xFF


def _set_integer(rng: Random, data: bytearray, mutator: Mutator) -> None:
    """Integers mostly begin at even places."""
    value = _pick(rng, INTEGERS)
    place = _place(rng, data) & (-2 if rng.random() < 0.8 else -1)
    data[place : place + len(value)] = value


def _truncate(rng: Random, data: bytearray, mutator: Mutator) -> None:
    if rng.random() < 0.3:
        del data[_place(rng, data) :]


def _remove(rng: Random, data: bytearray, mutator: Mutator) -> None:
    del data[_span(rng, data)]


def _duplicate(rng: Random, data: bytearray, mutator: Mutator) -> None:
    block = data[_span(rng, data)]
    place = _place(rng, data)
    times = 1 if rng.random() < 0.9 else int(rng.random() * 64)
    if len(data) < LONGEST:
        data[place:place] = block * times


def _swap(rng: Random, data: bytearray, mutator: Mutator) -> None:
    source, size = _span(rng, data), len(data)
    block = data[source]
    del data[source]
    place = _place(rng, data)
    data[place:place] = block
    assert len(data) == size


def _splice(rng: Random, data: bytearray, mutator: Mutator) -> None:
    """The beginning of this input and the end of another."""
    other = _pick(rng, mutator.corpus)
    if rng.random() < 0.5:
        data[_place(rng, data) :] = other[int(rng.random() * (len(other) + 1)) :]
    else:
        start = int(rng.random() * (len(other) + 1))
        place = _place(rng, data)
        data[place:place] = other[start : start + 1 + int(rng.random() * 64)]


def _insert_word(rng: Random, data: bytearray, mutator: Mutator) -> None:
    place = _place(rng, data)
    data[place:place] = _pick(rng, mutator.words)


def _write_word(rng: Random, data: bytearray, mutator: Mutator) -> None:
    value = _pick(rng, mutator.words)
    place = _place(rng, data) & (-2 if rng.random() < 0.5 else -1)
    data[place : place + len(value)] = value


def _fill(rng: Random, data: bytearray, mutator: Mutator) -> None:
    span = _span(rng, data)
    data[span] = bytes((_pick(rng, (0, 0xFF, 0x20, 0x30, 0x5C)),)) * len(data[span])


_CHANGES: tuple[Change, ...] = (
    _flip_bit,
    _flip_bit,
    _set_byte,
    _add_to_byte,
    _set_integer,
    _set_integer,
    _truncate,
    _remove,
    _duplicate,
    _swap,
    _splice,
    _insert_word,
    _write_word,
    _write_word,
    _fill,
)

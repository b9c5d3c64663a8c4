"""Bytes that are not what they claim to be give a value or an `ArchiveError`, soon, from every parser of the room."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.imaging_targets import SEEDS, TARGETS

from hounsfield.errors import ArchiveError

SLOW_SECONDS = 2.0


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A seed with a few bytes changed, taken out or put in, or cut off."""
    data = bytearray(draw(st.sampled_from(SEEDS[name])))
    for _ in range(draw(st.integers(1, 5))):
        position = draw(st.integers(0, max(len(data) - 1, 0)))
        removed = draw(st.integers(0, 4))
        data[position : position + removed] = draw(st.binary(max_size=4))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_input_gives_a_value_or_an_archive_error(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(damaged(name) | st.binary(max_size=100))
    def run(data: bytes) -> None:
        start = time.monotonic()
        with suppress(ArchiveError):
            TARGETS[name](data)
        assert time.monotonic() - start < SLOW_SECONDS

    run()


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_every_seed_is_read(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)

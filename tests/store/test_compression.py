"""Orthanc's compressed attachments."""

import struct
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.errors import Corrupt
from hounsfield.store.compression import (
    compress,
    decompress,
    decompress_pieces,
    decompress_start,
    stored_prefix,
)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_what_is_compressed_comes_back(parts: list[bytes]) -> None:
    assert decompress(b"".join(compress(parts))) == b"".join(parts)


@given(st.binary(max_size=500))
def test_the_form_is_a_length_and_a_zlib_stream(data: bytes) -> None:
    packed = b"".join(compress([data]))
    assert struct.unpack_from("<Q", packed)[0] == len(data)
    assert zlib.decompress(packed[8:]) == data


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_what_others_compressed_is_read(level: int) -> None:
    data = b"some pixels" * 1000
    assert decompress(struct.pack("<Q", len(data)) + zlib.compress(data, level)) == data


@given(st.binary(max_size=300))
def test_other_bytes_are_corrupt_or_give_what_they_say(data: bytes) -> None:
    try:
        plain = decompress(data)
    except Corrupt:
        return
    assert len(plain) == int.from_bytes(data[:8], "little")


@pytest.mark.parametrize("length", [0, 999, 1001, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_wrong_length_is_corrupt(length: int) -> None:
    with pytest.raises(Corrupt):
        decompress(struct.pack("<Q", length) + zlib.compress(b"a" * 1000))


@pytest.mark.parametrize("cut", [1, 4, 5, 10])
def test_a_stream_that_is_cut_off_is_corrupt(cut: int) -> None:
    packed = b"".join(compress([bytes(range(256)) * 10]))
    with pytest.raises(Corrupt):
        decompress(packed[:-cut])


def test_a_damaged_stream_is_corrupt() -> None:
    packed = b"".join(compress([bytes(range(256)) * 10]))
    for at in range(8, len(packed), 7):
        with pytest.raises(Corrupt):
            decompress(packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :])


_RANDOM = Random(1)
# Nothing to gain, all to gain, and something in between, where each block has tables of its own.
_CONTENTS = (
    _RANDOM.randbytes(300_000),
    bytes(300_000),
    bytes(int(_RANDOM.gauss(100 + position // 3000, 20)) & 255 for position in range(300_000)),
    b"tag" * 5,
    b"",
)


@pytest.mark.parametrize("data", _CONTENTS, ids=("random", "zeros", "noise", "short", "empty"))
@pytest.mark.parametrize("length", [0, 1, 10, 65_536, 299_999, 300_000, 400_000])
def test_the_start_is_read_from_the_start_alone(data: bytes, length: int) -> None:
    for packed in (b"".join(compress([data])), struct.pack("<Q", len(data)) + zlib.compress(data, 6)):
        assert decompress_start(packed[: stored_prefix(length)], length) == data[:length]


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_the_start_of_other_bytes_is_corrupt_or_no_longer_than_wanted(data: bytes, length: int) -> None:
    try:
        plain = decompress_start(data, length)
    except Corrupt:
        return
    assert len(plain) <= length


@given(st.binary(max_size=400), st.integers(1, 50))
def test_pieces_of_any_size_come_back(data: bytes, step: int) -> None:
    packed = b"".join(compress([data]))
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    assert b"".join(decompress_pieces(pieces)) == data


@pytest.mark.parametrize("size", [4 << 20, (4 << 20) + 1, 33 << 20])
def test_a_piece_may_hold_many_times_its_size(size: int) -> None:
    packed = b"".join(compress([bytes(size)]))
    pieces = list(decompress_pieces([packed]))
    assert max(map(len, pieces)) <= 4 << 20
    assert sum(map(len, pieces)) == size
    assert not any(map(any, pieces))


@given(st.binary(max_size=300), st.integers(1, 20))
def test_pieces_of_other_bytes_are_corrupt_or_give_what_they_say(data: bytes, step: int) -> None:
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    try:
        plain = b"".join(decompress_pieces(pieces))
    except Corrupt:
        return
    assert plain == decompress(data)

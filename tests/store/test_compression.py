"""Orthanc's compressed attachments."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.errors import Corrupt
from hounsfield.store.compression import compress, decompress


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

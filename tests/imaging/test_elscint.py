"""Pixels in private elements of CT scanners. The encoder here follows what a black-box decoder accepts."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.elscint import decode_private
from hounsfield.imaging.frames import NoPixelData, has_frames, read_frame

Make = Callable[..., bytes]
Load = Callable[..., Pixels]


def _encoded(image: NDArray[np.uint16]) -> bytes:
    steps = bytearray()
    previous = 0
    for value in image.ravel().tolist():
        step = value - previous
        is_small = -128 <= step <= 127 and step & 0xFF not in (0x5A, 0xA5)
        steps += bytes([step & 0xFF]) if is_small else bytes([0x5A, value & 0xFF, value >> 8])
        previous = value
    out = bytearray()
    start = 0
    while start < len(steps):
        end = start
        while end < len(steps) and steps[end] == steps[start] and end - start < 256:
            end += 1
        is_run = end - start > 2 or steps[start] == 0xA5
        out += bytes([0xA5, end - start - 1, steps[start]]) if is_run else steps[start : start + 1]
        start = end if is_run else start + 1
    return bytes(out)


def _file(make: Make, image: NDArray[np.uint16], stream: bytes, name: str = "PMSCT_RLE1") -> bytes:
    data = make(image, BitsStored=12)
    head = read_head(data)
    elements = b"".join(
        tag.to_bytes(2, "little") + element.to_bytes(2, "little") + vr + length + value
        for tag, element, vr, length, value in (
            (0x07A1, 0x0010, b"LO", (8).to_bytes(2, "little"), b"ELSCINT1"),
            (0x07A1, 0x100A, b"OB\0\0", len(stream).to_bytes(4, "little"), stream),
            (0x07A1, 0x1011, b"LO", len(name).to_bytes(2, "little"), name.encode()),
        )
    )
    assert head.pixel_data_offset is not None
    return data[: head.pixel_data_offset] + elements


@pytest.fixture
def image() -> NDArray[np.uint16]:
    rows, columns = np.mgrid[:40, :30]
    made: NDArray[np.uint16] = (1000 + 800 * np.sin(columns / 5) + rows * columns % 300).astype(np.uint16)
    made[5:9] = 3
    return made


def _even(stream: bytes) -> bytes:
    return stream + b"\0" * (len(stream) % 2)


def test_private_pixels_come_back(image: NDArray[np.uint16], make: Make, load: Load) -> None:
    data = _file(make, image, _even(_encoded(image)))
    assert has_frames(read_head(data))
    assert (load(data).array[..., 0] == image).all()


def test_another_private_compression_is_not_taken_for_this_one(image: NDArray[np.uint16], make: Make) -> None:
    data = _file(make, image, _even(_encoded(image)), "PMSCT_RGB1")
    assert not has_frames(read_head(data))
    with pytest.raises(NoPixelData):
        read_frame(data, read_head(data), 1)


@pytest.mark.parametrize("stream", [b"", b"\x5a\x01", b"\xa5\xff", b"\xa5\xff\x01" * 400_000, bytes(1000)])
def test_private_pixels_too_few_or_far_too_many_are_corrupt(
    stream: bytes, image: NDArray[np.uint16], make: Make, load: Load
) -> None:
    with pytest.raises(errors.Corrupt):
        load(_file(make, image, _even(stream)))


@given(st.binary(max_size=400))
def test_any_bytes_give_pixels_or_are_corrupt(data: bytes) -> None:
    description = PixelDescription(4, 4, 1, 16, 12, 11, False, "MONOCHROME2")
    try:
        assert decode_private(data, description).array.shape == (4, 4, 1)
    except errors.Corrupt:
        return

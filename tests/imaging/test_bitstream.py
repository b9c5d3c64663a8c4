"""The headers of compressed bit streams: sizes are known before a decoder runs."""

from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import errors
from hounsfield.imaging.bitstream import Bitstream, read_jpeg, read_jpeg_2000, read_jpeg_xl

Read = Callable[[bytes], Bitstream]


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (8, 16), (17, 17), (300, 400), (1000, 9), (24, 32), (90, 160)]
)
@pytest.mark.parametrize("samples", [1, 3])
def test_all_encoders_say_their_size(rows: int, columns: int, samples: int) -> None:
    image = np.zeros((rows, columns) if samples == 1 else (rows, columns, samples), np.uint8)
    streams: list[tuple[Read, bytes]] = [
        (read_jpeg, bytes(imagecodecs.jpeg8_encode(image))),
        (read_jpeg, bytes(imagecodecs.jpeg8_encode(image, lossless=True))),
        (read_jpeg, bytes(imagecodecs.jpegls_encode(image))),
        (read_jpeg_2000, bytes(imagecodecs.jpeg2k_encode(image, codecformat="j2k", resolutions=1))),
        (read_jpeg_2000, bytes(imagecodecs.jpeg2k_encode(image, codecformat="jp2", resolutions=1))),
        (read_jpeg_xl, bytes(imagecodecs.jpegxl_encode(image, usecontainer=False))),
        (read_jpeg_xl, bytes(imagecodecs.jpegxl_encode(image, usecontainer=True))),
    ]
    for read, stream in streams:
        found = read(stream)
        assert (found.rows, found.columns) == (rows, columns)
        assert found.samples in (0, samples)
        assert found.precision in (0, 8)


def test_a_jpeg_tells_its_colour_space_by_its_markers() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert read_jpeg(bytes(imagecodecs.jpeg8_encode(image))).is_ybr is True
    assert read_jpeg(bytes(imagecodecs.jpeg8_encode(image, outcolorspace="rgb"))).is_ybr is False


def test_a_jpeg_2000_stream_tells_its_sign_and_transformation() -> None:
    grey = read_jpeg_2000(bytes(imagecodecs.jpeg2k_encode(np.zeros((8, 8), np.int16), codecformat="j2k")))
    assert (grey.is_signed, grey.precision, grey.is_ybr) == (True, 16, None)
    colour = imagecodecs.jpeg2k_encode(np.zeros((8, 8, 3), np.uint8), codecformat="j2k", mct=True)
    assert read_jpeg_2000(bytes(colour)).is_ybr is False


@given(st.binary(max_size=300))
def test_any_bytes_give_a_header_or_are_corrupt(data: bytes) -> None:
    for read, start in (
        (read_jpeg, b"\xff\xd8"),
        (read_jpeg_2000, b"\xff\x4f\xff\x51"),
        (read_jpeg_xl, b"\xff\x0a"),
        (read_jpeg_xl, b"\0\0\0\x0cJXL \r\n\x87\n"),
    ):
        for bytes_read in (data, start + data):
            try:
                read(bytes_read)
            except errors.Corrupt:
                continue

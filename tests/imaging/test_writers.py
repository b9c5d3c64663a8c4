"""PNG, JPEG and PAM files, read back by others."""

import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.jpeg import encode_jpeg
from hounsfield.imaging.pam import encode_pam
from hounsfield.imaging.png import encode_png

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.tuples(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])
)
IMAGES = arrays.arrays(np.uint8, SHAPES) | arrays.arrays(np.uint16, SHAPES)


@given(IMAGES)
def test_png_files_hold_the_image(image: NDArray[Any]) -> None:
    read = imagecodecs.png_decode(encode_png(image))
    assert read.dtype == image.dtype
    assert (read.reshape(image.shape) == image).all()


def test_png_files_of_views_hold_the_image() -> None:
    image = np.arange(600, dtype=np.uint16).reshape(20, 30)[::-2, ::3]
    assert (imagecodecs.png_decode(encode_png(image)) == image).all()
    flipped = np.arange(600, dtype=np.uint8).reshape(10, 20, 3)[:, ::-1]
    assert (imagecodecs.png_decode(encode_png(flipped)) == flipped).all()


def test_signed_values_are_written_as_their_twos_complement() -> None:
    image = np.array([[-1, -32768, 5]], np.int16)
    assert imagecodecs.png_decode(encode_png(image)).tolist() == [[65535, 32768, 5]]
    assert encode_pam(image).endswith(b"\xff\xff\x80\x00\x00\x05")


def test_the_same_image_gives_the_same_bytes() -> None:
    image = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
    assert encode_png(image) == encode_png(image.copy())


@given(IMAGES)
def test_pam_files_hold_the_image(image: NDArray[Any]) -> None:
    header, _, body = encode_pam(image).partition(b"ENDHDR\n")
    samples = 1 if image.ndim == 2 else image.shape[2]
    assert header.split(b"\n")[:5] == [
        b"P7",
        b"WIDTH %d" % image.shape[1],
        b"HEIGHT %d" % image.shape[0],
        b"DEPTH %d" % samples,
        b"MAXVAL %d" % np.iinfo(image.dtype).max,
    ]
    assert body == image.astype(image.dtype.newbyteorder(">")).tobytes()


def test_jpeg_files_are_close_to_the_image_and_closer_with_quality() -> None:
    rows, columns = np.mgrid[:64, :80]
    image = np.stack([rows * 3, columns * 3, 255 - rows * 3], axis=-1).astype(np.uint8)
    fine, coarse = encode_jpeg(image, 95), encode_jpeg(image, 20)
    assert len(coarse) < len(fine)
    assert np.abs(imagecodecs.jpeg8_decode(fine).astype(int) - image).mean() < 2
    assert imagecodecs.jpeg8_decode(encode_jpeg(image[..., 0])).shape == (64, 80)
    assert imagecodecs.jpeg8_decode(encode_jpeg(image[..., :1])).shape == (64, 80)


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_jpeg_quality_is_from_1_to_100(quality: int) -> None:
    with pytest.raises(errors.BadRequest):
        encode_jpeg(np.zeros((2, 2), np.uint8), quality)


def test_what_a_format_cannot_hold_is_unsupported() -> None:
    with pytest.raises(errors.Unsupported):
        encode_jpeg(np.zeros((2, 2), np.uint16))
    with pytest.raises(errors.Unsupported):
        encode_jpeg(np.zeros((1, 70_000), np.uint8))
    for encode in (encode_png, encode_pam):
        for image in (
            np.zeros((2, 2, 2), np.uint8),
            np.zeros((2, 2), np.float32),
            np.zeros((2, 2), np.uint32),
        ):
            with pytest.raises(errors.Unsupported):
                encode(image)
    with pytest.raises(errors.Unsupported):
        encode_png(np.zeros((0, 5), np.uint8))


def test_chunks_of_a_png_file_have_their_lengths_and_names() -> None:
    data = encode_png(np.zeros((3, 4), np.uint8))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I4sII", data[8:24]) == (13, b"IHDR", 4, 3)
    assert data.endswith(b"\0\0\0\0IEND\xaeB`\x82")

"""Previews in colours: the pixels by any reader, the bytes by libpng and Orthanc."""

import hashlib
import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.png import encode_png, encode_preview_png
from hounsfield.imaging.png_filters import deflate_filtered

Image = NDArray[np.uint8]

_WINDOW = 32 << 10
"""Bytes from which libpng knows but one way."""
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))
IMAGES = arrays.arrays(np.uint8, SHAPES) | arrays.arrays(
    np.uint8, SHAPES, elements=st.integers(0, 3), fill=st.integers(0, 255)
)


def ramps(rows: int, columns: int) -> Image:
    """As a photograph is: smooth, with a little noise."""
    row, column, sample = np.ogrid[:rows, :columns, :3]
    noise = (row * 7919 + column * 104729 + sample * 1299709) % 11
    return np.asarray((row * (2 + sample) + column * 3 // (1 + sample) + noise) % 256, np.uint8)


def echoes(rows: int, columns: int) -> Image:
    """As ultrasound is: mostly black, with a bright sector and a line in colour."""
    row, column = np.mgrid[:rows, :columns]
    inside = np.abs(column - columns // 2) < row
    grey = np.where(inside, (row * row + column * 31) % 97, 0).astype(np.uint8)
    image = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    image[rows // 2] = (255, 200, 0)
    return image


def flat(rows: int, columns: int) -> Image:
    return np.full((rows, columns, 3), (9, 130, 200), np.uint8)


# What the preview of each was with Debian's Orthanc 1.10.1: libpng 1.6.39 and zlib 1.2.13.
FROM_ORTHANC: dict[tuple[Callable[[int, int], Image], int, int], str] = {
    (ramps, 31, 41): "dac8db09d2f1ebfc72524f2658b3deab",
    (ramps, 200, 300): "758333d0539b902a4a996a071ef66128",
    (echoes, 240, 320): "3e89c43449985b0e9ecbc50434e07140",
    (echoes, 735, 975): "9690aae9d20021dc769b37e68b6e39c3",
    (flat, 5, 7): "c86d2d7c98eb81ce960fce7a3b9ae265",
    (flat, 400, 500): "16db8a988d98183f65df97a69f0bb1b2",
    (ramps, 1, 80): "a6bff88252806cb57806aa81a2ba56f4",
    (ramps, 80, 1): "482f383c5ced25542d3bca32434f3c20",
}


def _streams_differ() -> bool:
    """Whether libpng's zlib or ours is another than the original, such as zlib-ng: then the bytes are others."""
    probe = ramps(64, 64).tobytes() + echoes(64, 64).tobytes()
    theirs = imagecodecs.zlib_encode(probe, level=6)
    return hashlib.md5(
        zlib.compress(probe, 6)
    ).hexdigest() != "8420fb9597682e5a9a6f9d757d92514d" or theirs != zlib.compress(probe, 6)


classic = pytest.mark.skipif(_streams_differ(), reason="this machine's zlib is not the original one")


@given(IMAGES)
def test_previews_in_colours_hold_the_image(image: Image) -> None:
    assert (imagecodecs.png_decode(encode_preview_png(image)) == image).all()


@pytest.mark.parametrize("make", [ramps, echoes, flat])
def test_large_previews_hold_the_image(make: Callable[[int, int], Image]) -> None:
    image = make(700, 900)
    assert (imagecodecs.png_decode(encode_preview_png(image)) == image).all()
    assert (imagecodecs.png_decode(encode_preview_png(image[::-2, ::3])) == image[::-2, ::3]).all()


@classic
@pytest.mark.parametrize("make", [ramps, echoes, flat])
@pytest.mark.parametrize(
    "shape", [(1, 70), (70, 1), (73, 75), (590, 592), (591, 593), (6, 60_000), (60_000, 6)]
)
def test_the_bytes_are_those_of_libpng(make: Callable[[int, int], Image], shape: tuple[int, int]) -> None:
    assert encode_preview_png(make(*shape)) == _by_libpng(make(*shape))


@classic
@given(IMAGES.filter(lambda image: min(image.shape[:2]) > 1))
def test_rows_are_filtered_as_by_libpng(image: Image) -> None:
    rows = _WINDOW // image[0].size + 1
    tall = np.resize(image, (rows, *image.shape[1:]))
    assert deflate_filtered(tall.reshape(rows, -1), 3) == b"".join(_data(_by_libpng(tall)))


def _by_libpng(image: Image) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(image), level=6, strategy=1, filter=0xF8))


@classic
@pytest.mark.parametrize(("make", "rows", "columns"), FROM_ORTHANC)
def test_the_bytes_are_those_of_orthanc(make: Callable[[int, int], Image], rows: int, columns: int) -> None:
    found = hashlib.md5(encode_preview_png(make(rows, columns))).hexdigest()
    assert found == FROM_ORTHANC[make, rows, columns]


def _noise(rows: int, columns: int) -> Image:
    return np.random.default_rng(6).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def test_the_stream_is_cut_into_pieces() -> None:
    *pieces, last = _data(encode_preview_png(_noise(600, 600)))
    assert {len(piece) for piece in pieces} == {8192}
    assert 0 < len(last) <= 8192


def _data(png: bytes) -> list[bytes]:
    """What the IDAT chunks hold; all checks are right."""
    pieces, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, end = png[at + 4 : at + 8], at + 8 + length
        assert struct.unpack_from(">I", png, end)[0] == zlib.crc32(png[at + 4 : end])
        pieces += [png[at + 8 : end]] if kind == b"IDAT" else []
        at = end + 4
    return pieces


def test_all_but_colours_of_8_bits_is_written_fast() -> None:
    for image in (np.zeros((3, 4), np.uint8), np.zeros((3, 4, 1), np.uint8), np.zeros((3, 4, 3), np.uint16)):
        assert encode_preview_png(image) == encode_png(image)
    with pytest.raises(errors.Unsupported):
        encode_preview_png(np.zeros((0, 5, 3), np.uint8))

"""Several pictures in one file that moves: animated WebP and GIF.

The containers are https://developers.google.com/speed/webp/docs/riff_container and GIF 89a; the codec library writes
single pictures, which are put into them here.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.webp import encode_webp

_FOREVER = 0
_ANIMATED = 0x02
_REPLACES = 0x02  # the picture before is not seen through
_GIF_SIDE_MAX = 0xFFFF


def encode_animated_webp(
    pictures: Sequence[NDArray[np.uint8]], *, milliseconds: int, quality: int = 80
) -> bytes:
    """Write pictures of one size as an animated WebP file that never ends. Errors as of `encode_webp`."""
    rows, columns = _common_size(pictures)
    size = struct.pack("<I", columns - 1)[:3] + struct.pack("<I", rows - 1)[:3]
    duration = struct.pack("<I", milliseconds)[:3]
    frames = []
    for picture in pictures:
        stream = encode_webp(picture, quality)[12:]  # without the header of its own file
        frames.append(_chunk(b"ANMF", bytes(6) + size + duration + bytes([_REPLACES]) + stream))
    head = _chunk(b"VP8X", bytes([_ANIMATED, 0, 0, 0]) + size)
    head += _chunk(b"ANIM", struct.pack("<IH", 0xFF000000, _FOREVER))
    body = b"WEBP" + head + b"".join(frames)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)


def encode_animated_gif(pictures: Sequence[NDArray[np.uint8]], *, milliseconds: int) -> bytes:
    """Write pictures of one size as an animated GIF file that never ends.

    Grey is kept; colour is cut to 8 levels of red and green and 4 of blue.

    Raises
    ------
    Unsupported
        If a side is longer than GIF allows.
    """
    rows, columns = _common_size(pictures)
    if max(rows, columns) > _GIF_SIDE_MAX:
        raise errors.Unsupported(f"GIF cannot hold {columns} columns by {rows} rows")
    colours = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    if pictures[0].ndim == 3:
        colours = _few_colours()
    control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 0x04, max(milliseconds // 10, 2), 0, 0)
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", _FOREVER) + b"\0"
    screen = b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0xF7, 0, 0)
    images = [control + _gif_image(picture) for picture in pictures]
    return screen + colours.tobytes() + loop + b"".join(images) + b";"


def _gif_image(picture: NDArray[np.uint8]) -> bytes:
    """The image descriptor and the data of one picture, whose colours stand in the file's table."""
    import imagecodecs  # loads slowly, and most requests ask for something else

    if picture.ndim == 3:
        red, green, blue = (picture[..., channel] for channel in range(3))
        picture = ((red & 0xE0) | (green >> 3 & 0x1C) | (blue >> 6)).astype(np.uint8)
    written = bytes(imagecodecs.gif_encode(np.ascontiguousarray(picture)))
    # Screen descriptor of 13 bytes, table of 256 colours; at the end the trailer.
    return written[13 + 768 : -1]


def _few_colours() -> NDArray[np.uint8]:
    index = np.arange(256)
    channels = ((index >> 5) * 255 // 7, (index >> 2 & 7) * 255 // 7, (index & 3) * 85)
    return np.stack(channels, axis=1).astype(np.uint8)


def _common_size(pictures: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    rows, columns = pictures[0].shape[:2]
    if any(picture.shape != pictures[0].shape for picture in pictures):
        raise errors.Unsupported("pictures of different sizes cannot be animated")
    return rows, columns

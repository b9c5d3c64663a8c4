"""What hostile bytes may reach in the creation of instances: pictures."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np

from hounsfield.errors import Unsupported
from hounsfield.imaging.limits import Limits
from hounsfield.imaging.pictures import JPEG, PAM, PNG, embed_jpeg, read_picture
from hounsfield.imaging.video_facts import read_mp4

_LIMITS = Limits(frame_bytes=1 << 22, image_pixels=1 << 20)
_GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
_COLOUR = np.zeros((8, 8, 3), np.uint8)


def picture(mime_type: str, data: bytes) -> None:
    """A picture of a type."""
    read_picture(mime_type, data, _LIMITS)


def jpeg(data: bytes) -> None:
    """A JPEG file, decoded and kept."""
    try:
        picture(JPEG, data)
    except Unsupported:
        embed_jpeg(data)


def mp4(data: bytes) -> None:
    """A video."""
    with suppress(Unsupported):
        read_mp4(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "create.png": partial(picture, PNG),
    "create.pam": partial(picture, PAM),
    "create.jpeg": jpeg,
    "create.mp4": mp4,
}
_VIDEO = Path(__file__).parents[1] / "data" / "video"
SEEDS: dict[str, list[bytes]] = {
    "create.mp4": [(_VIDEO / name).read_bytes() for name in ("avc.mp4", "hevc.mp4")],
    "create.png": [
        bytes(imagecodecs.png_encode(_GREY)),
        bytes(imagecodecs.png_encode(_COLOUR.astype(np.uint16))),
    ],
    "create.pam": [
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\x01\x02",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(8),
    ],
    "create.jpeg": [bytes(imagecodecs.jpeg8_encode(_GREY)), bytes(imagecodecs.jpeg8_encode(_COLOUR))],
}

"""Small pictures of a series, still or moving."""

from enum import Enum

from hounsfield.imaging.animation import encode_animated_gif, encode_animated_webp
from hounsfield.imaging.render import Box
from hounsfield.imaging.series import Series
from hounsfield.imaging.thumbnails import series_pictures
from hounsfield.retrieve.frames import ImageRequest, write_image


class Motion(Enum):
    """How to write moving pictures, by media type."""

    WEBP = "image/webp"
    GIF = "image/gif"


def thumbnail(series: Series, side: int, wanted: ImageRequest) -> bytes:
    """The middle frame, as large as fits in a square. Errors as of `series_pictures`."""
    return write_image(series_pictures(series, Box(side, side, True))[0], wanted)


def moving_thumbnail(series: Series, side: int, motion: Motion, *, frames: int, milliseconds: int) -> bytes:
    """So many frames along the series, each shown so long. Errors as of `series_pictures`."""
    pictures = series_pictures(series, Box(side, side, True), frames)
    if motion is Motion.GIF:
        return encode_animated_gif(pictures, milliseconds=milliseconds)
    return encode_animated_webp(pictures, milliseconds=milliseconds)

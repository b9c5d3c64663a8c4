"""Small pictures of a series, still or moving."""

from enum import Enum

from hounsfield.archive import Archive
from hounsfield.dicom.levels import Level
from hounsfield.imaging.animation import encode_animated_gif, encode_animated_webp
from hounsfield.imaging.render import Box
from hounsfield.imaging.series import Series
from hounsfield.imaging.thumbnails import series_pictures, shrunk
from hounsfield.index.resources import first_instance
from hounsfield.retrieve.frames import ImageRequest, write_image
from hounsfield.retrieve.summaries import has_own_picture, open_subject, summary_picture


class Motion(Enum):
    """How to write moving pictures, by media type."""

    WEBP = "image/webp"
    GIF = "image/gif"


def thumbnail(archive: Archive, public_id: str, series: Series, side: int, wanted: ImageRequest) -> bytes:
    """The middle frame of a series, as large as fits in a square, or the picture of what is no image.

    Errors as of `series_pictures` and `summary_picture`.
    """
    if series.members and has_own_picture(series.members[0].head):
        with archive.database.read() as tx:
            instance = first_instance(tx, Level.SERIES, public_id)
        return write_image(shrunk(summary_picture(open_subject(archive, instance)), side), wanted)
    return write_image(series_pictures(series, Box(side, side, True))[0], wanted)


def moving_thumbnail(series: Series, side: int, motion: Motion, *, frames: int, milliseconds: int) -> bytes:
    """So many frames along the series, each shown so long. Errors as of `series_pictures`."""
    pictures = series_pictures(series, Box(side, side, True), frames)
    if motion is Motion.GIF:
        return encode_animated_gif(pictures, milliseconds=milliseconds)
    return encode_animated_webp(pictures, milliseconds=milliseconds)

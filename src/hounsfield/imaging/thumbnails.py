"""Small pictures of a series: its middle frame, or frames all along it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.decode import decode
from hounsfield.imaging.display import read_display
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.render import Box, render
from hounsfield.imaging.series import Series
from hounsfield.imaging.stacks import StackFrame
from hounsfield.imaging.volume import cut


def series_pictures(series: Series, box: Box, count: int = 1) -> list[NDArray[np.uint8]]:
    """Pictures of frames of the largest stack at equal distances, in the order of their places.

    Parameters
    ----------
    series
        By `series.read_series`.
    box
        The largest size.
    count
        How many at most; one is the middle.

    Raises
    ------
    BadRequest
        If the series has no images.
    Corrupt, Unsupported
        If a frame cannot be shown.
    """
    if not series.stacks:
        raise errors.BadRequest("the series has no images")
    frames = series.stacks[0].frames
    count = min(count, len(frames))
    # The middles of `count` equal parts.
    chosen = [frames[(2 * index + 1) * len(frames) // (2 * count)] for index in range(count)]
    if count == 1:
        return [_picture(series, chosen[0], box)]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4), thread_name_prefix="THUMBNAIL") as pool:
        return list(pool.map(lambda frame: _picture(series, frame, box), chosen))


def shrunk(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture that fits into a square, of the means of square blocks; one that fits already stays as it is.

    >>> shrunk(np.arange(16, dtype=np.uint8).reshape(4, 4), 2).tolist()
    [[2, 4], [10, 12]]
    """
    block = -(-max(picture.shape[:2]) // side)
    rows, columns = (max(each // block, 1) for each in picture.shape[:2])
    if block == 1:
        return picture
    cropped = picture[: rows * block, : columns * block]
    block_rows, block_columns = len(cropped) // rows, cropped.shape[1] // columns
    blocks = cropped.reshape(rows, block_rows, columns, block_columns, -1)
    means = np.asarray(blocks.mean(axis=(1, 3)).astype(np.uint8))
    return means if picture.ndim == 3 else np.asarray(means[..., 0])


def _picture(series: Series, frame: StackFrame, box: Box) -> NDArray[np.uint8]:
    member = series.members[frame.member]
    whole = decode(read_frame(member.read(), member.head, frame.number))
    pixels = replace(whole, array=cut(whole.array, frame.tile))
    display = read_display(member.head.dataset, pixels.description, frame.number)
    return render(pixels, display, box=box)

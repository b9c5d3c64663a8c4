"""Whether two instances show the same: their pixels compared frame by frame, however each is encoded."""

from dataclasses import dataclass

import numpy as np

from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.scan import Buffer
from hounsfield.errors import Corrupt, Unsupported
from hounsfield.imaging.decode import decode
from hounsfield.imaging.frames import count_frames, has_frames, read_frame


@dataclass(frozen=True, slots=True)
class PixelComparison:
    """How the pixels of two instances differ.

    `frames` are how many each has; of the frames that both have, `compared_values` were looked at, of which
    `differing_values` in `differing_frames` are not the same, by `greatest_difference` at most (0 where shapes differ).
    `obstacle` is why frames could not be compared as values.
    """

    frames: tuple[int, int]
    compared_values: int = 0
    differing_values: int = 0
    differing_frames: int = 0
    greatest_difference: float = 0.0
    obstacle: str = ""

    @property
    def is_same(self) -> bool:
        """Whether both show the same, as far as that can be told."""
        return self.frames[0] == self.frames[1] and not self.differing_frames and not self.obstacle


def compare_pixels(
    first: Buffer, second: Buffer, *, most_frames: int | None = None
) -> PixelComparison | None:
    """Compare the pixels of two files, or of as many frames as is said; None if neither has any.

    Frames that no decoder understands are the same if their bytes are.

    Raises
    ------
    Corrupt
        If a file is no DICOM.
    """
    heads = read_head(first), read_head(second)
    if not any(has_frames(head) for head in heads):
        return None
    frames = count_frames(heads[0], len(first)), count_frames(heads[1], len(second))
    common = min(frames) if most_frames is None else min(*frames, most_frames)
    found = PixelComparison(frames)
    for number in range(1, common + 1):
        found = _add(found, (first, heads[0]), (second, heads[1]), number)
        if found.obstacle:
            break
    return found


def _add(
    found: PixelComparison, first: tuple[Buffer, Head], second: tuple[Buffer, Head], number: int
) -> PixelComparison:
    """With one frame more."""
    try:
        encoded = [read_frame(data, head, number) for data, head in (first, second)]
        is_equal = (
            encoded[0].transfer_syntax_uid == encoded[1].transfer_syntax_uid
            and encoded[0].description == encoded[1].description
            and encoded[0].first_bit == encoded[1].first_bit
            and bytes(encoded[0].data) == bytes(encoded[1].data)
        )
        if is_equal:
            count = encoded[0].description.pixels * encoded[0].description.samples
            return _with(found, count, 0, 0.0)
        left, right = (decode(frame).array for frame in encoded)
    except (Corrupt, Unsupported) as error:
        return PixelComparison(found.frames, obstacle=f"frame {number}: {error}")
    if left.shape != right.shape:
        return _with(found, max(left.size, right.size), max(left.size, right.size), 0.0)
    apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
    return _with(found, left.size, int(np.count_nonzero(apart)), float(np.nan_to_num(apart).max(initial=0.0)))


def _with(found: PixelComparison, compared: int, differing: int, greatest: float) -> PixelComparison:
    return PixelComparison(
        found.frames,
        found.compared_values + compared,
        found.differing_values + differing,
        found.differing_frames + bool(differing),
        max(found.greatest_difference, greatest),
    )

"""How much memory one frame may take. Declared sizes are checked against these before anything is allocated."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a hostile or damaged file can make us do."""

    frame_bytes: int = 1 << 30
    """Largest decoded frame, in bytes, before colour conversion."""

    fragments: int = 1 << 20
    """Most fragments walked when there is no offset table to jump by. PS3.5 A.4."""

    image_pixels: int = 1 << 26
    """Most pixels of an image resized for a caller."""

    video_bytes: int = 1 << 30
    """Longest video that a frame is looked for in."""


DEFAULT_LIMITS = Limits()

"""From pixels to an image for a screen or a file: stretched, windowed, resized, clipped. PS3.3 C.11.

Images are shape (rows, columns) for grey levels, (rows, columns, 3) for RGB.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging import colour
from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.description import MONOCHROME1, PALETTE_COLOR
from hounsfield.imaging.display import Display, default_window
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits
from hounsfield.imaging.lut import Window, by_rows, grey_levels

Image = NDArray[Any]
"""Grey levels or RGB, 8 or 16 bits, as the writers of files take it."""

_BLUR = (1, 4, 6, 4, 1)
_FLOAT_MAX = 1e300  # so that a range of values is still finite
_SINGLE_PRECISION_SPAN = 6000
_SQUARE = 0.02
_FLAT = 1e-300  # a range that 255 can still be divided by


@dataclass(frozen=True, slots=True)
class Box:
    """Where an image has to fit in, keeping its aspect ratio; 0 where a side does not matter."""

    width: int = 0
    height: int = 0
    is_smooth: bool = False
    """Whether to blur an image before it is made smaller, against jagged lines."""


AS_IT_IS = Box()


def preview(pixels: Pixels) -> NDArray[np.uint8]:
    """Stretch a frame's own range of values to all grey levels; colour is kept.

    A constant frame is black. MONOCHROME1 is inverted.
    """
    if is_colour(pixels):
        return stored_colour(pixels)
    grey = _stretched(stored_grey(pixels))
    return np.subtract(255, grey, out=grey) if pixels.photometric == MONOCHROME1 else grey


def render(
    pixels: Pixels,
    display: Display,
    *,
    window: Window | None = None,
    box: Box = AS_IT_IS,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """Show a frame as its data set asks.

    Parameters
    ----------
    pixels
        The frame.
    display
        What its data set says, by `display.read_display`.
    window
        The caller's own window instead, in the units of the modality.
    box
        The size wanted.
    limits
        How large it may be.

    Raises
    ------
    Unsupported
        If the image asked for is larger than `limits` allow.
    """
    shape = _fitted(pixels.array.shape[:2], box, limits)
    if is_colour(pixels):
        return _resized(stored_colour(pixels), shape, is_smooth=box.is_smooth)
    stored = stored_grey(pixels)
    if not box.is_smooth:
        stored = _resized(stored, shape, is_smooth=False)
    voi = window or display.voi
    if voi is None and stored.dtype.itemsize > 2:
        grey = _stretched(stored)  # a window over all of 32 bits shows nothing of a dose
    else:
        grey = grey_levels(
            stored, display.modality, voi or default_window(pixels.description, display.modality)
        )
    grey = _resized(grey, shape, is_smooth=box.is_smooth)
    return np.subtract(255, grey) if pixels.photometric == MONOCHROME1 else grey


def clip_uint8(pixels: Pixels) -> NDArray[np.uint8]:
    """Give stored values cut to 0..255; `Unsupported` in colour of 8 bits or of a palette."""
    return _clipped(pixels, np.dtype(np.uint8))


def clip_uint16(pixels: Pixels) -> NDArray[np.uint16]:
    """Give stored values cut to 0..65535; errors as of `clip_uint8`."""
    return _clipped(pixels, np.dtype(np.uint16))


def clip_int16(pixels: Pixels) -> NDArray[np.int16]:
    """Give stored values cut to -32768..32767; errors as of `clip_uint8`."""
    return _clipped(pixels, np.dtype(np.int16))


def _clipped(pixels: Pixels, dtype: np.dtype[Any]) -> NDArray[Any]:
    is_wide = pixels.array.dtype.itemsize > 1 and pixels.photometric != PALETTE_COLOR
    if is_colour(pixels) and not is_wide:
        raise errors.Unsupported("stored values of a colour image of 8 bits")
    stored = pixels.array if is_colour(pixels) else stored_grey(pixels)
    if stored.dtype.kind == "f":
        stored = np.nan_to_num(stored)
    bounds = np.iinfo(dtype)
    own = np.iinfo(stored.dtype) if stored.dtype.kind in "ui" else None
    low, high = int(bounds.min), int(bounds.max)
    if own is not None:
        low, high = max(low, int(own.min)), min(high, int(own.max))
    clipped: NDArray[Any] = np.clip(stored, low, high).astype(dtype)
    return clipped


def is_colour(pixels: Pixels) -> bool:
    """Whether a frame is shown in colour."""
    return pixels.array.shape[2] == 3 or pixels.photometric == PALETTE_COLOR


def stored_colour(pixels: Pixels) -> NDArray[np.uint8]:
    """RGB of 8 bits, palettes looked up."""
    if pixels.photometric == PALETTE_COLOR:
        if pixels.description.palette is None:
            raise errors.Corrupt("PALETTE COLOR without a palette")
        return colour.apply_palette(pixels.array, pixels.description.palette)
    array = pixels.array
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "u":
        raise errors.Unsupported(f"colour with samples of type {array.dtype}")
    return (array >> max(pixels.description.bits_stored - 8, 0)).astype(np.uint8)


def stored_grey(pixels: Pixels) -> NDArray[Any]:
    """Stored values, shape (rows, columns); single bits are 0 and 255."""
    grey = pixels.array[..., 0]
    return grey * np.uint8(255) if pixels.description.bits_allocated == 1 else grey


def _stretched(stored: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = _float_range(stored) if stored.dtype.kind == "f" else (int(stored.min()), int(stored.max()))
    if high - low <= _FLAT:
        return np.zeros(stored.shape, np.uint8)
    return by_rows(stored, lambda part: _stretched_rows(part, low, high))


def _float_range(stored: NDArray[Any]) -> tuple[float, float]:
    """Least and greatest finite value, 0 and 0 if there is none."""
    finite = stored[np.isfinite(stored)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return max(low, -_FLOAT_MAX), min(high, _FLOAT_MAX)


def _stretched_rows(stored: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if stored.dtype.kind == "f":
        # NaNs first: to convert a signalling one is an error.
        stored = np.clip(np.nan_to_num(stored, nan=low).astype(np.float64), low, high)
    # Single precision is faster, and exact as long as a level that lies in the middle between two is farther from the
    # next value's than its errors add up to. `half` makes sure that the middle itself is rounded up.
    is_narrow = stored.dtype.itemsize <= 2 and high - low <= _SINGLE_PRECISION_SPAN
    precision, half = (np.float32, 0.50004) if is_narrow else (np.float64, 0.5 + 1e-9)
    levels = np.subtract(stored, precision(low), dtype=precision)
    np.multiply(levels, precision(255 / (high - low)), out=levels)
    np.add(levels, precision(half), out=levels)
    stretched: NDArray[np.uint8] = levels.astype(np.uint8)
    return stretched


def _fitted(shape: tuple[int, ...], box: Box, limits: Limits) -> tuple[int, int]:
    """Rows and columns of the largest image of the same aspect ratio in the box."""
    rows, columns = shape
    factors = [side / own for side, own in ((box.width, columns), (box.height, rows)) if side > 0]
    if not factors:
        return rows, columns
    factor = min(factors)
    fitted = max(int(rows * factor + 0.5), 1), max(int(columns * factor + 0.5), 1)
    if fitted[0] * fitted[1] > limits.image_pixels:
        raise errors.Unsupported(f"an image of {fitted[1]} columns by {fitted[0]} rows")
    return fitted


def resized(image: NDArray[Any], box: Box, limits: Limits, *, aspect: float = 1.0) -> NDArray[Any]:
    """An image in a box; `aspect` is the height of its pixels by their width, which become square.

    Raises
    ------
    Unsupported
        If the image asked for is larger than `limits` allow.
    """
    rows, columns = image.shape[:2]
    if abs(aspect - 1) > _SQUARE:  # the shorter side of a pixel grows, so that nothing is lost
        rows, columns = (rows, columns) if aspect < 1 else (round(rows * aspect), columns)
        columns = round(columns / aspect) if aspect < 1 else columns
    shape = _fitted((rows, columns), box, limits)
    if shape[0] * shape[1] > limits.image_pixels and shape != image.shape[:2]:
        raise errors.Unsupported(f"an image of {shape[1]} columns by {shape[0]} rows")
    return _resized(image, shape, is_smooth=box.is_smooth)


def _resized(image: NDArray[Any], shape: tuple[int, int], *, is_smooth: bool) -> NDArray[Any]:
    """Take the nearest pixel, of the image blurred if it shrinks and shall be smooth."""
    rows, columns = image.shape[:2]
    if (rows, columns) == shape:
        return image
    if is_smooth and (shape[0] < rows or shape[1] < columns):
        image = _blurred(image)
    return image[_nearest(rows, shape[0])[:, np.newaxis], _nearest(columns, shape[1])]


def _nearest(source: int, target: int) -> NDArray[np.intp]:
    """For every target index the source index whose pixel holds the centre of the target's."""
    return ((2 * np.arange(target) + 1) * source // (2 * target)).astype(np.intp)


def _blurred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur with the binomial kernel of 5 by 5; the border is repeated outwards."""
    wide = image.astype(np.uint16)
    for axis in (0, 1):
        length = wide.shape[axis]
        total = np.zeros_like(wide)
        for offset, weight in enumerate(_BLUR, start=-2):
            total += weight * wide.take(np.clip(np.arange(length) + offset, 0, length - 1), axis=axis)
        wide = total
    blurred: NDArray[np.uint8] = (wide >> 8).astype(np.uint8)
    return blurred

"""From stored values to grey levels: the modality and VOI transformations of PS3.3 C.11.1 and C.11.2.

Integer pixels go through one table of the values that occur, computed once in double precision, so that a frame costs
one look-up a pixel however many transformations there are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.tables import LookupTable

_TABLE_VALUES_MAX = 1 << 16
_BLOCK_VALUES = 1 << 18


class VoiFunction(Enum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope (0028,1053) and Intercept (0028,1052)."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center (0028,1050) and Window Width (0028,1051), in the units of the modality's values."""

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR

    def __post_init__(self) -> None:
        if not math.isfinite(self.center) or not math.isfinite(self.width):
            raise errors.BadRequest("a window's center and width must be finite")


IDENTITY = Rescale()


def modality_values(values: NDArray[Any], modality: Rescale | LookupTable) -> NDArray[np.float64]:
    """Turn stored values into those of the modality, HU for CT. PS3.3 C.11.1."""
    if isinstance(modality, LookupTable):
        return _look_up(values, modality)
    if modality == IDENTITY:
        return values.astype(np.float64)
    return values.astype(np.float64) * modality.slope + modality.intercept


def voi_levels(values: NDArray[np.float64], voi: Window | LookupTable) -> NDArray[np.float64]:
    """Turn values of the modality into levels, 0.0 black to 255.0 white, not yet rounded. PS3.3 C.11.2."""
    if isinstance(voi, LookupTable):
        return _look_up(values, voi) * (255 / ((1 << voi.bits) - 1))
    if voi.function is VoiFunction.SIGMOID:
        return window_sigmoid(values, center=voi.center, width=voi.width)
    if voi.function is VoiFunction.LINEAR:
        return window_linear(values, center=voi.center, width=voi.width)
    return window_linear_exact(values, center=voi.center, width=voi.width)


def window_linear(values: NDArray[np.float64], *, center: float, width: float) -> NDArray[np.float64]:
    """Function LINEAR, PS3.3 C.11.2.1.2.1: its half-unit offset makes width 256 at center 128 the identity on bytes.

    `BadRequest` if `width` is below 1, which the standard forbids.

    >>> window_linear(np.array([-1000.0, 40.0, 3000.0]), center=40, width=400).round()
    array([  0., 128., 255.])
    """
    if not width >= 1:
        raise errors.BadRequest(f"Window Width {width} is below 1")
    if width == 1:
        return np.where(values <= center - 0.5, 0.0, 255.0)
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0.0, 255.0)


def window_linear_exact(values: NDArray[np.float64], *, center: float, width: float) -> NDArray[np.float64]:
    """Function LINEAR_EXACT, PS3.3 C.11.2.1.3.2; `BadRequest` if `width` is not above 0.

    >>> window_linear_exact(np.array([0.0, 128.0, 256.0]), center=128, width=256)
    array([  0. , 127.5, 255. ])
    """
    if not width > 0:
        raise errors.BadRequest(f"Window Width {width} is not above 0")
    return np.clip((values - (center - width / 2)) * 255 / width, 0.0, 255.0)


def window_sigmoid(values: NDArray[np.float64], *, center: float, width: float) -> NDArray[np.float64]:
    """Function SIGMOID, PS3.3 C.11.2.1.3.1; `BadRequest` if `width` is not above 0.

    >>> window_sigmoid(np.array([40.0]), center=40, width=400)
    array([127.5])
    """
    if not width > 0:
        raise errors.BadRequest(f"Window Width {width} is not above 0")
    # Beyond +-700 the exponential overflows, and the level has long been black or white.
    exponent = np.clip(-4 * (values - center) / width, -700, 700)
    return np.asarray(255 / (1 + np.exp(exponent)))


def _look_up(values: NDArray[Any], table: LookupTable) -> NDArray[np.float64]:
    last = len(table.values) - 1
    indices = np.clip(np.nan_to_num(np.floor(values - float(table.first))), 0, last).astype(np.intp)
    outputs: NDArray[np.float64] = table.values[indices].astype(np.float64)
    return outputs


def grey_levels(
    stored: NDArray[Any],
    modality: Rescale | LookupTable,
    voi: Window | LookupTable,
    *,
    is_rounded: bool = False,
) -> NDArray[np.uint8]:
    """Map stored values to grey levels, 0 black to 255 white; same shape.

    They are rounded down as REST clients expect, or to the nearest if `is_rounded`.
    """
    half = 0.5 if is_rounded else 0.0
    if stored.dtype.kind == "f":
        return by_rows(stored, lambda part: _levels(part, modality, voi, half))
    low, high = int(stored.min()), int(stored.max())
    if high - low >= _TABLE_VALUES_MAX or high - low > stored.size:
        return by_rows(stored, lambda part: _levels(part, modality, voi, half))
    table = _levels(np.arange(low, high + 1), modality, voi, half)
    if low == 0 and stored.dtype.kind == "u":
        return by_rows(stored, lambda part: np.asarray(table.take(part)))
    return by_rows(stored, lambda part: np.asarray(table.take(np.subtract(part, low, dtype=np.int64))))


def by_rows(stored: NDArray[Any], convert: Callable[[NDArray[Any]], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """What `convert` makes of every value, a few rows at a time: what it takes meanwhile stays small and near."""
    if stored.size <= _BLOCK_VALUES:
        return convert(stored)
    levels = np.empty(stored.shape, np.uint8)
    rows = max(_BLOCK_VALUES // max(stored[0].size, 1), 1)
    for begin in range(0, len(stored), rows):
        levels[begin : begin + rows] = convert(stored[begin : begin + rows])
    return levels


def _levels(
    values: NDArray[Any], modality: Rescale | LookupTable, voi: Window | LookupTable, half: float
) -> NDArray[np.uint8]:
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # absurd slopes and pixels that are not numbers become black
        levels = np.nan_to_num(voi_levels(modality_values(values, modality), voi))
        return (levels + half).astype(np.uint8)

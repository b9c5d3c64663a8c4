"""Colour maps for grey values: the well-known palettes of PS3.6 Annex B, grey, and a rainbow.

The standard has no rainbow; ours goes from blue over green to red, black below.
"""

import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors

Colours = NDArray[np.uint8]
"""256 colours, shape (256, 3), red, green and blue."""

GREY = "grey"
RAINBOW = "rainbow"
_INVERSE = "-inverse"


def colour_map(name: str) -> Colours:
    """The colours of a map; with `-inverse` after its name in the opposite order.

    Raises
    ------
    BadRequest
        If there is no such map; the message tells which there are.

    >>> colour_map("hot-iron")[[0, 64, 128, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [255, 0, 0], [255, 255, 255]]
    """
    plain = name.removesuffix(_INVERSE)
    if plain not in colour_maps():
        raise errors.BadRequest(f"there is no colour map {plain!r}; there are {', '.join(colour_maps())}")
    colours = colour_maps()[plain]
    return colours if plain == name else colours[::-1]


@functools.cache
def colour_maps() -> Mapping[str, Colours]:
    """All maps by name."""
    text = resources.files(__package__).joinpath("colour_maps.tsv").read_text(encoding="ascii")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    standard = {name: _from_hexadecimal(colours) for name, _, colours in rows}
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    return MappingProxyType({GREY: grey, **standard, RAINBOW: _rainbow()})


def _from_hexadecimal(text: str) -> Colours:
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(256, 3)


def _rainbow() -> Colours:
    """Hues from blue (240 degrees) to red (0) at full saturation; the first is black."""
    hue = np.linspace(4.0, 0.0, 256)[:, np.newaxis]
    # How far each primary is from the hue, in sixths of the circle: within one it is full, beyond two it is out.
    distance = np.abs((hue - np.array([0.0, 2.0, 4.0]) + 3) % 6 - 3)
    colours = np.rint(np.clip(2 - distance, 0, 1) * 255).astype(np.uint8)
    colours[0] = 0
    return np.asarray(colours)


def grey_of_values(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Values as levels, 0 at `low` and below to 255 at `high` and above; NaN is 0.

    >>> grey_of_values(np.array([-1.0, 0.0, 5.0, 10.0, np.nan]), 0.0, 10.0)
    array([  0,   0, 128, 255,   0], dtype=uint8)
    """
    if not low < high:
        raise errors.BadRequest(f"a range of values from {low} to {high}")
    scale = np.float32(255 / (high - low))
    levels = (values.astype(np.float32) - np.float32(low)) * scale + np.float32(0.5)
    return np.asarray(np.nan_to_num(np.clip(levels, 0, 255)).astype(np.uint8))


def coloured(levels: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Levels in the colours of a map: shape (rows, columns, 3), of `grey` itself (rows, columns)."""
    if name == GREY:
        return levels
    return np.asarray(colour_map(name)[levels])

"""Lines and shapes in an image, from points of (column, row) with the first pixel's centre at (0.5, 0.5).

PS3.3 C.10.5.1.2 (graphic annotation), C.7.6.11 (shutters).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]

_FARTHEST = 4
"""Sides of the image that a line may reach beyond it."""

_CURVE_STEPS = 180
_POINT_ARM = 3.0


def draw_lines(image: NDArray[Any], points: Sequence[Point], level: int) -> None:
    """A line of one pixel's width through all points; parts beyond the image are left out."""
    farthest = _FARTHEST * max(image.shape[:2])
    for (x0, y0), (x1, y1) in pairwise(points):
        if max(map(abs, (x0, y0, x1, y1))) > farthest:
            continue
        steps = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
        _set(image, np.linspace(x0, x1, 2 * steps + 1), np.linspace(y0, y1, 2 * steps + 1), level)


def draw_point(image: NDArray[Any], point: Point, level: int) -> None:
    """A small cross."""
    x, y = point
    draw_lines(image, [(x - _POINT_ARM, y), (x + _POINT_ARM, y)], level)
    draw_lines(image, [(x, y - _POINT_ARM), (x, y + _POINT_ARM)], level)


def ellipse_points(major: tuple[Point, Point], minor: tuple[Point, Point]) -> list[Point]:
    """Points around an ellipse that is given by the ends of its axes."""
    (ax, ay), (bx, by) = major
    (cx, cy), (dx, dy) = minor
    middle = (ax + bx) / 2, (ay + by) / 2
    angles = np.linspace(0, 2 * np.pi, _CURVE_STEPS + 1)
    x = middle[0] + np.cos(angles) * (ax - bx) / 2 + np.sin(angles) * (cx - dx) / 2
    y = middle[1] + np.cos(angles) * (ay - by) / 2 + np.sin(angles) * (cy - dy) / 2
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def circle_points(center: Point, edge: Point) -> list[Point]:
    """Points around a circle through `edge`."""
    radius = float(np.hypot(edge[0] - center[0], edge[1] - center[1]))
    x, y = center
    return ellipse_points(((x - radius, y), (x + radius, y)), ((x, y - radius), (x, y + radius)))


def polygon_mask(shape: tuple[int, int], points: Sequence[Point]) -> NDArray[np.bool_]:
    """Which pixels have their centres within a polygon, by the even-odd rule."""
    rows, columns = shape
    inside = np.zeros(shape, bool)
    centres = np.arange(columns) + 0.5
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if y0 == y1:
            continue
        low, high = sorted((y0, y1))
        first, last = max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), rows)
        if first >= last:
            continue
        ys = np.arange(first, last) + 0.5
        crossings = x0 + (ys - y0) * (x1 - x0) / (y1 - y0)
        inside[first:last] ^= centres > crossings[:, np.newaxis]
    return inside


def _set(image: NDArray[Any], x: NDArray[np.float64], y: NDArray[np.float64], level: int) -> None:
    columns, rows = np.floor(x).astype(int), np.floor(y).astype(int)
    kept = (columns >= 0) & (rows >= 0) & (columns < image.shape[1]) & (rows < image.shape[0])
    image[rows[kept], columns[kept]] = level

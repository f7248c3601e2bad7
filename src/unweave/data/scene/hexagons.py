"""The texture of floor and walls: a tile of 10 × 8 hexagons, blurred with distance as graphics cards do."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

COLUMNS, ROWS = 10, 8
INSIDE, DARKER, BORDER = 0.994, 0.944, 0.935
"""Brightness inside a hexagon; five are darker by the second factor, the lines between them by the third."""
DARK = ((0, 4), (0, 5), (1, 3), (1, 4), (2, 3))
"""(column, row) of the darker hexagons."""
HALF_WIDTH = 0.014
"""Of the lines, in lengths of the room."""
TILE, FLOOR_TILE = (2.0637, 2.083), (2.0743, 2.1407)
"""Width and height of a tile on the walls, and on the floor, where it is turned by 90 degrees."""
PHASE = {"back": (0.0014, 0.0), "left": (0.0517, 0.0), "right": (0.9522, 0.0), "floor": (-0.0066, -0.4990)}
"""Where tiles begin, in tiles."""
FLOOR_DIMMER = 0.986
SIZE, FINE = 256, 4
"""Texels of the tile in each direction, and samples in each direction that are averaged for a texel."""


@cache
def halvings() -> tuple[Numbers, ...]:
    """The tile as (256, 256) brightness, rows v and columns u; then at half the size, and so on down to (1, 1)."""
    place = (np.arange(SIZE * FINE) + 0.5) / (SIZE * FINE)
    fine = brightness(place * COLUMNS, (place * ROWS)[:, None])
    found = [fine.reshape(SIZE, FINE, SIZE, FINE).mean((1, 3))]
    while len(found[-1]) > 1:
        half = len(found[-1]) // 2
        found.append(found[-1].reshape(half, 2, half, 2).mean((1, 3)))
    return tuple(found)


def brightness(u: Numbers, v: Numbers) -> Numbers:
    """Places, counted in columns and rows of hexagons -> brightness there.

    A place belongs to the nearest middle of a hexagon; middle (i, j) is at u = i, v = j, and half a row further in odd
    columns.
    """
    across, down = TILE[0] / COLUMNS, TILE[1] / ROWS
    nearest = np.full(np.broadcast_shapes(u.shape, v.shape), np.inf)
    second, dark = nearest, np.zeros(nearest.shape, dtype=bool)
    for i in np.round(u) + np.array([-1, 0, 1]).reshape(3, *[1] * u.ndim):
        shift = i % 2 / 2
        row = np.round(v - shift)
        for j in (row - 1, row, row + 1):
            away = ((u - i) * across) ** 2 + ((v - j - shift) * down) ** 2
            closer = away < nearest
            second = np.minimum(second, np.maximum(away, nearest))
            nearest = np.minimum(nearest, away)
            number = i % COLUMNS * ROWS + j % ROWS
            dark = np.where(closer, np.isin(number, [c * ROWS + r for c, r in DARK]), dark)
    # Two middles lie a row apart: the line between them is (second² - nearest²) / (2 · row) away.
    line = second - nearest < 2 * down * HALF_WIDTH
    return INSIDE * np.where(dark, DARKER, 1.0) * np.where(line, BORDER, 1.0)


def place(surface: str, points: Numbers) -> tuple[Numbers, Numbers]:
    """(N, 3) points on ``floor``, ``back``, ``left`` or ``right`` -> (N,) u and v, in tiles."""
    x, y, z = points.T
    along, across = {"back": (x, z), "left": (y, z), "right": (-y, z), "floor": (-y, x)}[surface]
    width, height = FLOOR_TILE if surface == "floor" else TILE
    return along / width + PHASE[surface][0], across / height + PHASE[surface][1]


def sample(surface: str, points: Numbers, right: Numbers, below: Numbers) -> Numbers:
    """The texture's brightness, (N,), at (N, 3) points of a surface.

    The larger of the steps to the next samples, in texels, says between which two halvings of the tile to interpolate
    (the rule of OpenGL's trilinear filter).

    Args:
        surface: ``floor``, ``back``, ``left`` or ``right``.
        points: where.
        right: the points that are seen one sample further right.
        below: the points that are seen one sample further down.
    """
    u, v = place(surface, points)
    steps = [(a - u) ** 2 + (b - v) ** 2 for a, b in (place(surface, right), place(surface, below))]
    last = len(halvings()) - 1
    detail = np.clip(np.log2(np.maximum(*steps)) / 2 + np.log2(SIZE), 0, last)
    finer = np.minimum(detail.astype(int), last - 1)
    out = np.empty(len(points))
    for level in np.unique(finer):
        here = finer == level
        near, far = (_bilinear(halvings()[level + k], u[here], v[here]) for k in (0, 1))
        out[here] = near + (detail[here] - level) * (far - near)
    return out * FLOOR_DIMMER if surface == "floor" else out


def _bilinear(texels: Numbers, u: Numbers, v: Numbers) -> Numbers:
    size = len(texels)
    x, y = u * size - 0.5, v * size - 0.5
    left, low = np.floor(x).astype(int), np.floor(y).astype(int)
    x, y = x - left, y - low
    a, b = left % size, (left + 1) % size
    near, far = (texels[r % size, a] * (1 - x) + texels[r % size, b] * x for r in (low, low + 1))
    return near * (1 - y) + far * y

"""The shapes of dSprites and how they are placed: levels to pixels, with no file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unweave.data.polygons import UNIT, WIDTH, Words, fill

SIZES = (3, 6, 40, 32, 32)
"""Levels of shape, scale, orientation, horizontal and vertical position."""
COUNT = 737_280
RADIUS = 0.15 * WIDTH
"""Half the side of the largest square, in pixels."""
STRETCH = 1.33
"""By how much the ellipse is wider and flatter than a circle of that radius."""


def outline(shape: int) -> NDArray[np.float64]:
    """(V, 2) corners (u, v) of a shape at scale 1 and orientation 0, in pixels from its centre, v down.

    0 is the square, 1 the ellipse (a regular 100-gon, squeezed), 2 the heart (150 points of a closed curve).
    """
    if shape == 0:
        return RADIUS * np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    if shape == 1:
        a = 2 * np.pi * np.arange(100) / 100
        return np.stack([STRETCH * RADIUS * np.cos(a), RADIUS / STRETCH * np.sin(a)], axis=1)
    a = 2 * np.pi * np.arange(150) / 150
    lobes = 13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a)
    return np.stack([RADIUS * np.sin(a) ** 3, -RADIUS * (lobes / 14.5 + 0.15)], axis=1)


@cache
def posed(shape: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(240, V) columns and rows of a shape's corners around its centre, for every scale and (faster) orientation.

    Orientation turns counter-clockwise on the screen.
    """
    u, v = outline(shape).T
    scale = np.linspace(0.5, 1.0, SIZES[1])[:, None, None]
    angle = np.linspace(0.0, 2 * np.pi, SIZES[2])[None, :, None]
    x = scale * (np.cos(angle) * u + np.sin(angle) * v)
    y = scale * (-np.sin(angle) * u + np.cos(angle) * v)
    return x.reshape(-1, len(u)), y.reshape(-1, len(u))


def draw(levels: NDArray[np.int64]) -> Words:
    """(N, 5) levels of shape, scale, orientation, pos_x, pos_y -> (N, 64) words, as ``polygons.fill`` returns.

    >>> draw(np.array([[0, 0, 0, 0, 0]]))[0, 11:13].tolist()  # a square of about 10 × 10 pixels around (16, 16)
    [2095104, 2095104]
    """
    words = np.zeros((len(levels), WIDTH), dtype=np.uint64)
    for shape in range(SIZES[0]):
        (which,) = np.nonzero(levels[:, 0] == shape)
        x, y = posed(shape)
        for chosen in np.array_split(which, len(which) // 2048 + 1):
            _, scale, turn, across, down = levels[chosen].T
            pose = scale * SIZES[2] + turn
            columns = _grid(x[pose][:, :, None], across[:, None, None])
            rows = _grid(y[pose][:, :, None], down[:, None, None])
            words[chosen] = fill(columns, rows)[:, 0, 0]
    return words


def draw_all() -> Iterator[Words]:
    """The whole set in its published order, in pieces of (K, 64) words.

    Faster than ``draw``, because the 1,024 positions of one pose share its edges.
    """
    for shape in range(SIZES[0]):
        x, y = posed(shape)
        for pose in range(0, len(x), 4):
            columns = _grid(x[pose : pose + 4, :, None], np.arange(SIZES[3]))
            rows = _grid(y[pose : pose + 4, :, None], np.arange(SIZES[4]))
            yield fill(columns, rows).reshape(-1, WIDTH)


def _grid(offset: NDArray[np.float64], position: NDArray[np.int64]) -> NDArray[np.int32]:
    centre = WIDTH / 4 + WIDTH / 2 * (position / (SIZES[3] - 1))
    return np.rint((centre + offset) * UNIT).astype(np.int32)

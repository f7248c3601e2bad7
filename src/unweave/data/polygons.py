"""Polygons to pixels: many small polygons at once, in integer arithmetic, one bit a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNIT = 256
"""Vertices are counted in 1/256 of a pixel."""
WIDTH = 64
"""Canvas rows and columns: one row is one 64-bit word, bit c is column c."""

Ints = NDArray[np.int32]
Words = NDArray[np.uint64]


def fill(x: Ints, y: Ints) -> Words:
    """Filled polygons on 64 × 64 canvases, every column position paired with every row position.

    A pixel is sampled once, at its centre, and is on when a ray to the left crosses the outline an odd number of times.
    A centre exactly on an edge counts as inside on left and bottom edges and as outside on right and top edges.

    A row of pixel centres at height Y meets the edge (x0, y0) - (x1, y1), y0 < Y <= y1, at
    x = x0 + (Y - y0)(x1 - x0) / (y1 - y0). All pixels from the first centre at or right of x change sides: all bits
    from that column on are flipped. Everything is integer arithmetic: the same picture on every machine.

    Args:
        x: (C, V, P) vertex columns in 1/256 pixel of C outlines at P horizontal positions, 0 <= x <= 64 · 256.
        y: (C, V, Q) vertex rows of the same outlines at Q vertical positions, y down.

    Returns:
        (C, P, Q, 64) words, one a row of pixels, bit c of a word the pixel in column c.

    >>> x, y = (0, 0, 512, 512), (0, 512, 512, 0)
    >>> fill(*(np.array(v, dtype=np.int32).reshape(1, 4, 1) for v in (x, y)))[0, 0, 0, :3].tolist()
    [3, 3, 0]
    """
    (count, _, across), down = x.shape, y.shape[2]
    x1, y1 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    half = UNIT // 2
    first = (np.minimum(y, y1) - half) // UNIT + 1
    crossed = (np.maximum(y, y1) - half) // UNIT + 1 - first
    shape, edge, place = np.nonzero(crossed)
    times = crossed[shape, edge, place]
    start = np.cumsum(times) - times
    shape, edge, place, start = (np.repeat(a, times) for a in (shape, edge, place, start))
    row = first[shape, edge, place] + (np.arange(len(start), dtype=np.int32) - start.astype(np.int32))

    top, height = y[shape, edge, place], (y1 - y)[shape, edge, place]
    left, width = x[shape, edge], (x1 - x)[shape, edge]
    along = (row * UNIT + half - top)[:, None]
    height = height[:, None]
    numerator = (left - half) * height + along * width
    sign = np.sign(height)
    column = -((-sign * numerator) // (UNIT * sign * height))

    words = np.zeros(count * across * down * WIDTH, dtype=np.uint64)
    flips = np.left_shift(np.uint64(0xFFFFFFFFFFFFFFFF), column.astype(np.uint64))
    flips[column >= WIDTH] = 0
    target = ((shape[:, None] * across + np.arange(across)) * down + place[:, None]) * WIDTH + row[:, None]
    np.bitwise_xor.at(words, target.ravel(), flips.ravel())
    return words.reshape(count, across, down, WIDTH)


def unpack(words: Words) -> NDArray[np.uint8]:
    """(..., 64) words -> (..., 64, 64) pixels, 0 or 1."""
    rows = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(rows, axis=-1, bitorder="little").reshape(*words.shape, WIDTH)


def pack(pixels: NDArray[np.uint8]) -> Words:
    """(..., 64, 64) pixels, 0 or 1 -> (..., 64) words."""
    rows = np.packbits(np.ascontiguousarray(pixels), axis=-1, bitorder="little")
    return rows.view("<u8").astype(np.uint64, copy=False)[..., 0]

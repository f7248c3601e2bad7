"""From 192 × 192 samples to 64 × 64 pixels: the Lanczos filter of the published images, as Pillow has it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LOBES = 3
BITS = 22
"""Pillow counts weights in 2^-22."""
KEPT = 10
"""Bits behind the point that are kept of the horizontal pass, so that all sums here are exact."""


@cache
def weights(samples: int = 192, pixels: int = 64) -> Numbers:
    """(pixels, samples) weights in units of 2^-22, whole numbers, about 2^22 in each row."""
    step = samples / pixels
    middle = (np.arange(pixels)[:, None] + 0.5) * step
    place = np.arange(samples) + 0.5
    first, last = (np.clip(np.floor(middle + side * LOBES * step + 0.5), 0, samples) for side in (-1, 1))
    away = (place - middle) / step
    shape = np.where(np.abs(away) < LOBES, np.sinc(away) * np.sinc(away / LOBES), 0.0)
    shape[(np.arange(samples) < first) | (np.arange(samples) >= last)] = 0
    return np.round(shape / shape.sum(1, keepdims=True) * 2**BITS)


def reduce(samples: Numbers) -> Numbers:
    """(..., 192, 192) whole numbers of 255 -> (..., 64, 64), neither rounded to whole numbers nor clipped.

    Pillow, and so the published images, rounds to whole numbers and clips to 0 … 255 after the horizontal and after the
    vertical pass. Here nothing is clipped between, so that the result is linear: parts of a picture can be reduced
    apart and added. Every sum is exact, whatever the order of its terms, so results are the same on every machine.

    >>> edge = np.repeat([249.0, 0.0], (97, 95)) * np.ones((192, 1))
    >>> reduce(edge)[32, 28:36].round().clip(0, 255).astype(int).tolist()  # as measured in published images
    [249, 249, 245, 255, 83, 0, 4, 0]
    """
    leading = samples.shape[:-2]
    rows = np.moveaxis(samples, -2, 0)  # two large products instead of many small ones, which threads would wait for
    across = np.round(rows.reshape(-1, rows.shape[-1]) @ weights().T / 2 ** (BITS - KEPT))
    both = weights() @ across.reshape(len(rows), -1) / 2 ** (BITS + KEPT)
    return np.moveaxis(both.reshape(len(both), *leading, -1), 0, -2)

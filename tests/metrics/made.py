"""Codes with known factors that the laws of metrics are tried on."""

from __future__ import annotations

import numpy as np

from unweave.types import Codes

SIZES = (2, 3, 4)


def arrays(rows=600, latents=4, noise=0.4, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in SIZES], axis=1)
    v = (levels - levels.mean(0)) / levels.std(0)
    mixing = np.eye(3, latents) + 0.3 * random.normal(size=(3, latents))
    return v @ mixing + noise * random.normal(size=(rows, latents)), levels


def codes(z, levels, **more):
    return Codes.of(np.asarray(z, dtype=np.float64), levels, sizes=SIZES, names=("shape", "scale", "x"), **more)


def numbers(score):
    return {"value": score.value, **score.parts}

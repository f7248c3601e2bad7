"""IRS against plain loops, and the fixed points of its published tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import IRS
from unweave.types import Codes, UserError


def quantile(values, q):
    """Between the two nearest order statistics, in proportion."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def loops(z, levels, q):
    n, latents, factors = len(z), len(z[0]), len(levels[0])
    largest = []
    for d in range(latents):
        mean = sum(row[d] for row in z) / n
        largest.append(max(abs(row[d] - mean) for row in z))
    matrix = [[0.0] * factors for _ in range(latents)]
    for d in range(latents):
        for k in range(factors):
            found = []
            for level in {row[k] for row in levels}:
                mine = [z[i][d] for i in range(n) if levels[i][k] == level]
                if len(mine) > 1:
                    mean = sum(mine) / len(mine)
                    found.append(quantile([abs(x - mean) for x in mine], q))
            matrix[d][k] = 1 - sum(found) / len(found) / largest[d]
    value = sum(w * max(row) for w, row in zip(largest, matrix, strict=True)) / sum(largest)
    return value, matrix, largest


def some_codes(rows=300, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 3, 25)], axis=1)
    return levels @ random.normal(size=(3, 4)) + random.normal(size=(rows, 4)), levels


@pytest.mark.parametrize("q", [0.99, 1.0, 0.5])
def test_agrees_with_loops(q):
    z, levels = some_codes()
    levels[0, 2] = 30  # a level with one image
    codes = Codes.of(z, levels, names=("a", "b", "c"))
    value, matrix, largest = loops(z.tolist(), levels.tolist(), q)
    score, found = IRS(quantile=q)(codes), IRS(quantile=q).robustness(codes)
    assert score.value == pytest.approx(value, abs=1e-9)
    assert found.matrix == pytest.approx(np.array(matrix), abs=1e-9)
    assert found.deviations == pytest.approx(np.array(largest), abs=1e-9)
    best = [row.index(max(row)) for row in matrix]
    assert found.parents.tolist() == best and score.settings["parents"] == ["abc"[k] for k in best]
    assert score.parts == pytest.approx({"mean": sum(map(max, matrix)) / 4, "live": 4}, abs=1e-9)


def test_binned_levels_as_public_implementations_have_them():
    z, levels = some_codes(seed=3)
    edges = [levels[:, 2].min() + i * np.ptp(levels[:, 2]) / 20 for i in range(20)]
    merged = levels.copy()
    merged[:, 2] = [sum(x >= edge for edge in edges) - 1 for x in levels[:, 2]]
    value, _, _ = loops(z.tolist(), merged.tolist(), 0.99)
    assert len(set(merged[:, 2].tolist())) < len(set(levels[:, 2].tolist()))
    assert IRS(bins=20)(Codes.of(z, levels)).value == pytest.approx(value, abs=1e-9)


def test_identity_and_zeros():
    levels = np.random.default_rng(0).integers(0, 10, size=(3000, 10))
    score = IRS()(Codes.of(levels + 1.0, levels))
    assert score.value == pytest.approx(1, abs=1e-12)
    assert score.settings["parents"] == [f"factor {k}" for k in range(10)]
    nothing = IRS()(Codes.of(np.zeros((3000, 10)), levels))
    assert nothing.value == 0 and nothing.parts["live"] == 0 and nothing.settings["parents"] == [None] * 10


@pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
def test_constant_latents_have_no_parent_and_no_weight(value):
    """Public implementations report the sum of all codes as the number of active dimensions."""
    z, levels = some_codes()
    base = IRS()(Codes.of(z, levels, names=("a", "b", "c")))
    dead = np.full((300, 1), value)
    more = IRS()(Codes.of(np.hstack([dead, z, dead]), levels, names=("a", "b", "c")))
    assert (more.value, more.parts) == (base.value, base.parts) and more.parts["live"] == 4
    assert more.settings["parents"] == [None, *base.settings["parents"], None]
    found = IRS().robustness(Codes.of(np.hstack([dead, z]), levels))
    assert found.parents[0] == -1 and not found.matrix[0].any() and found.deviations[0] == 0


def test_weights_are_the_largest_deviations():
    """A latent of ten times the spread counts ten times as much."""
    levels = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
    z = np.stack([10.0 * levels[:, 0], levels.sum(1) / 2], axis=1)
    score = IRS(quantile=1.0)(Codes.of(z, levels))
    assert score.value == pytest.approx((15 * 1 + 1.5 * 0.5) / 16.5, abs=1e-12)
    assert score.parts["mean"] == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize("quantile", [0.0, 1.5, math.nan])
def test_refusals(quantile):
    z, levels = some_codes(60)
    with pytest.raises(UserError, match="allowed is above 0, up to 1"):
        IRS(quantile=quantile)(Codes.of(z, levels))
    with pytest.raises(UserError, match="no level of factor 'factor 0' has 2 images"):
        IRS()(Codes.of(z, np.arange(60)[:, None]))

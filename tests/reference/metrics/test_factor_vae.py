"""FactorVAE score against plain loops over the same votes, fair votes, and the fixed points of its published tests."""

from __future__ import annotations

import numpy as np
import pytest

from unweave.metrics import FactorVAEScore
from unweave.metrics.factor_vae import draw
from unweave.types import Codes, UserError


def variance(values):
    mean = sum(values) / len(values)
    return sum((x - mean) ** 2 for x in values) / (len(values) - 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_loops(seed):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=200) for size in (2, 3, 5)], axis=1)
    z = levels @ random.normal(size=(3, 4)) + 0.8 * random.normal(size=(200, 4))
    z[:, 2] *= 0.001
    metric = FactorVAEScore(votes=150, test_votes=100, batch=6)
    score = metric(Codes.of(z, levels), seed)
    votes = draw(levels, 250, 6, np.random.default_rng((seed, 2)))
    columns = [d for d in range(4) if variance(z[:, d].tolist()) ** 0.5 >= 0.05]
    assert score.settings["pruned"] == [d for d in range(4) if d not in columns] == [2]
    overall = {d: variance(z[:, d].tolist()) for d in columns}
    named = []
    for rows in votes.rows.tolist():
        ratio = {d: variance([z[i, d] for i in rows]) / overall[d] for d in columns}
        named.append(min(ratio, key=ratio.__getitem__))
    table = {d: [0, 0, 0] for d in columns}
    for d, k in zip(named[:150], votes.factors[:150].tolist(), strict=True):
        table[d][k] += 1
    guess = [table[d].index(max(table[d])) for d in named]
    right = [g == k for g, k in zip(guess, votes.factors.tolist(), strict=True)]
    assert score.value == pytest.approx(sum(right[150:]) / 100, abs=1e-9)
    assert score.parts["train_accuracy"] == pytest.approx(sum(right[:150]) / 150, abs=1e-9)


def test_votes_hold_one_level_and_are_uniform():
    """Levels of very unequal size are held equally often, and rows of a level are drawn equally often."""
    levels = np.stack([np.repeat([0, 1, 2], [50, 40, 10]), np.arange(100) % 2], axis=1)
    votes = draw(levels, 20_000, 3, np.random.default_rng(0))
    held = levels[votes.rows, votes.factors[:, None]]
    assert (held == held[:, :1]).all()
    assert np.bincount(votes.factors) / 20_000 == pytest.approx([0.5, 0.5], abs=0.02)
    first = votes.factors == 0
    assert np.bincount(held[first, 0]) / first.sum() == pytest.approx([1 / 3] * 3, abs=0.02)
    rows = np.bincount(votes.rows[first].ravel(), minlength=100) / votes.rows[first].size
    expected = np.repeat([1 / 150, 1 / 120, 1 / 30], [50, 40, 10])
    assert rows == pytest.approx(expected, abs=0.004)


def test_levels_with_one_image_are_never_held():
    levels = np.append(np.arange(99) % 3, 3)[:, None]
    votes = draw(levels, 5_000, 2, np.random.default_rng(0))
    assert set(levels[votes.rows].ravel().tolist()) == {0, 1, 2}
    with pytest.raises(UserError, match="no level"):
        draw(np.arange(50)[:, None], 10, 2, np.random.default_rng(0))


def test_identity_and_zeros():
    levels = np.random.default_rng(0).integers(0, 10, size=(3000, 10))
    metric = FactorVAEScore(votes=2000, test_votes=2500, batch=5)
    assert metric(Codes.of(levels + 1.0, levels)).value > 0.99
    dead = metric(Codes.of(np.zeros((3000, 10)), levels))
    assert dead.value == 0 and dead.settings["pruned"] == list(range(10))


@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_constant_latents_are_never_named(threshold):
    """Without care 0 / 0 is chosen as the smallest ratio and a perfect code beside constants scores .20."""
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, size=3000) for size in (3, 6, 40, 32, 32)], axis=1)
    z = np.hstack([levels.astype(float), np.zeros((3000, 3)), np.full((3000, 2), 0.1)])
    score = FactorVAEScore(votes=1000, test_votes=500, threshold=threshold)(Codes.of(z, levels))
    assert score.value == 1 and score.settings["pruned"] == [5, 6, 7, 8, 9]

"""SAP against plain loops around the same classifier, and the fixed points of its published tests."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from unweave.metrics import SAP
from unweave.types import Codes


def some_codes(rows=300, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 3, 6)], axis=1)
    z = levels @ random.normal(size=(3, 4)) + 0.5 * random.normal(size=(rows, 4))
    return Codes.of(z, levels, names=("a", "b", "c"))


@pytest.mark.parametrize("seed", [0, 9])
def test_classifiers_agree_with_loops(seed):
    codes = some_codes()
    score = SAP(train=200, test=100)(codes, seed)
    order = np.random.default_rng((seed, 1)).permutation(300)
    z, levels = codes.mean.double().numpy(), codes.levels.numpy()
    gaps = []
    for k in range(3):
        accuracies = []
        for d in range(4):
            x = [[z[i, d]] for i in order]
            y = [levels[i, k] for i in order]
            model = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(x[:200], y[:200])
            right = model.predict(x[200:]) == y[200:]
            accuracies.append(sum(right.tolist()) / 100)
        accuracies.sort()
        gaps.append(accuracies[-1] - accuracies[-2])
    assert score.value == pytest.approx(sum(gaps) / 3, abs=1e-9)
    assert [score.parts[f"gap.{name}"] for name in "abc"] == pytest.approx(gaps, abs=1e-9)
    assert score.settings["not_converged"] == 0


def test_correlations_agree_with_loops():
    codes = some_codes()
    score = SAP(continuous=True, train=200, test=100)(codes, 2)
    order = np.random.default_rng((2, 1)).permutation(300)[:200]
    z, levels = codes.mean.double().numpy()[order], codes.levels.numpy()[order]
    gaps = []
    for k in range(3):
        squares = []
        for d in range(4):
            a, b = z[:, d] - sum(z[:, d]) / 200, levels[:, k] - sum(levels[:, k]) / 200
            squares.append(sum(a * b) ** 2 / (sum(a * a) * sum(b * b)))
        squares.sort()
        gaps.append(squares[-1] - squares[-2])
    assert score.value == pytest.approx(sum(gaps) / 3, abs=1e-9)


def test_continuous_identity_zeros_and_duplicates():
    levels = np.random.default_rng(0).integers(0, 10, size=(3000, 10))
    metric = SAP(continuous=True)
    assert metric(Codes.of(levels + 1.0, levels)).value > 0.9
    assert metric(Codes.of(np.zeros((3000, 10)), levels)).value == 0
    assert metric(Codes.of(np.hstack([levels, levels]) + 1.0, levels)).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("continuous", [False, True])
def test_a_dead_latent_guesses_among_the_levels(continuous):
    """Two factors, one latent that tells the first: beside a dead latent the second best is chance."""
    levels = np.stack([np.arange(400) % 2, np.random.default_rng(0).integers(0, 4, size=400)], axis=1)
    z = np.stack([2.0 * levels[:, 0] - 1, np.full(400, 0.1)], axis=1)
    score = SAP(continuous)(Codes.of(z, levels, names=("told", "untold")))
    chance = 0.0 if continuous else 0.5
    assert score.parts["gap.told"] == pytest.approx(1 - chance, abs=1e-9)
    alone = SAP(continuous)(Codes.of(z[:, :1], levels, names=("told", "untold")))
    assert alone.parts["gap.told"] == pytest.approx(1 - chance, abs=1e-9)
    nothing = SAP(continuous)(Codes.of(np.zeros((400, 3)), levels))
    assert nothing.value == 0

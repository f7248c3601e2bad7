"""The lasso inside DCI against coordinate descent in plain loops, and what it does with copies and dead latents."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import DCI, ceiling
from unweave.metrics.lasso import lasso
from unweave.types import Codes, UserError


def some_codes(rows=300, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 4)], axis=1)
    z = levels @ random.normal(size=(2, 3)) + 0.5 * random.normal(size=(rows, 3))
    return z, levels


def units(column, rows):
    mean = sum(column[i] for i in rows) / len(rows)
    spread = (sum((column[i] - mean) ** 2 for i in rows) / len(rows)) ** 0.5
    return [(x - mean) / spread for x in column]


def descent(x, y, alpha):
    """Soft thresholding of one coordinate after the other, until nothing moves."""
    n, weights = len(y), [0.0] * len(x)
    for _ in range(2000):
        moved = 0.0
        for d, column in enumerate(x):
            rest = [y[i] - sum(weights[e] * x[e][i] for e in range(len(x)) if e != d) for i in range(n)]
            slope = sum(a * b for a, b in zip(column, rest, strict=True)) / n
            new = math.copysign(max(abs(slope) - alpha, 0.0), slope) / (sum(a * a for a in column) / n)
            moved = max(moved, abs(new - weights[d]))
            weights[d] = new
        if moved < 1e-14:
            return weights
    raise AssertionError("not converged")


def concentration(matrix):
    total, value = sum(map(sum, matrix)), 0.0
    for row in matrix:
        shifted = [x + 1e-11 for x in row]
        h = -sum(x / sum(shifted) * math.log(x / sum(shifted), len(row)) for x in shifted)
        value += (1 - h) * sum(row) / total
    return value


@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.02), (3, 0.2)])
def test_dci_lasso_agrees_with_loops(seed, alpha):
    z, levels = some_codes(seed=seed)
    score = DCI("lasso", train=200, test=100, alpha=alpha)(Codes.of(z, levels, names=("shape", "x")), seed)
    order = np.random.default_rng((seed, 1)).permutation(300).tolist()
    train, test = order[:200], order[200:]
    x = [units(z[:, d].tolist(), train) for d in range(3)]
    columns, error, error_train = [], [], []
    for k in range(2):
        y = units(levels[:, k].tolist(), train)
        weights = descent([[column[i] for i in train] for column in x], [y[i] for i in train], alpha)
        columns.append([abs(w) for w in weights])
        for rows, into in ((test, error), (train, error_train)):
            away = [y[i] - sum(w * column[i] for w, column in zip(weights, x, strict=True)) for i in rows]
            into.append(sum(a * a for a in away) / sum(y[i] ** 2 for i in rows))
    matrix = [[columns[k][d] for k in range(2)] for d in range(3)]
    assert score.value == score.parts["disentanglement"] == pytest.approx(concentration(matrix), abs=1e-9)
    assert score.parts["completeness"] == pytest.approx(concentration(columns), abs=1e-9)
    assert score.parts["informativeness"] == pytest.approx(sum(max(1 - e, 0) for e in error) / 2, abs=1e-9)
    assert score.parts["informativeness_train"] == pytest.approx(sum(max(1 - e, 0) for e in error_train) / 2, abs=1e-9)
    assert score.parts["nrmse"] == pytest.approx(sum(e**0.5 for e in error) / 2, abs=1e-9)
    assert [score.parts[f"nrmse.{name}"] for name in ("shape", "x")] == pytest.approx([e**0.5 for e in error], abs=1e-9)
    assert score.settings["alpha"] == alpha and score.settings["not_converged"] == 0
    assert score.settings["informativeness_measure"] == "r2"


def test_one_latent_by_hand():
    """One standardised latent equal to the level: weight 1 − alpha, error alpha²."""
    levels = np.arange(60) % 5
    line = lasso(3.0 * levels[:, None] - 7, levels, 3.0 * levels[:10, None] - 7, levels[:10], alpha=0.1)
    assert line.importance.tolist() == pytest.approx([0.9], abs=1e-9)
    assert line.train == pytest.approx(0.99, abs=1e-9) and line.converged


def test_copies_share_evenly_wherever_they_stand():
    """Coordinate descent alone gives all of the weight to the first of them, and completeness 1."""
    z, levels = some_codes()
    base = lasso(z, levels[:, 1], z, levels[:, 1], 0.02)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]):
        twice = np.hstack([z, -2 * z[:, :1] + 1])[:, order]
        line = lasso(twice, levels[:, 1], twice, levels[:, 1], 0.02)
        halves = np.append(base.importance, base.importance[0])
        halves[[0, 3]] /= 2
        assert line.importance == pytest.approx(halves[order], abs=1e-9)
        assert line.test == pytest.approx(base.test, abs=1e-9)


def test_identity_permuted_duplicated_and_zeros():
    levels = np.random.default_rng(0).integers(0, 10, size=(3000, 10))
    metric = DCI("lasso", train=2000, test=1000)
    identity = metric(Codes.of(levels + 1.0, levels))
    assert min(identity.value, identity.parts["completeness"], identity.parts["informativeness"]) > 0.99
    twice = metric(Codes.of(np.hstack([levels, levels]) + 1.0, levels))
    assert twice.value > 0.99
    assert twice.parts["completeness"] == pytest.approx(1 - math.log(2) / math.log(20), abs=0.01)
    shuffled = np.random.default_rng(1).permuted(levels, axis=1)
    permuted = metric(Codes.of(shuffled + 1.0, levels))
    assert permuted.parts["informativeness"] < 0.2
    nothing = metric(Codes.of(np.zeros((3000, 3)), levels))
    assert nothing.parts["informativeness"] == 0
    assert max(nothing.value, nothing.parts["completeness"]) < 1e-12
    assert nothing.parts["nrmse"] == 1


@pytest.mark.parametrize("value", [0.0, 0.1, -1e30])
def test_a_constant_latent_has_no_importance(value):
    z, levels = some_codes()
    more = np.hstack([np.full((300, 1), value), z])
    line = lasso(more, levels[:, 0], more, levels[:, 0], 0.02)
    assert line.importance[0] == 0
    assert line.importance[1:] == pytest.approx(lasso(z, levels[:, 0], z, levels[:, 0], 0.02).importance, abs=1e-9)


def test_scores_of_estimators_are_kept_apart():
    z, levels = some_codes(60)
    assert [DCI(each).label for each in ("boosting", "fast", "lasso")] == ["dci", "dci-fast", "dci-lasso"]
    fast = DCI("fast")(Codes.of(z, levels)).settings
    assert fast["alpha"] is None and fast["informativeness_measure"] == "accuracy"
    assert ceiling(DCI("lasso"), Codes.of(z, levels)).settings["estimator"] == "lasso"
    with pytest.raises(UserError, match=r"alpha = -0.1; allowed is above 0"):
        DCI("lasso", alpha=-0.1)(Codes.of(z, levels))

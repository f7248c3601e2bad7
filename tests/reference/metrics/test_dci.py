"""DCI against plain loops around the same classifier, and the fixed points of its published tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from unweave.metrics import DCI
from unweave.metrics.dci import completeness, disentanglement
from unweave.types import Codes


def loops(matrix):
    """1 − entropy of each row in base of its length, weighted by the rows' sums."""
    total = sum(map(sum, matrix))
    value = 0.0
    for row in matrix:
        shifted = [x + 1e-11 for x in row]
        h = -sum(x / sum(shifted) * math.log(x / sum(shifted), len(row)) for x in shifted)
        value += (1 - h) * (sum(row) / total if total else 1 / len(matrix))
    return value


def some_codes(rows=300, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 4)], axis=1)
    z = levels @ random.normal(size=(2, 3)) + 0.5 * random.normal(size=(rows, 3))
    return Codes.of(z, levels, names=("shape", "x"))


@pytest.mark.parametrize("seed", range(3))
def test_definitions_agree_with_loops(seed):
    matrix = np.random.default_rng(seed).exponential(size=(6, 4)) ** 3
    assert disentanglement(matrix) == pytest.approx(loops(matrix.tolist()), abs=1e-9)
    assert completeness(matrix) == pytest.approx(loops(matrix.T.tolist()), abs=1e-9)


FIVE = np.eye(5)
HALF = 1 - math.log(2) / math.log(10)


@pytest.mark.parametrize(
    ("matrix", "d", "c"),
    [
        (FIVE, 1, 1),
        ([[1, 0], [0, 1], [0, 0]], 1, 1),
        (np.zeros((10, 10)), 0, 0),
        (np.vstack([FIVE, FIVE]), 1, HALF),
        (FIVE[:2], 1, 1),
        (np.hstack([FIVE, FIVE]), HALF, 1),
        ([[3.0], [1.0]], 1, loops([[3.0, 1.0]])),
    ],
)
def test_known_matrices(matrix, d, c):
    assert disentanglement(np.array(matrix, dtype=float)) == pytest.approx(d, abs=1e-8)
    assert completeness(np.array(matrix, dtype=float)) == pytest.approx(c, abs=1e-8)


@pytest.mark.parametrize("seed", [0, 5])
def test_boosting_agrees_with_the_classifier_in_loops(seed):
    codes = some_codes()
    score = DCI(train=200, test=100)(codes, seed)
    order = np.random.default_rng((seed, 1)).permutation(300)
    numbers = np.random.default_rng((seed, 3)).integers(2**31, size=2)
    z, levels = codes.mean.double().numpy(), codes.levels.numpy()
    columns, right, right_train = [], [], []
    for k in range(2):
        model = GradientBoostingClassifier(random_state=int(numbers[k])).fit(z[order[:200]], levels[order[:200], k])
        columns.append(model.feature_importances_.tolist())
        right.append(sum(model.predict(z[[i]])[0] == levels[i, k] for i in order[200:]) / 100)
        right_train.append(model.score(z[order[:200]], levels[order[:200], k]))
    matrix = [[columns[k][d] for k in range(2)] for d in range(3)]
    assert score.value == score.parts["disentanglement"] == pytest.approx(loops(matrix), abs=1e-9)
    assert score.parts["completeness"] == pytest.approx(loops(columns), abs=1e-9)
    assert score.parts["informativeness"] == pytest.approx(sum(right) / 2, abs=1e-9)
    assert score.parts["informativeness_train"] == pytest.approx(sum(right_train) / 2, abs=1e-9)
    assert [score.parts[f"informativeness.{name}"] for name in ("shape", "x")] == pytest.approx(right, abs=1e-9)


def test_fast_follows_boosting():
    codes = some_codes(600, seed=4)
    exact, fast = DCI(train=400, test=200)(codes), DCI("fast", train=400, test=200)(codes)
    for part in ("disentanglement", "completeness", "informativeness"):
        assert fast.parts[part] == pytest.approx(exact.parts[part], abs=0.03)


def test_identity_permuted_and_duplicated():
    """Completeness of an even split over 20 codes is 1 − ln 2 / ln 20."""
    levels = np.random.default_rng(0).integers(0, 10, size=(1000, 10))
    metric = DCI("fast", train=500, test=500)
    identity = metric(Codes.of(levels + 1.0, levels))
    assert min(identity.value, identity.parts["completeness"], identity.parts["informativeness"]) > 0.95
    shuffled = np.random.default_rng(1).permuted(levels, axis=1)
    permuted = metric(Codes.of(shuffled + 1.0, levels))
    assert max(permuted.value, permuted.parts["completeness"]) < 0.2
    duplicated = metric(Codes.of(np.hstack([levels, levels]) + 1.0, levels))
    assert duplicated.value > 0.95
    assert duplicated.parts["completeness"] == pytest.approx(1 - math.log(2) / math.log(20), abs=0.01)


def test_factor_missing_from_training_rows_is_left_out():
    levels = np.stack([np.arange(60) % 3, np.zeros(60, dtype=int)], axis=1)
    score = DCI("fast")(Codes.of(levels[:, :1] + 0.0, levels, names=("x", "still")))
    assert score.settings["constant_factors"] == ["still"] and score.value == 1
    assert "informativeness.still" not in score.parts


def test_settings_tell_what_was_done():
    score = DCI("fast", train=10_000, test=5_000)(some_codes())
    assert (score.settings["train"], score.settings["test"], score.settings["images"]) == (200, 100, 300)
    assert score.settings["estimator"] == "fast" and score.settings["sklearn"] and "n_jobs" not in score.settings

"""InfoMEC against loops: the two ratios, Ross's neighbours estimate, the classifier's share; and hand-made matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import digamma

from unweave.metrics import InfoMEC
from unweave.metrics.infomec import preference
from unweave.types import Codes, UserError


def ratio(rows):
    """(mean of max / sum − 1/n) / (1 − 1/n)."""
    n = len(rows[0])
    shares = [max(row) / sum(row) if sum(row) > 0 else 1 / n for row in rows]
    return (sum(shares) / len(shares) - 1 / n) / (1 - 1 / n)


def neighbours(x, levels, k):
    """Ross (2014): ψ(M) + <ψ(k)> − <ψ(N_level)> − <ψ(m)>, m the points nearer than the k-th of one's own level."""
    total = 0.0
    n = len(x)
    for i in range(n):
        same = sorted(abs(x[i] - x[j]) for j in range(n) if j != i and levels[j] == levels[i])
        near = min(k, len(same))
        m = sum(abs(x[i] - x[j]) < same[near - 1] for j in range(n) if j != i) + 1
        total += digamma(n) + digamma(near) - digamma(len(same) + 1) - digamma(m)
    return max(total / n, 0.0)


def entropy(column):
    return -sum(column.count(v) / len(column) * math.log(column.count(v) / len(column)) for v in set(column))


def explicitness(inputs, column):
    """1 − CE / ln n of a balanced softmax regression, its optimum found by another solver."""
    kinds = sorted(set(column))
    y = np.array([kinds.index(v) for v in column])
    weight = np.array([len(y) / (len(kinds) * column.count(v)) for v in column])
    x = np.hstack([inputs, np.ones((len(y), 1))])

    def losses(flat):
        logits = x @ flat.reshape(x.shape[1], len(kinds))
        top = logits.max(1)
        return np.log(np.exp(logits - top[:, None]).sum(1)) + top - logits[np.arange(len(y)), y]

    found = minimize(lambda flat: (weight * losses(flat)).sum(), np.zeros(x.shape[1] * len(kinds)), tol=1e-12)
    return 1 - losses(found.x).mean() / math.log(len(kinds))


def some(rows=160, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 3, 4)], axis=1)
    z = levels @ random.normal(size=(3, 4)) + random.normal(size=(rows, 4))
    return np.hstack([z, 0.01 * random.normal(size=(rows, 1))]), levels


@pytest.mark.parametrize("seed", [0, 1])
def test_modularity_and_compactness_agree_with_loops(seed):
    z, levels = some(seed=seed)
    score = InfoMEC(neighbours=4)(Codes.of(z, levels), seed)
    columns = [levels[:, k].tolist() for k in range(3)]
    assert score.settings["inactive"] == [4]
    matrix = [[neighbours(z[:, d].tolist(), column, 4) / entropy(column) for column in columns] for d in range(4)]
    assert score.value == score.parts["infom"] == pytest.approx(ratio(matrix), abs=1e-9)
    assert score.parts["infoc"] == pytest.approx(ratio(list(zip(*matrix, strict=True))), abs=1e-9)


def test_explicitness_agrees_with_another_solver():
    """Both solvers stop within 1e-4 of the optimum, which is where scikit-learn's tolerance ends."""
    z, levels = some()
    z = z + 2 * np.random.default_rng(5).normal(size=z.shape)  # classes that a line separates have no optimum
    score = InfoMEC(images=None)(Codes.of(z, levels))
    inputs = (z - z.mean(0)) / z.std(0)
    expected = [explicitness(inputs, levels[:, k].tolist()) for k in range(3)]
    assert [score.parts[f"infoe.factor {k}"] for k in range(3)] == pytest.approx(expected, abs=2e-3)
    assert score.parts["infoe"] == pytest.approx(sum(score.parts[f"infoe.factor {k}"] for k in range(3)) / 3, abs=1e-12)
    assert score.settings["not_converged"] == 0


@pytest.mark.parametrize(
    ("matrix", "modular", "compact"),
    [
        (np.eye(5), 1, 1),
        (np.ones((4, 3)), 0, 0),
        (np.zeros((4, 3)), 0, 0),
        (np.vstack([np.eye(5), np.eye(5)]), 1, (1 / 2 - 1 / 10) / (9 / 10)),
        (np.hstack([np.eye(5), np.eye(5)]), (1 / 2 - 1 / 10) / (9 / 10), 1),
        ([[0.9, 0.1], [0.0, 0.0]], ((0.9 + 0.5) / 2 - 0.5) / 0.5, 1),
        ([[0.3], [0.1]], 1, 0.5),
        ([[0.3, 0.1]], 0.5, 1),
        (np.zeros((0, 3)), 0, 0),
    ],
)
def test_known_matrices(matrix, modular, compact):
    matrix = np.array(matrix, dtype=float)
    assert preference(matrix) == pytest.approx(modular, abs=1e-9)
    assert preference(matrix.T) == pytest.approx(compact, abs=1e-9)


@pytest.mark.parametrize("estimator", ["neighbours", "bins", "values"])
def test_identity_permuted_duplicated_and_zeros(estimator):
    levels = np.random.default_rng(0).integers(0, 5, size=(2000, 4))
    metric = InfoMEC(estimator=estimator)
    perfect = metric(Codes.of(levels + 0.0, levels))
    assert min(perfect.parts[name] for name in ("infom", "infoe", "infoc")) > 0.97
    shuffled = np.random.default_rng(1).permuted(levels, axis=1)
    mixed = metric(Codes.of(shuffled + 0.0, levels))
    assert mixed.parts["infom"] < 0.15 and mixed.parts["infoc"] < 0.15
    twice = metric(Codes.of(np.hstack([levels, levels]) + 0.0, levels))
    assert twice.parts["infom"] > 0.97 and twice.parts["infoc"] == pytest.approx((1 / 2 - 1 / 8) / (7 / 8), abs=0.03)
    dead = metric(Codes.of(np.zeros((2000, 4)), levels))
    assert [dead.parts[name] for name in ("infom", "infoe", "infoc")] == [0, 0, 0]
    assert dead.settings["inactive"] == [0, 1, 2, 3]


def test_a_small_latent_is_pruned_by_its_range():
    levels = np.random.default_rng(0).integers(0, 5, size=(800, 2))
    z = np.hstack([levels, 0.04 * levels[:, :1]]).astype(float)
    assert InfoMEC()(Codes.of(z, levels)).settings["inactive"] == [2]
    assert InfoMEC(active=0.03)(Codes.of(z, levels)).settings["inactive"] == []
    assert InfoMEC("values")(Codes.of(z, levels)).settings["inactive"] == []


def test_noise_looks_modular_to_the_neighbours():
    """Estimates below 0 count as 0, so noise has few entries and each row few of them: read InfoM beside InfoE."""
    levels = np.random.default_rng(0).integers(0, 5, size=(1500, 4))
    score = InfoMEC()(Codes.of(np.random.default_rng(1).normal(size=(1500, 6)), levels))
    assert score.parts["infom"] > 0.4 and score.parts["infoe"] < 0.02


def test_a_linear_reading_of_a_circle_and_of_its_angle():
    """Explicitness asks for a linear classifier: the middle third of a line and xor are not read as well as told."""
    bits = np.stack(np.meshgrid([0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 2).repeat(60, axis=0)
    levels = (bits.sum(1) % 2)[:, None]
    score = InfoMEC()(Codes.of(bits + 0.0, levels))
    assert score.parts["infoe"] == pytest.approx(0, abs=1e-3)


def test_order_of_latents_and_refusals():
    z, levels = some()
    base = InfoMEC()(Codes.of(z, levels))
    turned = InfoMEC()(Codes.of(z[:, ::-1].copy(), levels))
    assert turned.value == pytest.approx(base.value, abs=1e-9)
    with pytest.raises(UserError, match="unknown estimator of InfoMEC 'ksg'"):
        InfoMEC("ksg")(Codes.of(z, levels))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="active = 1; allowed"):
        InfoMEC(active=1)(Codes.of(z, levels))
    assert InfoMEC("bins").label == "infomec-bins"

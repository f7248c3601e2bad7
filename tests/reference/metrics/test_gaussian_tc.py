"""Gaussian total correlation against loops, closed forms, the divergence that it is, and dead or copied latents."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import GaussianTC
from unweave.metrics.gaussian_tc import gaussian_tc
from unweave.types import Codes, UserError


def determinant(matrix):
    """By cofactors along the first row."""
    if len(matrix) == 1:
        return matrix[0][0]
    minors = [[row[:c] + row[c + 1 :] for row in matrix[1:]] for c in range(len(matrix))]
    return sum((-1) ** c * matrix[0][c] * determinant(minors[c]) for c in range(len(matrix)))


def covariance(z):
    n, means = len(z), [sum(column) / len(z) for column in zip(*z, strict=True)]
    return [
        [sum((row[i] - means[i]) * (row[j] - means[j]) for row in z) / (n - 1) for j in range(len(means))]
        for i in range(len(means))
    ]


def some(seed=0, rows=80, latents=4):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, latents)) @ random.normal(size=(latents, latents)) + 3


@pytest.mark.parametrize("of", ["mean", "sample"])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_loops(seed, of):
    z, logvar = some(seed), np.random.default_rng(9).uniform(-3, 0, size=(80, 4))
    spread = covariance(z.tolist())
    if of == "sample":
        for j in range(4):
            spread[j][j] += sum(math.exp(v) for v in logvar[:, j]) / 80
    expected = 0.5 * (sum(math.log(spread[j][j]) for j in range(4)) - math.log(determinant(spread)))
    score = GaussianTC(of)(Codes.of(z, logvar=logvar))
    assert score.value == pytest.approx(expected, abs=1e-9)
    assert score.parts["per_latent"] == pytest.approx(expected / 4, abs=1e-9) and score.parts["copies"] == 0


def test_closed_forms():
    assert gaussian_tc(np.eye(7)) == (0.0, 0)
    for rho in (-0.9, 0.3, 0.9):
        pair = np.array([[1.0, rho], [rho, 1.0]])
        assert gaussian_tc(pair)[0] == pytest.approx(-0.5 * math.log(1 - rho**2), abs=1e-12)
        scaled = np.diag([3.0, 0.01]) @ pair @ np.diag([3.0, 0.01])
        assert gaussian_tc(scaled)[0] == pytest.approx(-0.5 * math.log(1 - rho**2), abs=1e-9)
    equal = 0.5 * np.eye(3) + 0.5
    assert gaussian_tc(equal)[0] == pytest.approx(-0.5 * math.log(0.5), abs=1e-12)


def test_it_is_the_divergence_from_the_product_of_the_marginals():
    """KL(N(0, Σ) ‖ N(0, Δ)) = ½ (tr Δ⁻¹Σ − k + log det Δ − log det Σ)."""
    spread = np.cov(some(4), rowvar=False)
    marginal = np.diag(np.diag(spread))
    logs = np.log(np.linalg.det(marginal)) - np.log(np.linalg.det(spread))
    divergence = 0.5 * (np.trace(np.linalg.inv(marginal) @ spread) - 4 + logs)
    assert gaussian_tc(spread)[0] == pytest.approx(divergence, abs=1e-9)


def test_constant_latents_are_left_out():
    """The reference implementation has NaN here: log 0 − log 0."""
    z = some()
    with_dead = np.hstack([z[:, :2], np.full((80, 1), 0.1), z[:, 2:], np.zeros((80, 1))])
    score = GaussianTC()(Codes.of(with_dead))
    assert score.value == pytest.approx(GaussianTC()(Codes.of(z)).value, abs=1e-12)
    assert score.settings["constant_latents"] == [2, 5]
    assert GaussianTC()(Codes.of(np.zeros((20, 3)))).value == 0
    assert GaussianTC()(Codes.of(some()[:, :1])).value == 0


def test_copies_are_counted_and_finite():
    """The reference implementation has infinity here; each copy adds −½ log(smallest) to a number of order one."""
    z = some()
    score = GaussianTC()(Codes.of(np.hstack([z, 2 * z[:, :1], -z[:, 1:2]])))
    assert score.parts["copies"] == 2 and math.isfinite(score.value)
    assert score.value == pytest.approx(2 * 0.5 * math.log(1e10), abs=8)
    fewer_rows = np.random.default_rng(0).normal(size=(12, 100))
    wide = GaussianTC()(Codes.of(fewer_rows))
    assert wide.parts["copies"] == 89 and math.isfinite(wide.value)


def test_what_depends_without_being_correlated_is_not_seen():
    x = np.linspace(-1, 1, 1001)[:, None]
    assert GaussianTC()(Codes.of(np.hstack([x, x**2]))).value == pytest.approx(0, abs=1e-12)


def test_bias_of_independent_latents():
    """About L(L − 1) / 4M, as the docstring says."""
    values = [GaussianTC()(Codes.of(np.random.default_rng(s).normal(size=(2000, 10)))).value for s in range(30)]
    assert np.mean(values) == pytest.approx(90 / 8000, rel=0.1)


def test_refusals():
    with pytest.raises(UserError, match="these codes are points"):
        GaussianTC("sample")(Codes.of(some()))
    with pytest.raises(UserError, match="unknown representation of GaussianTC 'means' — did you mean 'mean'"):
        GaussianTC("means")(Codes.of(some()))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="smallest = 0"):
        GaussianTC(smallest=0)(Codes.of(some()))
    assert GaussianTC.reads == "codes" and GaussianTC.better == "lower" and GaussianTC("sample").label[-6:] == "sample"

"""Wasserstein correlation against Newton's matrix root, closed forms, and copies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm

from unweave.metrics import GaussianWasserstein
from unweave.metrics.gaussian_wasserstein import gaussian_wasserstein
from unweave.types import Codes


def root(matrix, steps=60):
    """The principal square root by Denman and Beavers' iteration."""
    y, z = np.array(matrix, dtype=float), np.eye(len(matrix))
    for _ in range(steps):
        y, z = 0.5 * (y + np.linalg.inv(z)), 0.5 * (z + np.linalg.inv(y))
    return y


def transcribed(spread):
    n = len(spread)
    marginal = [[math.sqrt(spread[i][i]) if i == j else 0.0 for j in range(n)] for i in range(n)]
    inner = [
        [sum(marginal[i][k] * spread[k][m] * marginal[m][j] for k in range(n) for m in range(n)) for j in range(n)]
        for i in range(n)
    ]
    half = root(inner)
    return sum(2 * spread[i][i] - 2 * half[i][i] for i in range(n))


def some(seed=0, rows=90, latents=4):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, latents)) @ random.normal(size=(latents, latents)) - 1


@pytest.mark.parametrize("of", ["mean", "sample"])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_transcription(seed, of):
    z, logvar = some(seed), np.random.default_rng(9).uniform(-3, 0, size=(90, 4))
    n, centre = len(z), z.mean(0)
    spread = [[sum((z[:, i] - centre[i]) * (z[:, j] - centre[j])) / (n - 1) for j in range(4)] for i in range(4)]
    if of == "sample":
        for j in range(4):
            spread[j][j] += sum(math.exp(v) for v in logvar[:, j]) / n
    expected, total = transcribed(spread), sum(spread[j][j] for j in range(4))
    score = GaussianWasserstein(of=of)(Codes.of(z, logvar=logvar))
    assert score.parts["wasserstein"] == pytest.approx(expected, abs=1e-9)
    assert score.value == score.parts["normalised"] == pytest.approx(expected / total, abs=1e-9)
    raw = GaussianWasserstein(normalised=False, of=of)(Codes.of(z, logvar=logvar))
    assert raw.value == score.parts["wasserstein"]


def test_agrees_with_the_form_of_the_reference_implementation():
    """tr (ΔΣ)^½ has the same trace as the symmetric root."""
    spread = np.cov(some(5), rowvar=False)
    theirs = 2 * np.trace(spread) - 2 * np.trace(sqrtm(spread * np.diag(spread)[:, None]).real)
    assert gaussian_wasserstein(spread) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.4, 1.0])
def test_two_latents_in_closed_form(rho):
    """Eigenvalues 1 ± ρ: W = 4 − 2 (√(1 + ρ) + √(1 − ρ))."""
    expected = 4 - 2 * (math.sqrt(1 + rho) + math.sqrt(1 - rho))
    assert gaussian_wasserstein(np.array([[1.0, rho], [rho, 1.0]])) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("latents", [2, 5, 10])
def test_copies_stay_finite(latents):
    x = np.random.default_rng(0).normal(size=(400, 1))
    assert GaussianWasserstein()(Codes.of(np.repeat(x, latents, axis=1))).value == pytest.approx(
        2 - 2 / math.sqrt(latents), abs=1e-7
    )


def test_scale_constants_and_order():
    z = some()
    base = GaussianWasserstein()(Codes.of(z))
    scaled = GaussianWasserstein()(Codes.of(7 * z))
    assert scaled.value == pytest.approx(base.value, abs=1e-12)
    assert scaled.parts["wasserstein"] == pytest.approx(49 * base.parts["wasserstein"], abs=1e-9)
    more = GaussianWasserstein()(Codes.of(np.hstack([z, np.full((90, 1), 0.1)])))
    assert more.value == pytest.approx(base.value, abs=1e-12) and more.settings["constant_latents"] == [4]
    assert GaussianWasserstein()(Codes.of(z[:, ::-1].copy())).value == pytest.approx(base.value, abs=1e-12)
    assert GaussianWasserstein()(Codes.of(np.zeros((20, 3)))).value == 0
    assert GaussianWasserstein()(Codes.of(z[:, :1])).value == 0
    assert GaussianWasserstein(normalised=False, of="sample").label == "gaussian-wasserstein-raw-sample"

"""The best-ELBO trajectory against a plain transcription, and on grids whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unweave.analysis import Trained, elbo_trajectory, largest_group, negative_elbo
from unweave.types import Codes, UserError

CAPACITIES = (100.0, 300.0, 500.0, 900.0, 1300.0)
LATENTS = (6, 8, 9, 12)


def divisors(n):
    return [i for i in range(1, n) if n % i == 0]


def grid(best, noise=0.05, repeats=4, seed=0):
    """Models whose ELBO is worse the further i/m is from the best coefficient of the capacity."""
    random = np.random.default_rng(seed)
    return [
        Trained(c, n, i, 100 + 5 * abs(i / max(divisors(n)) - best(k)) + noise * float(random.normal()))
        for k, c in enumerate(CAPACITIES)
        for n in LATENTS
        for i in divisors(n)
        for _ in range(repeats)
    ]


@pytest.mark.parametrize("pick", ["mean", "best"])
def test_coefficients_by_loops(pick):
    random = np.random.default_rng(1)
    models = [one._replace(negative_elbo=float(random.normal())) for one in grid(lambda k: 0.5)]
    found = elbo_trajectory(models, pick)
    for k, capacity in enumerate(CAPACITIES):
        shares = []
        for n in LATENTS:
            scores = {}
            for i in divisors(n):
                own = [m.negative_elbo for m in models if (m.capacity, m.latents, m.group) == (capacity, n, i)]
                scores[i] = sum(own) / len(own) if pick == "mean" else min(own)
                assert found.cells[(capacity, n, i)] == pytest.approx(scores[i])
            best = min(scores, key=lambda i: scores[i])
            assert found.chosen[(capacity, n)] == best
            shares.append(best / max(divisors(n)))
        mean = sum(shares) / len(shares)
        error = math.sqrt(sum((s - mean) ** 2 for s in shares) / (len(shares) - 1) / len(shares))
        assert found.coefficients[k] == pytest.approx(mean)
        assert found.errors[k] == pytest.approx(error)
    assert found.capacities == CAPACITIES
    assert found.reference == pytest.approx(sum(1 / max(divisors(n)) for n in LATENTS) / 4)


def test_the_parabola_is_the_least_squares_one():
    found = elbo_trajectory(grid(lambda k: 0.2 + 0.2 * abs(k - 2), noise=0.0))
    at = np.arange(5.0)
    design = np.stack([at**2, at, np.ones(5)], axis=1)
    weights = np.linalg.solve(design.T @ design, design.T @ found.coefficients)
    assert found.curve == pytest.approx(design @ weights, abs=1e-9)
    assert found.lowest == pytest.approx(-weights[1] / (2 * weights[0]), abs=1e-9)


@pytest.mark.parametrize("shape", ["quadratic", "bent"])
def test_a_v_is_seen_and_a_slope_is_not(shape):
    valley = elbo_trajectory(grid(lambda k: 0.2 + 0.35 * abs(k - 2)), shape=shape)
    assert valley.v_shaped and valley.lowest == pytest.approx(2, abs=0.5)
    assert valley.falls > 0.2 and valley.rises > 0.2
    assert not elbo_trajectory(grid(lambda k: 0.1 + 0.22 * k), shape=shape).v_shaped
    assert not elbo_trajectory(grid(lambda k: 1.0 - 0.22 * k), shape=shape).v_shaped
    assert not elbo_trajectory(grid(lambda k: 1.0 - 0.35 * abs(k - 2)), shape=shape).v_shaped
    flat = elbo_trajectory(grid(lambda k: 1.0, noise=0.0), shape=shape)
    assert not flat.v_shaped and flat.coefficients.tolist() == [1.0] * 5


def test_the_best_bend_has_the_least_error():
    found = elbo_trajectory(grid(lambda k: (1.0, 0.7, 0.4, 0.2, 1.0)[k], noise=0.0), shape="bent")
    errors = []
    at = np.arange(5.0)
    for knee in (1, 2, 3):
        design = np.stack([np.ones(5), np.where(at < knee, at - knee, 0), np.where(at > knee, at - knee, 0)], axis=1)
        weights = np.linalg.solve(design.T @ design, design.T @ found.coefficients)
        errors.append(float(((design @ weights - found.coefficients) ** 2).sum()))
    assert float(((found.curve - found.coefficients) ** 2).sum()) == pytest.approx(min(errors), abs=1e-12)


def test_the_line_of_single_latents_is_the_papers():
    """0.178: the mean of 1/m over the numbers of latents from 6 to 20 in twos."""
    assert np.mean([1 / largest_group(n) for n in range(6, 21, 2)]) == pytest.approx(0.178, abs=1e-3)


def test_negative_elbo_by_loops():
    random = np.random.default_rng(0)
    mean, logvar, errors = random.normal(size=(7, 3)), random.normal(size=(7, 3)), random.uniform(size=7)
    codes = Codes.of(mean, logvar=logvar)._replace(distortion={"bce": torch.from_numpy(errors)})
    total = 0.0
    for i in range(7):
        kl = sum(0.5 * (mean[i, j] ** 2 + math.exp(logvar[i, j]) - logvar[i, j] - 1) for j in range(3))
        total += (errors[i] + kl) / 7
    assert negative_elbo(codes) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: elbo_trajectory([]), "0 capacities; allowed: 3"),
        (lambda: elbo_trajectory([Trained(1, 6, 4, 1.0)]), "groups that divide the latents"),
        (lambda: elbo_trajectory([Trained(1, 6, 6, 1.0)]), "groups that divide the latents"),
        (lambda: elbo_trajectory([Trained(1, 6, 3, math.nan)]), "a finite ELBO"),
        (lambda: elbo_trajectory([], "meen"), "did you mean 'mean'"),
        (lambda: elbo_trajectory([], shape="bend"), "did you mean 'bent'"),
        (lambda: largest_group(1), "1 latents; allowed: 2"),
        (lambda: negative_elbo(Codes.of([[1.0]])), "lack log-variances"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)

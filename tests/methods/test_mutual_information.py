"""Estimators of mutual information: what they find on Gaussians, and that no score breaks them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unweave.methods import mutual_information as mi
from unweave.networks import PairCritic, PairDensity

ROWS, LARGE = 256, 20_000
TRUTH = -0.5 * math.log(1 - 0.8**2)


def pair(count: int, rho: float) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, count, 1, 1)
    return a, rho * a + math.sqrt(1 - rho**2) * b


def estimate(estimator: str, rho: float, steps: int = 400, shifts: int = 1) -> float:
    """I(a; b) of two standard normals with correlation ρ, in nats, by a critic trained on fresh batches."""
    torch.manual_seed(0)
    kind = PairDensity if estimator == "club" else PairCritic
    critic = kind(1, 1, 64, 2, shifts=shifts)
    adam = torch.optim.Adam(critic.parameters(), 5e-3)
    place = torch.zeros(1, dtype=torch.long)
    average = torch.full((1,), mi.UNSET)

    def value(scores: Tensor, log_average: Tensor) -> Tensor:
        joint, marginal = scores[0], scores[1:]
        if estimator == "dv":
            return mi.donsker_varadhan(joint, marginal, log_average)
        if estimator == "smile":
            return mi.smile(joint, marginal, 5.0)
        plain = {"jsd": mi.jensen_shannon, "nwj": mi.nwj, "infonce": mi.infonce, "club": mi.club}
        return plain[estimator](joint, marginal)

    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps)
        raw = critic(*pair(ROWS, rho), place, place)
        scores = raw if estimator == "club" else mi.bounded(raw, 10.0)
        average = mi.moving_average(average, scores[1:], 0.01)
        goal = scores[0].mean() if estimator == "club" else value(scores, average).mean()
        adam.zero_grad()
        (-goal).backward()
        adam.step()
    with torch.no_grad():
        raw = critic(*pair(LARGE, rho), place, place)
        return float(value(raw if estimator == "club" else mi.bounded(raw, 10.0), average))


def test_mine_finds_the_information_between_gaussians() -> None:
    assert estimate("dv", 0.8) == pytest.approx(TRUTH, abs=0.1)


def test_mine_finds_none_between_independent_ones() -> None:
    assert abs(estimate("dv", 0.0)) < 0.05


@pytest.mark.parametrize("estimator", ["jsd", "nwj", "smile"])
def test_other_lower_bounds_find_it_too(estimator: str) -> None:
    assert estimate(estimator, 0.8) == pytest.approx(TRUTH, abs=0.1)


def test_infonce_finds_it_with_enough_negatives_and_never_more_than_their_logarithm() -> None:
    assert estimate("infonce", 0.8, 200, shifts=15) == pytest.approx(TRUTH, abs=0.15)
    assert estimate("infonce", 0.99, 100, shifts=1) < math.log(2)


def test_club_is_an_upper_bound() -> None:
    """For Gaussians with the conditional density learned exactly it is ρ² / (1 − ρ²)."""
    found = estimate("club", 0.8)
    assert found > TRUTH
    assert found == pytest.approx(0.64 / 0.36, rel=0.1)
    assert abs(estimate("club", 0.0)) < 0.05


def log_ratio(a: Tensor, b: Tensor, rho: float) -> Tensor:
    return -0.5 * math.log(1 - rho**2) - (rho**2 * (a**2 + b**2) - 2 * rho * a * b) / (2 * (1 - rho**2))


@pytest.mark.parametrize("estimator", [mi.nwj, mi.jensen_shannon, lambda j, m: mi.donsker_varadhan(j, m, m.mean())])
def test_lower_bounds_are_tight_at_the_log_ratio(estimator: object) -> None:
    torch.manual_seed(0)
    a, b = (one.flatten() for one in pair(200_000, 0.6))
    joint, marginal = log_ratio(a, b, 0.6), log_ratio(a, b.roll(1), 0.6)[None]
    truth = -0.5 * math.log(1 - 0.36)
    assert float(estimator(joint, marginal)) == pytest.approx(truth, abs=0.01)  # type: ignore[operator]
    assert float(estimator(joint * 0.5, marginal * 0.5)) < truth  # type: ignore[operator]


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_no_score_is_too_large_for_mine(size: float) -> None:
    joint = torch.full((8, 3), size, requires_grad=True)
    marginal = (size + torch.randn(1, 8, 3)).requires_grad_()
    average = mi.moving_average(torch.full((3,), mi.UNSET), marginal, 0.01)
    average = mi.moving_average(average, marginal + 500, 0.01)
    found = mi.donsker_varadhan(joint, marginal, average)
    found.sum().backward()
    assert all(bool(torch.isfinite(v).all()) for v in (found, average, joint.grad, marginal.grad))


def test_the_moving_average() -> None:
    torch.manual_seed(0)
    batches = torch.randn(5, 2, 8, 3, dtype=torch.float64)
    log_average, average = torch.full((3,), mi.UNSET, dtype=torch.float64), None
    for scores in batches:
        now = scores.exp().mean((0, 1))
        average = now if average is None else 0.9 * average + 0.1 * now
        log_average = mi.moving_average(log_average, scores, 0.1)
        torch.testing.assert_close(log_average.exp(), average, rtol=1e-12, atol=0)


def test_the_moving_average_replaces_the_batch_in_the_gradient_only() -> None:
    torch.manual_seed(0)
    joint = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    marginal = torch.randn(1, 8, 3, dtype=torch.float64, requires_grad=True)
    average = torch.tensor([0.1, 0.7, -0.4], dtype=torch.float64)
    found = mi.donsker_varadhan(joint, marginal, average)
    torch.testing.assert_close(found, joint.mean(0) - marginal.exp().mean((0, 1)).log(), rtol=1e-12, atol=1e-14)
    found.sum().backward()
    torch.testing.assert_close(marginal.grad, -marginal.detach().exp() / average.exp() / 8, rtol=1e-12, atol=0)
    torch.testing.assert_close(joint.grad, torch.full_like(joint, 1 / 8), rtol=1e-12, atol=0)

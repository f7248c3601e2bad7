"""Total correlation: three routes, one number; and the exact mixture where the truth is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from unweave.analysis import AggregatePosterior, GaussianDensity, kl_decompose, tc_decompose, total_correlation
from unweave.methods.grouped_tc import partition
from unweave.types import Codes, UserError

SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 12, 20]
MODES = ["bottom_up", "top_down", "line"]


def covariance(latents: int, seed: int = 0) -> Tensor:
    """Positive definite, with variances that are not 1 and no block apart from the others."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(latents, latents + 3, generator=generator, dtype=torch.float64)
    return root @ root.mT / latents + 0.1 * torch.eye(latents, dtype=torch.float64)


def closed_form(sigma: Tensor) -> float:
    """−½ log det of the correlation matrix."""
    scale = sigma.diagonal().sqrt()
    return float(-0.5 * torch.linalg.det(sigma / scale[:, None] / scale[None, :]).log())


@pytest.mark.parametrize("latents", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_every_route_gives_the_closed_form(latents: int, mode: str) -> None:
    sigma = covariance(latents)
    truth = closed_form(sigma)
    found = tc_decompose(GaussianDensity(sigma), mode)
    assert truth > 0.1
    assert found.total == pytest.approx(truth, rel=1e-10)
    assert total_correlation(GaussianDensity(sigma)) == pytest.approx(truth, rel=1e-10)
    assert len(found.steps) == latents - 1 and all(step.information > 0 for step in found.steps)
    assert math.fsum(found.rounds) == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("latents, last", [(2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (8, 2), (12, 3), (20, 4)])
def test_the_last_round_of_pairing(latents: int, last: int) -> None:
    """⌈log₂ n⌉ − 1, where the paper prints int(log₂ n) − 2."""
    found = tc_decompose(GaussianDensity(covariance(latents)))
    assert len(found.rounds) - 1 == last == math.ceil(math.log2(latents)) - 1


def test_routes_join_what_they_say() -> None:
    def joined(mode: str) -> list[tuple[Any, ...]]:
        return [(s.round, s.left, s.right) for s in tc_decompose(GaussianDensity(covariance(5)), mode).steps]

    assert joined("bottom_up") == [
        (0, (0,), (1,)),
        (0, (2,), (3,)),
        (1, (0, 1), (2, 3)),
        (2, (0, 1, 2, 3), (4,)),
    ]
    assert joined("top_down") == [
        (0, (0, 1, 2), (3, 4)),
        (1, (0, 1), (2,)),
        (2, (0,), (1,)),
        (1, (3,), (4,)),
    ]
    assert joined("line") == [
        (0, (0,), (1,)),
        (1, (0, 1), (2,)),
        (2, (0, 1, 2), (3,)),
        (3, (0, 1, 2, 3), (4,)),
    ]


@pytest.mark.parametrize("latents", SIZES)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("mode", MODES)
def test_total_correlation_is_that_between_groups_plus_that_within(latents: int, size: int, mode: str) -> None:
    """TC = TC_joint + Σ TC(z_g) for every size of groups, with a remainder where it does not divide."""
    sigma = covariance(latents)
    density, groups = GaussianDensity(sigma), partition(latents, size)
    between = tc_decompose(density, mode, groups).total
    within = [tc_decompose(density, mode, [(j,) for j in group]).total for group in groups]
    assert between + math.fsum(within) == pytest.approx(closed_form(sigma), rel=1e-10)
    for group, one in zip(groups, within, strict=True):
        assert one == pytest.approx(closed_form(sigma[list(group)][:, list(group)]), rel=1e-10, abs=1e-12)
    if len(groups) == 1:
        assert between == 0.0


def mixture(count: int, sigma: Tensor, noise: float, seed: int = 0) -> Codes:
    """Posteriors of variance ``noise`` whose means make q(z) = N(0, sigma), but for there being ``count`` of them."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.linalg.cholesky(sigma - noise * torch.eye(len(sigma), dtype=torch.float64))
    means = torch.randn(count, len(sigma), generator=generator, dtype=torch.float64) @ root.mT
    return Codes.of(means, logvar=torch.full_like(means, math.log(noise)))


def correlated(latents: int, rho: float) -> Tensor:
    return (1 - rho) * torch.eye(latents, dtype=torch.float64) + rho


def test_the_mixture_of_all_images_finds_the_truth() -> None:
    """q(z) = N(0, R) with R = .5 off the diagonal, σ² = .3: I(x; z) = −½ log det(σ² R⁻¹), TC = −½ log det R, DW = 0."""
    sigma = correlated(4, 0.5)
    codes = mixture(4000, sigma, 0.3)
    found = kl_decompose(codes, partition(4, 2), samples=2000)
    truth = closed_form(sigma)
    within = 2 * closed_form(sigma[:2, :2])
    assert found.tc == pytest.approx(truth, abs=0.04)
    assert found.tc_within == pytest.approx(within, abs=0.03)
    assert found.tc_joint == pytest.approx(truth - within, abs=0.03)
    assert found.mi == pytest.approx(0.5 * float(torch.logdet(sigma)) - 2 * math.log(0.3), abs=0.05)
    assert found.dw == pytest.approx(0.0, abs=0.03)
    assert found.mi + found.tc + found.dw == pytest.approx(found.kl, abs=0.06)
    for latent in range(4):
        assert found.entropies[(latent,)] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.06)


@pytest.mark.parametrize("mode", MODES)
def test_routes_agree_on_the_same_draws(mode: str) -> None:
    codes = mixture(300, covariance(5) + torch.eye(5), 0.2)
    whole = kl_decompose(codes, samples=500).tc
    assert tc_decompose(codes, mode, samples=500).total == pytest.approx(whole, rel=1e-10)
    assert total_correlation(codes, samples=500) == pytest.approx(whole, rel=1e-10)


def test_images_that_share_nothing_are_worth_the_logarithm_of_their_number() -> None:
    codes = mixture(1000, torch.eye(6, dtype=torch.float64), 1e-8)
    assert kl_decompose(codes, samples=1000).mi == pytest.approx(math.log(1000), abs=1e-9)


def test_parts_of_the_rate_add_up_to_the_rate_of_the_draws() -> None:
    """KL = MI + TC + DW holds to rounding with the KL of the same draws, log q(z|x) − log p(z)."""
    codes = mixture(200, covariance(3) + torch.eye(3), 0.3)
    found = kl_decompose(codes, samples=400, seed=3)
    z, own = AggregatePosterior(codes, 400, 3).draws()
    sampled = float((own + (0.5 * (z**2 + math.log(2 * math.pi))).sum(1)).mean())
    assert found.mi + found.tc + found.dw == pytest.approx(sampled, rel=1e-10)


def test_one_group_of_all_has_no_joint_total_correlation() -> None:
    found = kl_decompose(mixture(50, correlated(4, 0.5), 0.3), [(0, 1, 2, 3)], samples=100)
    assert found.tc_joint == 0.0 and found.tc == found.tc_within > 0


def test_groups_are_the_blocks_of_the_codes_unless_given() -> None:
    codes = mixture(50, correlated(4, 0.5), 0.3)._replace(blocks=((0, 1), (2, 3)))
    own, given = kl_decompose(codes, samples=100), kl_decompose(codes, [(0,), (1,), (2,), (3,)], samples=100)
    assert own.tc_within > 0 and given.tc_within == 0.0 and given.tc_joint == pytest.approx(own.tc, rel=1e-10)
    assert {(0, 1), (2, 3)} <= set(own.entropies) and (0, 1) not in given.entropies


def test_chunks_move_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = mixture(64, correlated(3, 0.4), 0.2)
    whole = AggregatePosterior(codes, 100).entropies([(0,), (0, 2)])
    monkeypatch.setattr("unweave.mixture.CHUNK", 64 * 3 * 7)
    torch.testing.assert_close(AggregatePosterior(codes, 100).entropies([(0,), (0, 2)]), whole, rtol=1e-12, atol=0)


def test_seeds_draw_and_images_are_used_evenly() -> None:
    codes = mixture(50, correlated(3, 0.4), 1e-9)
    z = AggregatePosterior(codes, 150).draws().z
    nearest = torch.cdist(z, codes.mean.double()).argmin(1)
    assert nearest.bincount().tolist() == [3] * 50
    assert torch.equal(z, AggregatePosterior(codes, 150).draws().z)
    assert not torch.equal(z, AggregatePosterior(codes, 150, seed=1).draws().z)


def test_a_matching_gaussian_has_the_mixtures_covariance() -> None:
    codes = mixture(20_000, correlated(3, 0.4), 0.3)
    torch.testing.assert_close(GaussianDensity.matching(codes).covariance, correlated(3, 0.4), rtol=0, atol=0.03)
    points = codes._replace(logvar=None)
    torch.testing.assert_close(
        GaussianDensity.matching(points).covariance, correlated(3, 0.4) - 0.3 * torch.eye(3), rtol=0, atol=0.03
    )


GOOD = Codes.of(torch.randn(10, 3), logvar=torch.zeros(10, 3))
BAD: list[tuple[Any, str]] = [
    (lambda: tc_decompose(GOOD, "bottomup"), "did you mean 'bottom_up'?"),
    (lambda: tc_decompose(GOOD, units=[(0, 1), (1, 2)]), "allowed: disjoint sets of 0 to 2, none empty"),
    (lambda: tc_decompose(GOOD, units=[(0,), ()]), "none empty"),
    (lambda: total_correlation(GOOD, units=[(0, 3)]), "allowed: disjoint sets of 0 to 2"),
    (lambda: kl_decompose(GOOD, [(0, 1)]), "no partition of 3 latents"),
    (lambda: kl_decompose(GOOD._replace(logvar=None)), "these codes are points"),
    (lambda: kl_decompose(GOOD, samples=0), "samples = 0"),
    (lambda: kl_decompose(GOOD._replace(mean=GOOD.mean * math.nan)), "not finite"),
    (lambda: GaussianDensity(torch.ones(2, 2)), "not positive definite"),
    (lambda: GaussianDensity(torch.ones(2, 3)), "allowed: finite and symmetric"),
    (lambda: GaussianDensity.matching(Codes.of(torch.zeros(5, 2))), "no constant latents"),
]


@pytest.mark.parametrize("call, said", BAD, ids=[said for _, said in BAD])
def test_one_clear_line(call: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert said in str(error.value) and "\n" not in str(error.value)


def test_one_latent_has_nothing_to_share() -> None:
    assert tc_decompose(GaussianDensity(torch.eye(1))).total == 0.0
    assert tc_decompose(GaussianDensity(torch.eye(3)), units=[(0, 1, 2)]).steps == ()

"""Laws of the diagonal Gaussian that all objectives rest on."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from unweave.types import LOGVAR_RANGE, Gaussian, UserError


def random_gaussian(dtype: torch.dtype = torch.float64) -> Gaussian:
    torch.manual_seed(0)
    logvar = torch.rand(1000, 7, dtype=dtype) * (LOGVAR_RANGE[1] - LOGVAR_RANGE[0]) + LOGVAR_RANGE[0]
    return Gaussian(3 * torch.randn(1000, 7, dtype=dtype), logvar)


def as_normal(q: Gaussian) -> Normal:
    assert q.logvar is not None
    return Normal(q.mean, torch.exp(q.logvar / 2))


def test_kl_is_that_of_torch_distributions() -> None:
    q = random_gaussian()
    prior = Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean))
    torch.testing.assert_close(q.kl(), kl_divergence(as_normal(q), prior), rtol=1e-12, atol=1e-12)


def test_log_prob_is_that_of_torch_distributions() -> None:
    q = random_gaussian()
    z = q.sample(torch.randn_like(q.mean))
    torch.testing.assert_close(q.log_prob(z), as_normal(q).log_prob(z), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kl_is_never_negative(dtype: torch.dtype) -> None:
    assert bool((random_gaussian(dtype).kl() >= 0).all())
    # Around 0, where exp(v) − v − 1 rounds to numbers below 0 in float32, and at the ends of the range.
    small = torch.linspace(-1e-2, 1e-2, 100_001, dtype=dtype)
    tiny = torch.randn(100_000, dtype=dtype) * 10 ** (-12 * torch.rand(100_000, dtype=dtype))
    for logvar in (small, tiny, torch.tensor(LOGVAR_RANGE, dtype=dtype)):
        kl = Gaussian(torch.zeros_like(logvar), logvar).kl()
        assert bool((kl >= 0).all()) and bool(torch.isfinite(kl).all())


def test_kl_is_zero_at_the_prior_alone() -> None:
    q = Gaussian(torch.tensor([0.0, 1e-3, 0.0]), torch.tensor([0.0, 0.0, 1e-3]))
    assert q.kl()[0] == 0 and bool((q.kl()[1:] > 0).all())


@pytest.mark.parametrize("mean", [0.0, -1e9, 1e9])
@pytest.mark.parametrize("logvar", LOGVAR_RANGE)
def test_extremes_stay_finite_with_gradients(mean: float, logvar: float) -> None:
    m, v = torch.tensor([[mean]], requires_grad=True), torch.tensor([[logvar]], requires_grad=True)
    q = Gaussian(m, v)
    (q.kl().sum() + q.sample(torch.ones(1, 1)).sum()).backward()
    assert all(bool(torch.isfinite(one).all()) for one in (q.kl(), m.grad, v.grad) if one is not None)


def test_sample_has_the_mean_and_the_variance_it_says() -> None:
    q = Gaussian(torch.tensor([[2.0, -1.0]]).double(), torch.tensor([[0.5, -3.0]]).double())
    noise = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).double()
    z = q.sample(noise)
    torch.testing.assert_close(z.mean(0, keepdim=True), q.mean)
    torch.testing.assert_close(z.var(0, correction=0, keepdim=True), torch.exp(q.logvar))


def test_a_point_mass_has_no_density() -> None:
    q = Gaussian(torch.ones(2, 3), None)
    assert torch.equal(q.sample(torch.randn(2, 3)), q.mean)
    for verb in (q.kl, lambda: q.log_prob(q.mean)):
        with pytest.raises(UserError, match="point mass"):
            verb()

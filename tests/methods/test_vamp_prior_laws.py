"""The learned mixture: its density, its samples, and who teaches its pseudo-inputs."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.methods import VampPrior
from unweave.networks import VampVAE
from unweave.networks.vamp import mixture_log_prob
from unweave.types import Gaussian

from .case import BODY, LATENTS, SPEC, case

SMALL = VampPrior(pseudo_inputs=4, warmup_steps=10)


def network(count: int = 4, spread: float = 0.5) -> VampVAE:
    torch.manual_seed(0)
    model = VampPrior(pseudo_inputs=count, pseudo_mean=0.5, pseudo_std=0.5).network(SPEC, LATENTS, BODY).double()
    assert isinstance(model, VampVAE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn_like(parameter)
    return model


def constant(model: VampVAE) -> tuple[torch.Tensor, torch.Tensor]:
    """Let the encoder answer the same for every image."""
    with torch.no_grad():
        model.encoder.head.weight.zero_()
        mean, logvar = model.encoder.head.bias.chunk(2)
    return mean, torch.clamp(logvar, -6, 2)


def test_density_is_the_mean_of_the_components() -> None:
    torch.manual_seed(0)
    mean, logvar = torch.randn(2, 3, LATENTS, dtype=torch.float64)
    z = torch.randn(5, LATENTS, dtype=torch.float64)
    parts = torch.distributions.Normal(mean, torch.exp(logvar / 2)).log_prob(z[:, None]).sum(-1).exp()
    wanted = torch.log(parts.mean(1))
    torch.testing.assert_close(mixture_log_prob(Gaussian(mean, logvar), z), wanted, rtol=1e-10, atol=1e-10)


def test_density_integrates_to_1() -> None:
    q = Gaussian(torch.tensor([[-2.0], [1.0]]).double(), torch.tensor([[0.0], [-3.0]]).double())
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    assert float(torch.trapezoid(mixture_log_prob(q, grid).exp(), grid[:, 0])) == pytest.approx(1, abs=1e-9)


def test_far_codes_stay_finite() -> None:
    q = Gaussian(torch.zeros(3, 4), torch.full((3, 4), -6.0))
    assert float(mixture_log_prob(q, torch.full((1, 4), 50.0))) < -1e6


@pytest.mark.parametrize("count", [1, 4])
def test_a_constant_encoder_gives_one_gaussian_and_no_kl(count: int) -> None:
    """All components are then the posterior itself, so log q − log p is 0 for every sample."""
    one = case(VampPrior(pseudo_inputs=count, warmup_steps=1))
    mean, logvar = constant(one.model)
    loss = one.loss()
    assert abs(loss.terms["kl"].item()) < 1e-12
    assert loss.total.item() == pytest.approx(loss.terms["recon"].item(), rel=1e-12)
    z = torch.randn(3, LATENTS, dtype=torch.float64)
    wanted = torch.distributions.Normal(mean, torch.exp(logvar / 2)).log_prob(z).sum(-1)
    torch.testing.assert_close(mixture_log_prob(one.model.components(), z), wanted, rtol=1e-10, atol=1e-10)


def test_the_estimate_has_the_kl_of_two_gaussians_as_its_mean() -> None:
    """With one component the KL has a closed form, which many samples must meet."""
    torch.manual_seed(0)
    mean, logvar, centre, width = torch.randn(4, 1, 3, dtype=torch.float64)
    q, p = Gaussian(mean, logvar), Gaussian(centre, width)
    z = Gaussian(mean.expand(100_000, 3), logvar.expand(100_000, 3)).sample(torch.randn(100_000, 3).double())
    rates = q.log_prob(z).sum(-1) - mixture_log_prob(p, z)
    normals = [torch.distributions.Normal(g.mean, torch.exp(g.logvar / 2)) for g in (q, p) if g.logvar is not None]
    wanted = torch.distributions.kl_divergence(*normals).sum()
    assert float(rates.mean()) == pytest.approx(float(wanted), abs=5 * float(rates.std()) / math.sqrt(len(rates)))


def test_prior_of_one_component_is_its_gaussian() -> None:
    model = network(1)
    draws = torch.randn(50, LATENTS, dtype=torch.float64)
    q = model.components()
    wanted = Gaussian(q.mean.expand(50, -1), q.logvar.expand(50, -1)).sample(draws)
    torch.testing.assert_close(model.prior(draws), wanted, rtol=1e-6, atol=1e-6)


def test_prior_draws_components_evenly_and_noise_independently() -> None:
    model = network(4)
    q = model.components()
    with torch.no_grad():
        z = model.prior(torch.randn(200_000, LATENTS, dtype=torch.float64))
        spread = torch.exp(q.logvar / 2)
        # Each code belongs to the component under which its noise is likeliest; they lie apart in this network.
        noise = (z[:, None] - q.mean) / spread
        nearest = q.log_prob(z[:, None]).sum(-1).argmax(1)
        shares = torch.bincount(nearest, minlength=4) / len(z)
        mean, variance = q.mean.mean(0), (spread**2 + q.mean**2).mean(0) - q.mean.mean(0) ** 2
        torch.testing.assert_close(z.mean(0), mean, rtol=0, atol=0.02 * float(variance.max().sqrt()))
        torch.testing.assert_close(z.var(0), variance, rtol=0.02, atol=0)
        assert noise.shape == (200_000, 4, LATENTS) and float(shares.min()) > 0
    far = torch.tensor([[-40.0], [40.0]]).expand(2, LATENTS).double()
    assert bool(torch.isfinite(model.prior(far)).all())


def test_prior_follows_its_numbers_alone() -> None:
    model = network(4)
    draws = torch.randn(9, LATENTS)
    model = model.float()
    assert model.prior(draws).dtype == torch.float32
    assert torch.equal(model.prior(draws)[3:5], model.prior(draws[3:5]))


def test_warm_up_rises_to_1_and_can_be_off() -> None:
    weights = [float(case(SMALL, step).loss().terms["warm_up"]) for step in (0, 4, 9, 10, 10**6)]
    assert weights == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0])
    assert float(case(VampPrior(pseudo_inputs=2, warmup_steps=1), 0).loss().terms["warm_up"]) == 1


def test_pseudo_inputs_learn_inside_the_unit_interval_only() -> None:
    """Below 0 and above 1 no gradient arrives: the starting mean of −0.05 in the authors' options would never learn."""
    one = case(SMALL, spread=0.0)
    one.loss().total.backward()
    assert float(one.model.pixels.grad.abs().sum()) > 0
    with pytest.warns(UserWarning, match="no gradient reaches them"):
        VampPrior(pseudo_mean=-0.05).check(SPEC, LATENTS)
    dead = case(VampPrior(pseudo_inputs=4, pseudo_mean=-0.05), spread=0.0)
    dead.loss().total.backward()
    assert float(dead.model.pixels.grad.abs().sum()) == 0
    assert bool((dead.model.pseudo_inputs() == 0).all())


def test_as_published() -> None:
    method = VampPrior()
    preset = method.presets[""]
    assert (method.pseudo_inputs, preset.latents, preset.batch, preset.optimiser.lr) == (500, 40, 100, 5e-4)
    model = method.network(SPEC, LATENTS, BODY)
    assert isinstance(model, VampVAE) and model.pixels.shape == (500, 64)
    assert model.pixels.mean().item() == pytest.approx(0.05, abs=1e-3)
    assert model.pixels.std().item() == pytest.approx(0.01, abs=1e-3)
    assert model.pseudo_inputs().shape == (500, 1, 8, 8)

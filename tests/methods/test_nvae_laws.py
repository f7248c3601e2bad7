"""NVAE: residual posteriors, the hierarchy there and back, balance, warm-up and spectral norms."""

from __future__ import annotations

import pytest
import torch

from unweave.methods import NVAE
from unweave.methods.nvae import balanced, largest, spectral_norm
from unweave.networks import TopDownVAE, set_channels_last, set_precision
from unweave.networks.nvae import Level, halvings, positions
from unweave.types import Gaussian

from .case import case, gradients

SMALL = {"groups": (2, 1), "width": 8}


def level(seed: int = 0) -> tuple[Level, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    mean, logvar, move, more = torch.randn(4, 5, 6).double()
    return Level(Gaussian(mean, logvar), Gaussian(mean + move, logvar + more)), move, more


def test_kl_of_a_residual_posterior_is_that_of_two_gaussians() -> None:
    one, _, _ = level()
    p, q = (torch.distributions.Normal(g.mean, torch.exp(g.logvar / 2)) for g in one)
    torch.testing.assert_close(one.kl(), torch.distributions.kl_divergence(q, p), rtol=1e-12, atol=1e-12)
    assert float(one.kl().min()) >= 0


def test_no_residual_means_no_kl_wherever_the_prior_is() -> None:
    one, _, _ = level()
    assert torch.equal(Level(one.prior, one.prior).kl(), torch.zeros(5, 6).double())
    shifted = Gaussian(one.prior.mean + 7, one.prior.logvar)
    torch.testing.assert_close(
        Level(shifted, Gaussian(one.posterior.mean + 7, one.posterior.logvar)).kl(), one.kl(), rtol=1e-12, atol=1e-12
    )


def test_the_first_prior_is_the_standard_normal() -> None:
    one = case(NVAE(**SMALL))
    first = one.model.infer(one.batch.x, one.batch.noise["z"])[0][0]
    assert not bool(first.prior.mean.any()) and not bool(first.prior.logvar.any())
    torch.testing.assert_close(first.kl(), first.posterior.kl(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 64, 64), (2, 17, 40)])
@pytest.mark.parametrize("scales", [(1,), (2, 2), (1, 2, 1)])
@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_it_fits_images_of_many_sizes(shape: tuple[int, int, int], scales: tuple[int, ...], precision: str) -> None:
    latents = 2 * positions(shape, scales)
    net = set_precision(TopDownVAE(shape, latents, "bernoulli", scales, 8), precision)
    if precision == "bf16":
        set_channels_last(net)
    dtype = net.start.dtype
    x = torch.rand(3, *shape, dtype=dtype)
    q = net.encode(x)
    assert q.mean.shape == q.logvar.shape == net.prior(torch.randn(3, latents, dtype=dtype)).shape == (3, latents)
    assert net.decode(q.mean).shape == x.shape
    assert q.mean.dtype == net.decode(q.mean).dtype == dtype
    assert not dict(net.named_buffers())
    assert sum(net.sizes) == latents and len(net.sizes) == sum(scales)


def test_sizes_by_hand() -> None:
    assert halvings((1, 64, 64)) == [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    assert halvings((1, 8, 8)) == [(8, 8), (4, 4), (2, 2), (1, 1)]
    assert halvings((1, 28, 28)) == [(28, 28), (14, 14), (7, 7), (3, 3), (1, 1)]
    assert positions((1, 64, 64), (2, 2)) == 2 * 4 + 2 * 16
    assert NVAE.presets[""].latents == 20 * positions((1, 64, 64), NVAE().groups)


def test_the_flat_code_keeps_its_layout() -> None:
    """Decoding what was inferred gives the very logits that inference ended in, with samples as with means."""
    one = case(NVAE(**SMALL))
    net, x = one.model, one.batch.x
    assert torch.equal(net.decode(net.encode(x).mean), net.infer(x)[1])
    noise = one.batch.noise["z"]
    levels, logits = net.infer(x, noise)
    z = torch.cat([a.posterior.sample(e) for a, e in zip(levels, noise.split(net.sizes, 1), strict=True)], 1)
    torch.testing.assert_close(net.decode(z), logits, rtol=1e-12, atol=1e-12)


def test_lower_groups_depend_on_upper_ones_and_never_the_other_way() -> None:
    one = case(NVAE(**SMALL))
    net = one.model
    draws = torch.randn(4, sum(net.sizes)).double()
    z = net.prior(draws)
    for place, (start, size) in enumerate(
        zip((0, *torch.tensor(net.sizes).cumsum(0).tolist()), net.sizes, strict=False)
    ):
        other = draws.clone()
        other[:, start : start + size] += 1
        changed = (net.prior(other) != z).any(0)
        assert not bool(changed[:start].any())
        assert bool(changed[start : start + size].all()), place
        assert place == len(net.sizes) - 1 or bool(changed[start + size :].all())


def test_prior_samples_of_the_first_group_are_the_draws() -> None:
    net = case(NVAE(**SMALL)).model
    draws = torch.randn(3, 6).double()
    assert torch.equal(net.prior(draws)[:, : net.sizes[0]], draws[:, : net.sizes[0]])


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(8, 8), (16, 144), (64, 32), (1, 20), (20, 1)])
def test_power_iteration_finds_the_largest_singular_value(shape: tuple[int, int], precision: str) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64 if precision == "float64" else torch.float32)
    truth = torch.linalg.svdvals(matrix)[0].item()
    found = [spectral_norm(matrix, steps).item() for steps in (1, 4, 16, 300)]
    assert found == sorted(found) and found[-1] <= truth * (1 + 1e-6)
    assert found[-1] == pytest.approx(truth, rel=1e-4)
    assert found[1] > 0.75 * truth


def test_its_gradient_is_the_outer_product_of_the_singular_vectors() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(6, 9, dtype=torch.float64, requires_grad=True)
    spectral_norm(matrix, 3000).backward()
    u, _, vt = torch.linalg.svd(matrix.detach())
    torch.testing.assert_close(matrix.grad, torch.outer(u[:, 0], vt[0]), rtol=1e-6, atol=1e-8)


def test_a_norm_is_finite_at_zero_and_scales() -> None:
    zero = torch.zeros(4, 5, requires_grad=True)
    value = spectral_norm(zero, 4)
    value.backward()
    assert value.item() == 0 and bool(torch.isfinite(zero.grad).all())
    matrix = torch.randn(4, 5).double()
    torch.testing.assert_close(spectral_norm(3 * matrix, 4), 3 * spectral_norm(matrix, 4))


def test_every_convolution_and_every_gain_is_regularised() -> None:
    one = case(NVAE(**SMALL))
    norms, gain = largest(one.model, 4)
    (norms + gain).backward()
    reached = {name for name, value in gradients(one.model).items() if bool(value.any())}
    convolutions = {n for n, p in one.model.named_parameters() if p.ndim == 4 and n != "start"}
    kinds = dict(one.model.named_modules())
    gains = {f"{n}.weight" for n, m in kinds.items() if isinstance(m, torch.nn.GroupNorm)}
    assert reached == convolutions | gains


def test_balance_follows_the_kl_of_each_latent_and_has_average_1() -> None:
    kls = torch.tensor([1.0, 5.0, 40.0, 0.0]).double()
    weights = balanced(kls, (4, 4, 16, 16))
    assert float(weights.mean()) == pytest.approx(1.0)
    torch.testing.assert_close(weights[1] / weights[0], torch.tensor(5.01 / 1.01).double())
    torch.testing.assert_close(weights[2] / weights[1], torch.tensor(40.01 / 16 / (5.01 / 4)).double())
    torch.testing.assert_close(balanced(torch.zeros(3), (2, 2, 2)), torch.ones(3))


@pytest.mark.parametrize(("step", "beta"), [(0, 0.0), (1, 0.1), (9, 0.9), (10, 1.0), (11, 1.0), (10**6, 1.0)])
def test_warm_up(step: int, beta: float) -> None:
    """The pressure rises to 1 in 10 steps; from then on the objective is the plain bound."""
    one = case(NVAE(**SMALL, warmup_steps=10, spectral=0.0), step)
    loss = one.loss()
    terms = loss.terms
    assert terms["beta"].item() == pytest.approx(beta)
    bound = terms["recon"] + terms["beta"] * terms["kl"]
    assert torch.allclose(loss.total, bound, rtol=1e-12, atol=0) == (step == 0 or step >= 10)
    even = case(NVAE(**SMALL, warmup_steps=10, spectral=0.0, balance=False), step).loss()
    torch.testing.assert_close(even.total, bound, rtol=1e-12, atol=0)


def test_the_balance_has_no_gradient_of_its_own() -> None:
    one = case(NVAE(**SMALL, warmup_steps=10, spectral=0.0), 5)
    loss = one.loss()
    kls = torch.stack([loss.terms[f"kl.{place}"] for place in range(3)])
    by_hand = loss.terms["recon"] + 0.5 * (balanced(kls.detach(), one.model.sizes) * kls).sum()
    parameters = list(one.model.parameters())
    wanted = torch.autograd.grad(by_hand, parameters, retain_graph=True)
    found = torch.autograd.grad(loss.total, parameters, materialize_grads=True)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_codes_are_drawn_as_in_training() -> None:
    """Each group given the samples of those above it: the decoder sees what it learned to read, and the KL is that."""
    one = case(NVAE(**SMALL))
    x, noise = one.batch.x, one.batch.noise["z"]
    levels, logits = one.model.infer(x, noise)
    q = one.model.encode(x)
    z = one.model.sample(x, q, noise)
    torch.testing.assert_close(one.model.decode(z), logits, rtol=1e-12, atol=1e-12)
    rate = torch.stack([level.kl().sum(1) for level in levels]).sum(0)
    torch.testing.assert_close(one.model.rate(x, q, z), rate, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(z, q.sample(noise))

"""Which latents a pair shares, and what sharing does to posteriors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from unweave.methods import AdaGVAE, AdaMLVAE, BetaVAE
from unweave.methods.ada_vae import (
    apart,
    divergence,
    geometric_posterior,
    mean_posterior,
    product_posterior,
    seems_shared,
)
from unweave.types import Gaussian, Loss

from .case import LATENTS, case

AVERAGES = [mean_posterior, product_posterior, geometric_posterior]
EACH = [AdaGVAE(), AdaGVAE(distance="symmetric"), AdaMLVAE(), AdaMLVAE(average="geometric", distance="symmetric")]


def gaussian(seed: int = 0, rows: int = 4) -> Gaussian:
    torch.manual_seed(seed)
    return Gaussian(*torch.randn(2, rows, LATENTS, dtype=torch.float64))


def on(one: Any, **changes: Any) -> Loss:
    """The loss on a batch that differs in something."""
    return one._replace(batch=one.batch._replace(**changes)).loss()


@pytest.mark.parametrize("method", EACH, ids=lambda m: f"{m.name}-{m.distance}")
def test_identical_views_share_everything(method: Any) -> None:
    one = case(method)
    loss = on(one, y=one.batch.x)
    assert float(loss.terms["shared"]) == LATENTS


@pytest.mark.parametrize("distance", ["kl", "symmetric"])
def test_only_a_clearly_different_latent_is_kept_apart(distance: str) -> None:
    p = gaussian()
    mean = p.mean + 0.05 * torch.randn(4, LATENTS, dtype=torch.float64)
    different = torch.tensor([0, 3, 5, 3])
    mean[torch.arange(4), different] += 6.0
    shared = seems_shared(apart(p, Gaussian(mean, p.logvar), distance))
    wanted = torch.ones(4, LATENTS, dtype=torch.bool)
    wanted[torch.arange(4), different] = False
    assert torch.equal(shared, wanted)


def test_the_most_different_latent_is_never_shared_and_the_least_always() -> None:
    torch.manual_seed(1)
    distances = torch.rand(200, LATENTS, dtype=torch.float64)
    shared = seems_shared(distances)
    rows = torch.arange(200)
    assert not shared[rows, distances.argmax(1)].any() and shared[rows, distances.argmin(1)].all()
    assert torch.equal(seems_shared(7.5 * distances), shared), "no scale matters, so neither does a factor ½"


def test_divergence_is_the_kl() -> None:
    p, q = gaussian(0), gaussian(1)
    normals = [torch.distributions.Normal(g.mean, torch.exp(g.logvar / 2)) for g in (p, q) if g.logvar is not None]
    torch.testing.assert_close(divergence(p, q), torch.distributions.kl_divergence(*normals), rtol=1e-10, atol=1e-12)
    assert torch.equal(divergence(p, p), torch.zeros_like(p.mean))
    torch.testing.assert_close(apart(p, q, "symmetric"), apart(q, p, "symmetric"), rtol=1e-12, atol=0)
    assert not torch.allclose(apart(p, q, "kl"), apart(q, p, "kl"))


@pytest.mark.parametrize("average", AVERAGES)
def test_averages_do_not_care_for_the_order(average: Any) -> None:
    p, q = gaussian(0), gaussian(1)
    there, back = average(p, q), average(q, p)
    torch.testing.assert_close(there.mean, back.mean, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(there.logvar, back.logvar, rtol=1e-12, atol=1e-13)
    assert bool(
        (torch.minimum(p.mean, q.mean) <= there.mean).all() and (there.mean <= torch.maximum(p.mean, q.mean)).all()
    )


@pytest.mark.parametrize(("average", "factor"), list(zip(AVERAGES, (1.0, 0.5, 1.0), strict=True)))
def test_averages_of_equal_posteriors(average: Any, factor: float) -> None:
    """Only the product, as twice the evidence, is narrower than what it is made of."""
    p = gaussian()
    found = average(p, p)
    torch.testing.assert_close(found.mean, p.mean, rtol=1e-12, atol=1e-13)
    assert p.logvar is not None
    torch.testing.assert_close(found.logvar.exp(), factor * p.logvar.exp(), rtol=1e-12, atol=0)


def test_product_is_the_product_of_the_densities() -> None:
    p, q = gaussian(0), gaussian(1)
    points = torch.randn(2, 4, LATENTS, dtype=torch.float64)
    found = product_posterior(p, q)
    ratios = [p.log_prob(z) + q.log_prob(z) - found.log_prob(z) for z in points]
    torch.testing.assert_close(ratios[0], ratios[1], rtol=1e-9, atol=1e-9)
    half = geometric_posterior(p, q)
    ratios = [(p.log_prob(z) + q.log_prob(z)) / 2 - half.log_prob(z) for z in points]
    torch.testing.assert_close(ratios[0], ratios[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("average", AVERAGES)
def test_extreme_posteriors_stay_finite(average: Any) -> None:
    p = Gaussian(torch.tensor([[3.0, -3.0]]), torch.tensor([[-30.0, 20.0]]))
    q = Gaussian(torch.tensor([[-3.0, 3.0]]), torch.tensor([[20.0, -30.0]]))
    found = average(p, q)
    assert bool(torch.isfinite(found.mean).all() and torch.isfinite(found.logvar).all())


@pytest.mark.parametrize("method", [AdaGVAE(beta=3.0), AdaMLVAE(beta=3.0, average="geometric")])
def test_a_pair_of_equal_images_is_beta_vae(method: Any) -> None:
    """Then averaging changes nothing, and with the same noise for both views the loss is β-VAE's."""
    one = case(method)
    noise = {"z": one.batch.noise["z"], "y": one.batch.noise["z"]}
    loss = on(one, y=one.batch.x, noise=noise)
    plain = case(BetaVAE(beta=3.0))
    wanted = plain._replace(batch=one.batch._replace(noise={"z": noise["z"]}), model=one.model).loss()
    assert loss.total.item() == pytest.approx(wanted.total.item(), rel=1e-12)


def test_views_can_change_places_with_the_symmetric_distance() -> None:
    one = case(AdaGVAE(distance="symmetric"))
    noise: dict[str, Tensor] = {"z": one.batch.noise["y"], "y": one.batch.noise["z"]}
    swapped = on(one, x=one.batch.y, y=one.batch.x, noise=noise)
    assert swapped.total.item() == pytest.approx(one.loss().total.item(), rel=1e-12)


def test_shared_latents_learn_from_both_views() -> None:
    """The gradient of the decoder's error at the second view reaches the first view's posterior where it is shared."""
    p = Gaussian(*(t.requires_grad_() for t in gaussian(0)))  # type: ignore[union-attr]
    q = gaussian(1)
    found = mean_posterior(p, q)
    found.mean.sum().backward()
    assert p.mean.grad is not None and bool((p.mean.grad == 0.5).all())

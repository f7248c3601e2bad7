"""Measures against what is written out here."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from unweave.analysis import negative_elbo
from unweave.data import Triangle
from unweave.engine import Experiment, encode
from unweave.engine.codes import sampled
from unweave.job import HeldOutELBO, Scores
from unweave.methods import NVAE, BHiVAE, Method, VampPrior
from unweave.metrics import MIG
from unweave.networks import MLP
from unweave.run import Run, fit
from unweave.types import Adam, UserError


def small(data: str = "triangle:train=0.98", likelihood: str = "bernoulli") -> Run:
    return fit(
        "vae", data, steps=30, batch=16, latents=3, network=MLP((8,)), precision="float64", likelihood=likelihood
    )


def by_hand(run: Run, likelihood: str) -> tuple[float, float, float]:
    """Reconstruction, its spread over many draws of z, and KL, of each image that was not trained on."""
    whole = Triangle().open()
    chosen = set(run.data.choose().tolist())  # type: ignore[attr-defined]
    held = [row for row in range(1024) if row not in chosen]
    chance = torch.Generator().manual_seed(0)
    recon, kl = [], 0.0
    with torch.no_grad():
        for row in held:
            x = whole.batch(torch.tensor([row]), {}).double()
            q = run.model.encode(x)
            for mean, logvar in zip(q.mean[0].tolist(), q.logvar[0].tolist(), strict=True):
                kl += 0.5 * (mean**2 + math.exp(logvar) - 1 - logvar) / len(held)
            z = q.mean + torch.exp(q.logvar / 2) * torch.randn(64, 3, generator=chance, dtype=torch.float64)
            logits = run.model.decode(z)
            if likelihood == "bernoulli":
                error = F.softplus(logits) - x * logits
            else:
                error = (1 / (1 + torch.exp(-logits)) - x) ** 2
            recon.append(error.sum((1, 2, 3)))
    each = torch.stack(recon).mean(0)
    return float(each.mean()), float(each.std()), kl


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
def test_the_elbo_is_that_of_images_never_trained_on(likelihood: str) -> None:
    run = small(likelihood=likelihood)
    values, arrays = HeldOutELBO()(run, run.codes(10))
    recon, spread, kl = by_hand(run, likelihood)
    assert values["elbo.kl"] == pytest.approx(kl, rel=1e-9) and arrays == {}
    assert abs(values["elbo.recon"] - recon) < 5 * spread
    assert values["elbo"] == -(values["elbo.recon"] + values["elbo.kl"])


def test_other_images_can_be_named() -> None:
    run = small("triangle")
    with pytest.raises(UserError, match="triangle was trained on whole; allowed: training on a part"):
        HeldOutELBO()(run, run.codes(10))
    values, _ = HeldOutELBO(Triangle(angle_noise=20.0), images=100)(run, run.codes(10))
    assert values["elbo.recon"] > 0 and math.isfinite(values["elbo"])


def test_scores_refuse_what_is_no_metric() -> None:
    with pytest.raises(UserError, match="unknown metric 'mgi' — did you mean 'mig'"):
        Scores(("mgi",))


def test_two_metrics_of_one_label_are_refused_before_training() -> None:
    one = Experiment("vae", "triangle").complete()
    Scores((MIG(), MIG(bins=5))).check(one)
    with pytest.raises(UserError, match=r"are both kept as 'mig'"):
        Scores((MIG(), MIG(images=100))).check(one)


def mixed(model: Any, x: Tensor) -> Tensor:
    """VampPrior: log q(z|x) − log p(z) over many draws, p as PyTorch mixes it."""
    q, u = model.encode(x), model.components()
    posterior = Independent(Normal(q.mean, torch.exp(q.logvar / 2)), 1)
    each = Independent(Normal(u.mean, torch.exp(u.logvar / 2)), 1)
    prior = MixtureSameFamily(Categorical(torch.ones(len(u.mean)).double()), each)
    z = posterior.sample((50,))
    return (posterior.log_prob(z) - prior.log_prob(z)).mean(0)


def descended(model: Any, x: Tensor) -> Tensor:
    """NVAE: the KL of all groups, each given samples of those above it."""
    noise = torch.randn(5, len(x), model.latents, dtype=x.dtype)
    return torch.stack([sum(level.kl().sum(1) for level in model.infer(x, one)[0]) for one in noise]).mean(0)


def correlated(model: Any, x: Tensor) -> Tensor:
    """BHiVAE with one block: N(0, Σ), whose first two latents are correlated."""
    q = model.encode(x)
    sigma = torch.eye(4).double()
    sigma[0, 1] = sigma[1, 0] = model.rho
    own = MultivariateNormal(q.mean, torch.diag_embed(torch.exp(q.logvar)))
    return kl_divergence(own, MultivariateNormal(torch.zeros(4).double(), sigma))


@pytest.mark.parametrize(
    "method, latents, by_hand",
    [
        (VampPrior(pseudo_inputs=8, warmup_steps=1), 3, mixed),
        (NVAE(groups=(1, 1), width=8, warmup_steps=1), 20, descended),
        (BHiVAE(blocks=(2,), encoder="stochastic", matching="kl", separation="none", recon_weight=1.0), 4, correlated),
    ],
    ids=["vamp-prior", "nvae", "bhivae"],
)
def test_the_kl_is_that_to_the_models_own_prior(method: Method, latents: int, by_hand: Any) -> None:
    quick = {"steps": 25, "batch": 32, "network": MLP((16,)), "optimiser": Adam(lr=5e-3), "precision": "float64"}
    run = fit(method, "triangle", latents=latents, **quick)
    values, _ = HeldOutELBO(Triangle(), images=200)(run, run.codes(10))
    codes = run.codes(200)
    x = run.images.batch(sampled(1024, 200), {}).double()
    torch.manual_seed(0)
    with torch.no_grad():
        wanted = float(by_hand(run.model, x).mean())
    assert values["elbo.kl"] == pytest.approx(wanted, rel=0.05, abs=0.08)
    assert codes.rate is not None and float(codes.rate.mean()) == pytest.approx(values["elbo.kl"], rel=1e-9)
    closed = negative_elbo(codes._replace(rate=None)) - negative_elbo(codes) + values["elbo.kl"]
    assert abs(closed - wanted) > 2 * abs(values["elbo.kl"] - wanted), "the KL to N(0, I) is another number"
    assert encode(run.model, run.data, run.images, count=10, distortion=False).rate is None
    assert fit("vae", "triangle", steps=1, batch=4, network=MLP((4,))).codes(10).rate is None

"""Measures against what is written out here."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from unweave.data import Triangle
from unweave.engine import Experiment
from unweave.job import HeldOutELBO, Scores
from unweave.metrics import MIG
from unweave.networks import MLP
from unweave.run import Run, fit
from unweave.types import UserError


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

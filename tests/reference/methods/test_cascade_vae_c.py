"""CascadeVAE-C against its formula on Python numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unweave.methods import CascadeVAEC

from . import oracle
from .case import LATENTS, TIGHT, case, rows, table

PUBLISHED: list[dict[str, Any]] = [
    {"beta_low": 1.0, "beta_high": 10.0, "stage_steps": 6000},
    {"beta_low": 0.1, "beta_high": 10.0, "stage_steps": 20_000, "reset_optimizer": True, "stages": LATENTS},
    {"beta_low": 0.0, "beta_high": 3.5, "stage_steps": 7},
]


def softplus_split(outputs: oracle.Matrix) -> tuple[list[list[float]], list[list[float]]]:
    """Means and log-variances from an encoder that puts out s with σ = log(1 + exp(s))."""
    half = len(outputs[0]) // 2
    sigmas = [[oracle.softplus(s) for s in row[half:]] for row in outputs]
    return [list(row[:half]) for row in outputs], [[math.log(s**2) for s in row] for row in sigmas]


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("std", ["exp", "softplus"])
@pytest.mark.parametrize("fields", PUBLISHED)
@pytest.mark.parametrize("step", [0, 6, 7, 5999, 6000, 19_999, 20_000, 34_000, 119_999, 120_000, 299_999])
def test_terms(likelihood: str, std: str, fields: dict[str, Any], step: int) -> None:
    one = case(CascadeVAEC(**fields, std=std), likelihood, step)
    split = softplus_split if std == "softplus" else oracle.split
    means, logvars = split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    stage = min(step // fields["stage_steps"], LATENTS - 1)
    opened = closed = 0.0
    for j in range(LATENTS):
        kl = oracle.kl([[row[j]] for row in means], [[row[j]] for row in logvars])
        if j <= stage:
            opened += kl
        else:
            closed += kl
    loss = one.loss()
    wanted = {"recon": recon, "kl": opened + closed, "kl.open": opened, "kl.closed": closed, "stage": stage}
    for name, value in wanted.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT, abs=TIGHT), name
    total = recon + fields["beta_low"] * opened + fields["beta_high"] * closed
    assert loss.total.item() == pytest.approx(total, rel=TIGHT)

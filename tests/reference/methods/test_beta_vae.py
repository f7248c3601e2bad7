"""β-VAE and its schedules against formulas written out."""

from __future__ import annotations

import math

import pytest

from unweave.methods import BetaVAE

from . import oracle
from .case import TIGHT, case, rows, table


def pressure(schedule: str, step: int) -> float:
    """β from 7.3 to 0.9 in 100 steps."""
    t = min(step / 100, 1.0)
    if schedule == "constant":
        return 7.3
    if schedule == "linear":
        return 7.3 + (0.9 - 7.3) * t
    return math.exp(math.log(7.3) + (math.log(0.9) - math.log(7.3)) * t)


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "exp"])
@pytest.mark.parametrize("step", [0, 37, 100, 2500])
def test_terms(likelihood: str, schedule: str, step: int) -> None:
    end = None if schedule == "constant" else 0.9
    one = case(BetaVAE(beta=7.3, end=end, schedule=schedule, anneal_steps=100), likelihood, step)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    beta = pressure(schedule, step)
    loss = one.loss()
    assert loss.terms["recon"].item() == pytest.approx(recon, rel=TIGHT)
    assert loss.terms["kl"].item() == pytest.approx(kl, rel=TIGHT)
    assert loss.terms["beta"].item() == pytest.approx(beta, rel=TIGHT)
    assert loss.total.item() == pytest.approx(recon + beta * kl, rel=TIGHT)


def test_a_pressure_of_zero_is_an_ordinary_number() -> None:
    loss = case(BetaVAE(beta=0.0)).loss()
    assert loss.total.item() == loss.terms["recon"].item()

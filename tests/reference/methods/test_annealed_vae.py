"""AnnealedVAE against its formula on Python numbers."""

from __future__ import annotations

import pytest
import torch

from unweave.methods import AnnealedVAE

from . import oracle
from .case import TIGHT, case, rows, table

SETTINGS = [(1000.0, 0.0, 25.0, 100_000), (100.0, 0.5, 8.0, 30_000), (3.0, 2.0, 2.0, 7), (0.0, 0.1, 0.7, 1)]


def capacity(start: float, end: float, length: int, step: int) -> float:
    """C(t), which stops at C_max."""
    return end if step >= length else start + (end - start) * step / length


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("step", [0, 1, 6, 7, 29_999, 30_000, 99_999, 100_000, 1_000_000])
def test_terms(likelihood: str, setting: tuple[float, float, float, int], step: int) -> None:
    gamma, start, end, length = setting
    one = case(AnnealedVAE(gamma, start, end, length), likelihood, step)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    target = capacity(start, end, length, step)
    loss = one.loss()
    for name, value in {"recon": recon, "kl": kl, "target": target}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + gamma * abs(kl - target), rel=TIGHT)


def test_the_absolute_value_is_of_the_mean_not_a_mean_of_absolute_values() -> None:
    """Images on either side of the target cancel: with the target at the batch mean only the reconstruction is left."""
    one = case(AnnealedVAE(gamma=1000.0), spread=0.5)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    each = [oracle.kl([m], [v]) for m, v in zip(means, logvars, strict=True)]
    mean = oracle.mean(each)
    assert max(abs(value - mean) for value in each) > 0.1
    loss = AnnealedVAE(1000.0, mean, mean, 1).loss(one.model, one.batch, {})
    assert loss.total.item() == pytest.approx(loss.terms["recon"].item(), abs=1e-8)


def test_gradients_are_those_of_a_pressure_of_either_sign() -> None:
    """Below its target the KL is pushed up by γ, above it is pushed down by γ."""
    for target, sign in ((1000.0, -1.0), (0.0, 1.0)):
        one = case(AnnealedVAE(7.0, target, target, 1))
        one.loss().total.backward()
        got = {name: p.grad.clone() for name, p in one.model.named_parameters()}
        one.model.zero_grad()
        loss = one.loss()
        (loss.terms["recon"] + sign * 7.0 * loss.terms["kl"]).backward()
        for name, parameter in one.model.named_parameters():
            torch.testing.assert_close(got[name], parameter.grad, rtol=1e-10, atol=1e-12)

"""InfoVAE against its kernels and the unbiased discrepancy written out."""

from __future__ import annotations

import math

import pytest

from unweave.methods import InfoVAE

from . import oracle
from .case import TIGHT, case, rows, table


def kernel(name: str, a: oracle.Numbers, b: oracle.Numbers, bandwidth: float) -> float:
    distance = math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    base = 2 * len(a) * bandwidth
    if name == "rbf":
        return math.exp(-distance / base)
    return oracle.mean([1 / (1 + distance / (s * base)) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)])


def discrepancy(name: str, a: oracle.Matrix, b: oracle.Matrix, bandwidth: float) -> float:
    def within(points: oracle.Matrix) -> float:
        pairs = [(p, q) for i, p in enumerate(points) for j, q in enumerate(points) if i != j]
        return oracle.mean([kernel(name, p, q, bandwidth) for p, q in pairs])

    return within(a) + within(b) - 2 * oracle.mean([kernel(name, p, q, bandwidth) for p in a for q in b])


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("name", ["imq", "rbf"])
@pytest.mark.parametrize(("alpha", "weight"), [(0.0, 1000.0), (0.4, 0.6), (1.0, 12.5), (-2.0, 5.0)])
def test_terms(name: str, alpha: float, weight: float, likelihood: str) -> None:
    one = case(InfoVAE(alpha=alpha, lambda_mmd=weight, kernel=name, bandwidth=0.3), likelihood)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    distance = discrepancy(name, z, rows(one.batch.noise["prior"]), 0.3)
    loss = one.loss()
    assert loss.terms["recon"].item() == pytest.approx(recon, rel=TIGHT)
    assert loss.terms["kl"].item() == pytest.approx(kl, rel=TIGHT)
    assert loss.terms["mmd"].item() == pytest.approx(distance, rel=TIGHT)
    assert loss.total.item() == pytest.approx(recon + (1 - alpha) * kl + (alpha + weight - 1) * distance, rel=TIGHT)

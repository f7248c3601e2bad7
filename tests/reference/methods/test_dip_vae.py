"""DIP-VAE of both types against covariances written out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unweave.methods import DIPVAE1, DIPVAE2

from . import oracle
from .case import TIGHT, case, rows, table


def covariance(points: oracle.Matrix, i: int, j: int) -> float:
    """Of two columns: E[ab] − E[a]E[b]."""
    left, right = [p[i] for p in points], [p[j] for p in points]
    return oracle.mean([a * b for a, b in zip(left, right, strict=True)]) - oracle.mean(left) * oracle.mean(right)


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("kind", [DIPVAE1, DIPVAE2])
def test_terms(kind: Any, likelihood: str) -> None:
    one = case(kind(lambda_od=3.5, lambda_d=0.7), likelihood)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    off = diagonal = 0.0
    for i in range(len(means[0])):
        for j in range(len(means[0])):
            entry = covariance(means, i, j)
            if i == j and kind is DIPVAE2:
                entry += oracle.mean([math.exp(row[i]) for row in logvars])
            if i == j:
                diagonal += (entry - 1) ** 2
            else:
                off += entry**2
    loss = one.loss()
    for name, value in {"recon": recon, "kl": kl, "off_diagonal": off, "diagonal": diagonal}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + kl + 3.5 * off + 0.7 * diagonal, rel=TIGHT)

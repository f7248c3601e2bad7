"""Ada-GVAE and Ada-ML-VAE against the sharing of latents written out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unweave.methods import AdaGVAE, AdaMLVAE

from . import oracle
from .case import TIGHT, case, rows, table

Normal = tuple[float, float]
"""Mean and variance."""


def divergence(p: Normal, q: Normal) -> float:
    (m, v), (n, w) = p, q
    return 0.5 * (math.log(w / v) + (v + (m - n) ** 2) / w - 1)


def common(kind: Any, average: str, p: Normal, q: Normal) -> Normal:
    (m, v), (n, w) = p, q
    if kind is AdaGVAE:
        return (m + n) / 2, (v + w) / 2
    precision = 1 / v + 1 / w
    return (m / v + n / w) / precision, (1 if average == "product" else 2) / precision


METHODS = [(AdaGVAE, ""), (AdaMLVAE, "product"), (AdaMLVAE, "geometric")]


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize(("kind", "average"), METHODS)
@pytest.mark.parametrize("distance", ["kl", "symmetric"])
def test_terms(kind: Any, average: str, distance: str, likelihood: str) -> None:
    words = {"average": average} if average else {}
    one = case(kind(beta=3.3, distance=distance, **words), likelihood)
    views = [oracle.split(rows(one.model.encoder(x))) for x in (one.batch.x, one.batch.y)]
    posteriors = [
        [list(zip(m, [math.exp(a) for a in v], strict=True)) for m, v in zip(means, logvars, strict=True)]
        for means, logvars in views
    ]
    count = 0
    for first, second in zip(*posteriors, strict=True):
        apart = []
        for p, q in zip(first, second, strict=True):
            there, back = divergence(p, q), divergence(q, p)
            apart.append(there if distance == "kl" else (there + back) / 2)
        threshold = (max(apart) + min(apart)) / 2
        for j, far in enumerate(apart):
            if far < threshold:
                count += 1
                first[j] = second[j] = common(kind, average, first[j], second[j])
    recon = kl = 0.0
    for view, name, x in zip(posteriors, ("z", "y"), (one.batch.x, one.batch.y), strict=True):
        means = [[m for m, _ in row] for row in view]
        logvars = [[math.log(v) for _, v in row] for row in view]
        z = oracle.sample(means, logvars, rows(one.batch.noise[name]))
        recon += oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(x)) / 2
        kl += oracle.kl(means, logvars) / 2
    loss = one.loss()
    for name, value in {"recon": recon, "kl": kl, "shared": count / len(posteriors[0])}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + 3.3 * kl, rel=TIGHT)

"""VampPrior against its mixture written out."""

from __future__ import annotations

import math

import pytest

from unweave.methods import VampPrior

from . import oracle
from .case import TIGHT, case, rows, table


def log_normal(z: oracle.Numbers, mean: oracle.Numbers, logvar: oracle.Numbers) -> float:
    parts = zip(z, mean, logvar, strict=True)
    return math.fsum(-0.5 * (math.log(2 * math.pi) + v + (a - m) ** 2 / math.exp(v)) for a, m, v in parts)


def posterior(outputs: oracle.Matrix) -> tuple[list[list[float]], list[list[float]]]:
    """Means, and log-variances kept in [−6, 2]."""
    half = len(outputs[0]) // 2
    return [list(row[:half]) for row in outputs], [[min(max(v, -6.0), 2.0) for v in row[half:]] for row in outputs]


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("step", [0, 6, 19, 500])
@pytest.mark.parametrize("count", [1, 4])
def test_terms(count: int, step: int, likelihood: str) -> None:
    one = case(VampPrior(pseudo_inputs=count, warmup_steps=20), likelihood, step)
    raw = rows(one.model.pixels)
    assert any(p < 0 for row in raw for p in row), "some pixels are outside"
    inputs = [[min(max(p, 0.0), 1.0) for p in row] for row in raw]
    centres = posterior(rows(one.model.encoder(table(inputs).view(count, 1, 8, 8))))
    means, logvars = posterior(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    rates = []
    for code, mean, logvar in zip(z, means, logvars, strict=True):
        parts = [log_normal(code, m, v) for m, v in zip(*centres, strict=True)]
        top = max(parts)
        prior = top + math.log(math.fsum(math.exp(p - top) for p in parts) / count)
        rates.append(log_normal(code, mean, logvar) - prior)
    kl, weight = oracle.mean(rates), min((step + 1) / 20, 1.0)
    loss = one.loss()
    for name, value in {"recon": recon, "kl": kl, "warm_up": weight}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + weight * kl, rel=TIGHT)


def test_log_variances_are_kept_between_minus_6_and_2() -> None:
    one = case(VampPrior(pseudo_inputs=3), spread=3.0)
    outputs = rows(one.model.encoder(one.batch.x))
    wide = [v for row in outputs for v in row[len(row) // 2 :]]
    assert min(wide) < -6 and max(wide) > 2
    q = one.model.encode(one.batch.x)
    assert rows(q.logvar) == posterior(outputs)[1] and rows(q.mean) == posterior(outputs)[0]

"""Entropies of the aggregate posterior against plain sums over all images."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.analysis import AggregatePosterior
from unweave.types import Codes

IMAGES, LATENTS, SAMPLES = 7, 4, 9


@pytest.mark.parametrize("latents", [(0,), (3,), (1, 2), (3, 0), (0, 1, 2, 3)])
def test_entropies(latents: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    codes = Codes.of(torch.randn(IMAGES, LATENTS).double(), logvar=torch.randn(IMAGES, LATENTS).double() - 1)
    posterior = AggregatePosterior(codes, SAMPLES, seed=5)
    assert codes.logvar is not None
    means, logvars = codes.mean.tolist(), codes.logvar.tolist()
    total = 0.0
    for code in posterior.draws().z.tolist():
        mixed = 0.0
        for mean, logvar in zip(means, logvars, strict=True):
            product = 1 / IMAGES
            for j in latents:
                variance = math.exp(logvar[j])
                product *= math.exp(-((code[j] - mean[j]) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
            mixed += product
        total -= math.log(mixed)
    assert posterior.entropies([latents]).item() == pytest.approx(total / SAMPLES, rel=1e-9)


def test_draws_come_from_the_posteriors_they_name() -> None:
    torch.manual_seed(1)
    codes = Codes.of(10 * torch.randn(IMAGES, LATENTS).double(), logvar=torch.full((IMAGES, LATENTS), -6.0).double())
    z, own = AggregatePosterior(codes, IMAGES, seed=5).draws()
    seen = []
    for code, log_prob in zip(z.tolist(), own.tolist(), strict=True):
        each = [
            sum(
                -((c - m) ** 2) / (2 * math.exp(-6.0)) - 0.5 * math.log(2 * math.pi) + 3.0
                for c, m in zip(code, mean, strict=True)
            )
            for mean in codes.mean.tolist()
        ]
        assert max(each) == pytest.approx(log_prob, rel=1e-9)
        seen.append(each.index(max(each)))
    assert sorted(seen) == list(range(IMAGES))

"""The rate and its parts, with errors, for all latents, each of them and each block, against plain sums."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from unweave.analysis import AggregatePosterior, kl_decompose
from unweave.types import Codes

IMAGES, LATENTS, SAMPLES, SEED = 6, 4, 11, 2
GROUPS = [(0, 2), (1,), (3,)]


def normal(z: float, mean: float, logvar: float) -> float:
    variance = math.exp(logvar)
    return math.exp(-((z - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


@pytest.mark.parametrize("unit", [(0,), (1,), (2,), (3,), (0, 2), (0, 1, 2, 3)])
def test_parts_and_errors(unit: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    codes = Codes.of(torch.randn(IMAGES, LATENTS).double(), logvar=torch.randn(IMAGES, LATENTS).double() - 1)
    found = kl_decompose(codes, GROUPS, samples=SAMPLES, seed=SEED)
    posterior = AggregatePosterior(codes, SAMPLES, SEED)
    assert codes.logvar is not None
    means, logvars = codes.mean.tolist(), codes.logvar.tolist()

    def mixture(code: list[float], latents: tuple[int, ...]) -> float:
        each = [math.prod(normal(code[j], m[j], v[j]) for j in latents) for m, v in zip(means, logvars, strict=True)]
        return math.log(sum(each) / IMAGES)

    mi, tc, dw, joint, within = [], [], [], [], []
    for code, row in zip(posterior.draws().z.tolist(), posterior.rows().tolist(), strict=True):
        own = sum(math.log(normal(code[j], means[row][j], logvars[row][j])) for j in unit)
        single = sum(mixture(code, (j,)) for j in unit)
        mi.append(own - mixture(code, unit))
        tc.append(mixture(code, unit) - single)
        dw.append(single - sum(math.log(normal(code[j], 0.0, 0.0)) for j in unit))
        between = sum(mixture(code, group) for group in GROUPS)
        joint.append(mixture(code, (0, 1, 2, 3)) - between)
        within.append(between - single)

    def error(values: list[float]) -> float:
        return statistics.stdev(values) / math.sqrt(SAMPLES)

    kl = 0.0
    for m, v in zip(means, logvars, strict=True):
        kl += sum(0.5 * (m[j] ** 2 + math.exp(v[j]) - v[j] - 1) for j in unit) / IMAGES
    one = found if len(unit) == LATENTS else next(u for u in found.units if u.latents == unit)
    assert one.kl == pytest.approx(kl, rel=1e-9)
    for name, values in {"mi": mi, "tc": tc, "dw": dw}.items():
        assert getattr(one, name) == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-12)
        assert one.errors[name] == pytest.approx(error(values), rel=1e-9, abs=1e-12)
    summed = [a + b + c for a, b, c in zip(mi, tc, dw, strict=True)]
    assert one.errors["sum"] == pytest.approx(error(summed), rel=1e-9)
    if one is found:
        assert found.tc_joint == pytest.approx(statistics.fmean(joint), rel=1e-9)
        assert found.tc_within == pytest.approx(statistics.fmean(within), rel=1e-9)
        assert found.errors["tc_joint"] == pytest.approx(error(joint), rel=1e-9)
        assert found.errors["tc_within"] == pytest.approx(error(within), rel=1e-9)

"""MIG by densities against plain loops over the same draws, closed forms by integration, and groups of latents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from unweave.metrics import MIGPosterior
from unweave.types import Codes, UserError


def density(x, mean, logvar):
    return math.exp(-0.5 * (math.log(2 * math.pi) + logvar + (x - mean) ** 2 / math.exp(logvar)))


def loops(mean, logvar, levels, sets, samples, seed):
    """I / H of every set and factor, one product of densities at a time."""
    random = np.random.default_rng((seed, 5))
    order = random.permutation(len(mean))
    rows = [int(order[s % len(mean)]) for s in range(samples)]
    noise = random.standard_normal((samples, len(mean[0])))
    shares = []
    for group in sets:
        line = []
        for k in range(len(levels[0])):
            total = surprise = 0.0
            for s, row in enumerate(rows):
                z = [mean[row][j] + math.exp(logvar[row][j] / 2) * noise[s, j] for j in range(len(mean[0]))]
                each = [math.prod(density(z[j], m[j], v[j]) for j in group) for m, v in zip(mean, logvar, strict=True)]
                inside = [p for p, y in zip(each, levels, strict=True) if y[k] == levels[row][k]]
                total += math.log(sum(inside) / len(inside)) - math.log(sum(each) / len(each))
                surprise -= math.log(len(inside) / len(each))
            line.append(max(total / samples, 0.0) / (surprise / samples))
        shares.append(line)
    return shares


def gaps(shares):
    found = []
    for k in range(len(shares[0])):
        ranked = sorted((line[k] for line in shares), reverse=True)
        found.append(ranked[0] - (ranked[1] if len(ranked) > 1 else 0.0))
    return found


def some(rows=60, latents=4, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 3, 5)], axis=1)
    mean = levels @ random.normal(size=(3, latents)) + 0.3 * random.normal(size=(rows, latents))
    return mean, random.uniform(-3, 0, size=(rows, latents)), levels


@pytest.mark.parametrize(
    ("blocks", "mode", "sets"),
    [
        ((), "joint", [(0,), (1,), (2,), (3,)]),
        (((0, 2), (1, 3)), "joint", [(0, 2), (1, 3)]),
        (((3, 1),), "joint", [(3, 1), (0,), (2,)]),
        (((0, 2), (1, 3)), "ignore", [(0,), (1,), (2,), (3,)]),
    ],
)
def test_agrees_with_loops(blocks, mode, sets):
    mean, logvar, levels = some()
    score = MIGPosterior(samples=90, blocks=mode)(Codes.of(mean, levels, logvar=logvar, blocks=blocks), seed=4)
    shares = loops(mean.tolist(), logvar.tolist(), levels.tolist(), sets, 90, 4)
    expected = gaps(shares)
    assert score.value == pytest.approx(sum(expected) / 3, abs=1e-9)
    assert [score.parts[f"gap.factor {k}"] for k in range(3)] == pytest.approx(expected, abs=1e-9)
    top = [max(line[k] for line in shares) for k in range(3)]
    assert score.parts["nmi1"] == pytest.approx(sum(top) / 3, abs=1e-9)
    assert ("two_units" in score.settings) == (bool(blocks) and mode == "joint" and len(sets) == 2)
    assert score.settings.get("units") == ([list(s) for s in sets] if blocks and mode == "joint" else None)
    assert score.settings.get("blocks_ignored") == (True if blocks and mode == "ignore" else None)


@pytest.mark.parametrize("distance", [0.5, 2.0, 6.0])
def test_two_levels_by_integration(distance):
    """q(z|v) = N(±d/2, 1): I(z; v) = ∫ Σ_v ½ q(z|v) log q(z|v)/q(z)."""

    def integrand(x):
        p, q = density(x, -distance / 2, 0.0), density(x, distance / 2, 0.0)
        return sum(0.5 * r * math.log(2 * r / (p + q)) for r in (p, q) if r > 0)

    truth = quad(integrand, -15, 15)[0] / math.log(2)
    levels = np.arange(2000)[:, None] % 2
    mean = np.hstack([(levels - 0.5) * distance, np.zeros((2000, 1))])
    score = MIGPosterior(samples=40_000)(Codes.of(mean, levels, logvar=np.zeros((2000, 2))))
    assert score.value == pytest.approx(truth, abs=0.012)


def test_a_block_knows_what_no_latent_of_it_knows():
    """v = a xor b: each latent alone has no information, the two together all of it."""
    bits = np.stack(np.meshgrid([0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 2).repeat(100, axis=0)
    levels = (bits.sum(1) % 2)[:, None]
    mean = np.hstack([bits, np.random.default_rng(0).normal(size=(400, 2))]).astype(float)
    logvar = np.hstack([np.full((400, 2), -8.0), np.full((400, 2), 0.0)])
    codes = Codes.of(mean, levels, logvar=logvar, blocks=((0, 1), (2, 3)))
    assert MIGPosterior()(codes).parts["nmi1"] == pytest.approx(1, abs=1e-9)
    assert MIGPosterior(blocks="ignore")(codes).parts["nmi1"] < 0.05


def test_identity_zeros_and_duplicates():
    levels = np.random.default_rng(0).integers(0, 10, size=(1500, 3))
    narrow = np.full((1500, 3), -6.0)
    metric = MIGPosterior(samples=1000)
    assert metric(Codes.of(levels + 0.0, levels, logvar=narrow)).value > 0.98
    assert metric(Codes.of(np.zeros((1500, 3)), levels, logvar=np.zeros((1500, 3)))).value == pytest.approx(0, abs=1e-9)
    twice = Codes.of(np.hstack([levels, levels]) + 0.0, levels, logvar=np.hstack([narrow, narrow]))
    assert metric(twice).value == pytest.approx(0, abs=1e-3)


def test_no_share_is_above_one():
    """H over the same draws bounds I, whichever images are drawn."""
    levels = np.random.default_rng(1).integers(0, 7, size=(200, 2))
    codes = Codes.of(levels + 0.0, levels, logvar=np.full((200, 2), -9.0))
    for seed in range(20):
        assert MIGPosterior(samples=15)(codes, seed).parts["nmi1"] <= 1 + 1e-12


def test_narrow_posteriors_on_few_images_know_everything():
    """The trap that the docs name: noise whose posteriors never overlap has all the information, in every latent."""
    random = np.random.default_rng(0)
    levels = random.integers(0, 4, size=(200, 1))
    score = MIGPosterior(samples=500)(Codes.of(random.normal(size=(200, 3)), levels, logvar=np.full((200, 3), -25.0)))
    assert score.parts["nmi1"] > 0.99 and score.value < 0.01


@pytest.mark.parametrize("logvar", [-30.0, 20.0, 1e9])
def test_extreme_widths_stay_finite(logvar):
    random = np.random.default_rng(0)
    levels = random.integers(0, 4, size=(100, 2))
    mean = random.normal(size=(100, 60)) * 1e4
    widths = np.where(np.arange(60) % 2, logvar, -30.0) * np.ones((100, 1))
    codes = Codes.of(mean, levels, logvar=widths, blocks=(tuple(range(50)),))
    score = MIGPosterior(samples=50)(codes)
    assert all(math.isfinite(number) for number in (score.value, *score.parts.values()))


def test_points_have_no_density():
    with pytest.raises(UserError, match="these codes are points"):
        MIGPosterior()(Codes.of(np.zeros((20, 2)), np.arange(20)[:, None] % 2))
    with pytest.raises(UserError, match="samples = 0; allowed is 1"):
        MIGPosterior(samples=0)(Codes.of(np.zeros((20, 2)), np.arange(20)[:, None] % 2, logvar=np.zeros((20, 2))))

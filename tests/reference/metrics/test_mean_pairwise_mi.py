"""Mean pairwise mutual information against loops, and dependence that correlation does not see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import GaussianTC, MeanPairwiseMI
from unweave.types import Codes, UserError


def loops(z, bins):
    """(mean, largest, mean normalised) of I over pairs, one pair at a time."""
    n, latents = len(z), len(z[0])
    binned = []
    for j in range(latents):
        column = [row[j] for row in z]
        low, step = min(column), (max(column) - min(column)) / bins
        binned.append([max([i for i in range(bins) if x >= low + i * step], default=0) if step else 0 for x in column])

    def entropy(symbols):
        return -sum(symbols.count(s) / n * math.log(symbols.count(s) / n) for s in set(symbols))

    shared, normalised = [], []
    for i in range(latents):
        for j in range(latents):
            if i != j:
                pairs = list(zip(binned[i], binned[j], strict=True))
                shared.append(entropy(binned[i]) + entropy(binned[j]) - entropy(pairs))
                scale = math.sqrt(entropy(binned[i]) * entropy(binned[j]))
                normalised.append(shared[-1] / scale if scale else 0.0)
    return sum(shared) / len(shared), max(shared), sum(normalised) / len(normalised)


@pytest.mark.parametrize(("seed", "bins"), [(0, 20), (1, 4)])
def test_agrees_with_loops(seed, bins):
    random = np.random.default_rng(seed)
    z = np.hstack([random.normal(size=(150, 3)) @ random.normal(size=(3, 3)), np.full((150, 1), 0.1)])
    score = MeanPairwiseMI(bins=bins)(Codes.of(z))
    mean, largest, normalised = loops(z.tolist(), bins)
    assert score.value == pytest.approx(mean, abs=1e-9)
    assert (score.parts["largest"], score.parts["nmi"]) == pytest.approx((largest, normalised), abs=1e-9)


def test_samples_of_the_posterior():
    random = np.random.default_rng(0)
    mean, logvar = random.normal(size=(200, 3)), random.uniform(-2, 0, size=(200, 3))
    noise = np.random.default_rng((6, 5)).standard_normal((200, 3))
    score = MeanPairwiseMI("sample", bins=5)(Codes.of(mean, logvar=logvar), seed=6)
    assert score.value == pytest.approx(loops((mean + np.exp(logvar / 2) * noise).tolist(), 5)[0], abs=1e-9)
    with pytest.raises(UserError, match="these codes are points"):
        MeanPairwiseMI("sample")(Codes.of(mean))


def test_independent_identical_and_single_latents():
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20), indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
    assert MeanPairwiseMI()(Codes.of(grid)).value == 0
    assert MeanPairwiseMI()(Codes.of(grid[:, [0, 0]])).value == pytest.approx(math.log(20), abs=1e-9)
    assert dict(MeanPairwiseMI()(Codes.of(grid[:, :1])).parts) == {"largest": 0.0, "nmi": 0.0}
    assert MeanPairwiseMI()(Codes.of(np.zeros((30, 3)))).value == 0


def test_it_sees_dependence_without_correlation():
    x = np.linspace(-1, 1, 2001)[:, None]
    codes = Codes.of(np.hstack([x, x**2]))
    assert MeanPairwiseMI()(codes).value > 1.5 and GaussianTC()(codes).value < 1e-9


def test_noise_and_its_correction():
    """The docstring's (bins − 1)² / 2M, which most outer bins of normal noise are too empty to reach."""
    codes = Codes.of(np.random.default_rng(0).uniform(size=(5000, 6)))
    assert MeanPairwiseMI()(codes).value == pytest.approx(19**2 / 10_000, rel=0.05)
    assert MeanPairwiseMI(correction="permutation")(codes).value < 0.002
    assert MeanPairwiseMI(binning="mass", correction="permutation").label == "mean-pairwise-mi-mass-permutation"

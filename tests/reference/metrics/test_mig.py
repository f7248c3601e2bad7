"""MIG against plain loops, the fixed points of its published tests, and ceilings derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import MIG
from unweave.types import Codes

DSPRITES = (3, 6, 40, 32, 32)


def loops(z, levels, bins):
    """MIG by its definition, one number at a time."""
    n = len(z)
    gaps = []
    for k in range(len(levels[0])):
        factor = [row[k] for row in levels]
        h = -sum(factor.count(v) / n * math.log(factor.count(v) / n) for v in set(factor))
        informations = []
        for d in range(len(z[0])):
            column = [row[d] for row in z]
            low, step = min(column), (max(column) - min(column)) / bins
            places = [max([i for i in range(bins) if x >= low + i * step], default=0) if step else 0 for x in column]
            total = 0.0
            for u in set(places):
                for w in set(factor):
                    both = sum(p == u and f == w for p, f in zip(places, factor, strict=True)) / n
                    if both:
                        total += both * math.log(both * n * n / (places.count(u) * factor.count(w)))
            informations.append(total)
        informations.sort(reverse=True)
        gaps.append((informations[0] - informations[1]) / h)
    return gaps


def ten_factors(rows, seed=0):
    """Ten factors of ten levels, uniform."""
    return np.random.default_rng(seed).integers(0, 10, size=(rows, 10))


@pytest.mark.parametrize(("seed", "bins"), [(0, 20), (1, 5), (2, 20)])
def test_agrees_with_loops(seed, bins):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=250) for size in (3, 5, 9)], axis=1)
    z = levels @ random.normal(size=(3, 4)) + random.normal(size=(250, 4))
    score = MIG(bins=bins)(Codes.of(z, levels, names=("a", "b", "c")))
    gaps = loops(z.tolist(), levels.tolist(), bins)
    assert score.value == pytest.approx(sum(gaps) / 3, abs=1e-9)
    assert [score.parts[f"gap.{name}"] for name in "abc"] == pytest.approx(gaps, abs=1e-9)
    assert score.value == pytest.approx(score.parts["nmi1"] - score.parts["nmi2"], abs=1e-12)


def test_identity_zeros_and_duplicates():
    levels = ten_factors(3000)
    assert MIG()(Codes.of(levels + 1.0, levels)).value > 0.9
    assert MIG()(Codes.of(np.zeros((3000, 10)), levels)).value == 0
    assert MIG()(Codes.of(np.hstack([levels, levels]).astype(float), levels)).value == pytest.approx(0, abs=1e-12)


def test_ceiling_by_hand_40_and_32_levels_in_20_bins():
    """40 levels share bins by twos: NMI ln 20 / ln 40. Of 32 levels, 24 share one with another: 1 − ¾ ln 2 / ln 32."""
    levels = np.stack(np.meshgrid(np.arange(40), np.arange(32), indexing="ij"), axis=-1).reshape(-1, 2)
    score = MIG(images=None)(Codes.of(levels.astype(float), levels, names=("orientation", "x")))
    assert score.parts["gap.orientation"] == pytest.approx(math.log(20) / math.log(40), abs=1e-9)
    assert score.parts["gap.x"] == pytest.approx(1 - 0.75 / 5, abs=1e-9)


def test_perfect_code_of_dsprites_scores_896():
    """By hand (1 + 1 + .812 + .85 + .85) / 5 = .9025, less the plug-in information of the second best latent."""
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, size=10_000) for size in DSPRITES], axis=1)
    score = MIG()(Codes.of(levels.astype(float), levels))
    assert score.value == pytest.approx(0.896, abs=0.002)
    bound = (2 + math.log(20) / math.log(40) + 2 * 0.85) / 5
    assert score.parts["nmi1"] == pytest.approx(bound, abs=0.002)


def test_one_outlier_sets_the_range_of_the_bins():
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, size=10_000) for size in DSPRITES], axis=1)
    z = levels.astype(float)
    z[0] = 50 * z.max(0)
    assert MIG()(Codes.of(z, levels)).value < 0.2


def test_one_latent_has_no_second_best():
    levels = np.arange(40)[:, None] % 4
    assert MIG()(Codes.of(levels.astype(float), levels)).value == pytest.approx(1, abs=1e-12)


def test_reads_a_seeded_sample_without_replacement():
    levels = ten_factors(4000)
    codes = Codes.of(levels + 0.5 * np.random.default_rng(1).normal(size=levels.shape), levels)
    metric = MIG(images=1000)
    score = metric(codes, seed=3)
    rows = np.random.default_rng((3, 0)).permutation(4000)[:1000]
    assert len(set(rows.tolist())) == 1000
    assert score.value == MIG(images=None)(Codes.of(codes.mean[rows], codes.levels[rows])).value
    assert score.value != metric(codes, seed=4).value
    assert score.settings["images"] == 1000 and score.settings["bins"] == 20 and score.settings["seed"] == 3


def test_positive_scaling_of_latents_changes_nothing():
    """A model whose latent spaces are rescalings of one another has the same MIG in each."""
    random = np.random.default_rng(5)
    levels = random.integers(0, 6, size=(5000, 3))
    z = levels @ random.normal(size=(3, 5)) + random.normal(size=(5000, 5))
    base = MIG()(Codes.of(z, levels)).value
    for _ in range(5):
        scaled = z * np.exp(random.normal(size=5))
        assert MIG()(Codes.of(scaled, levels)).value == pytest.approx(base, abs=1e-6)

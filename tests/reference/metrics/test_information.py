"""Binning, entropy and mutual information against plain loops, and values known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from unweave.metrics.information import discretise, entropy, information_matrix, mutual_information, nmi
from unweave.types import Codes


def loops(a, b):
    """I(a; b) in nats: the sum over pairs of values, term by term."""
    n = len(a)
    total = 0.0
    for u in set(a):
        for w in set(b):
            both = sum(1 for i in range(n) if a[i] == u and b[i] == w) / n
            if both:
                total += both * math.log(both / ((a.count(u) / n) * (b.count(w) / n)))
    return total


def test_bins_known_by_hand():
    assert discretise([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6]], bins=3)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("bins", [2, 7, 20])
def test_bins_are_those_of_the_published_discretiser(bins):
    z = np.random.default_rng(3).normal(size=(500, 4)) * [1.0, 1e-3, 1e4, 0.5]
    for j in range(4):
        published = np.digitize(z[:, j], np.histogram(z[:, j], bins)[1][:-1]) - 1
        assert np.array_equal(discretise(z, bins)[:, j], published)


@pytest.mark.parametrize("constant", [0.0, -3.5, 1e30, 1e-320])
def test_a_constant_latent_has_one_bin(constant):
    assert not discretise(np.full((50, 1), constant)).any()


def test_a_spread_below_rounding_is_a_constant():
    z = np.full((50, 1), 1.0)
    z[0] = np.nextafter(1.0, 2.0)
    assert not discretise(z).any()


def test_entropy_and_information_of_bits():
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert entropy([[0], [1], [2]])[0] == pytest.approx(math.log(3), abs=1e-12)
    assert mutual_information(bits, bits) == pytest.approx(np.diag([math.log(2)] * 2), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_information_agrees_with_loops_and_with_scikit_learn(seed):
    random = np.random.default_rng(seed)
    a = random.integers(0, 6, size=(200, 3))
    b = np.stack([a[:, 0] // 2, random.integers(0, 9, size=200)], axis=1)
    found = mutual_information(a, b)
    for d in range(3):
        for k in range(2):
            assert found[d, k] == pytest.approx(loops(a[:, d].tolist(), b[:, k].tolist()), abs=1e-9)
            assert found[d, k] == pytest.approx(mutual_info_score(a[:, d], b[:, k]), abs=1e-9)


def test_factors_are_not_binned():
    """60 levels in 20 bins of the latent: the latent loses, the factor does not."""
    levels = np.repeat(np.arange(60), 10)[:, None]
    codes = Codes.of(levels.astype(float), levels)
    assert information_matrix(codes)[0, 0] == pytest.approx(math.log(20), abs=1e-9)
    assert nmi(codes)[0, 0] == pytest.approx(math.log(20) / math.log(60), abs=1e-9)


def test_nmi_of_a_factor_with_one_level_is_zero():
    levels = np.stack([np.arange(40) % 4, np.zeros(40, dtype=int)], axis=1)
    found = nmi(Codes.of(levels[:, :1].astype(float), levels))
    assert found[0] == pytest.approx([1.0, 0.0], abs=1e-12)

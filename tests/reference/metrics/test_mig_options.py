"""Binning, correction and blocks of MIG against loops, sums over all orders, and what each does to known codes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from unweave.metrics import MIG, information_matrix
from unweave.metrics.information import discretise, entropy, expected_information, joined, mutual_information, units
from unweave.types import Codes, UserError

DSPRITES = (3, 6, 40, 32, 32)


def factors(rows=10_000, seed=0):
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, size, size=rows) for size in DSPRITES], axis=1)


def plug_in(a, b):
    n = len(a)
    both = {}
    for pair in zip(a, b, strict=True):
        both[pair] = both.get(pair, 0) + 1
    return sum(c / n * math.log(c * n / (a.count(u) * b.count(w))) for (u, w), c in both.items())


def test_default_numbers_are_those_before_the_options():
    """Values printed by the version without options, to the last bit."""
    levels = factors(400, 3)[:, :3]
    z = levels @ np.random.default_rng(1).normal(size=(3, 4)) + np.random.default_rng(2).normal(size=(400, 4))
    score = MIG()(Codes.of(z, levels))
    assert (score.value, score.parts["nmi1"]) == BEFORE
    assert score.settings["binning"] == "width" and score.settings["correction"] == "none"


BEFORE = (0.05974392978082279, 0.24012427892062357)


@pytest.mark.parametrize("seed", range(3))
def test_expected_information_is_the_mean_over_all_orders(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 3, size=6).tolist(), random.integers(0, 2 + seed, size=6).tolist()
    orders = list(itertools.permutations(b))
    mean = sum(plug_in(a, list(order)) for order in orders) / len(orders)
    assert expected_information(np.bincount(a), np.bincount(b)) == pytest.approx(mean, abs=1e-9)


def test_expected_information_agrees_with_scikit_learn():
    from sklearn.metrics import adjusted_mutual_info_score

    random = np.random.default_rng(0)
    a, b = random.integers(0, 20, size=500), random.integers(0, 9, size=500)
    expected = expected_information(np.bincount(a), np.bincount(b))
    adjusted = adjusted_mutual_info_score(a, b, average_method="max")
    top = max(float(entropy(x[:, None])[0]) for x in (a, b))
    assert (plug_in(a.tolist(), b.tolist()) - expected) / (top - expected) == pytest.approx(adjusted, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_corrections_agree_with_loops(seed):
    random = np.random.default_rng(seed)
    a = random.integers(0, 5, size=(80, 2))
    b = np.stack([a[:, 0] // 2, random.integers(0, 7, size=80), np.zeros(80, dtype=int)], axis=1)
    miller, permuted = (mutual_information(a, b, how) for how in ("miller-madow", "permutation"))
    for d in range(2):
        for k in range(3):
            u, w = a[:, d].tolist(), b[:, k].tolist()
            raw = plug_in(u, w)
            values, pairs = len(set(u)) + len(set(w)), len(set(zip(u, w, strict=True)))
            first = raw + (values - pairs - 1) / 160 if len(set(w)) > 1 else 0.0
            second = raw - expected_information(np.bincount(u), np.bincount(w))
            assert miller[d, k] == pytest.approx(max(first, 0), abs=1e-9)
            assert permuted[d, k] == pytest.approx(max(second, 0), abs=1e-9)


def test_what_corrections_do_to_noise_and_to_a_perfect_code():
    """Plug-in gives noise .007 of a factor at 10,000 images; corrections less, and a perfect code all that is told."""
    levels = factors()
    noise = Codes.of(np.random.default_rng(1).normal(size=(10_000, 10)), levels)
    perfect = Codes.of(levels.astype(float), levels)
    tops = {how: MIG(correction=how)(noise).parts["nmi1"] for how in ("none", "miller-madow", "permutation")}
    assert tops["none"] > 0.0065 and tops["miller-madow"] < 0.45 * tops["none"]
    assert tops["permutation"] < 0.15 * tops["none"]
    values = {how: MIG(correction=how)(perfect) for how in tops}
    assert values["permutation"].value > values["none"].value
    for how in ("miller-madow", "permutation"):
        assert values[how].parts["gap.factor 0"] == pytest.approx(1, abs=2e-3)
        assert values[how].parts["nmi1"] <= 1


def test_bins_without_outliers():
    levels = factors()
    clean = Codes.of(levels.astype(float), levels)
    z = levels.astype(float)
    z[0] = 50 * z.max(0)
    spoilt = Codes.of(z, levels)
    assert MIG()(spoilt).value < 0.2
    for binning in ("clipped", "mass"):
        assert MIG(binning=binning)(spoilt).value == pytest.approx(MIG(binning=binning)(clean).value, abs=2e-3)
    assert MIG(binning="clipped")(clean).value == MIG()(clean).value


def test_clipped_bins_by_loops():
    z = np.random.default_rng(0).normal(size=(500, 1)) ** 3
    found = discretise(z, 7, "clipped", tail=0.01)[:, 0]
    ordered = sorted(z[:, 0].tolist())
    low, high = ordered[5], ordered[-6]
    edges = np.linspace(low, high, 8)
    for x, place in zip(z[:, 0].tolist(), found.tolist(), strict=True):
        inside = min(max(x, low), high)
        assert place == max(i for i in range(7) if inside >= edges[i])


def test_bins_of_equal_mass_by_loops_and_their_laws():
    random = np.random.default_rng(0)
    z = random.normal(size=(600, 1))
    found = discretise(z, 8, "mass")
    assert np.bincount(found[:, 0]).tolist() == [75] * 8
    assert np.array_equal(found, discretise(np.exp(3 * z), 8, "mass"))
    ties = random.integers(0, 40, size=(900, 1))
    placed = discretise(ties, 20, "mass")[:, 0]
    assert all(len(set(placed[ties[:, 0] == level].tolist())) == 1 for level in range(40))
    assert (np.diff([placed[ties[:, 0] == level][0] for level in range(40)]) >= 0).all() and placed.max() < 20
    assert not discretise(np.full((30, 1), 2.5), 8, "mass").any()
    assert not discretise(np.full((30, 1), 2.5), 8, "clipped").any()


def test_blocks_of_bins_by_loops():
    random = np.random.default_rng(0)
    levels = random.integers(0, 4, size=(300, 2))
    z = random.normal(size=(300, 3))
    z[:, 0] += levels[:, 0]
    found = information_matrix(Codes.of(z, levels), bins=4, blocks=[(2, 0)])
    binned = discretise(z, 4)
    pairs = [tuple(row) for row in binned[:, [2, 0]].tolist()]
    for k in range(2):
        assert found[0, k] == pytest.approx(plug_in(pairs, levels[:, k].tolist()), abs=1e-9)
        assert found[1, k] == pytest.approx(plug_in(binned[:, 1].tolist(), levels[:, k].tolist()), abs=1e-9)


def test_blocks_of_mig():
    """v = a xor b needs the pair; the pair is one code, so there is nothing second to it."""
    bits = np.stack(np.meshgrid([0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 2).repeat(30, axis=0)
    levels = (bits.sum(1) % 2)[:, None]
    codes = Codes.of(bits.astype(float), levels, blocks=((0, 1),))
    assert MIG()(codes).value == 0 and MIG()(codes).settings["blocks_ignored"]
    score = MIG(blocks="joint")(codes)
    assert score.value == pytest.approx(1, abs=1e-12) and score.settings["units"] == [[0, 1]]
    assert "blocks_ignored" not in score.settings
    assert MIG(blocks="joint")(codes._replace(blocks=())).value == 0


def test_units_are_blocks_and_what_is_left():
    assert units([(2, 0)], 4) == ((2, 0), (1,), (3,)) and units((), 2) == ((0,), (1,))
    assert joined(np.array([[0, 1], [0, 2], [0, 1]]), [(0, 1)])[:, 0].tolist() == [0, 1, 0]
    for wrong in ([(0, 4)], [(0, 1), (1, 2)], [()], [(-1, 0)]):
        with pytest.raises(UserError, match="allowed: disjoint"):
            units(wrong, 4)


def test_a_level_of_its_own_for_every_image_tells_nothing():
    levels = np.arange(30)[:, None]
    for how in ("miller-madow", "permutation"):
        assert 0 <= MIG(correction=how)(Codes.of(levels.astype(float), levels)).value <= 1
    assert MIG(correction="permutation")(Codes.of(levels.astype(float), levels)).value == 0


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (MIG(binning="masses"), "unknown binning of MIG 'masses' — did you mean 'mass'?"),  # type: ignore[arg-type]
        (MIG(correction="miller"), "unknown correction of MIG 'miller'"),  # type: ignore[arg-type]
        (MIG(tail=0.5), "tail = 0.5; allowed is above 0 and below 0.5"),
        (MIG(blocks="both"), "unknown blocks of MIG 'both'"),  # type: ignore[arg-type]
    ],
)
def test_bad_options_are_refused(metric, message):
    with pytest.raises(UserError) as caught:
        metric(Codes.of(np.zeros((20, 2)), np.arange(20)[:, None] % 2))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_labels_keep_variants_apart():
    assert MIG().label == "mig" and MIG(bins=10).label == "mig-bins10"
    assert MIG(binning="mass", correction="permutation", blocks="joint").label == "mig-mass-permutation-blocks"

"""Blocks of latents as codes, for every metric that knows them: against loops, and what blocks must not change."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.special import digamma
from sklearn.svm import LinearSVC

from unweave.metrics import (
    DCI,
    IRS,
    MED,
    METRICS,
    MIG,
    SAP,
    BetaVAEScore,
    Downstream,
    Explicitness,
    FactorVAEScore,
    GaussianTC,
    GaussianWasserstein,
    InfoMEC,
    MeanPairwiseMI,
    MIGPosterior,
    Modularity,
)
from unweave.metrics.beta_vae import differences, draw_pairs
from unweave.metrics.factor_vae import draw, least_varying
from unweave.metrics.infomec import several_neighbours
from unweave.types import Codes, UserError

BLOCKS = ((0, 3), (1, 4))
SETS = [[0, 3], [1, 4], [2]]
SIZES = (2, 3, 4)
JOINT = [
    MIG(blocks="joint"),
    MIGPosterior(samples=200),
    DCI("fast", train=200, test=100, blocks="joint"),
    DCI("lasso", train=200, test=100, blocks="joint"),
    SAP(blocks="joint"),
    SAP(continuous=True, blocks="joint"),
    FactorVAEScore(votes=300, test_votes=200, batch=8, blocks="joint"),
    BetaVAEScore(votes=200, test_votes=100, batch=8, blocks="joint"),
    Modularity(blocks="joint"),
    MED(blocks="joint"),
    IRS(blocks="joint"),
    InfoMEC(blocks="joint"),
    InfoMEC("bins", blocks="joint"),
    InfoMEC("values", blocks="joint"),
    MeanPairwiseMI(blocks="joint"),
    GaussianTC(blocks="joint"),
    GaussianTC("sample", blocks="joint"),
    GaussianWasserstein(blocks="joint"),
]


def arrays(rows=300, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in SIZES], axis=1)
    v = (levels - levels.mean(0)) / levels.std(0)
    return v @ (np.eye(3, 5) + 0.3 * random.normal(size=(3, 5))) + 0.4 * random.normal(size=(rows, 5)), levels


def codes(z, levels, blocks=BLOCKS):
    return Codes.of(z, levels, logvar=np.full(z.shape, -2.0), sizes=SIZES, blocks=blocks)


def numbers(score):
    return {"value": score.value, **score.parts}


def shared(a, b):
    """I of two lists of symbols, by counting."""
    total, n = 0.0, len(a)
    for x in sorted(set(a)):
        for y in sorted(set(b)):
            both = sum(1 for i in range(n) if a[i] == x and b[i] == y) / n
            if both:
                total += both * math.log(both / ((a.count(x) / n) * (b.count(y) / n)))
    return total


def symbols(z, unit, bins=20):
    """One symbol an image: the equal-width bins of a block's latents together."""
    rows = []
    for image in z:
        one = []
        for j in unit:
            low, high = z[:, j].min(), z[:, j].max()
            one.append(min(int((image[j] - low) / (high - low) * bins), bins - 1))
        rows.append(tuple(one))
    return rows


def information(z, levels):
    return np.array([[shared(symbols(z, u), levels[:, k].tolist()) for k in range(3)] for u in SETS])


def test_every_metric_with_factors_says_what_it_does_with_blocks():
    """All but those that read all latents together, or none of them, have the setting."""
    without = {"explicitness", "downstream", "active-units", "reconstruction"}
    has = {name for name, kind in METRICS.items() if any(one.name == "blocks" for one in fields(kind))}
    assert has == set(METRICS) - without


@pytest.mark.parametrize("metric", JOINT, ids=lambda m: m.label)
def test_joint_says_which_latents_were_one_and_changes_the_score(metric):
    data = codes(*arrays())
    score = metric(data)
    assert score.settings["units"] == SETS and "blocks_ignored" not in score.settings
    assert metric.label.endswith("-blocks") or metric.name == "mig-posterior"
    json.dumps(dict(score.settings))
    alone = replace(metric, blocks="ignore")
    assert alone(data).settings["blocks_ignored"] and alone.label != metric.label
    assert numbers(alone(data)) != numbers(score)
    with pytest.raises(UserError, match=f"unknown blocks of {type(metric).__name__} 'both'"):
        replace(metric, blocks="both")(data)


@pytest.mark.parametrize("metric", JOINT, ids=lambda m: m.label)
def test_joint_without_blocks_is_latent_by_latent(metric):
    z, levels = arrays()
    plain = codes(z, levels, blocks=())
    singles = codes(z, levels, blocks=tuple((j,) for j in range(5)))
    base = numbers(replace(metric, blocks="ignore")(plain))
    assert numbers(metric(plain)) == base and "units" not in metric(plain).settings
    assert numbers(metric(singles)) == pytest.approx(base, abs=1e-12)


@pytest.mark.parametrize("metric", JOINT, ids=lambda m: m.label)
def test_every_number_is_finite_on_odd_blocks(metric):
    z, levels = arrays()
    whole = (tuple(range(5)),)
    for changed in (np.zeros_like(z), z * [1, 1, 1, 0, 0], z * [0, 1, 1, 0, 1], z[:, [0, 1, 2, 0, 1]], z * 1e-300):
        for blocks in (BLOCKS, whole):
            score = metric(codes(changed, levels, blocks))
            assert all(math.isfinite(one) for one in numbers(score).values()), (blocks, score)
    with pytest.raises(UserError, match="disjoint"):
        metric(codes(z, levels, blocks=((0, 1), (1, 2))))


@pytest.mark.parametrize("metric", [Explicitness(), Downstream(sizes=(50, 150))], ids=lambda m: m.name)
def test_blocks_make_no_difference_to_those_that_read_all_latents_together(metric):
    z, levels = arrays()
    assert metric(codes(z, levels)) == metric(codes(z, levels, blocks=()))


def test_modularity_med_pairs_and_infomec_of_bins():
    z, levels = arrays(120)
    data, table = codes(z, levels), information(z, levels)
    own = [
        1 - sum((row[k] / row.max()) ** 2 for k in range(3) if k != row.argmax()) / 2 if row.max() > 0 else 0.0
        for row in table
    ]
    assert Modularity(blocks="joint")(data).value == pytest.approx(sum(own) / 3, abs=1e-9)
    share = table / table.sum(0)
    assert MED(blocks="joint").shares(data) == pytest.approx(share, abs=1e-9)
    pairs = [shared(symbols(z, a), symbols(z, b)) for a, b in combinations(SETS, 2)]
    assert MeanPairwiseMI(blocks="joint")(data).value == pytest.approx(sum(pairs) / 3, abs=1e-9)
    h = [shared(column, column) for column in levels.T.tolist()]
    nmi = table / np.array(h)
    infom = (np.mean([row.max() / row.sum() for row in nmi]) - 1 / 3) / (1 - 1 / 3)
    infoc = (np.mean([column.max() / column.sum() for column in nmi.T]) - 1 / 3) / (1 - 1 / 3)
    score = InfoMEC("bins", blocks="joint")(data)
    assert score.parts["infom"] == pytest.approx(infom, abs=1e-9)
    assert score.parts["infoc"] == pytest.approx(infoc, abs=1e-9)


def test_importance_of_a_block_is_the_sum_over_its_latents():
    data = codes(*arrays())
    metric = DCI("fast", train=200, test=100)
    each, joint = metric.importance(data), replace(metric, blocks="joint").importance(data)
    by_hand = [[sum(each.matrix[j, k] for j in unit) for k in range(3)] for unit in SETS]
    assert joint.matrix == pytest.approx(np.array(by_hand), abs=1e-12)
    assert joint.test.tolist() == each.test.tolist()


def test_sap_of_blocks_fits_one_classifier_to_a_block():
    z, levels = arrays()
    order = np.random.default_rng((0, 1)).permutation(300)  # the split: 200 and 100 of 300
    train, test = order[:200], order[200:300]
    table = np.zeros((3, 3))
    for b, unit in enumerate(SETS):
        inputs = z[:, unit]
        if len(unit) > 1:
            mean, deviation = inputs[train].mean(0), inputs[train].std(0)
            inputs = (inputs - mean) / deviation
        for k in range(3):
            model = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(inputs[train], levels[train, k])
            table[b, k] = np.mean(model.predict(inputs[test]) == levels[test, k])
    best = np.sort(table, axis=0)
    assert SAP(blocks="joint")(codes(z, levels)).value == pytest.approx((best[-1] - best[-2]).mean(), abs=1e-12)


def test_sap_of_blocks_regresses_on_a_block():
    z, levels = arrays()
    order = np.random.default_rng((0, 1)).permutation(300)
    x, y = z[order[:200]], levels[order[:200]]
    table = np.zeros((3, 3))
    for b, unit in enumerate(SETS):
        design = np.column_stack([np.ones(len(x)), x[:, unit]])
        for k in range(3):
            weights = np.linalg.solve(design.T @ design, design.T @ y[:, k])
            table[b, k] = np.corrcoef(design @ weights, y[:, k])[0, 1] ** 2
    best = np.sort(table, axis=0)
    score = SAP(continuous=True, blocks="joint")(codes(z, levels))
    assert score.value == pytest.approx((best[-1] - best[-2]).mean(), abs=1e-9)


def test_the_least_varying_block():
    z, levels = arrays()
    votes = draw(levels, 40, 8, np.random.default_rng(3))
    named = least_varying(z, z.var(0, ddof=1), votes.rows, [tuple(unit) for unit in SETS])
    for v, rows in enumerate(votes.rows):
        spread = []
        for unit in SETS:
            shares = [np.var([z[i, j] for i in rows], ddof=1) / np.var(z[:, j], ddof=1) for j in unit]
            spread.append(sum(shares) / len(shares))
        assert named[v] == spread.index(min(spread))


def test_differences_of_blocks_are_lengths():
    z, levels = arrays()
    pairs = draw_pairs(levels, 20, 8, np.random.default_rng(3))
    found = differences(z, pairs, [tuple(unit) for unit in SETS])
    for v in range(20):
        for b, unit in enumerate(SETS):
            every = zip(pairs.first[v], pairs.second[v], strict=True)
            lengths = [math.sqrt(sum((z[i, j] - z[o, j]) ** 2 for j in unit)) for i, o in every]
            assert found[v, b] == pytest.approx(sum(lengths) / 8, abs=1e-12)


def test_robustness_of_blocks_measures_lengths():
    z, levels = arrays()
    found = IRS(quantile=1.0, blocks="joint").robustness(codes(z, levels))

    def furthest(rows, unit):
        middle = [np.mean([z[i, j] for i in rows]) for j in unit]
        return max(math.sqrt(sum((z[i, j] - m) ** 2 for j, m in zip(unit, middle, strict=True))) for i in rows)

    for b, unit in enumerate(SETS):
        whole = furthest(range(300), unit)
        for k in range(3):
            held = [furthest([i for i in range(300) if levels[i, k] == level], unit) for level in range(SIZES[k])]
            assert found.matrix[b, k] == pytest.approx(1 - np.mean(held) / whole, abs=1e-12)


def test_several_neighbours_by_loops():
    random = np.random.default_rng(0)
    z, levels = random.normal(size=(80, 2)), random.integers(0, 3, size=80)
    z[:, 0] += levels
    parts = []
    for i in range(80):
        same = [o for o in range(80) if o != i and levels[o] == levels[i]]
        k = min(5, len(same))
        nearest = sorted(max(abs(z[i] - z[o])) for o in same)[k - 1]
        inside = sum(1 for o in range(80) if max(abs(z[i] - z[o])) < nearest * (1 - 1e-8))
        parts.append(digamma(k) - digamma(len(same) + 1) - digamma(inside))
    by_hand = digamma(80) + np.mean(parts)
    assert by_hand > 0.1
    assert several_neighbours(z, levels, 5, random) == pytest.approx(by_hand, abs=1e-9)
    assert several_neighbours(random.normal(size=(500, 2)), random.integers(0, 3, size=500), 5, random) < 0.05


def test_gaussian_forms_of_blocks():
    z, levels = arrays(2000)
    sigma = np.cov(z.T)
    blocked = np.zeros((5, 5))
    for unit in SETS:
        for i in unit:
            for j in unit:
                blocked[i, j] = sigma[i, j]
    data = codes(z, levels)
    tc = 0.5 * (np.linalg.slogdet(blocked)[1] - np.linalg.slogdet(sigma)[1])
    assert tc > 0.1
    assert GaussianTC(blocks="joint")(data).value == pytest.approx(tc, abs=1e-9)
    assert GaussianTC(blocks="joint")(codes(z, levels, (tuple(range(5)),))).value == pytest.approx(0, abs=1e-9)
    root = sqrtm(blocked)
    move = np.trace(sigma + blocked) - 2 * np.trace(sqrtm(root @ sigma @ root)).real
    assert GaussianWasserstein(False, blocks="joint")(data).value == pytest.approx(move, abs=1e-7)


def test_a_factor_that_only_a_block_tells():
    """Two bits of noise whose sum is the factor: neither latent alone knows it, their block does."""
    random = np.random.default_rng(0)
    first, second, other = random.integers(0, 2, size=(3, 2000))
    levels = np.stack([first ^ second, other], axis=1)
    z = np.stack([first, second, other], axis=1) + 0.05 * random.normal(size=(2000, 3))
    data = Codes.of(z, levels, logvar=np.full(z.shape, -6.0), blocks=((0, 1),))
    for metric in (
        MIG(blocks="joint"),
        MIGPosterior(samples=500),
        InfoMEC(blocks="joint"),
        Modularity(blocks="joint"),
        MED(blocks="joint"),
    ):
        joint, alone = metric(data), replace(metric, blocks="ignore")(data)
        assert joint.value > 0.85 and joint.value > alone.value + 0.02, metric
    parts = InfoMEC(blocks="joint")(data).parts
    assert parts["infom"] > 0.9 and parts["infoc"] > 0.9


def test_an_angle_that_a_block_holds_as_sine_and_cosine():
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, 12, size=3000), random.integers(0, 4, size=3000)], axis=1)
    angle = 2 * math.pi * levels[:, 0] / 12
    z = np.stack([np.sin(angle), np.cos(angle), levels[:, 1] / 2], axis=1) + 0.02 * random.normal(size=(3000, 3))
    data = Codes.of(z, levels, blocks=((0, 1),))
    for metric in (SAP(blocks="joint"), MIG(blocks="joint"), DCI("fast", train=800, test=400, blocks="joint")):
        joint, alone = metric(data), replace(metric, blocks="ignore")(data)
        key = "completeness" if metric.name == "dci" else "value"
        assert numbers(joint)[key] > numbers(alone)[key] + 0.1, metric
    assert FactorVAEScore(votes=300, test_votes=200, batch=16, blocks="joint")(data).value == 1.0
    assert IRS(blocks="joint")(data).settings["parents"] == ["factor 0", "factor 1"]

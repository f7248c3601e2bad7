"""What holds for the BetaVAE score, modularity, explicitness, IRS, MED and DCI's lasso, as for the metrics before."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from made import arrays, codes, numbers

from unweave.metrics import DCI, IRS, MED, BetaVAEScore, Explicitness, Modularity
from unweave.testing import check_metric
from unweave.types import Codes, UserError

EXACT = [Modularity(), IRS(), IRS(quantile=1.0), MED(), MED(top=1), DCI("lasso")]
FITTED = [
    BetaVAEScore(votes=300, test_votes=200, batch=16),
    BetaVAEScore(votes=300, test_votes=200, batch=16, standardised=True),
    Explicitness(),
]
ALL = EXACT + FITTED


def label(metric):
    return f"{metric.label}-{getattr(metric, 'quantile', '')}"


def shrunk(metric, **fields):
    return type(metric)(**{**vars(metric), **fields})


@pytest.mark.parametrize(
    "metric",
    [m for m in ALL if m != DCI("lasso")] + [IRS(bins=20), MED(top=2, bins=5), Modularity(bins=5, images=100)],
    ids=label,
)
def test_the_shipped_contract_holds_for_every_option(metric):
    check_metric(metric)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_one_seed_one_score_and_global_seeds_do_not_matter(metric):
    data = codes(*arrays())
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    first = metric(data, seed=5)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    assert first == metric(data, seed=5)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_before, torch.get_rng_state())
    json.dumps(dict(first.settings))


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_order_and_sign_of_latents_do_not_matter(metric):
    """Solvers of classifiers stop a little before the optimum, so that a few of the test votes may change sides."""
    z, levels = arrays()
    base = numbers(metric(codes(z, levels)))
    for changed in (z[:, [2, 0, 3, 1]], -z[:, ::-1]):
        found = numbers(metric(codes(changed, levels)))
        binned = metric.name in ("modularity", "med")  # a mirrored value on the edge of a bin is in the other one
        assert found == pytest.approx(base, abs=1e-9 if metric in EXACT and not binned else 0.01)


@pytest.mark.parametrize("metric", ALL, ids=label)
@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
def test_a_constant_latent_adds_nothing_but_what_the_definition_says(metric, value):
    """It enters the plain mean of modularity, and completeness by the base of the entropy."""
    z, levels = arrays()
    base = numbers(metric(codes(z, levels)))
    more = numbers(metric(codes(np.hstack([z, np.full((len(z), 1), value)]), levels)))
    if metric.name == "modularity":
        assert more.pop("value") == pytest.approx(base.pop("value") * 4 / 5, abs=1e-12)
    if "completeness" in base:
        share = math.log(4) / math.log(5)
        assert 1 - more.pop("completeness") == pytest.approx((1 - base.pop("completeness")) * share, abs=1e-8)
    assert more == pytest.approx(base, abs=1e-8 if metric in EXACT else 1e-3)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_every_number_is_finite_on_dead_single_duplicated_and_extreme_latents(metric):
    z, levels = arrays(200)
    outlier = np.array(z)
    outlier[0] *= 1e30
    shapes = (np.zeros_like(z), z[:, :1], np.zeros_like(z[:, :1]), np.hstack([z, z]), np.full_like(z, 0.1))
    for changed in (*shapes, z * 1e-300, z * 1e-37, z * 1e37, outlier):
        found = metric(codes(changed, levels))
        assert all(math.isfinite(number) for number in numbers(found).values())
        assert -1e-12 <= found.value <= 1 + 1e-12


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_a_hundred_latents_and_one_factor(metric):
    random = np.random.default_rng(0)
    z, levels = arrays(400)
    wide = np.hstack([z, random.normal(size=(400, 96))])
    for data in (codes(wide, levels), Codes.of(wide, levels[:, :1]), Codes.of(z[:, :1], levels[:, :1])):
        found = metric(data)
        assert 0 <= found.value <= 1 + 1e-12
        assert all(math.isfinite(number) for number in numbers(found).values())


@pytest.mark.parametrize("metric", [m for m in ALL if m != DCI("lasso")], ids=label)
def test_scores_fall_as_noise_is_mixed_in(metric):
    """Not the lasso's: of noise it may keep one coefficient, which is concentrated. Its informativeness falls."""
    _, levels = arrays(2000)
    v = (levels - levels.mean(0)) / levels.std(0)
    noise = np.random.default_rng(1).normal(size=v.shape)
    ladder = [metric(codes((1 - a) * v + a * noise, levels)).value for a in (0, 0.25, 0.5, 0.75, 1)]
    assert all(low <= high + 0.03 for high, low in pairwise(ladder))
    assert ladder[0] > ladder[-1] + 0.15


def test_informativeness_of_the_lasso_falls_as_noise_is_mixed_in():
    _, levels = arrays(2000)
    v = (levels - levels.mean(0)) / levels.std(0)
    noise = np.random.default_rng(1).normal(size=v.shape)
    scores = [DCI("lasso")(codes((1 - a) * v + a * noise, levels)).parts for a in (0, 0.25, 0.5, 0.75, 1)]
    assert all(high["informativeness"] > low["informativeness"] for high, low in pairwise(scores))
    assert all(high["nrmse"] < low["nrmse"] for high, low in pairwise(scores))


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_a_factor_with_one_level_is_left_out_and_named(metric):
    z, levels = arrays()
    still = levels.copy()
    still[:, 1] = 2
    score, without = metric(codes(z, still)), metric(Codes.of(z, levels[:, [0, 2]], names=("shape", "x")))
    assert score.settings["constant_factors"] == ["scale"]
    assert numbers(score) == pytest.approx(numbers(without), abs=1e-12)
    with pytest.raises(UserError, match="single level"):
        metric(codes(z, np.zeros_like(levels)))


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_refusals(metric):
    z, levels = arrays()
    with pytest.raises(UserError, match="this data set has none"):
        metric(Codes.of(z))
    with pytest.raises(UserError, match="9 images; allowed is 10"):
        metric(codes(z[:9], levels[:9]))
    with pytest.raises(UserError, match="not finite"):
        metric(codes(z, levels)._replace(mean=torch.full(z.shape, math.nan)))
    sampled = shrunk(metric, images=100) if hasattr(metric, "images") else metric
    with pytest.raises(UserError, match="seed -1; allowed is 0"):
        sampled(codes(z, levels), seed=-1)


@pytest.mark.parametrize("metric", [m for m in ALL if m.name != "explicitness"], ids=label)
def test_blocks_are_scored_latent_by_latent_and_that_is_said(metric):
    z, levels = arrays()
    plain, grouped = metric(codes(z, levels)), metric(codes(z, levels, blocks=((0, 1), (2, 3))))
    assert grouped.settings["blocks_ignored"] and "blocks_ignored" not in plain.settings
    assert numbers(plain) == numbers(grouped)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_float32_codes_and_strided_codes_score_alike(metric):
    z, levels = arrays()
    single = z.astype(np.float32)
    base = metric(codes(single.astype(np.float64), levels))
    assert metric(Codes.of(torch.from_numpy(single), levels, names=("shape", "scale", "x"))).value == base.value
    strided = torch.from_numpy(np.ascontiguousarray(single.T)).T
    assert metric(Codes.of(strided, levels, names=("shape", "scale", "x"))).value == base.value


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_more_rows_than_asked_are_sampled(metric):
    data = codes(*arrays(3000, noise=0.8))
    if hasattr(metric, "images"):
        metric = shrunk(metric, images=1000)
        assert metric(data).settings["images"] == 1000
    elif hasattr(metric, "train"):
        metric = shrunk(metric, train=800, test=400)
        assert metric(data).settings["images"] == 1200
    first, second = metric(data, seed=0), metric(data, seed=1)
    assert numbers(first) != numbers(second)
    assert first.value == pytest.approx(second.value, abs=0.15)


@pytest.mark.parametrize("metric", [Explicitness(), DCI("lasso")], ids=label)
def test_number_of_threads_does_not_matter(metric):
    data = codes(*arrays(300))
    one, two = (shrunk(metric, n_jobs=jobs)(data) for jobs in (1, 2))
    assert one == two
    with pytest.raises(UserError, match="n_jobs = 0"):
        shrunk(metric, n_jobs=0)(data)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (BetaVAEScore(votes=0), "BetaVAEScore: votes = 0; allowed is 1 or more"),
        (BetaVAEScore(batch=0), "batch = 0; allowed is 1"),
        (Modularity(bins=1), "bins = 1; allowed is 2"),
        (Modularity(images=5), "images = 5; allowed is 10"),
        (Explicitness(train=4), "train = 4; allowed is 5"),
        (IRS(quantile=0.0), "IRS: quantile = 0.0; allowed is above 0, up to 1"),
        (IRS(bins=1), "bins = 1; allowed is 2"),
        (MED(top=0), "MED: top = 0; allowed is 1 or more"),
        (MED(images=9), "images = 9; allowed is 10"),
        (DCI("lasso", alpha=0.0), "DCI: alpha = 0.0; allowed is above 0"),
        (DCI("laso"), "did you mean 'lasso'? (allowed: boosting, fast, lasso)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_settings_are_refused_in_one_line(metric, message):
    with pytest.raises(UserError) as caught:
        metric(codes(*arrays(60)))
    assert message in str(caught.value) and "\n" not in str(caught.value)

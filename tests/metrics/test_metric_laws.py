"""What holds for every metric that reads factors, whatever its formula."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from made import arrays, codes, numbers

from unweave.metrics import DCI, METRICS, MIG, SAP, FactorVAEScore
from unweave.types import Codes, UserError

BINNED = [MIG(), FactorVAEScore(votes=600, test_votes=400, batch=16)]
FITTED = [DCI("fast", train=400, test=200), SAP(), SAP(continuous=True)]
SLOW = [DCI(train=400, test=200)]
ALL = BINNED + FITTED


def label(metric):
    return f"{metric.name}-{getattr(metric, 'estimator', getattr(metric, 'continuous', ''))}"


@pytest.mark.parametrize("metric", ALL + SLOW, ids=label)
def test_one_seed_one_score_and_global_seeds_do_not_matter(metric):
    data = codes(*arrays())
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    first = metric(data, seed=5)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    second = metric(data, seed=5)
    assert first == second
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_before, torch.get_rng_state())


@pytest.mark.parametrize("metric", ALL + SLOW, ids=label)
def test_order_and_sign_of_latents_do_not_matter(metric):
    """Trees break ties between latents by their order, so a few of the 200 test images may change sides."""
    z, levels = arrays()
    base = numbers(metric(codes(z, levels)))
    for changed in (z[:, [2, 0, 3, 1]], z * [1, -1, -1, 1], -z[:, ::-1]):
        found = numbers(metric(codes(changed, levels)))
        assert found["value"] == pytest.approx(base["value"], abs=0.01 if metric.name == "dci" else 1e-9)
        assert found == pytest.approx(base, abs=0.02 if metric.name == "dci" else 1e-9)


@pytest.mark.parametrize("metric", ALL + SLOW, ids=label)
def test_a_constant_latent_adds_nothing_but_what_the_definition_says(metric):
    """It enters completeness by the base of the entropy, and SAP as a second best at chance level."""
    z, levels = arrays()
    base = numbers(metric(codes(z, levels)))
    more = numbers(metric(codes(np.hstack([z, np.full((len(z), 1), 0.1)]), levels)))
    if metric == SAP():
        assert more["best"] == base["best"] and base["second"] <= more["second"] <= base["second"] + 0.03
        twice = metric(codes(np.hstack([z, np.full((len(z), 2), 0.1)]), levels))
        assert numbers(twice) == more
        return
    if metric.name == "dci":
        share = math.log(4) / math.log(5)
        assert 1 - more.pop("completeness") == pytest.approx((1 - base.pop("completeness")) * share, abs=2e-3)
    assert more == pytest.approx(base, abs=0.02 if metric in SLOW else 1e-9)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_every_number_is_finite_on_dead_and_single_latents(metric):
    z, levels = arrays()
    for changed in (np.zeros_like(z), z[:, :1], np.zeros_like(z[:, :1]), z * 1e-300, z * 1e-37, z * 1e37):
        found = numbers(metric(codes(changed, levels)))
        assert all(math.isfinite(number) for number in found.values())
        assert -1e-12 <= found["value"] <= 1 + 1e-12


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_scores_fall_as_noise_is_mixed_in(metric):
    _, levels = arrays(2000)
    v = (levels - levels.mean(0)) / levels.std(0)
    noise = np.random.default_rng(1).normal(size=v.shape)
    ladder = [metric(codes((1 - a) * v + a * noise, levels)).value for a in (0, 0.25, 0.5, 0.75, 1)]
    assert all(low <= high + 0.02 for high, low in pairwise(ladder))
    assert ladder[0] > ladder[-1] + 0.3


@pytest.mark.parametrize("metric", [DCI("fast"), SAP(), DCI(train=100, test=50)], ids=label)
def test_number_of_threads_does_not_matter(metric):
    data = codes(*arrays(300))
    one, two = (type(metric)(**{**vars(metric), "n_jobs": jobs})(data) for jobs in (1, 2))
    assert one == two
    with pytest.raises(UserError, match="n_jobs = 0"):
        type(metric)(**{**vars(metric), "n_jobs": 0})(data)


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
    with pytest.raises(UserError, match=r"reach 1.0e\+100; allowed is up to 3.4e\+38"):
        metric(codes(np.full_like(z, 1e100), levels))
    with pytest.raises(UserError, match="seed -1; allowed is 0"):
        type(metric)(**({"images": 100} if metric.name == "mig" else {}))(codes(z, levels), seed=-1)


@pytest.mark.parametrize("metric", ALL, ids=label)
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
    """The answer on a sample stays near that on everything, and depends on the seed."""
    data = codes(*arrays(3000))
    fields = {"mig": {"images": 1000}, "dci": {"train": 800, "test": 400}, "sap": {"train": 800, "test": 400}}
    smaller = type(metric)(**{**vars(metric), **fields.get(metric.name, {})})
    first, second = smaller(data, seed=0), smaller(data, seed=1)
    assert first.value != second.value
    assert first.value == pytest.approx(second.value, abs=0.15)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (MIG(bins=1), "bins = 1; allowed is 2"),
        (MIG(images=5), "images = 5; allowed is 10"),
        (DCI(train=0), "train = 0; allowed is 5"),
        (SAP(test=1), "test = 1; allowed is 5"),
        (FactorVAEScore(batch=1), "batch = 1; allowed is 2"),
        (FactorVAEScore(votes=0), "votes = 0; allowed is 1"),
        (FactorVAEScore(threshold=-1.0), "threshold = -1.0; allowed is 0 or more"),
        (FactorVAEScore(threshold=math.nan), "threshold = nan"),
        (DCI("boost"), "unknown estimator of DCI 'boost' — did you mean 'boosting'? (allowed: boosting, fast, lasso)"),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_settings_are_refused_in_one_line(metric, message):
    with pytest.raises(UserError) as caught:
        metric(codes(*arrays(60)))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_says_who_wrote_it(name):
    kind = METRICS[name]
    assert kind.name == name and kind.references and kind.better in ("higher", "lower")
    assert all(reference.url.startswith("https://") and reference.year > 1900 for reference in kind.references)

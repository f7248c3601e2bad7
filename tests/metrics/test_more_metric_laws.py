"""What holds for metrics by density, by neighbours, by downstream classifiers and for those without factors."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import made
import numpy as np
import pytest
import torch
from made import SIZES, numbers

from unweave.metrics import (
    DCI,
    IRS,
    MED,
    MIG,
    SAP,
    ActiveUnits,
    BetaVAEScore,
    Downstream,
    FactorVAEScore,
    GaussianTC,
    GaussianWasserstein,
    InfoMEC,
    MeanPairwiseMI,
    MIGPosterior,
    Modularity,
    Reconstruction,
    applicable,
    ceiling,
    floor,
)
from unweave.metrics.information import entropy, mutual_information
from unweave.testing import check_metric
from unweave.types import Codes, UserError

FREE = [
    GaussianTC(),
    GaussianTC("sample"),
    GaussianWasserstein(),
    GaussianWasserstein(normalised=False, of="sample"),
    MeanPairwiseMI(),
    MeanPairwiseMI("sample", binning="mass", correction="permutation"),
    ActiveUnits(),
    ActiveUnits("kl"),
]
FACTORS = [
    MIG(binning="mass", correction="permutation", blocks="joint"),
    MIG(binning="clipped", correction="miller-madow"),
    MIGPosterior(samples=1000),
    InfoMEC(),
    InfoMEC("bins"),
    InfoMEC("values"),
    Downstream(sizes=(20, 100)),
    Downstream("fast", sizes=(20, 100)),
]
ALL = FREE + FACTORS


def label(metric):
    return f"{metric.label}-{getattr(metric, 'correction', getattr(metric, 'normalised', ''))}"


def arrays(rows=300, **more):
    return made.arrays(rows, **more)


def codes(z, levels=None, logvar=-2.0, **more):
    z = np.asarray(z, dtype=np.float64)
    given = {} if levels is None else {"sizes": SIZES[: levels.shape[1]]}
    return Codes.of(z, levels, logvar=np.full(z.shape, logvar), **given, **more)


@pytest.mark.parametrize("metric", [m for m in ALL if m != InfoMEC("values")], ids=label)
def test_every_variant_keeps_the_contract(metric):
    check_metric(metric)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_one_seed_one_score_and_global_seeds_do_not_matter(metric):
    data = codes(*arrays())
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    first = metric(data, seed=5)
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    second = metric(data, seed=5)
    assert first == second
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_before, torch.get_rng_state())


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_every_number_is_finite_on_odd_codes(metric):
    """Dead, tiny, huge, copied and single latents, one factor, and a hundred latents."""
    z, levels = arrays()
    odd = {
        "dead": np.zeros_like(z),
        "one dead": np.hstack([z, np.full((len(z), 1), 0.1)]),
        "one": z[:, :1],
        "one, dead": np.zeros_like(z[:, :1]),
        "copies": np.hstack([z, z, -z]),
        "tiny": z * 1e-37,
        "none": z * 1e-300,
        "huge": z * 1e37,
        "hundred": np.random.default_rng(1).normal(size=(len(z), 100)),
    }
    for name, changed in odd.items():
        score = metric(codes(changed, levels))
        assert all(math.isfinite(number) for number in numbers(score).values()), name
        json.dumps(dict(score.settings))
    assert math.isfinite(metric(codes(z, levels[:, :1])).value)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_order_and_sign_of_latents_do_not_matter(metric):
    """Noise is drawn latent by latent, so a metric of samples changes with their order as it does with the seed."""
    z, levels = arrays()
    drawn = isinstance(metric, MIGPosterior) or getattr(metric, "of", "") == "sample"
    near = 0.06 if drawn else 0.04 if getattr(metric, "classifier", "") == "fast" else 1e-9
    if isinstance(metric, InfoMEC):
        near = 2e-3  # the solver of the classifier goes another way to the same place
    mirrored = getattr(metric, "binning", "width") == "width" or metric.reads == "codes"
    base = numbers(metric(codes(z, levels)))
    for changed in (z[:, [2, 0, 3, 1]], *([z * [1, -1, -1, 1]] if mirrored and not drawn else [])):
        assert numbers(metric(codes(changed, levels))) == pytest.approx(base, abs=near)


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_float32_and_strided_codes_score_alike(metric):
    z, levels = arrays()
    single = z.astype(np.float32)
    widths = np.full(z.shape, -2.0, dtype=np.float32)
    base = metric(codes(single.astype(np.float64), levels))
    assert metric(Codes.of(torch.from_numpy(single), levels, logvar=widths)).value == base.value
    strided = torch.from_numpy(np.ascontiguousarray(single.T)).T
    assert metric(Codes.of(strided, levels, logvar=widths)).value == base.value


@pytest.mark.parametrize("metric", ALL, ids=label)
def test_refusals(metric):
    z, levels = arrays()
    with pytest.raises(UserError, match="9 images; allowed is 10"):
        metric(codes(z[:9], levels[:9]))
    with pytest.raises(UserError, match="not finite"):
        metric(codes(z, levels)._replace(mean=torch.full(z.shape, math.nan)))
    with pytest.raises(UserError, match=r"reach 1.0e\+100"):
        metric(codes(np.full_like(z, 1e100), levels))
    if metric.reads == "factors":
        with pytest.raises(UserError, match="this data set has none"):
            metric(codes(z))
    else:
        assert metric(codes(z)).value == metric(codes(z, levels)).value


@pytest.mark.parametrize("metric", FACTORS, ids=label)
def test_a_factor_with_one_level_is_left_out_and_named(metric):
    z, levels = arrays()
    still = levels.copy()
    still[:, 1] = 2
    score = metric(Codes.of(z, still, logvar=np.full(z.shape, -2.0), names=("a", "b", "c")))
    assert score.settings["constant_factors"] == ["b"]
    without = metric(Codes.of(z, levels[:, [0, 2]], logvar=np.full(z.shape, -2.0), names=("a", "c")))
    assert numbers(score) == pytest.approx(numbers(without), abs=1e-9)
    with pytest.raises(UserError, match="single level"):
        metric(codes(z, np.zeros_like(levels)))


@pytest.mark.parametrize("metric", FACTORS, ids=label)
def test_perfect_codes_score_high_and_noise_low(metric):
    data = codes(*arrays(900))
    top, bottom = ceiling(metric, data), floor(metric, data)
    assert 0.7 < top.value <= 1 + 1e-12
    # Noise looks modular to the neighbours (docs/metrics/infomec.md), and a classifier has chance for a floor.
    chance = {"infomec": 1.0, "infomec-bins": 0.3, "infomec-values": 0.3, "downstream": 0.5, "downstream-fast": 0.5}
    assert bottom.value < chance.get(metric.label.partition("-sizes")[0], 0.1)


@pytest.mark.parametrize(
    "metric",
    [m for m in FACTORS if "blocks" not in m.label and m.name not in ("mig-posterior", "downstream")],
    ids=label,
)
def test_blocks_are_scored_latent_by_latent_and_that_is_said(metric):
    z, levels = arrays()
    plain, grouped = metric(codes(z, levels)), metric(codes(z, levels, blocks=((0, 1), (2, 3))))
    assert grouped.settings["blocks_ignored"] and numbers(plain) == numbers(grouped)


def test_metrics_apply_to_what_codes_carry():
    z, levels = arrays()
    every = [MIG(), MIGPosterior(), GaussianTC(), GaussianTC("sample"), ActiveUnits(), Reconstruction()]
    names = {
        "all": [m.name for m in applicable(every, codes(z, levels))],
        "points": [m.name for m in applicable(every, Codes.of(z, levels))],
        "free": [m.name for m in applicable(every, codes(z))],
    }
    assert names["all"] == ["mig", "mig-posterior", "gaussian-tc", "gaussian-tc", "active-units"]
    assert names["points"] == ["mig", "gaussian-tc", "active-units"]
    assert names["free"] == ["gaussian-tc", "gaussian-tc", "active-units"]
    assert ceiling(GaussianTC(), codes(z)) is None and floor(ActiveUnits(), codes(z)) is None


def rare(rows=6000, share=0.02):
    """A factor of two levels, one of them rare, and ten N(0, 1) latents."""
    random = np.random.default_rng(3)
    return random.normal(size=(rows, 3)), (random.random(rows) < share).astype(int)[:, None]


@pytest.mark.parametrize("latents", [1, 3])
@pytest.mark.parametrize("dead", [0, 2])
def test_sap_of_noise_is_small_where_a_level_is_rare(latents, dead):
    """A dead latent is no better than a live one that tells nothing: both guess one of two levels of equal weight."""
    z, levels = rare()
    score = SAP()(Codes.of(np.concatenate([z[:, :latents], np.zeros((len(z), dead))], axis=1), levels))
    assert score.value < 0.05


def test_sap_of_a_latent_that_tells_a_rare_level_is_large():
    z, levels = rare()
    told = np.concatenate([3.0 * levels + 0.3 * z[:, :1], np.zeros((len(z), 2))], axis=1)
    score = SAP()(Codes.of(told, levels))
    assert score.parts["best"] > 0.95 and score.parts["second"] == 0.5 and score.value > 0.45


@pytest.mark.parametrize(
    ("one", "label"),
    [
        (MIG(bins=40), "mig-bins40"),
        (MIG(binning="clipped", tail=0.01), "mig-clipped-tail0_01"),
        (IRS(bins=20), "irs-bins20"),
        (IRS(quantile=1.0), "irs-quantile1_0"),
        (FactorVAEScore(threshold=0.0), "factor-vae-score-threshold0_0"),
        (BetaVAEScore(standardised=True, batch=32), "beta-vae-score-standardised-batch32"),
        (Downstream(strength=None), "downstream-chosen"),
        (Downstream(strength=10.0), "downstream-strength10_0"),
        (Downstream(sizes=(10,)), "downstream-sizes10"),
        (Downstream("fast", fractions=(0.5, 1.0)), "downstream-fast-fractions0_5+1_0"),
        (ActiveUnits(threshold=0.1), "active-units-threshold0_1"),
        (ActiveUnits("kl", kl_threshold=0.1), "active-units-kl-kl-threshold0_1"),
        (MED(bins=10, top=2), "med-top2-bins10"),
        (Modularity(bins=10), "modularity-bins10"),
        (InfoMEC("bins", bins=10), "infomec-bins-bins10"),
        (InfoMEC(active=0.0, bins=3), "infomec-active0_0"),
        (DCI("lasso", alpha=0.1), "dci-lasso-alpha0_1"),
        (Reconstruction("mean-se"), "reconstruction-mean-se"),
        (MeanPairwiseMI(bins=10), "mean-pairwise-mi-bins10"),
    ],
)
def test_other_settings_have_another_label(one, label):
    assert one.label == label
    assert type(one)().label != label


def test_a_distance_from_the_own_mean_may_exceed_all_from_the_common_one():
    """Two levels with an outlier each at the other's place: the lower end of the range that IRS states."""
    z = np.array([0.0] * 9 + [10.0] + [10.0] * 9 + [0.0])[:, None]
    score = IRS()(Codes.of(z, np.repeat([0, 1], 10)[:, None]))
    assert IRS.limits[0] <= score.value < -0.6


@pytest.mark.parametrize("one", [Modularity(), MIG(), SAP(), MED(), DCI("fast", train=200, test=100)], ids=label)
def test_rounding_of_single_precision_is_no_information(one):
    """A dead latent at 0.5 that trembles by one step of float32 is a constant."""
    levels = np.stack(np.divmod(np.arange(400), 20), axis=1)
    still = np.full(400, 0.5, dtype=np.float32)
    trembling = np.where(levels[:, 0] % 2, np.nextafter(np.float32(0.5), np.float32(1)), still)
    scores = [
        one(Codes.of(np.concatenate([levels, extra[:, None]], axis=1).astype(np.float32), levels)).value
        for extra in (still, trembling)
    ]
    assert scores[0] == scores[1]


def test_gaussian_tc_does_not_depend_on_the_unit():
    z, _ = rare(500)
    copies = z[:, [0, 0, 1]] + 0.1 * z
    small, large = (GaussianTC()(Codes.of(scale * copies)) for scale in (1e-8, 1.0))
    assert small.value == pytest.approx(large.value, rel=1e-6) and large.value > 1
    assert small.settings["constant_latents"] == []


def test_values_of_continuous_codes_are_refused():
    z, levels = rare(5000)
    with pytest.raises(
        UserError, match=r"'values' of 3 latents with 15,000 different values on 5,000 images; .* 13,421"
    ):
        InfoMEC("values")(Codes.of(z, levels))


def test_information_of_blocks_counts_only_the_pairs_that_occur():
    """Two blocks of ten latents have more pairs of symbols than fit in memory as a table."""
    random = np.random.default_rng(0)
    a = np.arange(20_000) * 50_000
    b = random.permutation(20_000) * 50_000
    found = mutual_information(a[:, None], b[:, None])
    assert found[0, 0] == pytest.approx(np.log(20_000))


@pytest.mark.parametrize("correction", ["none", "miller-madow", "permutation"])
def test_numbers_far_apart_are_counted_by_their_places(correction):
    """Their pairs, told apart by one number, would go beyond 64 bits."""
    random = np.random.default_rng(0)
    a, b = random.integers(5, size=(300, 3)), random.integers(4, size=(300, 2))
    far, further = 4_000_000_000 * a, 3_000_000_007 * b
    assert (mutual_information(far, further, correction) == mutual_information(a, b, correction)).all()
    assert (entropy(far, correction) == entropy(a, correction)).all()


def test_level_numbers_far_beyond_the_images_are_counted_by_their_places():
    z, levels = rare(300)
    plain, dates = (MIG()(Codes.of(z, number)).value for number in (levels, 20_261_128 + 9_000_000_000 * levels))
    assert plain == dates


def test_a_corrected_pairwise_nmi_of_copies_is_one():
    z, _ = rare(400)
    for correction in ("none", "miller-madow", "permutation"):
        assert MeanPairwiseMI(correction=correction)(Codes.of(z[:, [0, 0]])).parts["nmi"] == pytest.approx(1)


def test_closed_latents_can_be_left_out():
    """Two perfect latents beside two collapsed copies, whose means move by 1e-5 under a spread of 1."""
    levels = np.stack(np.divmod(np.arange(400), 20), axis=1)
    z = np.concatenate([levels, 1e-5 * levels], axis=1)
    logvar = np.tile([-4.0, -4.0, 0.0, 0.0], (400, 1))
    collapsed = Codes.of(z, levels, logvar=logvar)
    assert MIG()(collapsed).value == 0
    assert MIG()(collapsed.without_closed()).value == pytest.approx(1)
    with pytest.raises(UserError, match="these codes are points"):
        Codes.of(z, levels).without_closed()
    with pytest.raises(UserError, match="nats = -1"):
        collapsed.without_closed(-1)


def test_latents_without_information_are_not_kept_by_med():
    levels = np.stack(np.divmod(np.arange(400), 20), axis=1)
    padded = np.concatenate([levels, np.zeros((400, 6))], axis=1)
    score = MED(top=3)(Codes.of(padded, levels))
    assert score.settings["kept"] == [0, 1] and score.parts["top.latents"] == 2


def test_downstream_by_fractions_needs_no_sizes():
    z, levels = rare(300, 0.5)
    assert "accuracy.200" in Downstream(sizes=(), fractions=(0.5, 1.0))(Codes.of(z, levels)).parts
    with pytest.raises(UserError, match="sizes = 0"):
        Downstream(sizes=())(Codes.of(z, levels))


LADDER = np.linspace(0, 1, 5)


def steps_of(make):
    """D, I and C of DCI along a ladder of codes."""
    levels = np.random.default_rng(1).integers(0, 8, size=(3000, 3))
    parts = [DCI("fast", train=2000, test=1000)(Codes.of(make(levels, t), levels)).parts for t in LADDER]
    return {name: [one[name] for one in parts] for name in ("disentanglement", "completeness", "informativeness")}


def test_mixing_latents_loses_disentanglement():
    """Latent j takes in more and more of the next factor: a latent tells two, so D falls, and I hardly does."""
    found = steps_of(lambda v, t: v + t * np.roll(v, 1, axis=1) * 0.99)
    assert found["disentanglement"][0] > 0.99 and found["disentanglement"][-1] < 0.6
    assert all(low < high + 0.01 for high, low in pairwise(found["disentanglement"]))
    assert min(found["informativeness"]) > 0.5


def test_splitting_factors_loses_completeness_only():
    """A second latent takes over a growing part of each factor's bits: no latent tells two factors."""

    def split(levels, t):
        low = levels % 2
        return np.concatenate([levels - t * low, t * low], axis=1)

    found = steps_of(split)
    assert min(found["disentanglement"]) > 0.98 and min(found["informativeness"]) > 0.98
    assert found["completeness"][0] > 0.98 and found["completeness"][-1] < 0.9
    assert all(low < high + 0.01 for high, low in pairwise(found["completeness"]))


def test_a_monotone_bend_loses_only_what_is_linear():
    """MIG in bins of mass and boosted trees do not see a bend; a squared correlation does."""
    levels = np.random.default_rng(1).integers(0, 8, size=(3000, 3))
    straight, bent = Codes.of(levels, levels), Codes.of(np.exp(1.5 * levels), levels)
    mass = MIG(binning="mass")
    assert mass(straight).value == mass(bent).value
    trees = DCI("fast", train=2000, test=1000)
    assert trees(bent).value == pytest.approx(trees(straight).value, abs=1e-6)
    assert SAP(continuous=True)(bent).value < SAP(continuous=True)(straight).value - 0.3

"""Metrics at their edges: level numbers like dates, codes of few bits, settings of the wrong kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unweave.analysis import interventions, kl_decompose
from unweave.analysis.attributes import code_classifier
from unweave.job import Scores
from unweave.metrics import (
    DCI,
    IRS,
    MED,
    MIG,
    SAP,
    BetaVAEScore,
    Downstream,
    FactorVAEScore,
    GaussianTC,
    GaussianWasserstein,
    Metric,
    udr,
)
from unweave.metrics.information import nmi
from unweave.types import Codes, UserError


def test_dates_leave_the_numbers_of_other_factors_alone() -> None:
    y = np.random.default_rng(0).choice([0, 1, 60], 60)
    levels = np.stack([y, 20_261_128 + 7_000_000 * (y > 0)], axis=1)
    codes = Codes.of(np.stack([y, -y], axis=1) * 1.0, levels, names=("x", "date"))
    alone = codes._replace(levels=codes.levels[:, :1], sizes=codes.sizes[:1], names=("x",))
    assert SAP(continuous=True)(codes).parts["best"] < 1
    assert interventions(codes).responses[0].levels.tolist() == [0, 1, 60]
    assert nmi(codes)[:, 0].tolist() == nmi(alone)[:, 0].tolist() and nmi(codes).max() <= 1
    # Rows that are repeated say nothing new of a straight line.
    thrice = alone._replace(mean=alone.mean.repeat(3, 1), levels=alone.levels.repeat(3, 1))
    assert DCI("lasso")(thrice).value == pytest.approx(DCI("lasso")(alone).value, abs=0.02)
    told = [code_classifier(one, "x")(torch.tensor([[60.0, -60.0]]))[0] for one in (codes, alone)]
    assert told[0].tolist() == told[1].tolist() and told[0].argmax() == 60


def test_one_factor_that_nothing_is_told_of_scores_nothing() -> None:
    levels = np.arange(100)[:, None] % 5
    still, noise = np.zeros((100, 3)), np.random.default_rng(0).normal(size=(100, 3))
    for metric in (MED(), MED(top=1), DCI("fast"), DCI("lasso")):
        assert metric(Codes.of(still, levels)).value == 0.0
    assert MED()(Codes.of(noise, levels)).value == 1.0


def test_codes_that_came_in_halves_move_by_more_than_their_rounding_or_not() -> None:
    levels = torch.arange(200)[:, None] % 4
    flicker = torch.where(torch.rand(200, generator=torch.Generator().manual_seed(0)) < 0.5, 0.1, 0.1001).half()
    assert flicker.unique().numel() == 2
    codes = Codes.of(torch.stack([levels[:, 0].half(), flicker], dim=1), levels)
    assert codes.mean.dtype == torch.float32 and codes.mean[:, 1].unique().numel() == 1
    wide = Codes.of(2**24 + torch.arange(200)[:, None] % 2, torch.arange(200)[:, None] % 2)
    assert wide.mean.unique().numel() == 2 and MIG()(wide).value == pytest.approx(1.0)


def test_a_factor_is_named_where_no_level_has_two_images() -> None:
    levels = np.stack([np.zeros(30), np.arange(30) % 3, np.arange(30)], axis=1).astype(int)
    codes = Codes.of(np.random.default_rng(0).normal(size=(30, 2)), levels, names=("colour", "shape", "id"))
    for metric in (BetaVAEScore(), FactorVAEScore(), IRS()):
        with pytest.raises(UserError, match="no level of factor 'id' has 2 images"):
            metric(codes)


@pytest.mark.parametrize(
    "metric, message",
    [
        (SAP(n_jobs=0), "SAP: n_jobs = 0; allowed is 1 or more, or -1"),
        (MIG(blocks="jiont"), "MIG.blocks = 'jiont' — did you mean 'joint'.; allowed: 'ignore', 'joint'"),  # type: ignore[arg-type]
        (GaussianWasserstein(of="smaple"), "GaussianWasserstein.of = 'smaple' — did you mean 'sample'"),  # type: ignore[arg-type]
        (MIG(images=1e2), "MIG.images = 100.0; allowed: "),  # type: ignore[arg-type]
    ],
)
def test_settings_are_looked_at_before_anything_is_trained(metric: Metric, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Scores((metric,)).check(None)  # type: ignore[arg-type]


def test_numbers_that_are_not_whole_are_refused_in_one_line() -> None:
    codes = Codes.of(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60)[:, None] % 3)
    for metric in (MIG(images=1e2), FactorVAEScore(votes=1e3), SAP(train=1e2), Downstream(sizes=50)):  # type: ignore[arg-type]
        with pytest.raises(UserError, match=r"allowed is a (whole number|tuple)"):
            metric(codes)


def test_scoring_leaves_numpys_global_numbers_alone() -> None:
    random = np.random.default_rng(0)
    models = [Codes.of(random.normal(size=(50, 3))) for _ in range(2)]
    np.random.seed(0)  # noqa: NPY002
    before = str(np.random.get_state())  # noqa: NPY002
    found = udr(models)
    after = str(np.random.get_state())  # noqa: NPY002
    assert after == before and found.settings["not_converged"] == 0


def test_other_smallest_eigenvalues_are_another_score() -> None:
    assert GaussianTC(smallest=1e-3).label == "gaussian-tc-smallest0_001" and GaussianTC().label == "gaussian-tc"


def test_factors_have_names_of_their_own() -> None:
    with pytest.raises(UserError, match="allowed: each once"):
        Codes.of(np.zeros((10, 1)), np.zeros((10, 2), int), names=("a", "a"))


def test_the_rate_is_parted_by_blocks_that_leave_latents_out() -> None:
    codes = Codes.of(np.zeros((60, 3)), logvar=np.zeros((60, 3)), blocks=((0, 1),))
    assert [one.latents for one in kl_decompose(codes, samples=50).units] == [(0,), (1,), (2,), (0, 1)]

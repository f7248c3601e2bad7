"""The range in which to read a score: perfect codes, noise, and the lists of metrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unweave.metrics import (
    DCI,
    METRICS,
    MIG,
    SAP,
    FactorVAEScore,
    InfoMEC,
    Reconstruction,
    applicable,
    ceiling,
    floor,
    full,
    metric,
    quick,
)
from unweave.metrics.levels import noise, perfect
from unweave.types import Codes, UserError

DSPRITES = (3, 6, 40, 32, 32)


@pytest.fixture(scope="module")
def codes():
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, size=10_000) for size in DSPRITES], axis=1)
    return Codes.of(random.normal(size=(10_000, 10)), levels, sizes=DSPRITES, names=tuple("abcde"))


def test_perfect_and_noise_codes(codes):
    assert torch.equal(perfect(codes).mean, codes.levels.double())
    drawn = noise(codes, seed=1).mean
    assert drawn.shape == (10_000, 10) and drawn.dtype == torch.float64
    assert float(drawn.mean()) == pytest.approx(0, abs=0.02) and float(drawn.std()) == pytest.approx(1, abs=0.02)
    assert torch.equal(drawn, noise(codes, seed=1).mean) and not torch.equal(drawn, noise(codes, seed=2).mean)


@pytest.mark.parametrize(
    ("score", "high", "low"),
    [
        (MIG(), (0.893, 0.899), (0.0, 0.01)),
        (FactorVAEScore(votes=1500, test_votes=1500), (1, 1), (0.15, 0.27)),
        (SAP(continuous=True), (0.99, 1), (0, 0.01)),
        (DCI(train=1000, test=500), (0.99, 1), (0, 0.05)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_dsprites_levels(codes, score, high, low):
    top, bottom = ceiling(score, codes), floor(score, codes)
    assert high[0] <= top.value <= high[1] and low[0] <= bottom.value <= low[1]
    assert top.settings["images"] == bottom.settings["images"]
    assert (top.settings["latents"], bottom.settings["latents"]) == (5, 10)


def test_dci_uses_the_quick_estimator_and_says_so(codes):
    assert ceiling(DCI(train=100, test=50), codes).settings["estimator"] == "fast"


def test_nothing_to_say_about_metrics_that_do_not_read_factors(codes):
    assert ceiling(Reconstruction(), codes) is None and floor(Reconstruction(), codes) is None
    with pytest.raises(UserError, match="this data set has none"):
        ceiling(MIG(), Codes.of(codes.mean))


def test_lists_hold_every_metric():
    assert [type(each) for each in full()] == list(METRICS.values())
    assert [type(each) for each in full() if type(each) in map(type, quick())] == [type(each) for each in quick()]
    assert [each.estimator for each in (*quick(), *full()) if isinstance(each, DCI)] == ["fast", "boosting"]


def test_applicable_keeps_what_the_codes_can_answer(codes):
    chosen = [MIG(), Reconstruction(), DCI(), SAP(), FactorVAEScore()]
    assert [each.name for each in applicable(chosen, codes)] == ["mig", "dci", "sap", "factor-vae-score"]
    images = Codes.of(codes.mean)._replace(distortion={"bce": torch.ones(10_000)})
    assert [each.name for each in applicable(full(), images) if each.reads != "codes"] == ["reconstruction"]


def test_names_resolve_or_are_corrected():
    assert metric("factor-vae-score") is FactorVAEScore
    with pytest.raises(
        UserError, match=r"unknown metric 'factor-vae' — did you mean 'factor-vae-score'\? \(allowed: mig, "
    ):
        metric("factor-vae")


CARS3D = (4, 24, 183)


@pytest.mark.parametrize("score", [InfoMEC("bins"), InfoMEC(), FactorVAEScore(votes=600, test_votes=600)])
def test_a_factor_of_few_levels_is_no_dead_latent_of_the_perfect_code(score):
    """In units of levels, a factor of 4 moves less than a twentieth of one of 183."""
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, size=4000) for size in CARS3D], axis=1)
    top = ceiling(score, Codes.of(np.zeros((4000, 3)), levels, sizes=CARS3D))
    assert not top.settings.get("inactive") and not top.settings.get("pruned") and top.value > 0.85
    assert top.parts.get("infoc", 1.0) > 0.85


def test_a_rare_factor_is_no_dead_latent_of_the_perfect_code():
    levels = np.stack([np.arange(4000) < 8, np.arange(4000) % 3], axis=1).astype(int)
    top = ceiling(FactorVAEScore(votes=60, test_votes=60), Codes.of(np.zeros((4000, 2)), levels))
    assert top.settings["pruned"] == []

"""From an information curve to pressures: laws of the closed forms and of what is proposed."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from bars import Bars

from unweave import DEFT, DSprites, Triangle, UserError
from unweave.analysis import (
    Curve,
    change_points,
    code_information,
    critical_pressure,
    freezing_spectrum,
    linear_information,
    propose_pressures,
    spectrum,
)
from unweave.data import Subset
from unweave.types import Codes


@pytest.fixture(scope="module")
def dsprites() -> Curve:
    spectrum = freezing_spectrum(DSprites(), sample=3000)
    return linear_information(DSprites(), spectrum, sample=10_000, draws=128)


def test_rate_and_pressure_undo_each_other() -> None:
    spectrum = freezing_spectrum(Triangle(), modes=40)
    for rate in (0.0, 0.01, 0.5, 2.0, 9.0):
        assert spectrum.rate(spectrum.pressure(rate)) == pytest.approx(rate, abs=1e-9)
    assert spectrum.pressure(0.0) == pytest.approx(spectrum.critical)
    assert spectrum.rate(spectrum.critical * 1.01) == 0 and spectrum.active(spectrum.critical * 1.01) == 0
    with pytest.raises(UserError, match="ask for more modes"):
        spectrum.pressure(1000.0)
    with pytest.raises(UserError, match="reach down to"):
        spectrum.rate(float(spectrum.values[-1]) / 2)


def test_a_complete_spectrum_reaches_every_pressure() -> None:
    spectrum = freezing_spectrum(torch.eye(4).reshape(4, 1, 2, 2))
    assert spectrum.complete and len(spectrum.values) == 3
    assert spectrum.rate(1e-6) == pytest.approx(1.5 * math.log(float(spectrum.values[0]) / 1e-6))
    assert spectrum.pressure(30.0) > 0


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
def test_more_contrast_freezes_at_a_higher_pressure(likelihood: str) -> None:
    found = [critical_pressure(Bars(contrast, 3), likelihood) for contrast in (0.1, 0.3, 0.5, 0.8, 1.0)]
    assert all(a < b for a, b in pairwise(found))


def test_squared_error_goes_with_the_square_of_the_contrast() -> None:
    assert critical_pressure(Bars(0.5), "squared") == pytest.approx(critical_pressure(Bars(), "squared") / 4)


def test_scores_have_mean_0_and_variance_1() -> None:
    images = torch.rand(50, 1, 4, 4)
    scores = freezing_spectrum(images).scores(images.flatten(1))
    assert torch.allclose(scores.mean(0), torch.zeros(16, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(scores.mT @ scores / 50, torch.eye(16, dtype=torch.float64), atol=1e-5)


def test_linear_information_lies_under_the_rate_and_under_log_n(dsprites: Curve) -> None:
    spectrum = freezing_spectrum(DSprites(), sample=3000)
    for beta, nats in zip(*dsprites, strict=True):
        assert nats <= math.log(10_000) + 1e-3
        if beta > float(spectrum.values[-1]):
            assert nats <= spectrum.rate(beta) + 0.3
    assert dsprites.information[-1] > 0.95 * math.log(10_000)
    assert np.all(np.diff(dsprites.information) > -0.1)


def test_a_gaussian_cloud_has_the_information_that_water_filling_says() -> None:
    torch.manual_seed(0)
    images = torch.sigmoid(0.2 * torch.randn(4000, 1, 1, 3))
    spectrum = freezing_spectrum(images, "squared")
    curve = linear_information(images, spectrum, draws=500, points=3, end=0.3 * spectrum.critical)
    assert curve.information[-1] == pytest.approx(spectrum.rate(0.3 * spectrum.critical), abs=0.12)


def test_exact_information_is_between_0_and_the_kl() -> None:
    torch.manual_seed(1)
    codes = Codes.of(torch.randn(20, 3).double(), logvar=torch.full((20, 3), -1.0).double())
    kl = 0.5 * (codes.mean**2 + math.exp(-1) + 1 - 1).sum(1).mean()
    assert 0 < code_information(codes) < min(float(kl), math.log(20))
    same = Codes.of(torch.ones(20, 3), logvar=torch.zeros(20, 3))
    assert code_information(same) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("groups", [1, 2, 4, 6])
def test_proposals_fall_for_deft_and_rise_for_devae(dsprites: Curve, groups: int) -> None:
    deft = propose_pressures(dsprites, groups=groups)
    assert list(deft.betas) == sorted(set(deft.betas), reverse=True) and len(deft.betas) == groups
    assert deft.information == pytest.approx([deft.total * (j + 0.5) / groups for j in range(groups)])
    devae = propose_pressures(dsprites, "devae", groups=groups)
    assert list(devae.betas) == sorted(set(devae.betas)) and devae.betas[0] == pytest.approx(1.0)


def test_deft_takes_what_is_proposed(dsprites: Curve) -> None:
    for latents in (1, 4, 7, 12):
        found = propose_pressures(dsprites, latents=latents)
        assert latents % len(found.betas) == 0 and len(found.betas) <= max(1, found.dimension)
        DEFT(betas=found.betas).check(DSprites().spec(), latents)


def test_on_dsprites_the_dimension_is_about_that_of_its_factors(dsprites: Curve) -> None:
    assert 4 < propose_pressures(dsprites).dimension < 6.5


def test_a_ratio_moves_all_but_the_pressure_that_reconstructs(dsprites: Curve) -> None:
    plain, moved = (propose_pressures(dsprites, groups=3, ratio=ratio).betas for ratio in (1.0, 0.5))
    assert moved == pytest.approx([beta / 2 for beta in plain])
    assert propose_pressures(dsprites, "devae", ratio=0.5).betas[0] == propose_pressures(dsprites, "devae").betas[0]


def test_the_scale_of_the_pixels_does_not_matter_to_the_shares() -> None:
    """Squared error: half the contrast is a quarter of every pressure."""
    torch.manual_seed(2)
    images = torch.rand(200, 1, 4, 4)
    full, half = (freezing_spectrum(scale * images, "squared") for scale in (1.0, 0.5))
    one = linear_information(images, full, end=0.04 * full.critical)
    other = linear_information(0.5 * images, half, end=0.04 * half.critical)
    a, b = propose_pressures(one, groups=3).betas, propose_pressures(other, groups=3).betas
    assert [4 * beta for beta in b] == pytest.approx(a, rel=1e-3)


def test_changes_are_found_where_the_slope_grows() -> None:
    betas = np.geomspace(200, 1, 300)
    nats = 0.5 * np.maximum(0, np.log(60 / betas)) + 2 * np.maximum(0, np.log(8 / betas))
    found = change_points(Curve(tuple(betas), tuple(nats)))
    assert [change.beta for change in found] == pytest.approx([60, 8], rel=0.15)
    assert found[1].height > found[0].height
    assert change_points(Curve(tuple(betas), tuple(np.log(200 / betas)))) == ()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: propose_pressures(Curve((2.0, 1.0), (0.0, 0.0))), "more than 0"),
        (lambda: propose_pressures(Curve((2.0, 1.0), (0.0, 1.0)), "vae"), "unknown method 'vae'"),
        (lambda: propose_pressures(Curve((2.0, 1.0), (0.0, 1.0)), groups=5, latents=12), "5 groups of 12 latents"),
        (lambda: change_points(Curve((2.0, 1.0), (0.0, 1.0))), "2 pressures"),
        (lambda: Curve((2.0, 1.0), (0.0, 1.0)).pressure(3.0), "from 0 to 1"),
        (lambda: freezing_spectrum(torch.zeros(3, 4, 4)), "allowed: \\(N, C, H, W\\)"),
        (lambda: freezing_spectrum(torch.full((3, 1, 4, 4), 2.0)), "pixels in \\[0, 1\\]"),
        (lambda: freezing_spectrum("triangel"), "triangle"),
        (lambda: freezing_spectrum("triangle", "gaussian"), "unknown likelihood"),
        (lambda: freezing_spectrum("triangle", sample=1), "2 or more are read"),
        (lambda: freezing_spectrum("triangle", modes=0), "modes = 0"),
        (lambda: freezing_spectrum(torch.rand(1, 1, 4, 4)), "1 images"),
        (
            lambda: linear_information(torch.rand(9, 1, 2, 2), freezing_spectrum(torch.rand(9, 1, 2, 2)), end=99.0),
            "end",
        ),
    ],
)
def test_what_cannot_be_asked(call: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()  # type: ignore[operator]


def test_a_curve_that_begins_with_most_of_its_information() -> None:
    with pytest.raises(UserError, match=r"begins with 3\.9 nats at pressure 10; allowed: one that begins below 1 nats"):
        propose_pressures(Curve((10.0, 5.0, 1.0), (3.9, 3.95, 4.0)))


def test_images_all_the_same_freeze_at_no_pressure() -> None:
    spectrum = freezing_spectrum(torch.full((5, 1, 4, 4), 0.3))
    assert spectrum.critical == 0 and spectrum.total == 0 and spectrum.complete
    assert critical_pressure(Subset(Triangle(), (3, 4))) > 0


def test_products_of_bytes_and_of_numbers_give_one_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is quicker depends on the processor; whole numbers are exact either way."""
    images = (torch.rand(300, 1, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.6).float()
    found = []
    for quick in (True, False):
        monkeypatch.setattr(spectrum, "quick_bytes", lambda quick=quick: quick)
        found.append(freezing_spectrum(images, "bernoulli"))
    assert torch.equal(found[0].values, found[1].values) and torch.equal(found[0].weights, found[1].weights)

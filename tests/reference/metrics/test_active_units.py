"""Active units against loops, and latents that only one of the two ways calls active."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import ActiveUnits
from unweave.metrics.active_units import kl
from unweave.types import Codes, UserError


def some():
    random = np.random.default_rng(0)
    mean = random.normal(size=(120, 5)) * [1.0, 0.3, 0.09, 0.02, 0.0]
    return mean, random.normal(size=(120, 5)) * 0.1 + [-3, -1, 0, 0, -1]


def test_agrees_with_loops():
    mean, logvar = some()
    by_variance, by_kl = [], []
    for j in range(5):
        column = mean[:, j].tolist()
        centre = sum(column) / 120
        if sum((x - centre) ** 2 for x in column) / 119 > 0.01:
            by_variance.append(j)
        nats = [0.5 * (m * m + math.exp(v) - v - 1) for m, v in zip(column, logvar[:, j].tolist(), strict=True)]
        if sum(nats) / 120 > 0.01:
            by_kl.append(j)
        assert kl(Codes.of(mean, logvar=logvar), "me")[j] == pytest.approx(sum(nats) / 120, abs=1e-9)
    score, other = (ActiveUnits(by)(Codes.of(mean, logvar=logvar)) for by in ("variance", "kl"))
    assert score.settings["active"] == by_variance == [0, 1] and other.settings["active"] == by_kl == [0, 1, 4]
    assert (score.value, other.value) == (2, 3) and score.parts["kl"] == other.value
    assert score.parts["share"] == 2 / 5 and other.parts["variance"] == 2


def test_a_constant_posterior_other_than_the_prior_has_kl_only():
    """Latent 4 above: always N(0, e^−1). It says nothing about the image."""
    codes = Codes.of(np.full((50, 1), 2.0), logvar=np.zeros((50, 1)))
    assert ActiveUnits()(codes).value == 0 and ActiveUnits("kl")(codes).value == 1


def test_points_have_variance_only():
    codes = Codes.of(some()[0])
    score = ActiveUnits()(codes)
    assert set(score.parts) == {"variance", "share"}
    with pytest.raises(UserError, match="these codes are points"):
        ActiveUnits("kl")(codes)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e30])
def test_constants_are_inactive_at_any_threshold(constant):
    assert ActiveUnits(threshold=0)(Codes.of(np.full((50, 3), constant))).value == 0


def test_refusals():
    with pytest.raises(UserError, match="threshold = -1"):
        ActiveUnits(threshold=-1)(Codes.of(some()[0]))
    with pytest.raises(UserError, match="kl_threshold = nan"):
        ActiveUnits(kl_threshold=math.nan)(Codes.of(some()[0]))
    with pytest.raises(UserError, match="unknown by of ActiveUnits 'var'"):
        ActiveUnits("var")(Codes.of(some()[0]))  # type: ignore[arg-type]
    assert ActiveUnits("kl").label == "active-units-kl"

"""Robustness of latents and their answers to a parent, by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.analysis import interventions
from unweave.metrics import IRS
from unweave.types import Codes, UserError

SIZES = (3, 4, 2)
NAMES = ("shape", "x", "dark")


def made(rows=240):
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, rows) for size in SIZES], axis=1)
    z = np.stack([levels[:, 1] + 0.3 * levels[:, 2], 2.0 * levels[:, 0], random.normal(size=rows)], axis=1)
    z[:, 1] += 0.1 * random.normal(size=rows)
    return np.hstack([z, np.full((rows, 1), 0.7)]), levels


def test_answers_by_loops():
    z, levels = made()
    found = interventions(Codes.of(z, levels, names=NAMES))
    assert found.matrix.tolist() == IRS().robustness(Codes.of(z, levels)).matrix.tolist()
    assert {one.latent: one.parent for one in found.responses[:2]} == {0: "x", 1: "shape"}
    assert len(found.responses) == 3  # the fourth latent never moves
    for one in found.responses:
        parent = NAMES.index(one.parent)
        assert one.robustness == pytest.approx(found.matrix[one.latent, parent])
        for place, level in enumerate(one.levels):
            mine = [z[i, one.latent] for i in range(len(z)) if levels[i, parent] == level]
            mean = sum(mine) / len(mine)
            assert one.mean[place] == pytest.approx(mean, abs=1e-12)
            spread = math.sqrt(sum((value - mean) ** 2 for value in mine) / len(mine))
            assert one.deviation[place] == pytest.approx(spread, abs=1e-9)
            for k, name in enumerate(NAMES):
                if k == parent:
                    assert name not in one.given
                    continue
                for other in range(SIZES[k]):
                    both = [
                        z[i, one.latent] for i in range(len(z)) if levels[i, parent] == level and levels[i, k] == other
                    ]
                    assert one.given[name][place, other] == pytest.approx(sum(both) / len(both), abs=1e-12)
    assert found.responses[0].strongest == "dark" or found.responses[1].strongest == "dark"
    assert next(one for one in found.responses if one.latent == 0).strongest == "dark"


def test_levels_that_never_meet_are_missing_and_one_factor_has_no_other():
    levels = np.array([[0, 0], [1, 1]] * 20)
    z = levels[:, :1] + 0.01 * np.random.default_rng(0).normal(size=(40, 1))
    (one,) = interventions(Codes.of(z, levels)).responses
    (means,) = one.given.values()
    assert np.isnan(means).tolist() == [[False, True], [True, False]]
    (alone,) = interventions(Codes.of(z, levels[:, :1])).responses
    assert alone.given == {} and alone.strongest == ""
    assert interventions(Codes.of(np.zeros((40, 2)), levels)).responses == ()
    with pytest.raises(UserError, match="has none"):
        interventions(Codes.of(z))

"""Factors that follow each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unweave import Experiment, UserError
from unweave.data import Correlated, DSprites, NoisyDSprites, Triangle
from unweave.data.part import all_levels
from unweave.engine.experiment import from_json, to_json
from unweave.networks import MLP
from unweave.testing import check_dataset
from unweave.testing.dots import Dots

BOTH = ("pos_x", "pos_y")


@pytest.mark.parametrize(
    "data",
    [
        Correlated(DSprites(), BOTH),
        Correlated(NoisyDSprites(), ("scale", "pos_x"), "band", 0.1),
        Correlated(Triangle(), BOTH, "band", 0.0),
        Correlated(DSprites(), ("orientation", *BOTH), "gaussian", 0.05, "direction"),
        Correlated(Triangle(), BOTH, "gaussian", 0.3, "opposite"),
    ],
    ids=repr,
)
def test_it_keeps_the_rules_of_a_data_set(data: Correlated) -> None:
    check_dataset(data)
    one = Experiment("beta-vae", data, network=MLP((8,)), steps=3).complete()
    assert from_json(to_json(one)) == one


@pytest.mark.parametrize("target", ["equal", "opposite"])
def test_a_band_holds_everything_inside_and_nothing_else(target: str) -> None:
    data = Correlated(DSprites(), ("scale", "pos_x"), "band", 0.2, target)
    wanted = []
    for scale in range(6):
        for pos_x in range(32):
            goal = pos_x / 31 if target == "equal" else 1 - pos_x / 31
            wanted += [(scale, pos_x)] * 3840 if abs(scale / 5 - goal) <= 0.2 + 1e-9 else []
    assert sorted(map(tuple, all_levels(data)[:, (1, 3)].tolist())) == sorted(wanted)


@pytest.mark.parametrize("width", [0.1, 0.2, 0.7])
def test_a_gaussian_has_the_shares_it_should(width: float) -> None:
    data = Correlated(DSprites(), BOTH, "gaussian", width)
    table = np.zeros((32, 32))
    np.add.at(table, tuple(all_levels(data)[:, 3:].T), 1)
    for a in range(32):
        for b in range(32):
            share = 720 * math.exp(-(((a - b) / 31) ** 2) / (2 * width**2))
            assert abs(table[a, b] - share) < 1, (a, b)
    assert table[5, 5] == 720, "the largest share is everything"


def test_other_factors_stay_independent_and_which_images_are_kept_is_random() -> None:
    levels = all_levels(Correlated(DSprites(), BOTH))
    assert np.corrcoef(levels[:, 3], levels[:, 4])[0, 1] > 0.5
    for column, size in ((0, 3), (1, 6), (2, 40)):
        counts = np.bincount(levels[:, column], minlength=size)
        spread = ((counts - len(levels) / size) ** 2 / (len(levels) / size)).sum()
        assert spread < size + 4 * math.sqrt(2 * size) + 4
        assert abs(np.corrcoef(levels[:, column], levels[:, 3])[0, 1]) < 4 / math.sqrt(len(levels))
    one, other = (set(Correlated(DSprites(), BOTH, seed=seed).choose().tolist()) for seed in (0, 1))
    assert len(one & other) < 0.95 * len(one)
    assert abs(len(one) - len(other)) < 150


def test_small_sets_round_at_random() -> None:
    kept = [Correlated(Dots(), ("row", "column"), width=0.4, seed=seed).choose() for seed in range(400)]
    counts = np.bincount(np.concatenate(kept), minlength=32).reshape(2, 4, 4) / 400
    for row in range(4):
        for column in range(4):
            share = math.exp(-(((row - column) / 3) ** 2) / (2 * 0.4**2))
            assert abs(counts[:, row, column].mean() - share) < 0.06


def test_several_factors_and_one_that_wraps_around() -> None:
    levels = all_levels(Correlated(DSprites(), ("scale", "pos_x", "pos_y"), "band", 0.1)) / [2, 5, 39, 31, 31]
    off = np.sqrt(((levels[:, 1:2] - levels[:, 3:]) ** 2).mean(1))
    assert off.max() <= 0.1 + 1e-9
    turning = all_levels(Correlated(DSprites(), ("orientation", "pos_x"), "band", 0.03))
    assert {0, 39} <= set(turning[turning[:, 3] == 0, 2].tolist()), "39/40 is near 0"


def test_it_generalises_the_triangle() -> None:
    data = Correlated(DSprites(), ("orientation", *BOTH), "band", 0.0126, "direction")
    levels = all_levels(data)
    for orientation, pos_x, pos_y in levels[:: len(levels) // 500, 2:].tolist():
        turn = math.atan2(pos_y - 15.5, pos_x - 15.5) / (2 * math.pi)
        assert abs((orientation / 40 - turn + 0.5) % 1 - 0.5) <= 0.0126 + 1e-9
    assert {(x, y) for x, y in levels[:, 3:].tolist()} == {(x, y) for x in range(32) for y in range(32)}
    assert len(levels) < 1.1 * 18 * 1024


@pytest.mark.parametrize(
    "data, why",
    [
        (Correlated(Dots(), ("row",)), "allowed: two or more different factors of size, row, column"),
        (Correlated(Dots(), ("row", "row")), "two or more different"),
        (Correlated(Dots(), ("row", "colour")), "unknown factor 'colour'"),
        (Correlated(Dots(), ("row", "column"), "gauss"), "did you mean 'gaussian'"),
        (Correlated(Dots(), ("row", "column"), target="same"), "unknown target 'same'"),
        (Correlated(Dots(), ("row", "column"), target="direction"), "allowed: three different"),
        (Correlated(Dots(), ("row", "column"), width=0.0), "width = 0.0"),
        (Correlated(Dots(), ("row", "column"), width=float("nan")), "width = nan"),
        (Correlated(Dots(), ("row", "column"), "band", -0.1), "width = -0.1"),
        (Correlated(Dots(), ("row", "column"), seed=-1), "seed = -1"),
        (Correlated(Triangle(), ("orientation", *BOTH), "band", 0.0, "opposite"), "is left"),
    ],
    ids=repr,
)
def test_rules_that_cannot_be_followed(data: Correlated, why: str) -> None:
    for ask in (lambda: data.rows, data.open):
        with pytest.raises(UserError, match=why):
            ask()


def test_factors_it_does_not_have() -> None:
    class Bare(Dots):
        @property
        def factors(self):
            return None

        @property
        def rows(self) -> int:
            return 32

    with pytest.raises(UserError, match="has no factors to choose images by"):
        Correlated(Bare(), ("row", "column")).choose()


def test_rows_sample_the_joint_distribution() -> None:
    images = Correlated(DSprites(), BOTH).open()
    levels = images.levels(torch.randint(images.rows, (20_000,), generator=torch.Generator().manual_seed(0)))
    assert torch.corrcoef(levels[:, 3:].T.double())[0, 1] > 0.5

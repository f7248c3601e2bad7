"""Parts to train and to test on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unweave import Experiment, UserError, fit, load
from unweave.data import DSprites, HeldOut, NoisyDSprites, Split, Subset, Triangle
from unweave.data.part import all_levels, scattered
from unweave.engine.experiment import from_json, to_json
from unweave.networks import MLP
from unweave.testing import check_dataset
from unweave.testing.dots import Dots

HEARTS = ((("shape", (2,)), ("pos_x", tuple(range(16, 32)))),)
FIXED = [4, 8, 12, 14, 17, 20, 29, 30]
"""Rows of one split, so that a change of the rule is seen."""


@pytest.mark.parametrize(
    "data",
    [
        Split(Triangle()),
        Split(NoisyDSprites(), "test"),
        Split(Triangle(angle_noise=9.0), "test", 0.5),
        HeldOut(DSprites(), HEARTS),
        HeldOut(DSprites(), HEARTS, "test"),
    ],
    ids=repr,
)
def test_it_keeps_the_rules_of_a_data_set(data: Split | HeldOut) -> None:
    check_dataset(data)


@pytest.mark.parametrize("fraction", [0.9, 0.5, 1 / 32])
def test_parts_share_nothing_and_together_are_everything(fraction: float) -> None:
    train, test = (Split(Dots(), part, fraction, 3).choose().tolist() for part in ("train", "test"))
    assert sorted(train + test) == list(range(32)) and len(train) == round(32 * fraction)
    assert train == sorted(train) and test == sorted(test)


def test_seeds_give_different_parts_that_no_machine_changes() -> None:
    found = [Split(Dots(), "test", 0.75, seed).choose().tolist() for seed in range(20)]
    assert len(set(map(tuple, found))) > 15
    assert Split(Dots(), "test", 0.75).choose().tolist() == FIXED
    counts = np.bincount(np.concatenate([Split(Dots(), "test", 0.75, s).choose() for s in range(400)]), minlength=32)
    assert ((counts - 100.0) ** 2 / 75).sum() < 61.1, "chi-square with 31 degrees of freedom at 0.1 %"


def test_numbers_without_order_are_uniform() -> None:
    found = np.stack([scattered(seed, np.arange(20_000)) for seed in (0, 1, 2**63 - 1)])
    assert found.min() >= 0 and found.max() < 1
    counts = np.stack([np.histogram(one, 20, (0, 1))[0] for one in found])
    assert (((counts - 1000.0) ** 2 / 1000).sum(1) < 43.8).all()
    lagged = np.corrcoef(np.concatenate([found[:, 1:], found[:, :-1]])) - np.eye(6)
    assert np.abs(lagged).max() < 4.5 / np.sqrt(20_000)


def test_held_out_combinations_are_all_there_is_in_test() -> None:
    train, test = (HeldOut(DSprites(), HEARTS, part) for part in ("train", "test"))
    levels = all_levels(DSprites())
    out = [shape == 2 and pos_x >= 16 for shape, pos_x in levels[:, (0, 3)].tolist()]
    assert test.choose().tolist() == np.flatnonzero(out).tolist()
    assert train.rows + test.rows == DSprites().rows
    assert all(set(all_levels(train)[:, k]) == set(levels[:, k]) for k in range(5)), "every level is seen in training"
    with pytest.raises(UserError, match="no image has"):
        train.open().index(torch.tensor([[2, 0, 0, 31, 0]]))


def test_several_combinations_are_joined() -> None:
    two = HeldOut(Dots(), ((("size", (0,)), ("row", (1,))), (("column", (3,)),)), "test")
    assert two.rows == 4 + 8 - 1


def test_levels_of_parts_of_parts() -> None:
    for data in (
        Split(HeldOut(Dots(), ((("row", (0,)),),)), "test", 0.5),
        HeldOut(Subset(Triangle(), (9, 700, 3)), ((("pos_x", (0,)),),)),
        HeldOut(Triangle(), ((("orientation", (5, 6)),),), "test"),
        HeldOut(NoisyDSprites(), HEARTS, "test"),
    ):
        some = torch.arange(0, data.rows, max(1, data.rows // 100))
        assert torch.equal(torch.from_numpy(all_levels(data))[some], data.open().levels(some)), data


@pytest.mark.parametrize(
    "data, why",
    [
        (Split(Dots(), "validation"), "unknown part 'validation'"),
        (Split(Dots(), fraction=1.0), "fraction = 1.0 of 32 images"),
        (Split(Dots(), fraction=0.001), "no part empty"),
        (Split(Dots(), fraction=float("nan")), "fraction = nan"),
        (Split(Dots(), seed=-1), "seed = -1"),
        (HeldOut(Dots(), ()), "none of 32 images of dots has nothing"),
        (HeldOut(Dots(), ((),)), "allowed: combinations that exist"),
        (HeldOut(Dots(), ((("colour", (1,)),),)), "unknown factor 'colour'"),
        (HeldOut(Dots(), ((("row", (4,)),),)), r"row = \[4\]; allowed: some of the levels 0 to 3"),
        (HeldOut(Dots(), ((("row", ()),),)), r"row = \[\]"),
        (HeldOut(Dots(), ((("row", (0, 1, 2, 3)),),)), "none of 32 images is left"),
        (HeldOut(Subset(Triangle(), (0, 1)), ((("pos_x", (5,)),),), "test"), "none of 2 images"),
    ],
    ids=repr,
)
def test_rules_that_cannot_be_followed(data: Split | HeldOut, why: str) -> None:
    for ask in (lambda: data.rows, data.open, data.spec):
        with pytest.raises(UserError, match=why):
            ask()


def test_a_run_on_it_comes_back_from_its_folder(tmp_path: Path) -> None:
    data = Split(HeldOut(Triangle(), ((("pos_x", (0, 1)),),)), "test")
    one = Experiment("beta-vae", data, network=MLP((8,)), batch=2, steps=2)
    assert from_json(to_json(one.complete())) == one.complete()
    run = load(fit(one, out=tmp_path).folder.path)
    assert run.data == data and len(run.codes().levels) == data.rows == 96


@pytest.mark.parametrize("combinations", [(("shape", (2,)),), "shape=2", ((("shape", 2),),), ({"shape": (2,)},)])
def test_combinations_of_another_form(combinations: object) -> None:
    with pytest.raises(UserError, match=r"held-out: combinations = .*; allowed: a tuple of combinations"):
        HeldOut(DSprites(), combinations)  # type: ignore[arg-type]

"""Jobs of studies that train no model to be scored."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave import MLP
from unweave.analysis import AnnealingTest, critical_pressure
from unweave.data import DSprites, Subset, Triangle
from unweave.studies.critic import CriticEstimate
from unweave.studies.freezing import FreezingTest, Panels, Pressures, WholeAnnealing
from unweave.types import UserError

FEW = AnnealingTest(steps=20, measurements=5, network=MLP((8,)), batch=8)


def test_samples_have_the_correlation_asked_for() -> None:
    job = CriticEstimate(6, 0.6, seed=3)
    z = job._sample(0, 20_000, "joint").double()
    wanted = np.eye(6)
    for k in (0, 2, 4):
        wanted[k, k + 1] = wanted[k + 1, k] = 0.6
    assert np.abs(np.cov(z.T.numpy()) - wanted).max() < 0.04
    assert job.true == pytest.approx(-0.5 * math.log(np.linalg.det(wanted)))
    apart = np.cov(job._permuted(z.float(), 0).T.numpy())
    assert np.abs(apart - np.eye(6)).max() < 0.05
    assert torch.equal(job._sample(0, 5, "joint"), job._sample(0, 5, "joint"))
    assert not torch.equal(job._sample(0, 5, "joint"), job._sample(1, 5, "joint"))


def test_the_discriminator_finds_a_known_total_correlation(tmp_path: Path) -> None:
    job = CriticEstimate(2, 0.9, steps=250, batch=256, lr=3e-3, hidden=32, layers=2)
    result = job.run(tmp_path)
    assert result.values["tc.true"] == pytest.approx(0.8304, abs=1e-4)
    assert abs(result.values["tc"] - result.values["tc.true"]) < 0.2
    nothing = replace(job, correlation=0.0, steps=100).run(tmp_path).values
    assert nothing["tc.true"] == 0 and abs(nothing["tc"]) < 0.1
    assert result.values["accuracy"] > 0.6
    assert job.run(tmp_path) == result, "read back"


def test_odd_latents_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="even number"):
        CriticEstimate(3, 0.9).run(tmp_path)


def test_a_freezing_test_looks_at_one_factor_around_one_image(tmp_path: Path) -> None:
    job = FreezingTest(DSprites(), "scale", 1, FEW)
    values = job.run(tmp_path).values
    assert values["levels"] == 6 and values["critical"] > 0
    other = FreezingTest(DSprites(), "scale", 0, FEW)
    assert other.key != job.key and other.run(tmp_path).values["critical"] != values["critical"]


def test_whole_annealing_keeps_its_curve(tmp_path: Path) -> None:
    few = Subset(Triangle(), tuple(range(0, 1024, 32)))
    result = WholeAnnealing(few, replace(FEW, full=True, beta_start=20.0)).run(tmp_path)
    assert (
        len(result.arrays["betas"]) == len(result.arrays["errors"]) == 5 and (np.diff(result.arrays["betas"]) < 0).all()
    )
    assert result.values["critical"] == pytest.approx(critical_pressure(few))
    if not math.isnan(result.values["freezing"]):
        assert result.values["iteration"] % 4 == 0


def test_pressures_fall_from_stage_to_stage(tmp_path: Path) -> None:
    few = Subset(DSprites(), tuple(range(0, 737_280, 5_000)))
    values = Pressures(few, 3, few.rows).run(tmp_path).values
    assert values["critical"] > values["stage.1"] > values["stage.2"] > values["stage.3"] > 0


def test_panels_show_every_factor(tmp_path: Path) -> None:
    arrays = Panels(DSprites(), 4, row=0).run(tmp_path).arrays
    shapes = {name: images.shape for name, images in arrays.items()}
    assert shapes["along.shape"] == (3, 64, 64, 1) and shapes["along.pos_x"] == (4, 64, 64, 1)
    assert set(shapes) == {f"along.{name}" for name in DSprites().factors.names} | {"random"}
    wide = arrays["along.pos_x"].max(axis=(1, 3))
    middle = [np.flatnonzero(one).mean() for one in wide]
    assert middle == sorted(middle) and middle[0] < middle[-1]
    assert set(Panels(Triangle(), 4, row=0).run(tmp_path).arrays) == {"random"}, "no factor moves alone there"

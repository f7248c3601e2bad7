"""What studies measure on a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unweave import MLP, DeVAE, Experiment, fit
from unweave.analysis import follow
from unweave.job import Training
from unweave.metrics import MIG
from unweave.run import Run
from unweave.studies.measures import Information, Recon, Robustness, Spaces, Tracing, Traversals, course
from unweave.types import Codes


@pytest.fixture(scope="module")
def run() -> Run:
    return fit(DeVAE(betas=(1.0, 4.0)), "triangle", steps=4, batch=16, network=MLP((16,)), precision="float64")


def test_information_on_codes_that_are_known(run: Run) -> None:
    levels = torch.cartesian_prod(torch.arange(4), torch.arange(4), torch.arange(2))
    mean = torch.stack([levels[:, 0].double(), 2.0 * levels[:, 1] + (levels[:, 0] > 1), torch.zeros(32)], dim=1)
    codes = Codes.of(mean, levels, logvar=torch.zeros(32, 3), names=("a", "b", "c"))
    values, arrays = Information(alone=True)(run, codes)
    assert values["nmi1.a"] == pytest.approx(1.0) and values["nmi1.c"] == pytest.approx(0.0, abs=1e-12)
    assert values["nmi2.b"] == pytest.approx(0.0, abs=1e-12)
    assert arrays["nmi"][1].tolist() == pytest.approx([0.5, 1.0, 0.0])
    assert values["alone.a"] == pytest.approx(1.0) and values["alone.b"] == pytest.approx(0.5)
    assert values["nmi2.a"] == pytest.approx(0.5)
    assert values["kl"] == pytest.approx(float((0.5 * mean**2).mean(0).sum()))


def test_recon_is_the_likelihoods(run: Run) -> None:
    codes = run.codes(100)
    values, _ = Recon()(run, codes)
    assert values["recon"] == values["recon.sum-bce"] == pytest.approx(float(codes.distortion["bce"].mean()))
    assert values["recon.mean-se"] == pytest.approx(float(codes.distortion["squared_error"].mean()) / 4096)


def test_spaces_measures_every_space(run: Run) -> None:
    values, _ = Spaces(100)(run, run.codes(100))
    assert set(values) == {"mig@0", "mig@1", "recon@0", "recon@1"}
    assert values["mig@1"] == MIG()(run.codes(100, space=1)).value
    assert values["recon@0"] != values["recon@1"]


def test_traversals_move_the_latents_with_the_highest_kl(run: Run) -> None:
    codes = run.codes(200)
    _, arrays = Traversals(latents=3, bases=2)(run, codes)
    assert arrays["traversals"].shape == (2, 3, 9, 64, 64, 1) and arrays["traversals"].dtype == np.uint8
    assert codes.logvar is not None
    kl = 0.5 * (codes.mean**2 + codes.logvar.exp() - codes.logvar - 1).mean(0)
    assert arrays["traversed"].tolist() == kl.argsort(descending=True)[:3].tolist()
    assert arrays["values"][0] == -2 and arrays["values"][-1] == 2
    again = Traversals(latents=3, bases=2)(run, codes)[1]
    assert np.array_equal(again["traversals"], arrays["traversals"])


def test_robustness_gives_means_of_latents_by_level_of_their_parent(run: Run) -> None:
    levels = torch.cartesian_prod(torch.arange(3), torch.arange(4)).repeat(5, 1)
    mean = torch.stack([10.0 * levels[:, 1], -1.0 * levels[:, 0]], dim=1)
    values, arrays = Robustness()(run, Codes.of(mean, levels, names=("a", "b")))
    assert arrays["parents"].tolist() == [1, 0] and values["irs"] == pytest.approx(1.0)
    assert arrays["parent_means"][0].tolist() == [0.0, 10.0, 20.0, 30.0]
    assert arrays["parent_means"][1][:3].tolist() == [0.0, -1.0, -2.0] and np.isnan(arrays["parent_means"][1][3])
    assert np.nanmax(arrays["parent_sds"]) == 0


def test_tracing_measures_what_follow_does(tmp_path: Path) -> None:
    one = Experiment("vae", "triangle", steps=6, batch=16, network=MLP((16,)), precision="float64").complete()
    job = Training.of(one, measures=(Tracing(samples=50),), at=(2, 4, 6), count=200)
    assert one.data.factors is not None
    ours = course(job.run(tmp_path).arrays, one.data.factors.names)
    theirs = follow(one, at=(2, 4, 6), count=200, samples=50)
    assert ours is not None and ours.factors == theirs.factors
    assert np.array_equal(ours.steps, theirs.steps)
    for name in ("information", "entropies", "kl", "nmi1", "mig"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-12)
    assert set(ours.rate) == set(theirs.rate) and set(ours.recon) == set(theirs.recon)
    assert np.allclose(ours.rate["mi"], theirs.rate["mi"], rtol=0, atol=1e-12)


def test_without_points_there_is_no_course() -> None:
    assert course({"nmi": np.eye(2)}, ("a", "b")) is None


def test_a_dead_latent_tells_nothing(run: Run) -> None:
    levels = torch.arange(4).repeat(8)[:, None]
    mean = torch.stack([1.0 * levels[:, 0], 1e-3 * levels[:, 0]], dim=1)
    values, arrays = Information()(run, Codes.of(mean, levels, logvar=torch.zeros(32, 2), names=("a",)))
    assert arrays["nmi"][:, 0].tolist() == pytest.approx([1.0, 0.0]) and values["nmi2.a"] == 0.0

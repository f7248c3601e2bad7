"""Codes on the way of a training, and the three properties over it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unweave import Experiment, fit
from unweave.analysis import batch_properties, property_course, watch
from unweave.networks import MLP
from unweave.types import Codes, UserError

SMALL = Experiment("beta-vae", "triangle", steps=6, batch=8, latents=3, network=MLP((8,)), seed=1)


def test_codes_are_those_of_a_run_that_stops_there():
    found = dict(watch(SMALL, at=[2, 6], count=40, seed=5))
    assert list(found) == [2, 6]
    for steps, codes in found.items():
        again = fit(Experiment("beta-vae", "triangle", steps=steps, batch=8, latents=3, network=MLP((8,)), seed=1))
        expected = again.codes(40, seed=5)
        assert torch.equal(codes.levels, expected.levels)
        assert torch.allclose(codes.mean, expected.mean, atol=1e-6)
    assert not torch.equal(found[2].mean, found[6].mean)
    assert [step for step, _ in watch(SMALL, at=3, count=10)] == [2, 4, 6]


def test_means_and_errors_by_loops():
    random = np.random.default_rng(0)
    training = []
    for step in (10, 30):
        mean, logvar = random.normal(size=(60, 3)), random.normal(size=(60, 3)) - 2
        codes = Codes.of(mean, logvar=logvar)._replace(distortion={"bce": torch.from_numpy(random.uniform(size=60))})
        training.append((step, codes))
    course = property_course(iter(training), batch=12, batches=4, seed=2)
    assert course.steps.tolist() == [10.0, 30.0]
    for t, (_, codes) in enumerate(training):
        every = batch_properties(codes, 12, batches=4, seed=2)
        for k, name in enumerate(("sufficiency", "minimality", "disentanglement")):
            values = [one[k] for one in every]
            mean = sum(values) / 4
            error = math.sqrt(sum((value - mean) ** 2 for value in values) / 3 / 4)
            assert course.mean[name][t] == pytest.approx(mean, abs=1e-12)
            assert course.error[name][t] == pytest.approx(error, abs=1e-12)
    alone = property_course(training, batch=60)
    assert np.isnan(alone.error["minimality"]).all() and np.isfinite(alone.mean["minimality"]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: list(watch(SMALL, at=0)), "watch: steps [0]"),
        (lambda: list(watch(SMALL, at=[7])), "watch: steps [7]"),
        (lambda: list(watch(SMALL, at=[])), "watch: steps []"),
        (lambda: list(watch(SMALL, count=3)), "count = 3"),
        (lambda: list(watch(SMALL, at=9)), "watch: steps [0"),
        (lambda: property_course([]), "no steps"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)

"""DEFT's stages: who moves when, and what waits at the prior."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unweave.data import DATASETS
from unweave.engine import Experiment
from unweave.methods import DEFT
from unweave.networks import MLP, Conv, GroupedVAE
from unweave.run import fit
from unweave.studies.deft.models import SETTINGS
from unweave.types import Rate

from .case import LATENTS, SPEC, case, gradients

G = 0.25


def deft(**options: Any) -> DEFT:
    return DEFT(betas=(9.0, 4.0, 1.5), gamma=G, stage_steps=10, **options)


TABLE = {
    ("lr", "prior"): [(1, 0, 0), (G, 1, 0), (G, G, 1)],
    ("lr", "zero_grad"): [(1, 0, 0), (G, 1, 0), (G, G, 1)],
    ("lr", "scale"): [(1, G, G), (G, 1, G), (G, G, 1)],
    ("grad", "prior"): [(1, 0, 0), (1, 1, 0), (1, 1, 1)],
    ("grad", "zero_grad"): [(1, 1, 1), (1, 1, 1), (1, 1, 1)],
    ("grad", "scale"): [(1, 1, 1), (1, 1, 1), (1, 1, 1)],
    ("freeze_dit", "prior"): [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
}
"""(scaling, future) -> for each stage, what multiplies the learning rate of encoders 0, 1, 2."""


@pytest.mark.parametrize("rule", TABLE, ids="-".join)
@pytest.mark.parametrize("step", [0, 9, 10, 19, 20, 29, 30, 10**7])
def test_rates(rule: tuple[str, str], step: int) -> None:
    stage = min(step // 10, 2)
    expected = {f"encoder {i}": Rate(float(s)) for i, s in enumerate(TABLE[rule][stage])}
    if rule[0] == "freeze_dit":
        expected |= {f"projection {i}": Rate(float(i < stage)) for i in range(2)}
    assert dict(deft(scaling=rule[0], future=rule[1]).rates(step)) == {**expected, "decoder": Rate(1.0)}


@pytest.mark.parametrize("future", ["zero_grad", "scale"])
def test_a_shared_encoder_always_moves(future: str) -> None:
    method = deft(scaling="grad", future=future, shared=True)
    for step in (0, 15, 99):
        assert dict(method.rates(step)) == {"encoder": Rate(1.0), "decoder": Rate(1.0)}


@pytest.mark.parametrize("shared", [False, True])
def test_moments_are_forgotten_on_the_first_step_of_a_later_stage_alone(shared: bool) -> None:
    options = {"scaling": "grad", "future": "zero_grad", "shared": True} if shared else {}
    method = deft(optimizer_reset_on_stage=True, **options)
    resets = [step for step in range(100) if any(rate.reset for rate in method.rates(step).values())]
    assert resets == [10, 20]
    assert all(rate.reset for step in resets for rate in method.rates(step).values())
    assert not any(rate.reset for step in range(100) for rate in deft(**options).rates(step).values())


def test_stages_follow_the_step_and_stop_at_the_last() -> None:
    one = case(deft())
    for step, stage in {0: 0, 9: 0, 10: 1, 19: 1, 20: 2, 29: 2, 30: 2, 5000: 2}.items():
        terms = one.method.loss(one.model, one.batch._replace(step=torch.tensor(step)), {}).terms
        assert one.method.stage(step) == stage == terms["stage"]
        assert terms["beta"] == one.method.betas[stage]


def test_groups_that_wait_carry_nothing() -> None:
    """Before any training: mean 0, log-variance 0, KL 0, so their codes are noise of the prior."""
    one = case(deft(), step=0, spread=0)
    q = one.model.encode(one.batch.x)
    assert torch.equal(q.mean, torch.zeros_like(q.mean)) and torch.equal(q.logvar, torch.zeros_like(q.mean))
    loss = one.loss()
    assert [loss.terms[name].item() for name in ("kl", "kl.0", "kl.1", "kl.2")] == [0, 0, 0, 0]
    assert torch.equal(q.sample(one.batch.noise["z"]), one.batch.noise["z"])


@pytest.mark.parametrize("future", ["zero_grad", "scale"])
def test_groups_that_do_not_wait_start_at_random(future: str) -> None:
    loss = case(deft(future=future), step=0, spread=0).loss()
    assert min(loss.terms[f"kl.{i}"].item() for i in range(3)) > 0


def test_a_group_at_the_prior_can_begin_to_learn() -> None:
    """Its head has a gradient at once, a different one for each latent, and its trunk as soon as the head has moved."""
    one = case(deft(), step=0, spread=0)
    one.loss().total.backward()
    head = gradients(one.model)["encoders.0.head.weight"][: LATENTS // 3]
    assert bool(head.any()) and not torch.allclose(head[0], head[1])
    with torch.no_grad():
        one.model.encoders[0].head.weight -= 1e-3 * one.model.encoders[0].head.weight.grad
    one.model.zero_grad()
    one.loss().total.backward()
    assert bool(gradients(one.model)["encoders.0.trunk.layers.1.weight"].any())


@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0])
def test_plain_gradient_descent_moves_old_groups_gamma_as_far(gamma: float) -> None:
    """With ``grad`` one step of gradient descent is γ times that of the same network in its own stage's rule."""
    method = DEFT(betas=(4.0, 4.0 - 1e-9, 4.0 - 2e-9), gamma=gamma, stage_steps=10, scaling="grad")
    one = case(method, step=25)
    one.loss().total.backward()
    scaled = gradients(one.model)
    free = case(DEFT(method.betas, gamma=1.0, stage_steps=10, scaling="grad"), step=25)
    free.loss().total.backward()
    for name, value in gradients(free.model).items():
        old = name.startswith(("encoders.0", "encoders.1"))
        torch.testing.assert_close(scaled[name], gamma * value if old else value, rtol=1e-12, atol=1e-13)


def test_projections_rescale_frozen_groups_only() -> None:
    one = case(deft(scaling="freeze_dit"), step=15)
    q = one.model.encode(one.batch.x)
    raw = one.model.parts(one.batch.x)
    for i, part in enumerate(raw):
        at = slice(2 * i, 2 * i + 2)
        last = i == len(raw) - 1
        torch.testing.assert_close(q.mean[:, at], part.mean * (1 if last else torch.exp(one.model.w_mean[i])))
        torch.testing.assert_close(q.logvar[:, at], part.logvar + (0 if last else one.model.w_logvar[i]))


def test_a_projections_first_steps_are_as_long_as_any_first_step() -> None:
    """Adam begins to count when a group becomes an old one, not when the training begins."""
    method = DEFT((4.0, 2.0), stage_steps=60, scaling="freeze_dit")
    run = fit(method, "triangle", steps=61, batch=8, latents=4, network=MLP((8,)), precision="float64")
    moved = run.model.w_mean[0].abs() / run.experiment.optimiser.lr
    assert moved.tolist() == pytest.approx([1, 1], abs=0.01)
    before = fit(method, "triangle", steps=60, batch=8, latents=4, network=MLP((8,)), precision="float64")
    assert not before.model.w_mean[0].any()


def test_bodies() -> None:
    """Lite encoders and the standard decoder (Table 1), one standard encoder when shared, or what is asked for."""
    spec = SPEC._replace(shape=(1, 64, 64))
    lite, whole = (GroupedVAE(Conv(name), Conv(), spec.shape, 6, "bernoulli", 3) for name in ("lite", "standard"))
    assert shapes(deft().network(spec, 6)) == shapes(lite)
    shared = deft(scaling="grad", future="scale", shared=True).network(spec, 6)
    first = {n: s for n, s in shapes(whole).items() if n.startswith("encoders.0.trunk")}
    assert {n: s for n, s in shapes(shared).items() if n.startswith("encoders.0.trunk")} == first
    assert len(shared.encoders) == 1 and shared.encoders[0].head.out_features == 12
    assert deft().network(SPEC, 6, MLP((4,))).encoders[0].head.in_features == 4


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


PUBLISHED = {
    "dsprites": ((70.0, 30.0, 12.0, 4.0), 12, 20_160, 80_640),
    "color-dsprites": ((160.0, 105.0, 30.0, 4.0), 12, 20_160, 80_640),
    "scream-dsprites": ((140.0, 1.0), 10, 28_800, 57_600),
    "smallnorb": ((50.0, 1.0), 10, 19_000, 38_000),
    "chairs3d": ((36.0, 16.0, 1.0), 9, 6_760, 20_280),
    "triangle": ((20.0, 2.0), 4, 3_000, 10_000),
}
"""Table 2, §5.4 and §5.5: pressures, latents, steps of a stage, steps in all."""


@pytest.mark.parametrize("data", PUBLISHED)
def test_published_settings_by_name(data: str) -> None:
    betas, latents, stage, steps = PUBLISHED[data]
    one = Experiment("deft", data).complete()
    assert one.method == DEFT(betas=betas, gamma=0.1, stage_steps=stage)
    assert (one.latents, one.steps, one.batch, one.optimiser.lr) == (latents, steps, 256, 5e-4)
    assert one.likelihood == DATASETS[data].likelihood == "bernoulli", "the pressures belong to it"
    assert steps >= stage * len(betas)


@pytest.mark.parametrize("data", SETTINGS)
def test_studies_have_the_same_settings(data: str) -> None:
    own, one = SETTINGS[data], Experiment("deft", data).complete()
    assert one.method == DEFT(betas=own.betas, stage_steps=own.stage)
    assert (one.latents, one.steps) == (own.latents, own.steps)

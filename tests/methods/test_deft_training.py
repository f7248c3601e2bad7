"""DEFT under Adam: how far the groups really move."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

import unweave
from unweave.engine.adam import Group
from unweave.types import Adam, Rate

STAGE = 5


@cache
def parameters(gamma: float, steps: int, scaling: str = "lr") -> dict[str, Tensor]:
    """Parameters after so many steps from the same start; γ plays no part in the first stage."""
    method = unweave.DEFT(betas=(3.0, 1.0), gamma=gamma, stage_steps=STAGE, scaling=scaling)
    run = unweave.fit(
        method, "triangle", latents=4, steps=steps, batch=8, precision="float64", network=unweave.MLP((8,))
    )
    return {name: value.clone() for name, value in run.model.named_parameters()}


def moved(name: str, gamma: float) -> Tensor:
    """How far the first step of the second stage takes one encoder's parameters."""
    before, after = parameters(gamma, STAGE), parameters(gamma, STAGE + 1)
    return torch.cat([(after[n] - before[n]).flatten() for n in before if n.startswith(name)])


def test_adams_step_of_an_old_group_is_gamma_times_its_own() -> None:
    whole = moved("encoders.0", 1.0)
    assert bool(whole.any())
    torch.testing.assert_close(moved("encoders.0", 0.1), 0.1 * whole, rtol=1e-9, atol=1e-15)
    for other in ("encoders.1", "decoder"):
        assert torch.equal(moved(other, 0.1), moved(other, 1.0)) and bool(moved(other, 0.1).any())


def test_under_adam_a_factor_on_the_gradient_fades() -> None:
    """Why γ is on the learning rate: the effective step of ``grad``, of that before, in docs/methods/deft.md."""
    group = Group(["w"], [{"w": torch.zeros(1, dtype=torch.float64)}], [Adam(lr=1e-3, eps=1e-15)])

    def step(gradient: float) -> float:
        before = group.flat.clone()
        group.grad.fill_(gradient)
        group.update([Rate()])
        return float((before - group.flat).item())

    for _ in range(10_000):
        whole = step(1.0)
    shares = {t: step(0.1) / whole for t in range(1, 10_001)}
    for t, told in ((100, 0.11), (2_300, 0.30), (4_600, 0.71), (10_000, 1.0)):
        exact = (0.1 + 0.9 * 0.9**t) / (0.01 + 0.99 * 0.999**t) ** 0.5
        assert shares[t] == pytest.approx(exact, rel=1e-3) and shares[t] == pytest.approx(told, abs=0.006)


@pytest.mark.parametrize(("gamma", "scaling"), [(0.0, "lr"), (0.1, "freeze_dit")])
def test_old_encoders_are_frozen_to_the_bit(gamma: float, scaling: str) -> None:
    first, last = (parameters(gamma, steps, scaling) for steps in (STAGE, 2 * STAGE))
    for name, value in first.items():
        assert torch.equal(value, last[name]) is name.startswith("encoders.0"), name


def test_a_group_is_untouched_until_its_stage() -> None:
    first, last = parameters(0.1, 1), parameters(0.1, STAGE)
    for name, value in first.items():
        assert torch.equal(value, last[name]) is name.startswith("encoders.1"), name
    assert not bool(last["encoders.1.head.weight"].any())


@pytest.mark.parametrize("scaling", ["lr", "freeze_dit"])
def test_a_single_group_trains(scaling: str) -> None:
    method = unweave.DEFT(betas=(3.0,), stage_steps=STAGE, scaling=scaling)
    run = unweave.fit(method, "triangle", latents=3, steps=2, batch=8, network=unweave.MLP((8,)))
    assert run.step == 2 and run.failure is None

"""The PI controllers of DynamicVAE (and ControlVAE) at their limits, and their memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from unweave.methods import ControlVAE, DynamicVAE
from unweave.testing import check_method
from unweave.types import State

from .case import LATENTS, SPEC, case

EROW: dict[str, Any] = {"variant": "erow", "c_max": 0.0}
CVPR22: dict[str, Any] = {"variant": "cvpr22", "c_start": 0.0, "c_step": 0.0, "c_max": 0.0}
HELD: dict[str, Any] = {
    "erow": DynamicVAE(**EROW),
    "erow with the paper's gains": DynamicVAE(**EROW, kp=0.01, ki=0.001),
    "cvpr22": DynamicVAE(**CVPR22),
    "cvpr22, mean of 10": DynamicVAE(**CVPR22, window=10),
    "control-vae": ControlVAE(c_start=0.0, c_max=0.0, c_step=0.0),
}
"""Controllers with a target of 0, so that the KL given is how much of it is too much."""
AUTHOR = DynamicVAE(**CVPR22, antiwindup="author")
BOTH = pytest.mark.parametrize("precision", [torch.float32, torch.float64], ids=str)


def drive(
    method: Any, kls: list[float], state: State | None = None, precision: torch.dtype = torch.float64
) -> tuple[list[float], State]:
    """The pressures that a sequence of KLs (minus the target) makes."""
    state = method.init(SPEC, LATENTS) if state is None else state
    state = {name: value.to(precision) for name, value in state.items()}
    found = []
    for kl in kls:
        beta, state = method.control(torch.tensor(kl, dtype=precision), torch.tensor(0), state)
        found.append(float(beta))
    return found, state


def lowest(method: Any) -> float:
    """β_min, the published one where it is left open."""
    return float(method.number("beta_min") if isinstance(method, DynamicVAE) else method.beta_min)


@BOTH
@pytest.mark.parametrize("size", [1e2, 1e6, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", [*HELD.values(), AUTHOR], ids=[*HELD, "author"])
def test_huge_errors_never_make_nan(method: Any, sign: int, size: float, precision: torch.dtype) -> None:
    betas, state = drive(method, [sign * size, 1.0, -1.0, -sign * size, sign * size, 0.0] * 20, precision=precision)
    low = float(torch.tensor(lowest(method), dtype=precision))
    assert all(low <= beta < float("inf") for beta in betas)
    assert all(bool(torch.isfinite(value).all()) for value in state.values())


@BOTH
@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", HELD)
def test_after_huge_errors_the_pressure_moves_again(name: str, sign: int, times: int, precision: torch.dtype) -> None:
    """Errors of 10⁶ nats, then 5 nats of the other sign: within 2,000 steps β goes that way."""
    before, state = drive(HELD[name], [sign * 1e6] * times, precision=precision)
    # The mean of the last KLs, and the smoothed KL, take some steps to forget.
    _, state = drive(HELD[name], [-5.0 * sign] * 20, state, precision)
    betas, _ = drive(HELD[name], [-5.0 * sign] * 2000, state, precision)
    moved = betas[-1] - betas[0]
    assert -sign * moved > 1, (before[-1], betas[0], betas[-1])
    steps = [b - a for a, b in pairwise(betas)]
    assert all(-sign * step >= 0 for step in steps)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", HELD)
def test_after_two_thousand_huge_errors_too(name: str, sign: int) -> None:
    """In float64; float32 cannot tell a pressure of 10⁷ from one that is 0.02 smaller."""
    _, state = drive(HELD[name], [sign * 1e6] * 2000)
    betas, _ = drive(HELD[name], [-5.0 * sign] * 2000, state)
    assert -sign * (betas[-1] - betas[100]) > 1


@pytest.mark.parametrize("name", ["erow", "cvpr22"])
@pytest.mark.parametrize("below", [8.0, 18.0])
def test_back_leaves_saturation_at_once(name: str, below: float) -> None:
    """However long the KL was too small, the first error of the other sign raises the pressure."""
    method = HELD[name]
    _, state = drive(method, [-below] * 10_000)
    betas, _ = drive(method, [5.0] * 30, state)
    assert float(state["pressure"]) == lowest(method) and betas[-1] > lowest(method) + 0.1
    steady = betas[15] - betas[14]
    assert steady == pytest.approx(5 * abs(method.number("ki")), rel=1e-6)


def test_author_rule_can_lock() -> None:
    """Pushed far below the floor, the integral is off for ever; with ours the pressure comes back."""
    _, state = drive(AUTHOR, [-1e6])
    assert float(state["pressure"]) < -900
    betas, after = drive(AUTHOR, [5.0] * 5000, state)
    assert set(betas) == {0.1} and float(after["pressure"]) == pytest.approx(float(state["pressure"]), abs=0.02)
    recovered, _ = drive(HELD["cvpr22"], [-1e6, *[5.0] * 5000])
    assert recovered[-1] > 100


def test_author_rule_is_ours_while_the_pressure_is_above_its_floor() -> None:
    torch.manual_seed(1)
    kls = (torch.randn(2000, dtype=torch.float64) + 0.5).tolist()
    assert drive(AUTHOR, kls)[0] == drive(HELD["cvpr22"], kls)[0]


@pytest.mark.parametrize("name", HELD)
def test_too_much_raises_the_pressure_and_too_little_lowers_it(name: str) -> None:
    rising, state = drive(HELD[name], [3.0] * 50)
    falling, _ = drive(HELD[name], [-3.0] * 60, state)
    assert rising == sorted(rising) and rising[0] < rising[-1]
    later = falling[20:]
    assert later == sorted(later, reverse=True) and later[0] > later[-1]


@pytest.mark.parametrize("method", [*HELD.values(), AUTHOR], ids=[*HELD, "author"])
def test_a_run_from_its_state_continues_exactly(method: Any) -> None:
    torch.manual_seed(3)
    kls = (20 * torch.randn(400, dtype=torch.float64)).tolist()
    whole, end = drive(method, kls)
    first, state = drive(method, kls[:137])
    again, after = drive(method, kls[137:], {name: value.clone() for name, value in state.items()})
    assert first + again == whole
    assert all(torch.equal(after[name], value) for name, value in end.items())


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_queue_holds_the_last_kls(window: int) -> None:
    method = DynamicVAE(**CVPR22, window=window)
    for count in (1, 3, 8):
        _, state = drive(method, [float(one) for one in range(1, count + 1)])
        wanted = [0.0] * window + [float(one) for one in range(1, count + 1)]
        assert state["kls"].tolist() == wanted[-window:]
        assert float(state["error"]) == pytest.approx(-sum(wanted[-window:]) / window)


def test_the_average_forgets() -> None:
    _, state = drive(HELD["erow"], [10.0])
    assert float(state["average"]) == pytest.approx(9.5)
    _, state = drive(HELD["erow"], [2.0], state)
    assert float(state["average"]) == pytest.approx(0.95 * 2 + 0.05 * 9.5)


def test_erow_answers_in_proportion_only_to_a_lack() -> None:
    """With the integral off, too much KL moves nothing, and too little KL moves β by K_p times itself."""
    method = DynamicVAE(**EROW, smoothing=1.0, ki=0.0)
    betas, _ = drive(method, [7.0, 3.0, 0.0, -2.0, -6.0, -1.0, 4.0])
    assert betas == pytest.approx([150, 150, 150, 150 - 0.08, 150 - 0.24, 150 - 0.04, 150])


def target(method: DynamicVAE, step: int) -> float:
    return float(method.target(torch.tensor(step), torch.float64))


def test_target_of_erow() -> None:
    method = DynamicVAE()
    assert [target(method, step) for step in (0, 4999)] == [0, 0]
    assert [target(method, step) for step in (5000, 9999)] == pytest.approx([0.45, 0.45])
    assert target(method, 199_999) == pytest.approx(17.55)
    assert [target(method, step) for step in (200_000, 300_000, 10**7)] == [18, 18, 18]
    on = DynamicVAE(c_stop=False)
    assert [target(on, step) for step in (199_999, 200_000)] == pytest.approx([17.55, 18])
    assert target(on, 300_000) == pytest.approx(1.5 * 18)


def test_target_of_cvpr22() -> None:
    method = DynamicVAE("cvpr22")
    assert [target(method, step) for step in (0, 500, 1000, 5999, 6000)] == [0.5] * 5
    assert target(method, 6500) == pytest.approx(0.575)
    assert [target(method, step) for step in (7000, 11_999, 12_000)] == pytest.approx([0.65] * 3)
    # (20 − 0.5) / 0.15 = 130 rises.
    assert target(method, 130 * 6000 + 999) < 20
    assert [target(method, step) for step in (130 * 6000 + 1000, 10**7)] == pytest.approx([20, 20])
    steps = [target(method, step) for step in range(0, 10**6, 997)]
    assert steps == sorted(steps) and max(steps) == 20


@pytest.mark.parametrize("variant", ["erow", "cvpr22"])
def test_memory_is_replaced_not_changed(variant: str) -> None:
    one = case(DynamicVAE(variant))
    before = {name: value.clone() for name, value in one.state.items()}
    after = one.loss().state
    assert all(torch.equal(one.state[name], value) for name, value in before.items())
    assert not any(torch.equal(after[name], value) for name, value in before.items())


GIVEN = {"beta_start": 60.0, "beta_min": 0.5, "kp": 0.04, "c_max": 9.0}


@pytest.mark.parametrize(
    "method",
    [
        DynamicVAE("erow", **GIVEN, ki=0.004, c_every=3, c_steps=12),
        DynamicVAE("erow", **GIVEN, ki=0.004, c_every=3, c_steps=12, c_stop=False),
        DynamicVAE("cvpr22", **GIVEN, ki=-0.005, c_period=6, c_ramp=3),
        DynamicVAE("cvpr22", **GIVEN, ki=-0.005, c_period=6, c_ramp=3, window=1, antiwindup="author"),
    ],
    ids=str,
)
def test_gains_and_targets_may_differ_inside_a_pack(method: DynamicVAE) -> None:
    """The contract with the numbers given, so that they are what the members differ in."""
    check_method(method)

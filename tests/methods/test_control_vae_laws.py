"""The PI controller at its limits, and its memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unweave.methods import ControlVAE
from unweave.types import State

from .case import LATENTS, SPEC, case

HELD = {"c_start": 0.0, "c_max": 0.0, "c_step": 0.0}
"""A target of 0, so that the error is minus the KL."""


def drive(
    method: ControlVAE, errors: list[float], state: State | None = None, start: int = 0
) -> tuple[list[float], State]:
    """The pressures that a sequence of errors makes."""
    state = dict(method.init(SPEC, LATENTS)) if state is None else state
    found = []
    for step, error in enumerate(errors, start):
        beta, state = method.control(torch.tensor(-error), torch.tensor(step), state)
        found.append(float(beta))
    return found, state


@pytest.mark.parametrize("rule", ["back", "author"])
@pytest.mark.parametrize("size", [1e2, 1e3, 1e6, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
def test_huge_errors_never_make_nan(rule: str, size: float, sign: int) -> None:
    betas, state = drive(ControlVAE(**HELD, antiwindup=rule), [sign * size, -1.0, 1.0, -sign * size, sign * size])
    assert all(1.0 <= beta < float("inf") for beta in betas)
    assert all(bool(torch.isfinite(value)) for value in state.values())


@pytest.mark.parametrize("above", [8.0, 1e6])
def test_back_leaves_saturation_at_once(above: float) -> None:
    """However long the target was missed from one side, the first error of the other sign raises the pressure."""
    _, state = drive(ControlVAE(**HELD), [above] * 2000)
    betas, _ = drive(ControlVAE(**HELD), [-5.0, -5.0], state)
    assert betas[0] > 1.0049 and betas[1] == pytest.approx(betas[0] + 0.005, abs=1e-5)


def test_author_rule_can_lock() -> None:
    """One huge error and the integral is frozen below the floor for ever."""
    _, state = drive(ControlVAE(**HELD, antiwindup="author"), [1e6])
    betas, state = drive(ControlVAE(**HELD, antiwindup="author"), [-5.0] * 3000, state)
    assert set(betas) == {1.0} and float(state["integral"]) == pytest.approx(-1000)
    recovered, _ = drive(ControlVAE(**HELD), [1e6, *[-5.0] * 3000])
    assert recovered[-1] == pytest.approx(16, abs=0.1)


def test_author_rule_after_a_small_overshoot() -> None:
    """2,000 steps at +8 nats, then 5,000 at −5: tested before the maximum is taken, the rule ends at 26.

    Tested after the maximum, it would never hold the integral and end at 10.
    """
    errors = [8.0] * 2000 + [-5.0] * 5000
    assert drive(ControlVAE(**HELD, antiwindup="author"), errors)[0][-1] == pytest.approx(26.0, abs=0.05)
    assert drive(ControlVAE(**HELD), errors)[0][-1] == pytest.approx(26.0, abs=0.05)
    integral = sum(-0.001 * error for error in errors)
    assert 1.01 + integral == pytest.approx(10.0, abs=0.05)


@pytest.mark.parametrize("rule", ["back", "author"])
def test_resuming_continues_exactly(rule: str) -> None:
    torch.manual_seed(3)
    errors = (20 * torch.randn(400)).tolist()
    method = ControlVAE(**HELD, antiwindup=rule)
    whole, end = drive(method, errors)
    first, state = drive(method, errors[:150])
    held = {name: value.clone() for name, value in state.items()}
    again, after = drive(method, errors[150:], held, 150)
    assert first + again == whole
    assert all(torch.equal(after[name], value) for name, value in end.items())


def test_a_steady_excess_raises_the_pressure_and_a_lack_lowers_it() -> None:
    rising, state = drive(ControlVAE(**HELD), [-3.0] * 50)
    falling, _ = drive(ControlVAE(**HELD), [3.0] * 20, state)
    assert rising == sorted(rising) and falling == sorted(falling, reverse=True) and rising[0] < rising[-1]


def test_target_rises_in_steps_to_its_end() -> None:
    method = ControlVAE()
    assert [float(method.target(torch.tensor(s))) for s in (0, 4999)] == [0.5, 0.5]
    assert float(method.target(torch.tensor(5000))) == pytest.approx(0.65)
    # (18 − 0.5) / 0.15 = 116.7 rises.
    assert float(method.target(torch.tensor(116 * 5000))) == pytest.approx(17.9)
    assert [float(method.target(torch.tensor(s))) for s in (117 * 5000, 10**7)] == [18.0, 18.0]


def test_memory_is_replaced_not_changed() -> None:
    one = case(ControlVAE())
    before: dict[str, Tensor] = {name: value.clone() for name, value in one.state.items()}
    after = one.loss().state
    assert all(torch.equal(one.state[name], value) for name, value in before.items())
    assert not torch.equal(after["integral"], before["integral"])
    assert before["pressure"] == one.method.beta_min and before["integral"] == 0

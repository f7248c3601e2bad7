"""ControlVAE against the PI controller written with Python numbers."""

from __future__ import annotations

import pytest
import torch

from unweave.data.base import DataSpec
from unweave.methods import ControlVAE

from . import oracle
from .case import TIGHT, case, rows, table

ERRORS = [3.0, -2.0, 8.0, 1e6, -1e6, 0.0, -5.0, 40.0, 700.0, 900.0, -900.0, 1e-9, -0.3, 12.0] * 3
SPEC = DataSpec((1, 8, 8), "bernoulli", 100, None)


class Controller:
    """The recurrence of SPEC's formulas, one call a step."""

    def __init__(self, rule: str, kp: float, ki: float, beta_min: float) -> None:
        self.rule, self.kp, self.ki, self.beta_min = rule, kp, ki, beta_min
        self.integral, self.last = 0.0, beta_min

    def __call__(self, error: float) -> float:
        p = self.kp * oracle.sigmoid(-error) + self.beta_min
        if self.rule == "back":
            self.integral = max(self.integral + self.ki * error, self.beta_min - p)
        elif not self.last < self.beta_min:
            self.integral += self.ki * error
        self.last = p + self.integral
        return max(self.last, self.beta_min)


@pytest.mark.parametrize("rule", ["back", "author"])
@pytest.mark.parametrize("numbers", [(0.01, -0.001, 1.0), (0.01, -0.001, 0.7), (0.3, -0.02, 0.1), (2.0, -0.5, 0.0)])
def test_a_recorded_sequence_of_errors(rule: str, numbers: tuple[float, float, float]) -> None:
    kp, ki, beta_min = numbers
    method = ControlVAE(
        kp=kp, ki=ki, beta_min=beta_min, antiwindup=rule, c_start=0.7, c_step=0.15, c_max=18.0, c_every=4
    )
    state = {name: value.double() for name, value in method.init(SPEC, 6).items()}
    controller = Controller(rule, kp, ki, beta_min)
    for step, error in enumerate(ERRORS):
        target = min(18.0, 0.7 + 0.15 * (step // 4))
        measured = target - error
        beta, state = method.control(torch.tensor(measured, dtype=torch.float64), torch.tensor(step), state)
        assert beta.item() == pytest.approx(controller(target - measured), rel=TIGHT), step
        assert state["integral"].item() == pytest.approx(controller.integral, rel=TIGHT)
        assert state["pressure"].item() == pytest.approx(controller.last, rel=TIGHT)


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("rule", ["back", "author"])
@pytest.mark.parametrize("step", [0, 4999, 5000, 123_456, 1_000_000])
def test_terms(likelihood: str, rule: str, step: int) -> None:
    one = case(ControlVAE(antiwindup=rule), likelihood, step)
    state = {"integral": torch.tensor(2.25).double(), "pressure": torch.tensor(3.5).double()}
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    target = min(18.0, 0.5 + 0.15 * (step // 5000))
    controller = Controller(rule, 0.01, -0.001, 1.0)
    controller.integral, controller.last = 2.25, 3.5
    beta = controller(target - kl)
    loss = one.method.loss(one.model, one.batch, state)
    for name, value in {"recon": recon, "kl": kl, "beta": beta, "target": target}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + beta * kl, rel=TIGHT)
    assert loss.state["integral"].item() == pytest.approx(controller.integral, rel=TIGHT)


def test_the_pressure_carries_no_gradient() -> None:
    one = case(ControlVAE(c_max=40.0, ki=-0.5, kp=3.0))
    loss = one.loss()
    loss.total.backward()
    got = one.model.encoder.head.weight.grad.clone()
    one.model.zero_grad()
    again = one.loss()
    (again.terms["recon"] + again.terms["beta"].item() * again.terms["kl"]).backward()
    torch.testing.assert_close(got, one.model.encoder.head.weight.grad, rtol=1e-12, atol=0)
    assert loss.terms["beta"].item() > 1.5 and not loss.terms["beta"].requires_grad

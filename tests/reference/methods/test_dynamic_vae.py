"""DynamicVAE's two controllers against their recurrences on Python numbers."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
import torch

from unweave.data.base import DataSpec
from unweave.methods import DynamicVAE

from . import oracle
from .case import TIGHT, case, rows, table

SPEC = DataSpec((1, 8, 8), "bernoulli", 100, None)
KLS = [0.01, 3.0, 28.0, 4.5, 1e6, 0.0, 1.0, 900.0, 0.3, 18.0, 17.9, 2.0, 1e-9, 40.0, 12.0, 0.0, 0.0, 0.0, 6.0] * 3
EROW: dict[str, Any] = {"variant": "erow", "c_every": 3, "c_steps": 14}
CVPR22: dict[str, Any] = {"variant": "cvpr22", "c_period": 6, "c_ramp": 4, "c_step": 2.5, "c_max": 9.0}
OPTIONS: list[dict[str, Any]] = [
    EROW,
    EROW | {"kp": 0.01, "ki": 0.001},
    EROW | {"c_stop": False, "smoothing": 0.4, "beta_start": 2.0, "beta_min": 0.5, "kp": 0.7, "ki": 0.3, "c_max": 7.0},
    EROW | {"smoothing": 1.0, "kp": 0.0},
    CVPR22,
    CVPR22 | {"antiwindup": "author"},
    CVPR22 | {"antiwindup": "author", "window": 1, "beta_start": 0.3, "kp": 0.4, "ki": -0.05},
    CVPR22 | {"window": 10, "beta_start": 100.0, "beta_min": 1.0, "ki": -0.5, "c_start": 0.0},
]


class Erow:
    """The controller of DeVAE's authors; e = smoothed KL − C."""

    def __init__(self, method: DynamicVAE) -> None:
        self.m = method
        self.w = 150.0 if method.beta_start is None else method.beta_start
        self.low = 1.0 if method.beta_min is None else method.beta_min
        self.kp = 0.04 if method.kp is None else method.kp
        self.ki = 0.004 if method.ki is None else method.ki
        self.goal = 18.0 if method.c_max is None else method.c_max
        self.smooth = self.error = 0.0

    def target(self, step: int) -> float:
        count = self.m.c_steps // self.m.c_every
        rises = step // self.m.c_every
        if self.m.c_stop:
            rises = min(rises, count)
        return self.goal * rises / count

    def __call__(self, kl: float, step: int) -> float:
        self.smooth = self.m.smoothing * kl + (1 - self.m.smoothing) * self.smooth
        error = self.smooth - self.target(step)
        p = self.kp * ((error if error < 0 else 0.0) - (self.error if self.error < 0 else 0.0))
        self.w = max(self.w + p + self.ki * error, self.low)
        self.error = error
        return self.w

    def memory(self) -> dict[str, list[float]]:
        return {"pressure": [self.w], "error": [self.error], "average": [self.smooth]}


class Cvpr22:
    """The controller of DynamicVAE's authors; e = C − mean of the last T KLs."""

    def __init__(self, method: DynamicVAE) -> None:
        self.m = method
        self.w = 50.0 if method.beta_start is None else method.beta_start
        self.low = 0.1 if method.beta_min is None else method.beta_min
        self.kp = 0.01 if method.kp is None else method.kp
        self.ki = -0.005 if method.ki is None else method.ki
        self.goal = 20.0 if method.c_max is None else method.c_max
        self.kls = deque([0.0] * method.window, maxlen=method.window)
        self.error = 0.0

    def target(self, step: int) -> float:
        """Counted up step by step: the target rises in the first R steps of every period but the first."""
        found = self.m.c_start
        for passed in range(step):
            if passed >= self.m.c_period and passed % self.m.c_period < self.m.c_ramp:
                found += self.m.c_step / self.m.c_ramp
        return min(found, self.goal)

    def __call__(self, kl: float, step: int) -> float:
        self.kls.append(kl)
        error = self.target(step) - oracle.mean(list(self.kls))
        p = self.kp * (oracle.sigmoid(-error) - oracle.sigmoid(-self.error))
        i = self.ki * error
        if self.m.antiwindup == "author":
            if self.w < self.low:
                i = 0.0
            self.w += p + i
        else:
            self.w = max(self.w + p + i, self.low)
        self.error = error
        return max(self.w, self.low)

    def memory(self) -> dict[str, list[float]]:
        return {"pressure": [self.w], "error": [self.error], "kls": list(self.kls)}


def controller(method: DynamicVAE) -> Erow | Cvpr22:
    return Erow(method) if method.variant == "erow" else Cvpr22(method)


@pytest.mark.parametrize("fields", OPTIONS, ids=str)
def test_a_recorded_sequence_of_kls(fields: dict[str, Any]) -> None:
    method = DynamicVAE(**fields)
    method.check(SPEC, 6)
    state = {name: value.double() for name, value in method.init(SPEC, 6).items()}
    wanted = controller(method)
    for step, kl in enumerate(KLS):
        beta, state = method.control(torch.tensor(kl, dtype=torch.float64), torch.tensor(step), state)
        assert beta.item() == pytest.approx(wanted(kl, step), rel=TIGHT), step
        for name, values in wanted.memory().items():
            assert state[name].reshape(-1).tolist() == pytest.approx(values, rel=TIGHT, abs=1e-7), (step, name)


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("fields", OPTIONS, ids=str)
@pytest.mark.parametrize("step", [0, 3, 7, 11, 200])
def test_terms(likelihood: str, fields: dict[str, Any], step: int) -> None:
    one = case(DynamicVAE(**fields), likelihood, step)
    wanted = controller(one.method)
    state = dict(one.state)
    for early in range(4):
        _, state = one.method.control(torch.tensor(2.0 + early, dtype=torch.float64), torch.tensor(early), state)
        wanted(2.0 + early, early)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    beta = wanted(kl, step)
    loss = one.method.loss(one.model, one.batch, state)
    for name, value in {"recon": recon, "kl": kl, "beta": beta, "target": wanted.target(step)}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT, abs=1e-12), name
    assert loss.total.item() == pytest.approx(recon + beta * kl, rel=TIGHT)
    for name, values in wanted.memory().items():
        assert loss.state[name].reshape(-1).tolist() == pytest.approx(values, rel=TIGHT), name


@pytest.mark.parametrize("fields", [EROW, CVPR22], ids=str)
def test_the_pressure_carries_no_gradient(fields: dict[str, Any]) -> None:
    one = case(DynamicVAE(**fields))
    one.loss().total.backward()
    got = one.model.encoder.head.weight.grad.clone()
    one.model.zero_grad()
    again = one.loss()
    (again.terms["recon"] + again.terms["beta"].item() * again.terms["kl"]).backward()
    torch.testing.assert_close(got, one.model.encoder.head.weight.grad, rtol=1e-12, atol=0)
    assert not any(value.requires_grad for value in (again.terms["beta"], *again.state.values()))

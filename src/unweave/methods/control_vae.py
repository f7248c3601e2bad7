"""ControlVAE: a PI controller holds the KL at a set point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.methods.terms import autoencode
from unweave.networks import Model
from unweave.types import Batch, Loss, Reference, State, UserError

AUTHORS = Preset(
    steps=1_500_000, note="the authors' dSprites script: batch 64, 1,500,000 steps, Adam 1e-4, 10 latents, C to 18"
)


def rises(start: float, end: float, step: float) -> int:
    """How often a target rises on its way from ``start`` to ``end``; 0 where it stays.

    >>> rises(0.5, 18.0, 0.15)
    117
    """
    return math.ceil((end - start) / step - 1e-9) if step else 0


@dataclass(frozen=True)
class ControlVAE(Method):
    """The evidence lower bound whose pressure a non-linear PI controller sets so that the KL follows a target C(t).

        e = C(t) − KL,   P = K_p / (1 + exp(e)),   I ← I + K_i · e,   β = max(P + I + β_min, β_min)
        C(t) = min(C_max, C_0 + ΔC · floor(t / T_C))

    Shao et al. (2020), eq. 8 and Algorithm 1, with the constants of the authors' code. The state keeps I and the
    pressure before the maximum was taken.

    Args:
        c_start: C_0, the first target in nats.
        c_max: the last target in nats.
        c_step: ΔC, how much the target rises at a time, in nats.
        c_every: T_C, after how many steps it rises.
        kp: K_p.
        ki: K_i, which is negative: a KL above its target makes the pressure grow.
        beta_min: the smallest pressure.
        antiwindup: ``back`` (the integral is held where the pressure just reaches β_min, so that it leaves at once;
            ours) or ``author`` (the integral stops while the pressure of the step before was below β_min, and can stay
            there for ever).

    Terms: ``recon`` and ``kl`` in nats an image, ``beta``, ``target`` in nats.

    Raises:
        UserError: a target that falls, a K_i above 0, a negative pressure, an unknown word.

    >>> import unweave
    >>> run = unweave.fit("control-vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> run.terms["target"][0]
    0.5
    """

    c_start: float = 0.5
    c_max: float = 18.0
    c_step: float = 0.15
    c_every: int = 5000
    kp: float = 0.01
    ki: float = -0.001
    beta_min: float = 1.0
    antiwindup: str = "back"

    name: ClassVar[str] = "control-vae"
    summary: ClassVar[str] = "a PI controller sets the pressure so that the KL follows a target"
    schedules = ("c_every",)
    presets: ClassVar[Mapping[str, Preset]] = {"": AUTHORS}
    references = (
        Reference(
            "shao2020controlvae",
            "Huajie Shao and Shuochao Yao and Dachun Sun and Aston Zhang and Shengzhong Liu and Dongxin Liu and "
            "Jun Wang and Tarek Abdelzaher",
            "ControlVAE: Controllable Variational Autoencoder",
            "International Conference on Machine Learning",
            2020,
            "https://arxiv.org/abs/2004.05988",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "c_start", "c_max", "c_step", "kp", "beta_min")
        at_least(self, 1, "c_every")
        one_of(self, "antiwindup", ("back", "author"))
        if self.c_max < self.c_start:
            raise UserError(f"control-vae: c_max = {self.c_max}; allowed: at least c_start = {self.c_start}")
        if not self.c_step and self.c_max > self.c_start:
            raise UserError(
                f"control-vae: c_step = 0; allowed: above 0, for C to rise from {self.c_start} to {self.c_max}"
            )
        if not -math.inf < self.ki <= 0:
            raise UserError(f"control-vae: ki = {self.ki}; allowed: 0 or less, so that too much KL raises the pressure")

    def spans(self, latents: int) -> Mapping[str, int]:
        return {"c_every": rises(self.c_start, self.c_max, self.c_step) * self.c_every}

    def init(self, data: DataSpec, latents: int) -> State:
        return {"integral": torch.zeros(()), "pressure": torch.tensor(self.beta_min, dtype=torch.float64)}

    def target(self, step: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """C(t) in nats."""
        rises = (step // self.c_every).to(dtype)
        return torch.clamp(self.c_start + self.c_step * rises, max=self.c_max)

    def control(self, kl: Tensor, step: Tensor, state: State) -> tuple[Tensor, State]:
        """β for a measured KL, and the next state."""
        error = self.target(step, kl.dtype) - kl
        # sigmoid(−e) is 1 / (1 + exp(e)) without the overflow at e > 88.
        base = self.kp * torch.sigmoid(-error) + self.beta_min
        moved = state["integral"] + self.ki * error
        if self.antiwindup == "back":
            integral = torch.maximum(moved, self.beta_min - base)
        else:
            integral = torch.where(state["pressure"] < self.beta_min, state["integral"], moved)
        pressure = base + integral
        return torch.clamp(pressure, min=self.beta_min), {"integral": integral, "pressure": pressure}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        _, _, recon, kl = autoencode(model, batch)
        beta, after = self.control(kl.detach(), batch.step, state)
        terms = {"recon": recon, "kl": kl, "beta": beta, "target": self.target(batch.step, kl.dtype)}
        return Loss(recon + beta * kl, terms, after)

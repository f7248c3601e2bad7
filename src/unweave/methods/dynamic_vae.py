"""DynamicVAE: an incremental PI controller holds a smoothed KL at a rising target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.methods.control_vae import rises
from unweave.methods.terms import autoencode
from unweave.networks import Model
from unweave.types import Adam, Batch, Loss, Reference, State, UserError

PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "erow": {"beta_start": 150.0, "beta_min": 1.0, "kp": 0.04, "ki": 0.004, "c_max": 18.0},
    "cvpr22": {"beta_start": 50.0, "beta_min": 0.1, "kp": 0.01, "ki": -0.005, "c_max": 20.0},
}
"""What each variant's run script for dSprites sets, taken for fields left at None."""

DEVAE_SCRIPT = Preset(
    fields={"variant": "erow"},
    batch=256,
    optimiser=Adam(lr=1e-4),
    note="DeVAE's comparison (its Table 1) by its authors' run script: K_p = 0.04, K_i = 0.004, C to 18 in 200,000 of "
    "300,000 steps, batch 256, Adam 1e-4, 10 latents",
)
DEVAE_PAPER = Preset(
    fields={"variant": "erow", "kp": 0.01, "ki": 0.001},
    batch=256,
    optimiser=Adam(lr=1e-4),
    note="DeVAE §4.1: the same with the gains that the paper prints, K_p = 0.01, K_i = 0.001",
)
CVPR22 = Preset(
    fields={"variant": "cvpr22"},
    steps=2_000_000,
    batch=128,
    optimiser=Adam(lr=1e-4),
    note="the authors' dSprites script: batch 128, 2,000,000 steps, Adam 1e-4, 10 latents, C to 20, mean of 5 KLs",
)


@dataclass(frozen=True)
class DynamicVAE(Method):
    """The evidence lower bound whose pressure an incremental PI controller moves, step by step, with a smoothed KL.

        loss = E[−log p(x|z)] + β(t) · KL(q(z|x) ‖ N(0, I)),    w ← w + K_p · (p(e_t) − p(e_{t−1})) + K_i · e_t

        erow:    A ← α · KL + (1 − α) · A,  e = A − C(t),  p(e) = min(e, 0)
                 C(t) = C_max · min(⌊t / K⌋, n) / n,  n = ⌊T_C / K⌋
        cvpr22:  e = C(t) − mean of the last T KLs,  p(e) = 1 / (1 + exp(e))
                 C(t) = min(C_0 + ΔC · (⌊t / P⌋ − 1 + min((t mod P) / R, 1)), C_max), C_0 before step P

    Shao et al. (2022) is ``cvpr22``, by the authors' code; ``erow`` is the controller in the code of DeVAE's authors,
    to which DeVAE compares. β = max(w, β_min), and with ``back`` w itself is kept at or above β_min. The errors have
    opposite signs, and so have the gains K_i. All memory (w, the last error, the last KLs or their average) is state.

    Args:
        variant: ``erow`` or ``cvpr22``.
        beta_start: β before the first step; None: 150 (erow), 50 (cvpr22).
        beta_min: the smallest pressure; None: 1 (erow), 0.1 (cvpr22).
        kp: K_p ≥ 0; None: 0.04 (erow), 0.01 (cvpr22).
        ki: K_i, 0 or more with erow, 0 or less with cvpr22; None: 0.004 (erow), −0.005 (cvpr22).
        c_max: the last target in nats; None: 18 (erow), 20 (cvpr22).
        c_every: K, after how many steps the target rises (erow).
        c_steps: T_C, after how many steps it is C_max, rounded down to a multiple of K (erow).
        c_stop: stay at C_max after T_C; without, the target goes on rising at the same pace (erow, an older version).
        smoothing: α in (0, 1], weight of the newest KL in the average A, which starts at 0 (erow).
        c_start: C_0, the first target in nats (cvpr22).
        c_step: ΔC, how much the target rises in a period, in nats (cvpr22).
        c_period: P, length of a period in steps (cvpr22).
        c_ramp: R, in how many steps at its beginning the target rises; none in the first period (cvpr22).
        window: T, over how many of the last KLs the mean is taken, 0 standing for those before the first (cvpr22).
        antiwindup: ``back`` (w never falls below β_min, so that it leaves at once; ours, and erow's) or ``author``
            (cvpr22: w may fall below, the integral stops while it is there, and w can stay there for ever).

    Terms: ``recon`` and ``kl`` in nats an image, ``beta``, ``target`` in nats.

    Raises:
        UserError: gains of the wrong sign, a negative pressure or target, a target that falls, schedules that do not
            fit, words without meaning or that do not go together.

    >>> import unweave
    >>> run = unweave.fit("dynamic-vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> 149 < run.terms["beta"][0] < 151, run.terms["target"][0]
    (True, 0.0)
    """

    variant: str = "erow"
    beta_start: float | None = None
    beta_min: float | None = None
    kp: float | None = None
    ki: float | None = None
    c_max: float | None = None
    c_every: int = 5000
    c_steps: int = 200_000
    c_stop: bool = True
    smoothing: float = 0.95
    c_start: float = 0.5
    c_step: float = 0.15
    c_period: int = 6000
    c_ramp: int = 1000
    window: int = 5
    antiwindup: str = "back"

    name: ClassVar[str] = "dynamic-vae"
    summary: ClassVar[str] = "an incremental PI controller holds a smoothed KL at a rising target"
    schedules = ("c_every", "c_steps", "c_period", "c_ramp")
    presets: ClassVar[Mapping[str, Preset]] = {"": DEVAE_SCRIPT}
    references = (
        Reference(
            "shao2022rethinking",
            "Huajie Shao and Yifei Yang and Haohong Lin and Longzhong Lin and Yizhuo Chen and Qinmin Yang and Han Zhao",
            "Rethinking Controllable Variational Autoencoders",
            "IEEE/CVF Conference on Computer Vision and Pattern Recognition",
            2022,
            "https://openaccess.thecvf.com/content/CVPR2022/html/"
            "Shao_Rethinking_Controllable_Variational_Autoencoders_CVPR_2022_paper.html",
        ),
    )

    def number(self, name: str) -> Any:
        """A field, or what the variant's script sets where it is None."""
        value = getattr(self, name)
        return PUBLISHED[self.variant][name] if value is None else value

    def spans(self, latents: int) -> Mapping[str, int]:
        if self.variant == "erow":
            return {"c_every": self.c_every, "c_steps": self.c_steps}
        periods = rises(self.c_start, self.number("c_max"), self.c_step)
        return {"c_period": periods * self.c_period + self.c_ramp}

    def check(self, data: DataSpec, latents: int) -> None:
        one_of(self, "variant", tuple(PUBLISHED))
        one_of(self, "antiwindup", ("back", "author"))
        given = [name for name in ("beta_start", "beta_min", "kp", "c_max") if getattr(self, name) is not None]
        at_least(self, 0, *given, "smoothing", "c_start", "c_step")
        at_least(self, 1, "c_every", "c_steps", "c_period", "c_ramp", "window")
        erow = self.variant == "erow"
        ki, c_max = self.number("ki"), self.number("c_max")
        if not (0 <= ki < math.inf if erow else -math.inf < ki <= 0):
            side = "0 or more" if erow else "0 or less"
            raise UserError(f"dynamic-vae: ki = {ki}; allowed with variant = {self.variant!r}: {side}")
        if self.number("beta_start") < self.number("beta_min"):
            raise UserError(
                f"dynamic-vae: beta_start = {self.number('beta_start')}; allowed: at least beta_min = "
                f"{self.number('beta_min')}"
            )
        if not 0 < self.smoothing <= 1:
            raise UserError(f"dynamic-vae: smoothing = {self.smoothing}; allowed: above 0, up to 1")
        if erow and self.c_steps < self.c_every:
            raise UserError(f"dynamic-vae: c_steps = {self.c_steps}; allowed: at least c_every = {self.c_every}")
        if not erow and self.c_ramp > self.c_period:
            raise UserError(f"dynamic-vae: c_ramp = {self.c_ramp}; allowed: up to c_period = {self.c_period}")
        if not erow and c_max < self.c_start:
            raise UserError(f"dynamic-vae: c_max = {c_max}; allowed: at least c_start = {self.c_start}")
        if not erow and not self.c_step and c_max > self.c_start:
            raise UserError(f"dynamic-vae: c_step = 0; allowed: above 0, for C to rise from {self.c_start} to {c_max}")
        if erow and self.antiwindup == "author":
            raise UserError("dynamic-vae: antiwindup = 'author' goes only with variant = 'cvpr22'; allowed: 'back'")

    def init(self, data: DataSpec, latents: int) -> State:
        kept = {"average": torch.zeros(())} if self.variant == "erow" else {"kls": torch.zeros(self.window)}
        pressure = torch.tensor(self.number("beta_start"), dtype=torch.float64)
        return {"pressure": pressure, "error": torch.zeros(()), **kept}

    def target(self, step: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """C(t) in nats."""
        if self.variant == "erow":
            last, rises = self.c_steps // self.c_every, step // self.c_every
            rises = torch.clamp(rises, max=last) if self.c_stop else rises
            return self.number("c_max") * (rises.to(dtype) / last)
        ramp = torch.clamp((step % self.c_period).to(dtype) / self.c_ramp, max=1.0)
        periods = torch.clamp((step // self.c_period).to(dtype) - 1 + ramp, min=0.0)
        return torch.clamp(self.c_start + self.c_step * periods, max=self.number("c_max"))

    def control(self, kl: Tensor, step: Tensor, state: State) -> tuple[Tensor, State]:
        """β for a measured KL, and the next state."""
        error, kept = self._error(kl, step, state)
        integral = self.number("ki") * error
        low = self.number("beta_min")
        if self.antiwindup == "author":
            integral = torch.where(state["pressure"] < low, torch.zeros_like(integral), integral)
        moved = self.number("kp") * (self._shaped(error) - self._shaped(state["error"])) + integral
        pressure = state["pressure"] + moved
        beta = torch.clamp(pressure, min=low)
        return beta, {"pressure": pressure if self.antiwindup == "author" else beta, "error": error, **kept}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        _, _, recon, kl = autoencode(model, batch)
        beta, after = self.control(kl.detach(), batch.step, state)
        terms = {"recon": recon, "kl": kl, "beta": beta, "target": self.target(batch.step, kl.dtype)}
        return Loss(recon + beta * kl, terms, after)

    def _error(self, kl: Tensor, step: Tensor, state: State) -> tuple[Tensor, State]:
        """The error that the controller sees, and the KLs to remember."""
        target = self.target(step, kl.dtype)
        if self.variant == "erow":
            average = self.smoothing * kl + (1 - self.smoothing) * state["average"]
            return average - target, {"average": average}
        kls = torch.cat([state["kls"][1:], kl[None]])
        return target - kls.mean(), {"kls": kls}

    def _shaped(self, error: Tensor) -> Tensor:
        """p(e), what the proportional part sees of an error."""
        # sigmoid(−e) is 1 / (1 + exp(e)) without the overflow at e > 88.
        return torch.clamp(error, max=0.0) if self.variant == "erow" else torch.sigmoid(-error)

"""β-VAE, with the annealed pressure that annealing tests need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import STANDARD, Method, Preset, at_least, one_of
from unweave.methods.terms import autoencode, number, progress
from unweave.networks import Model
from unweave.references import HIGGINS_2017
from unweave.types import Batch, Loss, State, UserError


@dataclass(frozen=True)
class BetaVAE(Method):
    """The evidence lower bound with a pressure β on the rate.

        loss = E[−log p(x|z)] + β · KL(q(z|x) ‖ N(0, I))

    Higgins et al. (2017), eq. 4. With a ``schedule`` the pressure moves from ``beta`` to ``end`` in ``anneal_steps``
    steps: ``linear`` in t, or ``exp``, beta^(1−t) · end^t.

    Args:
        beta: pressure β ≥ 0 (1 is the VAE).
        end: the pressure a schedule ends at; only with ``linear`` and ``exp``.
        schedule: ``constant``, ``linear`` or ``exp``.
        anneal_steps: length of the schedule in steps.

    Terms: ``recon`` and ``kl`` in nats an image, ``beta``.

    Raises:
        UserError: a negative β, an unknown schedule, a schedule without an end or an end without a schedule.

    >>> import unweave
    >>> run = unweave.fit(unweave.BetaVAE(beta=4.0), "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> run.terms["beta"][-1]
    4.0
    """

    beta: float = 4.0
    end: float | None = None
    schedule: str = "constant"
    anneal_steps: int = 100_000

    name: ClassVar[str] = "beta-vae"
    summary: ClassVar[str] = "a constant pressure β on the rate, or an annealed one"
    schedules = ("anneal_steps",)
    presets: ClassVar[Mapping[str, Preset]] = {"": STANDARD}
    references = (HIGGINS_2017,)

    def check(self, data: DataSpec, latents: int) -> None:
        one_of(self, "schedule", ("constant", "linear", "exp"))
        at_least(self, 0, "beta")
        at_least(self, 1, "anneal_steps")
        if (self.end is None) != (self.schedule == "constant"):
            raise UserError(
                f"beta-vae: schedule = {self.schedule!r} with end = {self.end}; "
                "allowed: an end with 'linear' or 'exp', none with 'constant'"
            )
        if self.end is not None:
            at_least(self, 0, "end")
        if self.schedule == "exp":
            at_least(self, 1e-12, "beta", "end")

    def spans(self, latents: int) -> Mapping[str, int]:
        return {} if self.schedule == "constant" else super().spans(latents)

    def pressure(self, step: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """β at a step (a 0-dim tensor)."""
        start = number(self.beta, dtype, step.device)
        if self.schedule == "constant":
            return start
        end = number(self.end, dtype, step.device)
        t = progress(step, self.anneal_steps, dtype)
        if self.schedule == "linear":
            return start * (1 - t) + end * t
        return start ** (1 - t) * end**t

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        _, _, recon, kl = autoencode(model, batch)
        beta = self.pressure(batch.step, kl.dtype)
        return Loss(recon + beta * kl, {"recon": recon, "kl": kl, "beta": beta})

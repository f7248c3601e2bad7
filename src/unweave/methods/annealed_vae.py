"""AnnealedVAE: the KL is held at a capacity that grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least
from unweave.methods.terms import autoencode, number, progress
from unweave.networks import Model
from unweave.types import Adam, Batch, Loss, Reference, State, UserError

STUDY = Preset(
    fields={"gamma": 1000.0, "c_start": 0.0, "c_max": 25.0, "anneal_steps": 100_000},
    note="Locatello et al. 2019: γ = 1000, C to one of 5, 10, 25, 50, 75, 100 (here 25) in 100,000 steps; batch 64, "
    "300,000 steps, Adam 1e-4, 10 latents",
)
RECURD = Preset(
    fields={"gamma": 1000.0, "c_start": 0.5, "c_max": 25.0, "anneal_steps": 100_000},
    latents=8,
    note="RecurD, Appendix D: γ = 1000, C from 0.5 to 25, 8 latents (Table 3), Adam 1e-4; the paper gives no lengths, "
    "these are those of Locatello et al. 2019",
)
DEFT_PAPER = Preset(
    fields={"gamma": 1000.0, "c_start": 0.0, "c_max": 5.0, "anneal_steps": 50_000},
    steps=70_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="DEFT eq. 3 and Table 3, dSprites and SmallNORB: γ = 1000, C to 5, batch 256, Adam 5e-4; "
    "the paper gives no lengths, these are of the authors' runs",
)
DEFT_COLOR = DEFT_PAPER._replace(
    fields={**DEFT_PAPER.fields, "c_max": 10.0},
    note="DEFT eq. 3 and Table 3, Color: γ = 1000, C to 10, batch 256, Adam 5e-4; the paper gives no lengths, these "
    "are of the authors' runs",
)
DEFT_SCREAM = DEFT_PAPER._replace(
    fields={**DEFT_PAPER.fields, "c_max": 25.0},
    note="DEFT eq. 3 and Table 3, Scream: γ = 1000, C to 25, batch 256, Adam 5e-4; the paper gives no lengths, these "
    "are of the authors' runs",
)
DEFT_AUTHORS = Preset(
    fields={"gamma": 100.0, "c_start": 0.0, "c_max": 25.0, "anneal_steps": 30_000},
    steps=70_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="run files of DEFT's authors, dSprites: γ = 100, C to 25 in 30,000 (others: 50,000, 60,000) of 70,000 steps, "
    "batch 256, Adam 5e-4",
)
TRIANGLE = Preset(
    fields={"gamma": 100.0, "c_start": 0.0, "c_max": 10.0, "anneal_steps": 7000},
    latents=5,
    steps=10_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="run files of DEFT's authors, triangle: γ = 100, C to 10 in 7,000 of 10,000 steps, 5 latents, batch 256, "
    "Adam 5e-4",
)


@dataclass(frozen=True)
class AnnealedVAE(Method):
    """The KL is pulled to a capacity C(t) from both sides, and C(t) grows.

        loss = E[−log p(x|z)] + γ · | KL(q(z|x) ‖ N(0, I)) − C(t) |
        C(t) = C_0 + (C_max − C_0) · min(t / T_C, 1)

    Burgess et al. (2018), eq. 8. The absolute value is that of the batch-mean KL, not of each image's.

    Args:
        gamma: γ ≥ 0, how firmly the KL is held.
        c_start: C_0, the capacity of the first step in nats.
        c_max: C_max, the last capacity in nats.
        anneal_steps: T_C, after how many steps C_max is reached.

    Terms: ``recon`` and ``kl`` in nats an image, ``target``, C(t) in nats.

    Raises:
        UserError: a negative γ or capacity, a capacity that falls, no steps.

    >>> import unweave
    >>> method = unweave.AnnealedVAE(c_max=8.0, anneal_steps=4)
    >>> run = unweave.fit(method, "triangle", steps=6, batch=8, network=unweave.MLP((16,)))
    >>> run.terms["target"]
    [0.0, 2.0, 4.0, 6.0, 8.0, 8.0]
    """

    gamma: float = 1000.0
    c_start: float = 0.0
    c_max: float = 25.0
    anneal_steps: int = 100_000

    name: ClassVar[str] = "annealed-vae"
    summary: ClassVar[str] = "the KL is held at a capacity that grows"
    schedules = ("anneal_steps",)
    presets: ClassVar[Mapping[str, Preset]] = {
        "": STUDY,
        "dsprites": DEFT_PAPER,
        "smallnorb": DEFT_PAPER,
        "color-dsprites": DEFT_COLOR,
        "scream-dsprites": DEFT_SCREAM,
        "triangle": TRIANGLE,
    }
    references = (
        Reference(
            "burgess2018understanding",
            "Burgess, Christopher P. and Higgins, Irina and Pal, Arka and Matthey, Loic and Watters, Nick and "
            "Desjardins, Guillaume and Lerchner, Alexander",
            "Understanding disentangling in β-VAE",
            "arXiv preprint arXiv:1804.03599",
            2018,
            "https://arxiv.org/abs/1804.03599",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "gamma", "c_start", "c_max")
        at_least(self, 1, "anneal_steps")
        if self.c_max < self.c_start:
            raise UserError(f"annealed-vae: c_max = {self.c_max}; allowed: at least c_start = {self.c_start}")

    def target(self, step: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """C(t) in nats."""
        t = progress(step, self.anneal_steps, dtype)
        start, end = (number(one, dtype, step.device) for one in (self.c_start, self.c_max))
        # Rounding could pass C_max on the way and miss it at the end.
        return torch.where(t < 1, torch.minimum(start + (end - start) * t, end), end)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        _, _, recon, kl = autoencode(model, batch)
        target = self.target(batch.step, kl.dtype)
        return Loss(recon + self.gamma * (kl - target).abs(), {"recon": recon, "kl": kl, "target": target})

"""CascadeVAE-C: latents are opened one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.methods.terms import autoencode
from unweave.networks import VAE, Body, Conv, Model, SoftplusVAE
from unweave.types import Adam, Batch, Loss, Rate, Reference, State, UserError

DEFT_PAPER = Preset(
    fields={"beta_low": 1.0, "beta_high": 10.0, "stage_steps": 6000},
    steps=70_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="DEFT Table 3 (β_h = 10 on every data set) and its authors' run files: β_l = 1, 6,000 steps a stage, 70,000 "
    "in all, one Adam, 5e-4, batch 256",
)
AUTHORS = Preset(
    fields={"beta_low": 0.1, "beta_high": 10.0, "stage_steps": 20_000, "reset_optimizer": True, "stages": 10}
    | {"std": "softplus"},
    optimiser=Adam(lr=1e-4, weight_decay=4e-5),
    note="the authors' code for dSprites: β from 10 to 0.1, 20,000 steps a stage with an Adam of its own, 300,000 in "
    "all, batch 64, Adam 1e-4, weight decay 4e-5, softplus standard deviations, 10 latents",
)
TRIANGLE = Preset(
    fields={"beta_low": 1.0, "beta_high": 10.0, "stage_steps": 2000},
    latents=5,
    steps=10_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="run files of DEFT's authors, triangle: 2,000 steps a stage, 10,000 in all, 5 latents, batch 256, Adam 5e-4",
)
CHAIRS = Preset(
    fields={"beta_low": 1.0, "beta_high": 10.0, "stage_steps": 3000},
    steps=30_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="run files of DEFT's authors, 3D Chairs: 3,000 steps a stage, 30,000 in all, batch 256, Adam 5e-4",
)


@dataclass(frozen=True)
class CascadeVAEC(Method):
    """β-VAE whose latents leave a high pressure one by one: what one stage learns is meant for one latent.

        loss at stage i = E[−log p(x|z)] + β_l · Σ_{j ≤ i} KL_j + β_h · Σ_{j > i} KL_j,    i = min(t // T, D − 1)

    The continuous part of Jeong & Song (2019); eq. 5 of Wu et al. (2022). Latents and stages count from 0, so the first
    stage already opens latent 0.

    Args:
        beta_low: β_l ≥ 0, the pressure on open latents.
        beta_high: β_h ≥ 0, the pressure on closed ones.
        stage_steps: T, length of a stage; the last one lasts to the end.
        reset_optimizer: forget Adam's moments when a stage begins (the authors train each stage with an Adam of its
            own).
        stages: how many stages there are, which resets must know: the number of latents D with ``reset_optimizer``,
            None without.
        std: how the encoder's output becomes a standard deviation: ``exp`` (of half the output, the library's rule) or
            ``softplus`` (the authors').

    Terms: ``recon`` and ``kl`` in nats an image, ``kl.open`` and ``kl.closed``, the parts of the KL at either pressure,
    ``stage`` (from 0).

    Raises:
        UserError: a negative pressure, an open latent pressed harder than a closed one, no steps, resets without the
            right number of stages, an unknown word.

    >>> import unweave
    >>> run = unweave.fit("cascade-vae-c", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'kl.closed', 'kl.open', 'recon', 'stage', 'total']
    """

    beta_low: float = 1.0
    beta_high: float = 10.0
    stage_steps: int = 6000
    reset_optimizer: bool = False
    stages: int | None = None
    std: str = "exp"

    name: ClassVar[str] = "cascade-vae-c"
    summary: ClassVar[str] = "latents leave a high pressure one after another"
    schedules = ("stage_steps",)
    presets: ClassVar[Mapping[str, Preset]] = {
        "": DEFT_PAPER,
        "dsprites": AUTHORS,
        "chairs3d": CHAIRS,
        "triangle": TRIANGLE,
    }
    references = (
        Reference(
            "jeong2019learning",
            "Jeong, Yeonwoo and Song, Hyun Oh",
            "Learning Discrete and Continuous Factors of Data via Alternating Disentanglement",
            "International Conference on Machine Learning",
            2019,
            "https://arxiv.org/abs/1905.09432",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "beta_low", "beta_high")
        at_least(self, 1, "stage_steps")
        one_of(self, "std", ("exp", "softplus"))
        if self.beta_low > self.beta_high:
            raise UserError(f"cascade-vae-c: beta_low = {self.beta_low}; allowed: up to beta_high = {self.beta_high}")
        wanted = latents if self.reset_optimizer else None
        if self.stages != wanted:
            raise UserError(
                f"cascade-vae-c: stages = {self.stages} with reset_optimizer = {self.reset_optimizer} and {latents} "
                f"latents; allowed there: {wanted}"
            )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        kind = SoftplusVAE if self.std == "softplus" else VAE
        return kind(body or Conv(), data.shape, latents, data.likelihood)

    def spans(self, latents: int) -> Mapping[str, int]:
        return {"stage_steps": (latents - 1) * self.stage_steps}

    def rates(self, step: int) -> Mapping[str, Rate]:
        stage, into = divmod(step, self.stage_steps)
        begins = self.stages is not None and into == 0 and 0 < stage < self.stages
        return {"all": Rate(reset=begins)}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        q, _, recon, kl = autoencode(model, batch)
        each = q.kl().mean(0)
        stage = torch.clamp(batch.step // self.stage_steps, max=each.shape[0] - 1)
        is_open = torch.arange(each.shape[0], device=each.device) <= stage
        none = torch.zeros_like(each)
        opened, closed = torch.where(is_open, each, none).sum(), torch.where(is_open, none, each).sum()
        terms = {"recon": recon, "kl": kl, "kl.open": opened, "kl.closed": closed, "stage": stage.to(recon.dtype)}
        return Loss(recon + self.beta_low * opened + self.beta_high * closed, terms)

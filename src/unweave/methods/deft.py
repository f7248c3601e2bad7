"""DEFT: distil the factors one group of latents after the other."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.methods.terms import chosen
from unweave.networks import Body, Conv, GroupedVAE, Model
from unweave.networks.grouped import side_by_side
from unweave.references import WU_2022
from unweave.types import Adam, Batch, Gaussian, Loss, Rate, State, UserError

DSPRITES = Preset(
    latents=12,
    steps=80_640,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="DEFT Table 2, dSprites: 4 groups of 3 latents, 7 epochs (20,160 steps of 256) a stage, Adam 5e-4",
)
COLOR = DSPRITES._replace(
    fields={"betas": (160.0, 105.0, 30.0, 4.0)},
    note="DEFT Table 2, Color: 4 groups of 3 latents, 7 epochs (20,160 steps of 256) a stage, Adam 5e-4",
)
SCREAM = DSPRITES._replace(
    fields={"betas": (140.0, 1.0), "stage_steps": 28_800},
    latents=10,
    steps=57_600,
    note="DEFT Table 2, Scream: 2 groups of 5 latents, 10 epochs (28,800 steps of 256) a stage, Adam 5e-4",
)
SMALLNORB = DSPRITES._replace(
    fields={"betas": (50.0, 1.0), "stage_steps": 19_000},
    latents=10,
    steps=38_000,
    note="DEFT Table 2, SmallNORB: 2 groups of 5 latents, 100 epochs (19,000 steps of 256, an epoch being its 48,600 "
    "images) a stage, Adam 5e-4",
)
CHAIRS = DSPRITES._replace(
    fields={"betas": (36.0, 16.0, 1.0), "stage_steps": 6760},
    latents=9,
    steps=20_280,
    note="DEFT §5.5, 3D Chairs: 3 groups of 3 latents, 20 epochs (6,760 steps of 256) a stage, Adam 5e-4",
)
TRIANGLE = Preset(
    fields={"betas": (20.0, 2.0), "stage_steps": 3000},
    latents=4,
    steps=10_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="DEFT §5.4 and the authors' run files: 2 groups of 2 latents, 3,000 steps a stage, 10,000 in all, Adam 5e-4",
)


@dataclass(frozen=True)
class DEFT(Method):
    """β-VAE in stages: each lowers the pressure and lets one more group of latents learn; older ones barely move.

        loss at stage j = E[−log p(x | z^1 … z^G)] + β_j · KL(q(z^1 … z^G | x) ‖ N(0, I))

    Wu et al. (2022), Algorithm 1. Group i has an encoder of its own. At stage j its learning rate is multiplied by 1
    (i = j), by γ (i < j), and it waits at the prior (i > j). Under Adam only a learning rate keeps γ's meaning: Adam
    undoes a constant factor on the gradient within some thousand steps.

    Args:
        betas: β_1 … β_G, one pressure a stage, decreasing.
        gamma: γ in [0, 1], how far old groups still move; with ``lr``, 0 freezes them exactly.
        stage_steps: length of a stage; the last one lasts to the end.
        scaling: ``lr`` (γ on the learning rate; ours), ``grad`` (γ on the gradient at mean and logvar, the authors'
            2021 code), ``freeze_dit`` (old encoders frozen, their codes rescaled by a learnable projection, the
            authors' latest code).
        future: what a group does before its stage: ``prior`` (mean 0, log-variance 0), ``zero_grad`` (its untrained
            code is decoded, no gradient) or ``scale`` (its code is decoded and it moves with γ: Algorithm 1 to the
            letter).
        shared: one encoder for all groups; only with ``grad`` and without ``prior`` (the authors' first run files).
        optimizer_reset_on_stage: forget Adam's moments when a stage begins.

    Terms: ``recon``, ``kl``, and ``kl.i`` of every group in nats an image, ``beta``, ``stage`` (from 0).

    Raises:
        UserError: latents that the number of pressures does not divide, a γ outside [0, 1], words without meaning or
            that do not go together.

    >>> import unweave
    >>> run = unweave.fit("deft", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['beta', 'kl', 'kl.0', 'kl.1', 'recon', 'stage', 'total']
    """

    betas: tuple[float, ...] = (70.0, 30.0, 12.0, 4.0)
    gamma: float = 0.1
    stage_steps: int = 20_160
    scaling: str = "lr"
    future: str = "prior"
    shared: bool = False
    optimizer_reset_on_stage: bool = False

    name: ClassVar[str] = "deft"
    summary: ClassVar[str] = "stages of falling pressure, each with an encoder of its own"
    schedules = ("stage_steps",)
    presets: ClassVar[Mapping[str, Preset]] = {
        "": DSPRITES,
        "color-dsprites": COLOR,
        "scream-dsprites": SCREAM,
        "smallnorb": SMALLNORB,
        "chairs3d": CHAIRS,
        "triangle": TRIANGLE,
    }
    references = (WU_2022,)

    @property
    def count(self) -> int:
        """G, the number of groups and stages."""
        return len(self.betas)

    def check(self, data: DataSpec, latents: int) -> None:
        if not isinstance(self.betas, tuple) or not self.betas:
            raise UserError(f"deft: betas = {self.betas!r}; allowed: a tuple, one pressure a group, as (70, 30, 12, 4)")
        at_least(self, 0, "betas", "gamma")
        at_least(self, 1, "stage_steps")
        one_of(self, "scaling", ("lr", "grad", "freeze_dit"))
        one_of(self, "future", ("prior", "zero_grad", "scale"))
        if self.gamma > 1:
            raise UserError(f"deft: gamma = {self.gamma}; allowed: 0 to 1")
        if latents % self.count:
            raise UserError(
                f"deft: {latents} latents do not divide into {self.count} groups, one for each of betas {self.betas}; "
                f"allowed: multiples of {self.count}"
            )
        if self.shared and (self.scaling != "grad" or self.future == "prior"):
            raise UserError("deft: shared goes only with scaling = 'grad' and future = 'zero_grad' or 'scale'")
        if self.scaling == "freeze_dit" and self.future != "prior":
            raise UserError(f"deft: scaling = 'freeze_dit' with future = {self.future!r}; allowed there: 'prior'")
        if any(a <= b for a, b in zip(self.betas, self.betas[1:], strict=False)):
            warnings.warn(f"deft: betas = {self.betas} do not fall: later groups get nothing new to learn")

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        return GroupedVAE(
            body or Conv("standard" if self.shared else "lite"),
            body or Conv("standard"),
            data.shape,
            latents,
            data.likelihood,
            self.count,
            start_at_prior=self.future == "prior",
            shared=self.shared,
            projections=self.scaling == "freeze_dit",
        )

    def stage(self, step: int) -> int:
        """Which stage a step belongs to, from 0."""
        return min(step // self.stage_steps, self.count - 1)

    def spans(self, latents: int) -> Mapping[str, int]:
        return {"stage_steps": (self.count - 1) * self.stage_steps}

    def rates(self, step: int) -> Mapping[str, Rate]:
        stage = self.stage(step)
        reset = self.optimizer_reset_on_stage and stage > 0 and step == stage * self.stage_steps
        if self.shared:
            return {"encoder": Rate(1.0, reset), "decoder": Rate(1.0, reset)}
        old = {"lr": self.gamma, "grad": 1.0, "freeze_dit": 0.0}[self.scaling]
        later = {"prior": 0.0, "zero_grad": 0.0 if self.scaling == "lr" else 1.0, "scale": old}[self.future]
        scales = [old if i < stage else 1.0 if i == stage else later for i in range(self.count)]
        rates = {**{f"encoder {i}": Rate(s, reset) for i, s in enumerate(scales)}, "decoder": Rate(1.0, reset)}
        if self.scaling == "freeze_dit":
            # Of no use before its group is old; its first steps would be too long if Adam had counted those.
            rates |= {f"projection {i}": Rate(float(i < stage), reset) for i in range(self.count - 1)}
        return rates

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        net = cast(GroupedVAE, model)
        stage = torch.clamp(batch.step // self.stage_steps, max=self.count - 1)
        parts = [self._part(net, q, i, stage) for i, q in enumerate(net.parts(batch.x))]
        q = side_by_side(parts)
        recon = model.distortion(model.decode(q.sample(batch.noise["z"])), batch.x).mean()
        kls = [part.kl().sum(-1).mean() for part in parts]
        kl = cast(Tensor, sum(kls))
        beta = chosen(self.betas, stage, recon.dtype)
        terms = {"recon": recon, "kl": kl, "beta": beta, "stage": stage.to(recon.dtype)}
        return Loss(recon + beta * kl, terms | {f"kl.{i}": one for i, one in enumerate(kls)})

    def _part(self, net: GroupedVAE, q: Gaussian, i: int, stage: Tensor) -> Gaussian:
        """The code of group i as this stage sees it: the same numbers, with the gradients the rule lets through."""
        assert q.logvar is not None
        old = i < stage
        if self.scaling == "freeze_dit":
            kept = net.project(Gaussian(q.mean.detach(), q.logvar.detach()), i)
            assert kept.logvar is not None
            return Gaussian(torch.where(old, kept.mean, q.mean), torch.where(old, kept.logvar, q.logvar))
        later = {"prior": 1.0, "zero_grad": 0.0, "scale": self.gamma if self.scaling == "grad" else 1.0}[self.future]
        past = self.gamma if self.scaling == "grad" else 1.0
        one = torch.ones_like(q.mean[0, 0])
        through = torch.where(old, past * one, torch.where(i > stage, later * one, one))
        return Gaussian(gradient_times(q.mean, through), gradient_times(q.logvar, through))


def gradient_times(value: Tensor, factor: Tensor) -> Tensor:
    """The value itself, whose gradient is multiplied by ``factor`` on the way back."""
    return value.detach() + factor * (value - value.detach())

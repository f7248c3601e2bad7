"""NVAE, small: a hierarchical VAE with residual posteriors, as a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least
from unweave.methods.terms import number, progress
from unweave.networks import Body, Model, TopDownVAE
from unweave.networks.nvae import positions
from unweave.types import Adam, Batch, Loss, Reference, State, UserError

FLOOR = 0.01
"""Nats added to every group's KL before the groups are balanced, so that none is weighted by 0 / 0."""

DEFAULT = Preset(
    latents=800,
    optimiser=Adam(lr=1e-3),
    note="ours, a small NVAE: 2 scales of 2 groups, 20 channels a group (800 latents for 64×64 images), batch 64, "
    "300,000 steps, Adam 1e-3; from NVAE: 20 channels, a warm-up of 30% of the steps, regulariser 0.01",
)


@dataclass(frozen=True)
class NVAE(Method):
    """The evidence lower bound of a hierarchy of latent maps, warmed up and balanced between its groups.

        loss = E[−log p(x|z)] + β(t) Σ_l γ_l KL_l + λ · (Σ_W ‖W‖₂ + Σ_g max|g|)
        KL_l = E_{z_<l}[ KL(q(z_l|x, z_<l) ‖ p(z_l|z_<l)) ],   q = N(μ + Δμ, (σ Δσ)²) where p = N(μ, σ²)

    Vahdat & Kautz (2020), eq. 2 and 3, §3.2 and Appendix A. β(t) rises from 0 to 1 in ``warmup_steps``; until then γ_l
    is proportional to KL_l per latent of the group, with average 1, and then it is 1. ‖W‖₂ are the largest singular
    values of all convolutions, g the gains of all group norms. The representation is the flat row of all groups' means.

    The network is part of the method: another architecture that is asked for is not used. Each group has D / P
    channels, where P is the number of pixels of all groups' maps: 40 for 64×64 images and the default groups.

    Args:
        groups: number of groups of latents at each scale, from the smallest maps on.
        warmup_steps: length of the warm-up in steps.
        balance: balance the groups' KL during the warm-up.
        spectral: λ ≥ 0, weight of singular values and gains.
        power_iterations: power iterations a step for each convolution, from the same start every time.
        width: channels of the network after the first halving of the image; a multiple of 8.

    Terms: ``recon``, ``kl`` and ``kl.l`` of every group in nats an image, ``beta``; ``spectral`` and ``gain``, the two
    sums of the regulariser.

    Raises:
        UserError: latents that are no multiple of P, more scales than the image has halvings, a group count, warm-up or
            number of power iterations below 1, a negative weight.

    >>> import unweave
    >>> run = unweave.fit("nvae", "triangle", steps=2, batch=4, latents=40)
    >>> len(run.terms["kl.3"]), run.codes(10).mean.shape
    (2, torch.Size([10, 40]))
    """

    groups: tuple[int, ...] = (2, 2)
    warmup_steps: int = 90_000
    balance: bool = True
    spectral: float = 0.01
    power_iterations: int = 4
    width: int = 16

    name: ClassVar[str] = "nvae"
    summary: ClassVar[str] = "a small hierarchical VAE with residual posteriors"
    schedules = ("warmup_steps",)
    own_network = True
    presets: ClassVar[Mapping[str, Preset]] = {"": DEFAULT}
    references = (
        Reference(
            "vahdat2020nvae",
            "Arash Vahdat and Jan Kautz",
            "NVAE: A Deep Hierarchical Variational Autoencoder",
            "Advances in Neural Information Processing Systems",
            2020,
            "https://arxiv.org/abs/2007.03898",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        if not isinstance(self.groups, tuple) or not self.groups:
            raise UserError(f"nvae: groups = {self.groups!r}; allowed: a tuple, one number a scale, as (2, 2)")
        at_least(self, 1, "groups", "warmup_steps", "power_iterations")
        at_least(self, 0, "spectral")
        if self.width < 8 or self.width % 8:
            raise UserError(f"nvae: width = {self.width}; allowed: multiples of 8")
        many = positions(data.shape, self.groups)
        if latents % many:
            raise UserError(
                f"nvae: {latents} latents for images of {data.shape[1]}×{data.shape[2]} and groups = {self.groups}; "
                f"allowed: multiples of {many} (the pixels of all groups' maps), as {20 * many} with 20 channels"
            )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        return TopDownVAE(data.shape, latents, data.likelihood, self.groups, self.width)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        net = cast(TopDownVAE, model)
        levels, logits = net.infer(batch.x, batch.noise["z"])
        recon = net.distortion(logits, batch.x).mean()
        kls = torch.stack([level.kl().sum(1).mean() for level in levels])
        beta = progress(batch.step, self.warmup_steps, recon.dtype)
        weights = balanced(kls.detach(), net.sizes) if self.balance else torch.ones_like(kls)
        weights = torch.where(batch.step < self.warmup_steps, weights, torch.ones_like(weights))
        norms, gain = largest(net, self.power_iterations)
        total = recon + beta * (weights * kls).sum() + self.spectral * (norms + gain)
        terms = {"recon": recon, "kl": kls.sum(), "beta": beta, "spectral": norms, "gain": gain}
        return Loss(total, terms | {f"kl.{place}": kls[place] for place in range(len(levels))})


def balanced(kls: Tensor, sizes: Sequence[int]) -> Tensor:
    """γ, (L,): proportional to each group's KL per latent, with average 1.

    >>> balanced(torch.tensor([3.99, 3.99]), (4, 12)).tolist()
    [1.5, 0.5]
    """
    each = (kls + FLOOR) / torch.stack([number(size, kls.dtype, kls.device) for size in sizes])
    return each / each.mean()


def largest(net: nn.Module, steps: int) -> tuple[Tensor, Tensor]:
    """The sum of the largest singular values of all convolutions, and that of the largest gains of all group norms.

    A convolution's weights are an (outputs, inputs · kernel) matrix, a transposed one's (inputs, outputs · kernel).
    """
    convolutions = (one for one in net.modules() if isinstance(one, nn.Conv2d | nn.ConvTranspose2d))
    matrices = [one.weight.flatten(1) for one in convolutions]
    gains = [one.weight.abs().amax() for one in net.modules() if isinstance(one, nn.GroupNorm)]
    return torch.stack([spectral_norm(one, steps) for one in matrices]).sum(), torch.stack(gains).sum()


def spectral_norm(matrix: Tensor, steps: int) -> Tensor:
    """The largest singular value of a matrix by power iteration; its gradient holds the singular vectors fixed.

    It begins with the same vector every time, so that nothing has to be remembered, and never exceeds the true value.

    >>> round(float(spectral_norm(torch.diag(torch.tensor([3.0, 1.0, 0.5])), 8)), 4)
    3.0
    """
    fixed = matrix.detach()
    # Irregular, so that it is orthogonal to no singular vector that has a pattern.
    right = torch.cos(torch.arange(matrix.shape[1], device=matrix.device, dtype=matrix.dtype) ** 2)
    for _ in range(steps):
        left = unit(fixed @ right)
        right = unit(fixed.mT @ left)
    return unit(fixed @ right) @ (matrix @ right)


def unit(vector: Tensor) -> Tensor:
    """The vector at length 1; 0 stays 0."""
    return vector / torch.sqrt((vector**2).sum() + 1e-30)

"""Guided-VAE without labels: a light decoder tells the latents what to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least
from unweave.methods.terms import autoencode
from unweave.networks import Body, Conv, LightVAE, Model
from unweave.references import DING_2020
from unweave.types import Adam, Batch, Loss, State, UserError

ADAM = Adam(lr=1e-4, weight_decay=1e-5)
MNIST = Preset(
    steps=60_032,
    batch=128,
    optimiser=ADAM,
    note="Guided-VAE, the authors' code for MNIST: 10 latents, batch 128, 128 epochs (60,032 steps), Adam 1e-4, "
    "weight decay 1e-5",
)
DSPRITES = Preset(
    fields={"transformer": False},
    latents=8,
    steps=100_000,
    batch=128,
    optimiser=ADAM,
    note="BHiVAE, the text to Fig. 5, has 8 latents on dSprites and says no more; ours: a linear basis alone, 100,000 "
    "steps, the rest as the authors' code for MNIST",
)


@dataclass(frozen=True)
class GuidedVAE(Method):
    """The evidence lower bound with a second decoder that is too simple to read an entangled code.

        loss = E[−log p(x|z)] + KL(q(z|x) ‖ N(0, I)) + λ · E[−log p_light(x|z)] + μ · Σ_{i≠j} |WᵀW|_ij

    Ding et al. (2020), §3.2 with the weights of the authors' code. The light decoder is a linear basis W; with
    ``transformer`` its image is scaled by the first latent and turned by the second, through a spatial transformer.

    Args:
        light: λ ≥ 0, weight of the light decoder's reconstruction.
        orthogonality: μ ≥ 0, weight of the overlap between the columns of W.
        transformer: the first two latents deform (the paper); without, all latents are coordinates in the basis, the
            reading for dSprites.

    Terms: ``recon``, ``kl`` and ``light`` in nats an image, ``overlap``, the sum over i ≠ j.

    Raises:
        UserError: a negative weight; a transformer with fewer than 3 latents.

    >>> import unweave
    >>> run = unweave.fit("guided-vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'light', 'overlap', 'recon', 'total']
    """

    light: float = 0.5
    orthogonality: float = 1.0
    transformer: bool = True

    name: ClassVar[str] = "guided-vae"
    summary: ClassVar[str] = "a second, linear decoder with size and angle guides the latents"
    presets: ClassVar[Mapping[str, Preset]] = {"": MNIST, "dsprites": DSPRITES}
    references = (DING_2020,)

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "light", "orthogonality")
        if self.transformer and latents < 3:
            raise UserError(
                f"guided-vae: {latents} latents; allowed with the transformer: 3 or more (size, angle, a basis)"
            )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        return LightVAE(body or Conv(), data.shape, latents, data.likelihood, self.transformer)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        net = cast(LightVAE, model)
        _, z, recon, kl = autoencode(net, batch)
        light = net.distortion(net.light(z), batch.x).mean()
        apart = overlap(net.basis.weight)
        total = recon + kl + self.light * light + self.orthogonality * apart
        return Loss(total, {"recon": recon, "kl": kl, "light": light, "overlap": apart})


def overlap(basis: Tensor) -> Tensor:
    """Σ_{i≠j} |WᵀW|_ij of a (pixels, D) basis: 0 when its columns are orthogonal.

    >>> float(overlap(torch.tensor([[1.0, 1.0], [0.0, 1.0]])))
    2.0
    """
    gram = (basis.mT @ basis).abs()
    return gram.sum() - torch.diagonal(gram).sum()

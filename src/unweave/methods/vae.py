"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.methods.base import STANDARD, Method, Preset
from unweave.methods.terms import autoencode
from unweave.networks import Model
from unweave.types import Batch, Loss, Reference, State


@dataclass(frozen=True)
class VAE(Method):
    """The negative evidence lower bound.

        loss = E[−log p(x|z)] + KL(q(z|x) ‖ N(0, I))

    Kingma & Welling (2014), eq. 7.

    Terms: ``recon`` and ``kl``, nats an image (``recon`` is a sum of squares with the squared likelihood).

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'recon', 'total']
    """

    name: ClassVar[str] = "vae"
    summary: ClassVar[str] = "the evidence lower bound, β-VAE with β = 1"
    presets: ClassVar[Mapping[str, Preset]] = {"": STANDARD}
    references = (
        Reference(
            "kingma2014auto",
            "Diederik P. Kingma and Max Welling",
            "Auto-Encoding Variational Bayes",
            "International Conference on Learning Representations",
            2014,
            "https://arxiv.org/abs/1312.6114",
        ),
    )

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        _, _, recon, kl = autoencode(model, batch)
        return Loss(recon + kl, {"recon": recon, "kl": kl})

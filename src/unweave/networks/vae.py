"""The plain variational autoencoder: one encoder, one decoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from unweave.networks.bodies import Body, Shape
from unweave.networks.model import Model
from unweave.types import LOGVAR_RANGE, Gaussian


class VAE(Model):
    """q(z|x) = N(mean(x), diag exp(logvar(x))) and a decoder to logits.

    Args:
        body: the architecture.
        shape: C, H, W of an image.
        latents: D.
        likelihood: ``bernoulli`` or ``squared``.
    """

    def __init__(self, body: Body, shape: Shape, latents: int, likelihood: str) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.encoder = body.encoder(shape, 2 * latents)
        self.decoder = body.decoder(latents, shape)

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return gaussian(self.encoder(x))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.encoder.features(x)


def gaussian(outputs: Tensor) -> Gaussian:
    """(N, 2D) encoder outputs -> the first half as means, the second as log-variances kept in ``LOGVAR_RANGE``."""
    mean, logvar = outputs.chunk(2, dim=-1)
    return Gaussian(mean, torch.clamp(logvar, *LOGVAR_RANGE))

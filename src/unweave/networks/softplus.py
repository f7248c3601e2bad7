"""The plain variational autoencoder with softplus standard deviations."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.networks.bodies import Body, Shape
from unweave.networks.model import Model
from unweave.types import LOGVAR_RANGE, Gaussian


class SoftplusVAE(Model):
    """``VAE`` whose encoder puts out s with σ = log(1 + exp(s)) where ``VAE`` puts out log σ².

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
        mean, raw = self.encoder(x).chunk(2, dim=-1)
        return Gaussian(mean, softplus_logvar(raw))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.encoder.features(x)


def softplus_logvar(raw: Tensor) -> Tensor:
    """2 · log(log(1 + exp(raw))), the log-variance of a softplus standard deviation, kept in ``LOGVAR_RANGE``."""
    low, high = LOGVAR_RANGE
    # Clamped before the logarithm: softplus rounds to 0 far below, and there 0 · ∞ would be the gradient. softplus(s)
    # is exp(s) at the lower bound and s at the upper one.
    raw = torch.clamp(raw, low / 2, math.exp(high / 2))
    return torch.clamp(2 * torch.log(F.softplus(raw)), low, high)

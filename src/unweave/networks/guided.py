"""Guided-VAE's network: a VAE whose codes a second, very simple decoder must be able to read too."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unweave.networks.bodies import Body, Shape
from unweave.networks.critic import Critic
from unweave.networks.model import Model
from unweave.networks.vae import gaussian
from unweave.types import Gaussian

EPS = 1e-6
"""Pixels of a deformed image are kept in [EPS, 1 − EPS], so that they have logits."""


class LightVAE(Model):
    """A VAE and a light decoder: a linear basis, deformed as a whole by the first two latents.

    With ``transformer`` latent 0 says how large the image is and latent 1 how far it is turned, through one learned
    affine map each that starts as no deformation at z = 0; all others are coordinates in the linear basis. Without,
    all latents are. Its parameters are part of the one group ``all``.

    Args:
        body: the architecture of encoder and decoder.
        transformer: deform; needs three latents or more.
    """

    def __init__(self, body: Body, shape: Shape, latents: int, likelihood: str, transformer: bool) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.shape = shape
        self.transformer = transformer
        self.encoder = body.encoder(shape, 2 * latents)
        self.decoder = body.decoder(latents, shape)
        channels, height, width = shape
        self.basis = nn.Linear(latents - 2 * transformer, channels * height * width)
        if transformer:
            self.size = nn.Linear(1, 2)
            self.angle = nn.Linear(1, 1)
            nn.init.ones_(self.size.bias)
            nn.init.zeros_(self.angle.bias)

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return gaussian(self.encoder(x))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def light(self, z: Tensor) -> Tensor:
        """(N, D) codes -> (N, C, H, W) logits by the light decoder."""
        if not self.transformer:
            return self.basis(z).unflatten(1, self.shape)
        flat = torch.sigmoid(self.basis(z[:, 2:])).unflatten(1, self.shape)
        moved = deformed(flat, self.size(z[:, :1]), self.angle(z[:, 1:2]).squeeze(1))
        return torch.logit(moved, EPS)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.encoder.features(x)


class LabelledVAE(Model):
    """A VAE and, for each guided factor, a classifier that reads the one latent meant to tell it.

    Latent t belongs to the t-th guided factor. The classifiers help the encoder and learn with it: all parameters are
    one group.

    Args:
        body: the architecture of encoder and decoder.
        columns: where the guided factors stand among the data's.
        sizes: how many levels each of them has.
        hidden: width of the classifiers' two hidden layers.
    """

    def __init__(
        self,
        body: Body,
        shape: Shape,
        latents: int,
        likelihood: str,
        columns: tuple[int, ...],
        sizes: tuple[int, ...],
        hidden: int,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.columns = columns
        self.encoder = body.encoder(shape, 2 * latents)
        self.decoder = body.decoder(latents, shape)
        self.tellers = nn.ModuleList(Critic(1, size, hidden, 2) for size in sizes)

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return gaussian(self.encoder(x))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.encoder.features(x)


def deformed(images: Tensor, scale: Tensor, angle: Tensor) -> Tensor:
    """Images scaled about their centre, then turned; what comes from outside is 0.

    Args:
        images: (N, C, H, W).
        scale: (N, 2), across and down; the pixel at (u, v) is read at ``scale`` times its distance, so 2 halves what
            is seen and 1 leaves it.
        angle: (N,) in radians, from the horizontal axis to the vertical one.

    >>> images = torch.rand(1, 1, 4, 4)
    >>> torch.allclose(deformed(images, torch.ones(1, 2), torch.zeros(1)), images, atol=1e-6)
    True
    """
    height, width = images.shape[2:]
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    theta = turn * scale[:, None, :]
    # torch.nn.functional.affine_grid has no batching rule for vmap; this is what it computes, corners not aligned.
    down, across = (centres(side, images) for side in (height, width))
    places = torch.stack(torch.broadcast_tensors(across, down[:, None]), -1)
    grid = places.reshape(-1, 2) @ theta.mT
    return F.grid_sample(images, grid.unflatten(1, (height, width)), align_corners=False)


def centres(count: int, like: Tensor) -> Tensor:
    """Where the centres of so many pixels lie in [−1, 1]."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1

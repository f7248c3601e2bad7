"""Generator and discriminator of a GAN whose discriminator also reads the code off an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unweave.networks.bodies import Body, Decoder, Encoder, Shape
from unweave.networks.convolution import Conv2d, ConvTranspose2d
from unweave.networks.model import Model, submodules
from unweave.types import Gaussian, UserError

SLOPE = 0.1
"""Of the discriminator's leaky ReLUs, as in the authors' code."""


@dataclass(frozen=True)
class DCGAN(Body):
    """4×4 convolutions of stride 2 whose channels double inwards, leaky ReLUs; back with ReLUs.

    The batch norm of DCGAN (Radford et al. 2016) is a group norm: nothing depends on which images share a batch.

    Args:
        width: channels of the outermost map; a multiple of ``groups``.
        groups: groups of the group norms.

    Raises:
        UserError: a width that the groups do not divide, or an image smaller than 8 pixels.

    >>> DCGAN(8, 4).decoder(5, (1, 12, 9))(torch.zeros(2, 5)).shape
    torch.Size([2, 1, 12, 9])
    """

    width: int = 32
    groups: int = 8

    def encoder(self, shape: Shape, outputs: int) -> Encoder:
        layers: list[nn.Module] = []
        sizes = self._sizes(shape)
        channels = shape[0]
        for place in range(len(sizes) - 1):
            layers.append(Conv2d(channels, self._channels(place), 4, 2, 1))
            channels = self._channels(place)
            layers += [*([nn.GroupNorm(self.groups, channels)] if place else []), nn.LeakyReLU(SLOPE)]
        return Encoder(nn.Sequential(*layers, nn.Flatten()), channels * math.prod(sizes[-1]), outputs)

    def decoder(self, inputs: int, shape: Shape) -> Decoder:
        sizes = self._sizes(shape)[::-1]
        count = len(sizes) - 1
        channels = self._channels(count - 1)
        layers: list[nn.Module] = [nn.Unflatten(1, (channels, *sizes[0]))]
        for place, ((h, b), (next_h, next_b)) in enumerate(pairwise(sizes)):
            width = shape[0] if place == count - 1 else self._channels(count - 2 - place)
            extra = (next_h - 2 * h, next_b - 2 * b)
            layers += [nn.GroupNorm(self.groups, channels), nn.ReLU()]
            layers.append(ConvTranspose2d(channels, width, 4, 2, 1, output_padding=extra))
            channels = width
        return Decoder(inputs, self._channels(count - 1) * math.prod(sizes[0]), nn.Sequential(*layers))

    def _channels(self, place: int) -> int:
        return self.width * 2 ** min(place, 3)

    def _sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """Heights and widths of the maps from the image to the smallest, halving while both sides exceed 4."""
        if self.groups < 1 or self.width < 1 or self.width % self.groups:
            raise UserError(
                f"DCGAN: width = {self.width}, groups = {self.groups}; allowed: a width that the groups divide"
            )
        height, breadth = shape[1:]
        if min(height, breadth) < 8:
            raise UserError(f"DCGAN: images of {height}×{breadth}; allowed: at least 8 pixels a side")
        sizes = [(height, breadth)]
        while min(height, breadth) > 4 and min(height, breadth) // 2 >= 3:
            height, breadth = height // 2, breadth // 2
            sizes.append((height, breadth))
        return sizes


class CodedGAN(Model):
    """InfoGAN's networks: a generator from noise and code, a discriminator, and Q(c|x) on the discriminator's trunk.

    A code has a one-hot part for every categorical code, then the continuous codes. ``encode`` is the mean of Q(c|x)
    (probabilities, then means), a point mass; ``decode`` generates with all noise at 0. Parameter groups:
    ``generator`` and ``discriminator``, which takes Q along.

    Args:
        body: the generator is its decoder, the discriminator's trunk its encoder.
        latents: D, the size of a code.
        noise: size of the noise.
        categories: number of values of each categorical code.
        hidden: width of what discriminator and Q share last, and of Q's own layer.
        spread: give Q(c|x) a learned variance; else it is 1.
    """

    def __init__(
        self,
        body: Body,
        shape: Shape,
        latents: int,
        likelihood: str,
        noise: int,
        categories: tuple[int, ...] = (),
        hidden: int = 128,
        spread: bool = False,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.noise = noise
        self.categories = categories
        self.continuous = latents - sum(categories)
        edges = [sum(categories[:place]) for place in range(len(categories) + 1)]
        blocks = [tuple(range(low, high)) for low, high in pairwise(edges)]
        self.blocks = (*blocks, *((place,) for place in range(edges[-1], latents))) if categories else ()
        self.generator = body.decoder(noise + latents, shape)
        self.trunk = body.encoder(shape, hidden)
        self.judge = nn.Linear(hidden, 1)
        outputs = latents + (self.continuous if spread else 0)
        self.reader = nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, outputs))

    def look(self, x: Tensor) -> Tensor:
        """(N, C, H, W) images -> (N, hidden) features that discriminator and Q share."""
        return F.leaky_relu(self.trunk(x), SLOPE)

    def discriminate(self, x: Tensor) -> Tensor:
        """(N,) logits of being a real image."""
        return self.judge(self.look(x)).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """``discriminate``, so that ``detached`` can call it."""
        return self.discriminate(x)

    def read(self, features: Tensor) -> tuple[list[Tensor], Gaussian]:
        """Q(c|x): logits of each categorical code, and the Gaussian of the continuous ones."""
        outputs = self.reader(features)
        *logits, mean, logvar = outputs.split(
            (*self.categories, self.continuous, outputs.shape[1] - self.latents), dim=1
        )
        spread = torch.clamp(logvar, -10.0, 10.0) if logvar.shape[1] else torch.zeros_like(mean)
        return list(logits), Gaussian(mean, spread)

    def mean(self, features: Tensor) -> Tensor:
        """(N, D) the mean of Q(c|x)."""
        logits, q = self.read(features)
        return torch.cat([*(F.softmax(one, 1) for one in logits), q.mean], 1)

    def generate(self, noise: Tensor, code: Tensor) -> Tensor:
        """(N, noise) and (N, D) -> (N, C, H, W) logits."""
        return self.generator(torch.cat([noise, code], 1))

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return Gaussian(self.mean(self.look(x)), None)

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.generate(z.new_zeros(z.shape[0], self.noise), z)

    def prior(self, draws: Tensor) -> Tensor:
        """Standard normals -> a one-hot vector for each categorical code, and U(−1, 1)."""
        *parts, rest = draws.split((*self.categories, self.continuous), dim=1)
        chosen = [F.one_hot(one.argmax(1), one.shape[1]).to(draws.dtype) for one in parts]
        return torch.cat([*chosen, torch.erf(rest / math.sqrt(2))], 1)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.trunk.features(x)

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "generator": submodules(self, "generator"),
            "discriminator": submodules(self, "trunk", "judge", "reader"),
        }

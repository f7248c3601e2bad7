"""A small hierarchical VAE after NVAE: groups of latent maps, each drawn given those above it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unweave.networks.bodies import Shape, Trunk
from unweave.networks.convolution import Conv2d, ConvTranspose2d
from unweave.networks.model import Model
from unweave.types import Gaussian, UserError

DEPTH = 5
"""How often an image is halved down to the topmost latent maps, unless it is too small for that."""
WIDEST = 4
"""Channels double with every halving, up to so many times those after the first."""
RESIDUAL = 0.1
"""What the branch of a residual cell is multiplied by, as in NVAE."""
SOFT = 5.0
"""Means and log-deviations are kept in (−SOFT, SOFT) by a tanh, as in NVAE."""


class Level(NamedTuple):
    """One group of latents given those above it, each (N, size)."""

    prior: Gaussian
    posterior: Gaussian

    def kl(self) -> Tensor:
        """KL(posterior ‖ prior) of each latent in nats, (N, size)."""
        p, q = self.prior, self.posterior
        assert p.logvar is not None and q.logvar is not None
        more = q.logvar - p.logvar
        return 0.5 * ((q.mean - p.mean) ** 2 * torch.exp(-p.logvar) + torch.expm1(more) - more)


class Excite(nn.Module):
    """Squeeze and excitation: every channel times a number in (0, 1) that depends on all channels' averages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 8, 4)
        self.layers = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.layers(x.mean((2, 3)))[:, :, None, None]


class Cell(nn.Module):
    """A residual cell: twice (group norm, SiLU, 3×3 convolution), then squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(math.gcd(8, channels), channels), nn.SiLU(), Conv2d(channels, channels, 3, 1, 1)]
        self.layers = nn.Sequential(*layers, Excite(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL * self.layers(x)


class Group(nn.Module):
    """One group of latents: the prior and posterior heads that draw it, and the way its sample joins the path down.

    Args:
        channels: of the maps it reads.
        latents: channels of its own maps.
        first: the topmost group, whose prior is N(0, I).
    """

    def __init__(self, channels: int, latents: int, first: bool) -> None:
        super().__init__()
        self.latents = latents
        self.prior = None if first else nn.Sequential(nn.SiLU(), Conv2d(channels, 2 * latents, 1))
        self.posterior = nn.Sequential(nn.SiLU(), Conv2d(2 * channels, 2 * latents, 1))
        self.join = Conv2d(channels + latents, channels, 1)
        self.trunk = Trunk(nn.Sequential(Cell(channels)))

    def level(self, path: Tensor, seen: Tensor) -> Level:
        """Prior and posterior of this group for a path down and what was seen of the image at this scale."""
        p = self.before(path)
        move, more = half(self.posterior(torch.cat([path, seen], 1)))
        assert p.logvar is not None
        return Level(p, Gaussian(p.mean + move, p.logvar + more))

    def before(self, path: Tensor) -> Gaussian:
        """The prior of this group; N(0, I) for the first one."""
        if self.prior is None:
            zeros = path.new_zeros(path.shape[0], self.latents * math.prod(path.shape[2:]))
            return Gaussian(zeros, zeros)
        return Gaussian(*half(self.prior(path)))

    def forward(self, path: Tensor, z: Tensor) -> Tensor:
        """The path further down, now that this group is z, (N, size)."""
        joined = self.join(torch.cat([path, z.unflatten(1, (-1, *path.shape[2:]))], 1))
        return self.trunk(joined).to(path.dtype)


class TopDownVAE(Model):
    """Latent maps at several scales, several groups a scale; each group depends on all above it.

    The posterior is residual: where the prior of a group is N(μ, σ²) given the groups above it, its posterior is
    N(μ + Δμ, (σ · Δσ)²). A code is the flat row of all groups, the smallest maps first, each as (channels, height,
    width). ``encode`` gives every group's posterior for the means of those above it; ``decode`` takes all groups as
    they are given; ``prior`` draws one group after the other.

    Args:
        latents: D, a multiple of ``positions(shape, scales)``; the quotient is the number of channels of each group.
        scales: number of groups at each scale, from the smallest maps on; every scale has maps of twice the side.
        width: channels after the first halving of the image.
    """

    def __init__(self, shape: Shape, latents: int, likelihood: str, scales: Sequence[int], width: int = 16) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        sides = halvings(shape)
        depth = len(sides) - 1
        channels = [shape[0]] + [width * min(2**place, WIDEST) for place in range(depth)]
        own = latents // positions(shape, scales)
        low = depth - len(scales) + 1
        self.scales = tuple(scales)
        self.sizes = [own * math.prod(sides[depth - s]) for s, count in enumerate(scales) for _ in range(count)]

        first: list[nn.Module] = [Conv2d(channels[0], channels[1], 4, 2, 1), nn.SiLU()]
        for a, b in pairwise(channels[1 : low + 1]):
            first += [Conv2d(a, b, 4, 2, 1), Cell(b)]
        rest = [[Conv2d(a, b, 4, 2, 1), Cell(b)] for a, b in pairwise(channels[low:])]
        self.up = nn.ModuleList(Trunk(nn.Sequential(*layers)) for layers in (first, *rest))

        self.start = nn.Parameter(torch.randn(1, channels[-1], *sides[-1]))
        self.latent_groups = nn.ModuleList()
        down = []
        for s, count in enumerate(scales):
            place = depth - s
            for _ in range(count):
                self.latent_groups.append(Group(channels[place], own, not len(self.latent_groups)))
            if s < len(scales) - 1:
                down.append([wider(channels, sides, place), Cell(channels[place - 1])])
        last: list[nn.Module] = []
        for place in range(low, 0, -1):
            last += [nn.SiLU(), wider(channels, sides, place)]
            if place > 2:
                last.append(Cell(channels[place - 1]))
        self.down = nn.ModuleList(Trunk(nn.Sequential(*layers)) for layers in (*down, last))

    def descend(self, batch: int, choose: Callable[[int, Group, Tensor], Tensor]) -> Tensor:
        """Logits of an image, where ``choose`` picks each group's sample, given its place and the path so far."""
        path = self.start.expand(batch, -1, -1, -1)
        place = 0
        for count, trunk in zip(self.scales, self.down, strict=True):
            for _ in range(count):
                group: Group = self.latent_groups[place]  # type: ignore[assignment]
                path = group(path, choose(place, group, path))
                place += 1
            path = trunk(path).to(self.start.dtype)
        return path

    def infer(self, x: Tensor, noise: Tensor | None = None) -> tuple[list[Level], Tensor]:
        """Every group's prior and posterior with a sample of those above it (their means without noise), and logits."""
        seen = self.look(x)
        draws = None if noise is None else noise.split(self.sizes, 1)
        levels: list[Level] = []

        def choose(place: int, group: Group, path: Tensor) -> Tensor:
            level = group.level(path, seen[place])
            levels.append(level)
            return level.posterior.mean if draws is None else level.posterior.sample(draws[place])

        logits = self.descend(x.shape[0], choose)
        return levels, logits

    def look(self, x: Tensor) -> list[Tensor]:
        """What is seen of the images at the scale of every group."""
        found = []
        for trunk in self.up:
            x = trunk(x).to(self.start.dtype)
            found.append(x)
        return [one for one, count in zip(found[::-1], self.scales, strict=True) for _ in range(count)]

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        posteriors = [level.posterior for level in self.infer(x)[0]]
        logvars = [q.logvar for q in posteriors if q.logvar is not None]
        return Gaussian(torch.cat([q.mean for q in posteriors], 1), torch.cat(logvars, 1))

    def sample(self, x: Tensor, q: Gaussian, noise: Tensor, space: int = 0) -> Tensor:
        """Every group from its posterior given the samples of those above it, as in training."""
        draws = noise.split(self.sizes, 1)
        levels = self.infer(x, noise)[0]
        return torch.cat([level.posterior.sample(one) for level, one in zip(levels, draws, strict=True)], 1)

    def rate(self, x: Tensor, q: Gaussian, z: Tensor, space: int = 0) -> Tensor:
        """Σ of the groups' KL, each given the samples z of those above it."""
        seen, parts = self.look(x), z.split(self.sizes, 1)
        rates: list[Tensor] = []

        def choose(place: int, group: Group, path: Tensor) -> Tensor:
            rates.append(group.level(path, seen[place]).kl().sum(1))
            return parts[place]

        self.descend(x.shape[0], choose)
        return torch.stack(rates).sum(0)

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        parts = z.split(self.sizes, 1)
        return self.descend(z.shape[0], lambda place, group, path: parts[place])

    def prior(self, draws: Tensor) -> Tensor:
        parts = draws.split(self.sizes, 1)
        found: list[Tensor] = []

        def choose(place: int, group: Group, path: Tensor) -> Tensor:
            found.append(group.before(path).sample(parts[place]))
            return found[-1]

        self.descend(len(draws), choose)
        return torch.cat(found, 1)


def half(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2C, H, W) outputs of a head -> flat means and log-variances, softly kept in range."""
    mean, deviation = (SOFT * torch.tanh(maps / SOFT)).flatten(2).chunk(2, 1)
    return mean.flatten(1), 2 * deviation.flatten(1)


def halvings(shape: Shape) -> list[tuple[int, int]]:
    """Heights and widths of the maps from the image to the smallest, at most DEPTH halvings and no side below 1.

    Raises:
        UserError: an image smaller than 8 pixels.
    """
    height, width = shape[1:]
    if min(height, width) < 8:
        raise UserError(f"nvae: images of {height}×{width}; allowed: at least 8 pixels a side")
    depth = min(DEPTH, int(math.log2(min(height, width))))
    return [(height >> place, width >> place) for place in range(depth + 1)]


def positions(shape: Shape, scales: Sequence[int]) -> int:
    """How many latents all groups have for each channel of theirs: what D is a multiple of.

    Raises:
        UserError: more scales than the image has halvings.

    >>> positions((1, 64, 64), (2, 2)), positions((1, 8, 8), (2, 2))
    (40, 10)
    """
    sides = halvings(shape)
    if len(scales) >= len(sides):
        raise UserError(
            f"nvae: {len(scales)} scales for images of {shape[1]}×{shape[2]}; allowed: at most {len(sides) - 1}"
        )
    return sum(count * math.prod(side) for count, side in zip(scales, sides[::-1], strict=False))


def wider(channels: Sequence[int], sides: Sequence[tuple[int, int]], place: int) -> ConvTranspose2d:
    """From the maps of one halving to those of the one before it."""
    (h, b), (next_h, next_b) = sides[place], sides[place - 1]
    extra = (next_h - 2 * h, next_b - 2 * b)
    return ConvTranspose2d(channels[place], channels[place - 1], 4, 2, 1, output_padding=extra)

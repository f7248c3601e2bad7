"""RecurD's network: modules of parallel encoders, each reading a mixture of the groups of features before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unweave.networks.bodies import Body, Shape, Trunk
from unweave.networks.conv import Conv
from unweave.networks.convolution import Conv2d
from unweave.networks.model import Model
from unweave.networks.parallel import ParallelLinear
from unweave.networks.router import Router
from unweave.networks.vae import gaussian
from unweave.types import Gaussian, UserError

FIRST = {1: (32, 64), 2: (32,)}
"""Channels of the first module's convolutions, by the number of modules that follow (Chen et al. 2022, Tables 4, 5)."""
WIDTH = 16
"""Channels of every later encoder's convolution, and width of the last module's dense layers."""


class Routing(NamedTuple):
    """What one module read, averaged over each map: l is its number in the paper, from 2."""

    inputs: Tensor
    """(N, d_l, ·) the groups m^l."""
    weights: Tensor | None
    """(N, d_l, d_{l+1}) the composition matrix w^l; None where the router is fixed."""
    routed: Tensor
    """(N, d_{l+1}, ·) what each encoder reads of them, a^l."""


class RecursiveModule(nn.Module):
    """Router and group of encoders: I groups of maps in, J groups of half the height and breadth out.

    Encoder j computes ReLU(conv_j(Σ_i w_ij · m_i)). A convolution is linear, so every group is convolved for all
    encoders at once and the results are mixed: the mixtures themselves, larger than any other map, are never made.

    Args:
        groups, channels: I, and the channels of each.
        count, width: J, and the channels of each.
        kernel: size, stride and padding of the convolution.
        router: one of ``ROUTERS``; with ``fix`` encoder j reads the j-th of J equal slices of all channels (which
            overlap where J does not divide their number).
        k, scaled: see ``Router``.
        combine: ``sum`` reads the weighted sum of the groups, ``concat`` the weighted groups beside each other.
    """

    def __init__(
        self,
        groups: int,
        channels: int,
        count: int,
        width: int,
        kernel: tuple[int, int, int],
        router: str,
        k: int,
        scaled: bool,
        combine: str,
    ) -> None:
        super().__init__()
        self.count, self.width = count, width
        self.beside = combine == "concat"
        self.slices: list[slice] = []
        self.routed = channels * groups if self.beside else channels
        self.router: Router | None = None
        if router == "fix":
            self.slices = equal_slices(groups * channels, count)
            self.routed = self.slices[0].stop
            layers = [nn.Conv2d(self.routed, width, *kernel, bias=False) for _ in range(count)]
        else:
            self.router = Router(router, channels, count, k, scaled)
            layers = [
                nn.Conv2d(channels, count * width, *kernel, bias=False) for _ in range(groups if self.beside else 1)
            ]
        fan_in = self.routed * kernel[0] ** 2
        for layer in layers:
            nn.init.uniform_(layer.weight, -(fan_in**-0.5), fan_in**-0.5)
        self.layers = nn.ModuleList(Trunk(nn.Sequential(layer)) for layer in layers)
        self.bias = nn.Parameter(torch.empty(count * width).uniform_(-(fan_in**-0.5), fan_in**-0.5))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Routing]:
        """I maps (N, channels, H, W) -> (N, J · width, H', W') and what was read."""
        dtype = torch.promote_types(maps[0].dtype, self.bias.dtype)
        pooled = torch.stack([m.mean((2, 3), dtype=dtype) for m in maps], 1)
        if self.router is None:
            flat = torch.cat(list(maps), 1)
            y = torch.cat([layer(flat[:, part]) for layer, part in zip(self.layers, self.slices, strict=True)], 1)
            weights, routed = None, torch.stack([pooled.flatten(1)[:, part] for part in self.slices], 1)
        else:
            weights = self.router(pooled)
            layers = self.layers if self.beside else [self.layers[0]] * len(maps)
            shares = weights[..., None].expand(-1, -1, -1, self.width).flatten(2)[..., None, None]
            mixed = [layer(m) for layer, m in zip(layers, maps, strict=True)]
            y = sum_of([one * shares[:, i].to(one.dtype) for i, one in enumerate(mixed)])
            gated = torch.einsum("nij,niq->njiq", weights, pooled).flatten(2) if self.beside else None
            routed = weights.mT @ pooled if gated is None else gated
        return F.relu(y + self.bias.to(y.dtype)[:, None, None]), Routing(pooled, weights, routed)


class RecursiveVAE(Model):
    """An encoder of recursive modules and a plain decoder (Chen et al. 2022, Figure 2 and Tables 3 to 5).

    The first module is ``encoders[0]`` networks side by side on the image, the following have a router each, and the
    last one ends in an encoder for every latent (or for every ``size`` latents).

    Args:
        encoder: a ``Conv`` gives the paper's convolutions, 4×4 with stride 2, whatever its preset; any other body makes
            the first module of networks of its kind, whose outputs are maps of 1×1, and dense layers after them.
        decoder: body of the decoder.
        encoders: how many encoders each module but the last has: (4,) for RecurD1, (2, 4) for RecurD2; without any, the
            model is a plain VAE on the two bodies (RecurD0).
        router, k, scaled, combine: see ``RecursiveModule``.
        size: latents that each encoder of the last module makes.
    """

    def __init__(
        self,
        encoder: Body,
        decoder: Body,
        shape: Shape,
        latents: int,
        likelihood: str,
        encoders: tuple[int, ...],
        router: str = "matmul",
        k: int = 2,
        scaled: bool = True,
        combine: str = "sum",
        size: int = 1,
    ) -> None:
        super().__init__()
        self.latents, self.likelihood, self.size = latents, likelihood, size
        self.count = latents // size
        if size > 1:
            self.blocks = tuple(tuple(range(place, place + size)) for place in range(0, latents, size))
        self.first = nn.ModuleList()
        self.following = nn.ModuleList()
        if not encoders:
            self.encoder = encoder.encoder(shape, 2 * latents)
        else:
            self._build(encoder, shape, encoders, router, k, scaled, combine)
        self.decoder = decoder.decoder(latents, shape)

    def _build(
        self, encoder: Body, shape: Shape, encoders: tuple[int, ...], router: str, k: int, scaled: bool, combine: str
    ) -> None:
        widths = FIRST[len(encoders)]
        channels, height, breadth = widths[-1], 1, 1
        kernel = (4, 2, 1) if isinstance(encoder, Conv) else (1, 1, 0)
        for _ in range(encoders[0]):
            self.first.append(_convolutions(shape[0], widths) if kernel[1] == 2 else encoder.encoder(shape, channels))
        if kernel[1] == 2:
            height, breadth = (side >> (len(widths) + len(encoders)) for side in shape[1:])
            if min(height, breadth) < 1:
                least = 1 << (len(widths) + len(encoders))
                sides = f"{shape[1]}×{shape[2]}"
                raise UserError(
                    f"recurd: images of {sides}; allowed: at least {least} pixels a side (smaller ones: MLP)"
                )
        for groups, count in zip(encoders, (*encoders[1:], self.count), strict=True):
            self.following.append(RecursiveModule(groups, channels, count, WIDTH, kernel, router, k, scaled, combine))
            channels = WIDTH
        self.dense = Trunk(nn.Sequential(ParallelLinear(self.count, WIDTH * height * breadth, WIDTH), nn.ReLU()))
        self.head = ParallelLinear(self.count, WIDTH, 2 * self.size)

    def passes(self, x: Tensor) -> tuple[Gaussian, list[Routing]]:
        """q(z|x), and what every module with a router read on the way."""
        if not self.first:
            return gaussian(self.encoder(x)), []
        maps = [one(x) for one in self.first]
        if maps[0].ndim == 2:
            maps = [F.relu(one)[:, :, None, None] for one in maps]
        seen = []
        for place, module in enumerate(self.following):
            y, routing = module(maps)
            seen.append(routing)
            y = y.unflatten(1, (-1, WIDTH))
            if place < len(self.following) - 1:
                maps = list(y.unbind(1))
        outputs = self.head(self.dense(y.flatten(2)).to(self.head.weight.dtype))
        mean, logvar = outputs.chunk(2, -1)
        return gaussian(torch.cat([mean.flatten(1), logvar.flatten(1)], -1)), seen

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return self.passes(x)[0]

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        """``m2`` … are the modules' outputs and ``routed 2`` … what the next module's encoders read of them, (N, ·) and
        averaged over each map, so that they serve as codes; ``router 2`` … are the composition matrices. A RecurD0 has
        its encoder's layers."""
        if not self.first:
            return self.encoder.features(x)
        found: dict[str, Tensor] = {}
        for place, one in enumerate(self.passes(x)[1], 2):
            found[f"m{place}"] = one.inputs.flatten(1)
            found[f"routed {place}"] = one.routed.flatten(1)
            if one.weights is not None:
                found[f"router {place}"] = one.weights
        return found


def equal_slices(total: int, count: int) -> list[slice]:
    """``count`` slices of equal length that cover ``range(total)``; neighbours overlap where they must.

    >>> equal_slices(6, 3), equal_slices(5, 2)
    ([slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)], [slice(0, 3, None), slice(2, 5, None)])
    """
    length = -(-total // count)
    starts = [place * (total - length) // max(1, count - 1) for place in range(count)]
    return [slice(start, start + length) for start in starts]


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """Their sum, one after the other."""
    found = parts[0]
    for one in parts[1:]:
        found = found + one
    return found


def _convolutions(channels: int, widths: tuple[int, ...]) -> Trunk:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [Conv2d(channels, width, 4, 2, 1), nn.ReLU()]
        channels = width
    return Trunk(nn.Sequential(*layers))

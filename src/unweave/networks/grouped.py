"""DEFT's network: one small encoder for each group of latents, one decoder for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from unweave.networks.bodies import Body, Encoder, Shape
from unweave.networks.model import Model, submodules
from unweave.networks.vae import gaussian
from unweave.types import LOGVAR_RANGE, Gaussian


class GroupedVAE(Model):
    """G encoders of D/G latents each, their codes side by side, decoded together.

    Parameter groups: ``encoder 0`` … ``encoder G−1`` (``encoder`` when there is one), ``decoder``, and ``projection 0``
    … ``projection G−2`` where there are projections.

    Args:
        encoder: body of each encoder.
        decoder: body of the decoder.
        groups: G, which must divide ``latents``.
        start_at_prior: make every head start at 0, so that the posterior of a group that was never trained is the prior
            itself: mean 0, log-variance 0, no information about x.
        shared: one encoder for all groups, its outputs split, as the first version of the authors' code had it.
        projections: give each group but the last a learnable rescaling of its code, mean · exp(w1), logvar + w2 (w = 0
            at first).
    """

    def __init__(
        self,
        encoder: Body,
        decoder: Body,
        shape: Shape,
        latents: int,
        likelihood: str,
        groups: int,
        start_at_prior: bool = True,
        shared: bool = False,
        projections: bool = False,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        size = latents // groups
        self.size = size
        self.shared = shared
        self.encoders = nn.ModuleList(
            encoder.encoder(shape, 2 * (latents if shared else size)) for _ in range(1 if shared else groups)
        )
        self.decoder = decoder.decoder(latents, shape)
        if start_at_prior:
            for one in self.encoders:
                head = cast(Encoder, one).head
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
        # The last group never becomes an old one.
        count = groups - 1 if projections else 0
        self.w_mean = nn.ParameterList(nn.Parameter(torch.zeros(size)) for _ in range(count))
        self.w_logvar = nn.ParameterList(nn.Parameter(torch.zeros(size)) for _ in range(count))

    def parts(self, x: Tensor) -> list[Gaussian]:
        """q(z^i|x) of every group as its encoder gives it, before any projection."""
        wholes = [gaussian(encoder(x)) for encoder in self.encoders]
        return [
            Gaussian(mean, logvar)
            for q in wholes
            if q.logvar is not None
            for mean, logvar in zip(q.mean.split(self.size, -1), q.logvar.split(self.size, -1), strict=True)
        ]

    def project(self, q: Gaussian, group: int) -> Gaussian:
        """The learnable rescaling of a group's code; the code itself without one."""
        if group >= len(self.w_mean) or q.logvar is None:
            return q
        logvar = torch.clamp(q.logvar + self.w_logvar[group], *LOGVAR_RANGE)
        return Gaussian(q.mean * torch.exp(self.w_mean[group]), logvar)

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return side_by_side([self.project(q, i) for i, q in enumerate(self.parts(x))])

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        found = {}
        for place, encoder in enumerate(self.encoders):
            features = cast(Encoder, encoder).features(x)
            found.update({f"encoder {place}, {name}": value for name, value in features.items()})
        return found

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        names = [name for name, _ in self.named_parameters()]
        found = {}
        for place in range(len(self.encoders)):
            name = "encoder" if self.shared else f"encoder {place}"
            found[name] = tuple(n for n in names if n.startswith(f"encoders.{place}."))
        for place in range(len(self.w_mean)):
            found[f"projection {place}"] = (f"w_mean.{place}", f"w_logvar.{place}")
        return {**found, "decoder": submodules(self, "decoder")}


def side_by_side(parts: list[Gaussian]) -> Gaussian:
    """One Gaussian over all groups' latents."""
    logvars = [q.logvar for q in parts if q.logvar is not None]
    return Gaussian(torch.cat([q.mean for q in parts], -1), torch.cat(logvars, -1))

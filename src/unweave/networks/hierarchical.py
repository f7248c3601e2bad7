"""DeVAE's network: several latent spaces behind one encoder, tied by transformations, decoded by one decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from unweave.networks.bodies import Body, Shape
from unweave.networks.model import Model
from unweave.networks.vae import gaussian
from unweave.types import LOGVAR_RANGE, Gaussian, UserError

BOUND = 10.0
"""The exponents of a DiT are kept in [−BOUND, BOUND], so that exp never overflows."""


class SpacesVAE(Model):
    """K latent spaces z_0 … z_{K−1}; the decoder is told which one it reads by a code v_i beside z_i.

    With ``dit`` (Wu et al. 2023, DeVAE, eq. 4, in the parametrisation of the authors' code)

        mean_{i+1} = exp(w1_i) · mean_i,     logvar_{i+1} = logvar_i + w2_i,

    which rescales every latent on its own and so keeps what each one means. With ``linear`` z_{i+1} = W_i z_i (W_i
    starts as the identity); with ``none`` each space has an encoder of its own. One space alone has no code and is a
    plain VAE.

    Args:
        spaces: K.
        hierarchy: ``dit``, ``linear`` or ``none``.
        space_code: ``embedding`` (learned, of size D) or ``onehot`` (of size K).
    """

    def __init__(
        self,
        body: Body,
        shape: Shape,
        latents: int,
        likelihood: str,
        spaces: int,
        hierarchy: str = "dit",
        space_code: str = "embedding",
    ) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.spaces = spaces
        self.hierarchy = hierarchy
        width = 0 if spaces == 1 else latents if space_code == "embedding" else spaces
        self.encoder = body.encoder(shape, 2 * latents)
        self.decoder = body.decoder(latents + width, shape)
        self.others = nn.ModuleList(
            body.encoder(shape, 2 * latents) for _ in range(spaces - 1 if hierarchy == "none" else 0)
        )
        steps = spaces - 1
        if hierarchy == "dit" and steps:
            self.w_mean = nn.Parameter(torch.zeros(steps, latents))
            self.w_logvar = nn.Parameter(torch.zeros(steps, latents))
        if hierarchy == "linear" and steps:
            self.matrix = nn.Parameter(torch.eye(latents).repeat(steps, 1, 1))
        if width and space_code == "embedding":
            self.code = nn.Parameter(torch.randn(spaces, latents))
        elif width:
            self.register_buffer("code", torch.eye(spaces))

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        """q(z_space|x); with ``linear`` its diagonal, since the covariance is full there."""
        if not 0 <= space < self.spaces:
            raise UserError(f"latent space {space}; this model has 0 to {self.spaces - 1}")
        if self.hierarchy == "none" and space:
            return gaussian(self.others[space - 1](x))
        q = gaussian(self.encoder(x))
        if self.hierarchy == "linear" and space and q.logvar is not None:
            w = self.reach(space)
            return Gaussian(q.mean @ w.mT, torch.log(torch.exp(q.logvar) @ (w**2).mT + 1e-12))
        for place in range(space):
            q = self.transform(q, place)
        return q

    def sample(self, x: Tensor, q: Gaussian, noise: Tensor, space: int = 0) -> Tensor:
        if self.hierarchy == "linear" and space:
            # What the decoder learned from: a sample of space 0, mapped. The diagonal in ``q`` forgets how it hangs
            # together.
            return self.encode(x).sample(noise) @ self.reach(space).mT
        return q.sample(noise)

    def posteriors(self, x: Tensor) -> list[Gaussian]:
        """q(z_i|x) of every space. With ``linear``, q(z_0|x) K times: map a fresh sample of it by ``reach(i)``."""
        if self.hierarchy == "none":
            return [gaussian(encoder(x)) for encoder in (self.encoder, *self.others)]
        found = [gaussian(self.encoder(x))]
        for place in range(self.spaces - 1):
            found.append(self.transform(found[-1], place) if self.hierarchy == "dit" else found[0])
        return found

    def transform(self, q: Gaussian, place: int) -> Gaussian:
        """The DiT from space ``place`` to the next."""
        assert q.logvar is not None
        scale = torch.exp(torch.clamp(self.w_mean[place], -BOUND, BOUND))
        logvar = q.logvar + torch.clamp(self.w_logvar[place], -BOUND, BOUND)
        return Gaussian(scale * q.mean, torch.clamp(logvar, *LOGVAR_RANGE))

    def reach(self, space: int) -> Tensor:
        """W_{space−1} ⋯ W_0, (D, D): what takes a sample of space 0 to ``space`` with ``linear``."""
        w = self.matrix[0]
        for place in range(1, space):
            w = self.matrix[place] @ w
        return w

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        if self.spaces == 1:
            return self.decoder(z)
        return self.decode_as(z, self.code[space])

    def decode_all(self, zs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What ``decode`` makes of (N, D) codes of every space, all of them in one batch."""
        if self.spaces == 1:
            return (self.decoder(zs[0]),)
        told = torch.cat([self._told(z, self.code[space]) for space, z in enumerate(zs)])
        return self.decoder(told).split([len(z) for z in zs])

    def decode_as(self, z: Tensor, code: Tensor) -> Tensor:
        """Decode with a given space code, (D,) or (K,)."""
        return self.decoder(self._told(z, code))

    def _told(self, z: Tensor, code: Tensor) -> Tensor:
        return torch.cat([z, code.expand(*z.shape[:-1], code.shape[-1])], dim=-1)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.encoder.features(x)

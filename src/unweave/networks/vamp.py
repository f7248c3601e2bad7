"""VampPrior's network: a variational autoencoder whose prior is what its own encoder makes of learned images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unweave.networks.bodies import Body, Shape
from unweave.networks.model import Model
from unweave.types import Gaussian

LOGVARS = (-6.0, 2.0)
"""Where the log-variances of the posteriors, and so of the prior's components, are kept."""


class VampVAE(Model):
    """q(z|x) as a VAE's, and p(z) = 1/K Σ_k q(z|u_k) with K learned images u_k, the pseudo-inputs.

    Args:
        body: the architecture.
        shape: C, H, W of an image.
        latents: D.
        likelihood: ``bernoulli`` or ``squared``.
        pseudo_inputs: K.
        start: mean and standard deviation of the normal numbers that the pseudo-inputs' pixels start from.
    """

    def __init__(
        self, body: Body, shape: Shape, latents: int, likelihood: str, pseudo_inputs: int, start: tuple[float, float]
    ) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.shape = shape
        self.encoder = body.encoder(shape, 2 * latents)
        self.decoder = body.decoder(latents, shape)
        # One row a pseudo-input, not an image: as images they would be rearranged channel by channel with the weights.
        self.pixels = nn.Parameter(start[0] + start[1] * torch.randn(pseudo_inputs, math.prod(shape)))

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        return Gaussian(mean, torch.clamp(logvar, *LOGVARS))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(z)

    def pseudo_inputs(self) -> Tensor:
        """(K, C, H, W) learned images in [0, 1]."""
        return torch.clamp(self.pixels, 0.0, 1.0).unflatten(1, self.shape)

    def components(self) -> Gaussian:
        """q(z|u_k) of every pseudo-input, (K, D): the prior's components, all of weight 1/K."""
        return self.encode(self.pseudo_inputs())

    def prior(self, draws: Tensor) -> Tensor:
        """(N, D) standard normals -> codes from the mixture.

        The first number of a row does two things: its place in the normal distribution, times K, is the component
        (whole part) and, on the normal scale again, the noise of the first latent (fraction). Both are exactly as two
        independent draws would be.
        """
        q = self.components()
        assert q.logvar is not None
        count = len(q.mean)
        # On the CPU: Apple's GPUs have no float64.
        place = torch.special.ndtr(draws[:, 0].cpu().double()) * count
        chosen = torch.clamp(place.long(), 0, count - 1)
        first = torch.special.ndtri(torch.clamp(place - chosen, 1e-9, 1 - 1e-9)).to(draws.dtype).to(draws.device)
        chosen = chosen.to(draws.device)
        noise = torch.cat([first[:, None], draws[:, 1:]], dim=1)
        return Gaussian(q.mean[chosen], q.logvar[chosen]).sample(noise)

    def rate(self, x: Tensor, q: Gaussian, z: Tensor, space: int = 0) -> Tensor:
        return q.log_prob(z).sum(-1) - mixture_log_prob(self.components(), z)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.encoder.features(x)


def mixture_log_prob(components: Gaussian, z: Tensor) -> Tensor:
    """log p(z) in nats of (N, D) codes, (N,), under the even mixture of K Gaussians, one a row of ``components``."""
    joint = components.log_prob(z[:, None]).sum(-1)
    return torch.logsumexp(joint, dim=-1) - math.log(joint.shape[-1])

"""Distributions of codes that know the entropy of any set of their latents."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.engine.noise import draw
from unweave.mixture import pieces
from unweave.types import LOGVAR_RANGE, Codes, Draw, Gaussian, UserError

Latents = tuple[int, ...]


class Density(ABC):
    """A distribution of codes z of ``latents`` dimensions."""

    latents: int

    @abstractmethod
    def entropies(self, sets: Sequence[Latents]) -> Tensor:
        """Differential entropies H(z_S) in nats of sets S of latents, (K,) float64."""


@dataclass(frozen=True, eq=False)
class GaussianDensity(Density):
    """N(·, Σ), whose entropies have a closed form: H(z_S) = ½ log det 2πe Σ_SS, so TC(z) = −½ log det corr(Σ).

    Args:
        covariance: Σ, (D, D), symmetric and positive definite.

    Raises:
        UserError: a covariance that is neither.

    >>> density = GaussianDensity(torch.eye(2))
    >>> density.entropies([(0,), (0, 1)])
    tensor([1.4189, 2.8379], dtype=torch.float64)
    """

    covariance: Tensor

    def __post_init__(self) -> None:
        given = self.covariance
        square = given.ndim == 2 and given.shape[0] == given.shape[1] and len(given) > 0
        if not square or not bool(torch.isfinite(given).all()) or not torch.allclose(given, given.mT):
            raise UserError(
                f"GaussianDensity: a {tuple(given.shape)} covariance; allowed: finite and symmetric, (D, D)"
            )
        if int(torch.linalg.cholesky_ex(given.double()).info) != 0:
            raise UserError("GaussianDensity: the covariance is not positive definite; allowed: no constant latents")

    @classmethod
    def matching(cls, codes: Codes) -> GaussianDensity:
        """The Gaussian with the covariance of q(z): that of the means plus the mean of the variances.

        An approximation that costs nothing: what hangs together without being correlated it does not see.
        """
        covariance = torch.atleast_2d(torch.cov(codes.mean.double().mT, correction=0))
        if codes.logvar is not None:
            covariance = covariance + torch.diag(codes.logvar.double().exp().mean(0))
        return cls(covariance)

    @property
    def latents(self) -> int:  # type: ignore[override]
        """D."""
        return len(self.covariance)

    def entropies(self, sets: Sequence[Latents]) -> Tensor:
        sigma = self.covariance.double()
        each = [torch.linalg.slogdet(sigma[list(s)][:, list(s)]).logabsdet for s in sets]
        sizes = torch.tensor([len(s) for s in sets], dtype=torch.float64)
        return 0.5 * (torch.stack(each) + math.log(2 * math.pi * math.e) * sizes)


class Draws(NamedTuple):
    """A sample from q(z)."""

    z: Tensor
    """(S, D) codes, float64."""
    own: Tensor
    """(S,) log q(z|x) of each under the posterior that it was drawn from, in nats."""


@dataclass(frozen=True, eq=False)
class AggregatePosterior(Density):
    """q(z) = 1/M Σ_m q(z|x_m) over all images of some codes: a mixture whose densities are exact.

    H(z_S) = −E[log q(z_S)] with the expectation over ``samples`` draws from q(z) and the logarithm of a sum over all M
    posteriors. The same draws serve every set, so that identities between entropies hold to rounding. The work grows
    with samples × images × latents: about half a minute for 10,000 × 15,000 × 10 on one core.

    Args:
        codes: with log-variances.
        samples: draws from q(z); images are drawn without replacement as long as there are enough.
        seed: which draws.

    Raises:
        UserError: codes without log-variances (no density), numbers that are not finite, fewer than 1 sample.

    >>> codes = Codes.of(torch.zeros(4, 2), logvar=torch.zeros(4, 2))
    >>> AggregatePosterior(codes, samples=1000).entropies([(0,)]).round(decimals=1)
    tensor([1.4000], dtype=torch.float64)
    """

    codes: Codes
    samples: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.codes.logvar is None:
            raise UserError("AggregatePosterior: these codes are points (logvar is None) and have no density")
        if not bool(torch.isfinite(self.codes.mean).all() and torch.isfinite(self.codes.logvar).all()):
            raise UserError("AggregatePosterior: the codes hold numbers that are not finite (NaN or infinity)")
        if self.samples < 1 or self.seed < 0:
            raise UserError(
                f"AggregatePosterior: samples = {self.samples}, seed = {self.seed}; allowed: at least 1 and at least 0"
            )

    @property
    def latents(self) -> int:  # type: ignore[override]
        """D."""
        return self.codes.mean.shape[1]

    @property
    def posteriors(self) -> Gaussian:
        """q(z|x) of all images in float64, no narrower or wider than training keeps them."""
        assert self.codes.logvar is not None
        logvar = self.codes.logvar.detach().cpu().double().clamp(*LOGVAR_RANGE)
        return Gaussian(self.codes.mean.detach().cpu().double(), logvar)

    def rows(self) -> Tensor:
        """(S,) which image's posterior each draw comes from."""
        order = draw(torch.tensor([self.seed]), 0, "aggregate rows", Draw((len(self.codes.mean),), "permutation"))[0]
        return order[torch.arange(self.samples) % len(order)]

    def draws(self) -> Draws:
        """The sample that every entropy is averaged over."""
        q, rows = self.posteriors, self.rows()
        assert q.logvar is not None
        shape = Draw((self.samples, self.latents))
        noise = draw(torch.tensor([self.seed]), 0, "aggregate z", shape, torch.float64)[0]
        own = Gaussian(q.mean[rows], q.logvar[rows])
        z = own.sample(noise)
        return Draws(z, own.log_prob(z).sum(-1))

    @torch.no_grad()
    def log_densities(self, sets: Sequence[Latents]) -> Tensor:
        """log q(z_S) of every draw for sets S of latents in nats, (K, samples) float64."""
        q, z = self.posteriors, self.draws().z
        found = torch.empty(len(sets), len(z), dtype=torch.float64)
        for piece in pieces(z, q, sets):
            log_q = torch.logsumexp(piece.log_probs, -1) - math.log(len(q.mean))
            found[piece.which, piece.samples] = log_q.cpu()
        return found

    def entropies(self, sets: Sequence[Latents]) -> Tensor:
        return -self.log_densities(sets).mean(1)


def density(of: Density | Codes, samples: int = 10_000, seed: int = 0) -> Density:
    """The aggregate posterior of codes; a density as it is."""
    return AggregatePosterior(of, samples, seed) if isinstance(of, Codes) else of

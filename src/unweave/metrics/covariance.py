"""What the metrics without factors read: a representation, its covariance, and which of its latents are constant."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.rows import Floats, generator, logvariances, representation
from unweave.names import known
from unweave.types import Codes

KINDS = ("mean", "sample")

ROUNDING = 1e-12
"""A latent whose spread is at most this share of its size is constant, in whatever unit it comes."""


class Covariance(NamedTuple):
    """Covariance of the latents that vary."""

    matrix: Floats
    """(L, L) covariance of the live latents, divided by M − 1."""
    notes: dict[str, Any]
    """Which latents were left out because they are constant: for the settings of a score."""
    live: NDArray[np.bool_]
    """(D,) which were not."""


def covariance(codes: Codes, of: str, who: str) -> Covariance:
    """Covariance of the posterior means, or of samples z ~ q(z|x), without constant latents.

    That of samples is that of the means plus the mean of the posterior variances on the diagonal: nothing is drawn.

    Args:
        codes: M images, D latents.
        of: ``mean`` or ``sample``.
        who: the metric that asks.

    Raises:
        UserError: fewer than 10 images, numbers that are not finite, or ``sample`` of codes without log-variances.

    >>> import torch
    >>> covariance(Codes.of(torch.cartesian_prod(torch.arange(4.0), torch.zeros(3))), "mean", "me").notes
    {'constant_latents': [1]}
    """
    known(of, KINDS, f"representation of {who}")
    z = representation(codes, who)
    spread = np.atleast_2d(np.cov(z, rowvar=False))
    if of == "sample":
        spread = spread + np.diag(np.exp(logvariances(codes, who)).mean(0))
    live = np.diag(spread) > (ROUNDING * np.abs(z).max(0)) ** 2
    return Covariance(spread[np.ix_(live, live)], {"constant_latents": np.flatnonzero(~live).tolist()}, live)


def drawn(codes: Codes, of: str, who: str, seed: int) -> Floats:
    """The representation itself (M, D): posterior means, or one sample of every q(z|x)."""
    known(of, KINDS, f"representation of {who}")
    z = representation(codes, who)
    if of == "mean":
        return z
    noise = generator(seed, "posterior").standard_normal(z.shape)
    return z + np.exp(logvariances(codes, who) / 2) * noise

"""The aggregate posterior q(z) = 1/M Σ_m q(z|x_m) over encoded images: its log-densities on sets of latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.types import Gaussian

CHUNK = 1 << 23
"""Log-densities held at once (latents × samples × images); it moves numbers by rounding only."""


def bench() -> torch.device:
    """Where densities are summed: a GPU of NVIDIA's kind where there is one, which has float64 like the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Piece(NamedTuple):
    """Log-densities of some samples of one set of latents under every image's posterior."""

    samples: slice
    """Which samples."""
    which: int
    """Which of the sets."""
    log_probs: Tensor
    """(samples, M) log q(z_S | x_m), on the bench."""


def pieces(z: Tensor, posteriors: Gaussian, sets: Sequence[tuple[int, ...]]) -> Iterator[Piece]:
    """log q(z_S | x_m) of all samples, sets and images, a bounded number at a time.

    The log-density of the mixture is the logsumexp over images less log M; over the images with one factor level and
    less the logarithm of their number, it is that of q(z_S | v).

    Args:
        z: (N, D) samples.
        posteriors: q(z|x) of M images, with log-variances.
        sets: index tuples of latents S.

    >>> q = Gaussian(torch.zeros(3, 2), torch.zeros(3, 2))
    >>> [(p.which, tuple(p.log_probs.shape)) for p in pieces(torch.zeros(5, 2), q, [(0,), (0, 1)])]
    [(0, (5, 3)), (1, (5, 3))]
    """
    assert posteriors.logvar is not None
    where = bench()
    mean, logvar = (one.to(where).mT[:, None, :].contiguous() for one in (posteriors.mean, posteriors.logvar))
    z, each = z.to(where), Gaussian(mean, logvar)
    step = max(1, CHUNK // posteriors.mean.numel())
    for place in range(0, len(z), step):
        some = slice(place, min(place + step, len(z)))
        log_probs = each.log_prob(z[some].mT[:, :, None])
        for k, latents in enumerate(sets):
            joint = log_probs[latents[0]] if len(latents) == 1 else log_probs[list(latents)].sum(0)
            yield Piece(some, k, joint)

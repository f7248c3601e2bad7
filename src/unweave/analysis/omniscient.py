"""Omniscient latents: latents whose marginal entropy is next to nothing, in the models of one cell of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from unweave.analysis.density import AggregatePosterior, Latents
from unweave.analysis.total_correlation import checked
from unweave.types import Codes, UserError


class Omniscience(NamedTuple):
    """What the models of one cell (one capacity, one size of groups) say about omniscient latents."""

    entropies: tuple[Tensor, ...]
    """For each model, H(q(z_u)) of each of its units in nats, (U,) float64."""
    least: tuple[float, ...]
    """The smallest of them, for each model."""
    which: tuple[Latents, ...]
    """The unit that has it."""
    share: float
    """The share of models whose smallest entropy is below ε."""
    found: bool
    """Whether that share is at least 1 − δ."""


def marginal_entropies(
    codes: Codes, groups: Sequence[Latents] | None = None, samples: int = 2000, seed: int = 0
) -> Tensor:
    """H(q(z_i)) = E[−log q(z_i)] of each latent, or of each group of them, in nats: (U,) float64.

    A *differential* entropy: that of N(0, 1), which a latent that says nothing has, is ½ ln 2πe = 1.419; it falls
    without bound, below 0, as a marginal gathers in sharp peaks.

    Args:
        codes: with log-variances.
        groups: disjoint sets of latents; each latent its own when None.
        samples: draws from q(z).
        seed: which draws.

    Raises:
        UserError: codes without log-variances, sets that overlap or name no latent.

    >>> import torch
    >>> codes = Codes.of(torch.zeros(50, 2), logvar=torch.tensor([[0.0, -20.0]]).expand(50, 2))
    >>> marginal_entropies(codes).round().tolist()
    [1.0, -9.0]
    """
    posterior = AggregatePosterior(codes, samples, seed)
    return posterior.entropies(checked(groups, posterior.latents))


def omniscient(
    cell: Sequence[Codes],
    eps: float = 0.001,
    delta: float = 0.01,
    groups: Sequence[Latents] | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Omniscience:
    """Whether models of one cell have an omniscient latent: P[ min_i E_{q(z_i)}(−log q(z_i)) < ε ] ≥ 1 − δ.

    Chen et al. (2022), section 5: the probability is the share of the models trained with one capacity and one size of
    groups. With δ = .01 and fewer than 100 models every one of them must have such a latent. Taken at its word the
    entropy is a differential one, so what counts is a sharply peaked marginal, or one of several narrow clusters; a
    latent that says nothing (1.419 nats) does not. ``entropies`` is what to look at.

    Args:
        cell: codes of every model, with log-variances.
        eps: ε, in nats.
        delta: δ, from 0 to below 1.
        groups: units in place of single latents; they must fit every model.
        samples: draws from each q(z).
        seed: which draws.

    Raises:
        UserError: no models, codes without log-variances, a δ out of range, groups that do not fit.

    >>> import torch
    >>> quiet = Codes.of(torch.zeros(50, 2), logvar=torch.zeros(50, 2))
    >>> omniscient([quiet]).found
    False
    """
    if not cell or not 0 <= delta < 1:
        raise UserError(f"omniscient: {len(cell)} models, delta = {delta}; allowed: one or more, and 0 to below 1")
    found = [marginal_entropies(codes, groups, samples, seed) for codes in cell]
    units = [checked(groups, codes.mean.shape[1]) for codes in cell]
    least = [int(one.argmin()) for one in found]
    lowest = tuple(float(one[place]) for one, place in zip(found, least, strict=True))
    share = sum(one < eps for one in lowest) / len(lowest)
    which = tuple(own[place] for own, place in zip(units, least, strict=True))
    return Omniscience(tuple(found), lowest, which, share, share >= 1 - delta)

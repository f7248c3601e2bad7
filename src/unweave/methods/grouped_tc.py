"""The rate in parts, read off one batch: what β-TCVAE, HFVAE and β-STCVAE share.

With groups z_g of consecutive latents and q(z) = E_x[q(z|x)] the rate is a sum,

    KL = MI + TC_joint + Σ_g TC(z_g) + DW,
    MI = I(x; z),  TC_joint = KL(q(z) ‖ Π_g q(z_g)),  TC(z_g) = KL(q(z_g) ‖ Π_{j ∈ g} q(z_j)),
    DW = Σ_j KL(q(z_j) ‖ p(z_j)),

and the family gives each part a weight of its own. The density of any set S of latents at z_b is estimated from the
batch, log q(z_S) = log Σ_m exp(W_bm + Σ_{j ∈ S} log q(z_bj | x_m)), with log-weights W added once, after the sum over
latents.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, at_least, need_company, one_of
from unweave.methods.terms import autoencode
from unweave.networks import Model
from unweave.types import Batch, Draw, Gaussian, Loss, UserError

ESTIMATORS = ("batch", "mws", "mss", "exact-weights")
WEIGHTED = ("mss", "exact-weights")
"""Estimators that tell an image's own posterior from those of others, so that they need others."""
KL_FORMS = ("analytic", "sampled")

Groups = tuple[tuple[int, ...], ...]


class Weights(NamedTuple):
    """What each part of the rate is multiplied by; numbers, or 0-dim tensors in lockstep."""

    mi: Any
    tc_joint: Any
    tc_within: Any
    dw: Any


class Parts(NamedTuple):
    """The parts of the rate, each estimated from a batch, in nats."""

    mi: Tensor
    tc_joint: Tensor
    tc_within: Tensor
    """Σ_g TC(z_g)."""
    dw: Tensor


class Densities(NamedTuple):
    """Log-densities of the aggregate posterior at the batch's own codes."""

    joint: Tensor
    """(B,) log q(z)."""
    groups: Tensor
    """(G, B) log q(z_g)."""
    marginals: Tensor
    """(D, B) log q(z_j)."""


def partition(latents: int, size: int) -> Groups:
    """Groups of ``size`` consecutive latents; what remains is one smaller group at the end.

    >>> partition(5, 2)
    ((0, 1), (2, 3), (4,))
    """
    return tuple(tuple(range(low, min(low + size, latents))) for low in range(0, latents, size))


def pairwise(q: Gaussian, z: Tensor) -> Tensor:
    """log q(z_bj | x_m) of every code b under every posterior m, shape (D, B, B), in nats."""
    # Without copies the (D, B, B) results take the transposed layout of what they come from: three times slower.
    mean, codes = q.mean.mT.contiguous(), z.mT.contiguous()
    logvar = None if q.logvar is None else q.logvar.mT.contiguous()[:, None, :]
    return Gaussian(mean[:, None, :], logvar).log_prob(codes[:, :, None])


def log_weights(estimator: str, rows: int, like: Tensor) -> Tensor:
    """(B, B) log-weights of posterior m in the densities at code b, for a batch of B out of ``rows`` = N images.

    ``batch``: 1 / B. ``mws``: 1 / (BN) (Chen et al., 2018, appendix C.1), which is no average: densities are too small
    by a factor of N. ``mss``: 1 / N on the diagonal, (N − B + 1) / (N (B − 1)) on its right-hand neighbour, cyclically,
    and 1 / (B − 1) elsewhere (their appendix C.2 with M = B − 1). ``exact-weights``: 1 / N on the diagonal and
    (N − 1) / (N (B − 1)) elsewhere (Esmaeili et al., 2019). All but ``mws`` add up to 1 in each row.

    >>> log_weights("mss", 100, torch.zeros(3)).exp().sum(1)
    tensor([1., 1., 1.])
    """
    count = len(like)
    if estimator in ("batch", "mws"):
        total = count if estimator == "batch" else count * rows
        return like.new_full((count, count), -math.log(total))
    others = count - 1
    own = like.new_full((), -math.log(rows))
    if estimator == "exact-weights":
        rest = like.new_full((), math.log((rows - 1) / (rows * others)))
        neighbour = rest
    else:
        rest = like.new_full((), -math.log(others))
        neighbour = like.new_full((), math.log((rows - others) / (rows * others)))
    place = torch.arange(count, device=like.device)
    ahead = (place[None, :] - place[:, None]) % count
    return torch.where(ahead == 0, own, torch.where(ahead == 1, neighbour, rest))


def densities(log_probs: Tensor, weights: Tensor, groups: Groups) -> Densities:
    """Log-densities of all latents, of each group and of each latent, from (D, B, B) ``pairwise`` and (B, B) weights.

    A set of latents that occurs twice (one group of all, groups of one) is computed once, so that the parts that vanish
    by definition are exactly 0.
    """
    single = len(groups) == len(log_probs)
    summed = log_probs if single else torch.stack([log_probs[g[0] : g[-1] + 1].sum(0) for g in groups])
    joint = torch.logsumexp(summed.sum(0) + weights, -1)
    marginals = torch.logsumexp(log_probs + weights, -1)
    if single:
        return Densities(joint, marginals, marginals)
    if len(groups) == 1:
        return Densities(joint, joint[None], marginals)
    return Densities(joint, torch.logsumexp(summed + weights, -1), marginals)


def split(q: Gaussian, z: Tensor, found: Densities) -> Parts:
    """The parts of the rate as batch means; they add up to that of log q(z|x) − log p(z), whatever the weights."""
    joint, groups, marginals = found.joint, found.groups.sum(0), found.marginals.sum(0)
    prior = Gaussian(torch.zeros_like(z), torch.zeros_like(z)).log_prob(z).sum(-1)
    nothing = torch.zeros_like(joint[0])
    return Parts(
        mi=(q.log_prob(z).sum(-1) - joint).mean(),
        tc_joint=nothing if len(found.groups) == 1 else (joint - groups).mean(),
        tc_within=nothing if len(found.groups) == len(found.marginals) else (groups - marginals).mean(),
        dw=(marginals - prior).mean(),
    )


def weighed(recon: Tensor, kl: Tensor, parts: Parts, weights: Weights, form: str) -> Tensor:
    """The objective. ``analytic``: R + KL + Σ (w − 1) · part, the KL in closed form, so that a part of weight 1 brings
    no noise; ``sampled``: R + Σ w · part. Their expectations are equal."""
    total, least = (recon + kl, 1) if form == "analytic" else (recon, 0)
    for weight, part in zip(weights, parts, strict=True):
        total = total + (weight - least) * part
    return total


def objective(model: Model, batch: Batch, groups: Groups, weights: Weights, estimator: str, form: str) -> Loss:
    """The loss that the family shares, with terms ``recon``, ``kl``, ``mi``, ``tc`` and its two shares, ``dw``."""
    q, z, recon, kl = autoencode(model, batch)
    found = densities(pairwise(q, z), log_weights(estimator, batch.rows, z), groups)
    parts = shown = split(q, z, found)
    if estimator == "mws":
        # Sums of G or D densities that are each too small by a factor of N: no total correlation, so not recorded.
        shown = split(q, z, Densities(*(one + math.log(batch.rows) for one in found)))
    tc = shown.tc_joint + shown.tc_within
    terms = {"recon": recon, "kl": kl, "mi": shown.mi, "tc": tc}
    terms |= {"tc_joint": shown.tc_joint, "tc_within": shown.tc_within, "dw": shown.dw}
    return Loss(weighed(recon, kl, parts, weights, form), terms)


def check_family(method: Method, *weights: str) -> None:
    """Raises UserError for a negative weight, an unknown estimator or form of the KL."""
    at_least(method, 0, *weights)
    one_of(method, "estimator", ESTIMATORS)
    one_of(method, "kl", KL_FORMS)


def check_groups(method: Method, size: int, latents: int, allow_remainder: bool) -> None:
    """Raises UserError unless groups of that size fit; warns where there is only one."""
    at_least(method, 1, "group_size")
    if size > latents:
        raise UserError(f"{method.name}: group_size = {size}; allowed: 1 to {latents}, the number of latents")
    if latents % size and not allow_remainder:
        divisors = ", ".join(str(one) for one in range(1, latents + 1) if latents % one == 0)
        raise UserError(
            f"{method.name}: group_size = {size} leaves a remainder of {latents % size} of {latents} latents; "
            f"allowed: {divisors}, or allow_remainder for a smaller last group"
        )
    if 1 < size == latents:
        warnings.warn(f"{method.name}: group_size = {size} makes one group of all latents: beta has no effect")


def noise_for(method: Method, estimator: str, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
    """What the loss draws, after a check that the estimator works with so many images a step.

    Raises:
        UserError: one image a step, or more than there are where weights depend on their number.
    """
    need_company(method, rows)
    if estimator in WEIGHTED and rows > data.rows:
        raise UserError(
            f"{method.name}: estimator = {estimator!r} with a batch of {rows}; "
            f"allowed: 2 to {data.rows} images (all of the data set), or estimator = 'batch'"
        )
    return {"z": Draw((rows, latents))}

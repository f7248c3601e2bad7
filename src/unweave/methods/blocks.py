"""What the two BHiVAEs share: checks, the network's body, and the distances that hold blocks to their prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unweave.data.base import DataSpec
from unweave.methods.base import at_least
from unweave.methods.mmd import gram
from unweave.networks import MLP, Body, Conv, detached
from unweave.types import UserError


def check_blocks(method: Any, latents: int, layers: int | None = None) -> None:
    """Raises UserError for blocks (the first ``layers`` of them) that leave nothing for c, or a ρ without a density."""
    name, blocks = method.name, method.blocks
    whole = isinstance(blocks, tuple) and blocks and all(isinstance(b, int) and b >= 1 for b in blocks)
    if not whole:
        raise UserError(f"{name}: blocks = {blocks!r}; allowed: a tuple of sizes from 1, one a layer, as (2, 2, 2)")
    at_least(method, 1, "width", "part_width")
    largest = max(blocks)
    low = -1 / (largest - 1) if largest > 1 else -math.inf
    if not isinstance(method.rho, int | float) or not low < method.rho < 1:
        lowest = "−1" if largest == 2 else f"−1/{largest - 1}"
        within = f"between {lowest} and 1" if largest > 1 else "below 1"
        raise UserError(
            f"{name}: rho = {method.rho!r} with blocks {blocks}; allowed: numbers {within}, both excluded, so that the "
            "prior has a density"
        )
    used = blocks[:layers]
    if latents <= sum(used):
        raise UserError(
            f"{name}: {latents} latents with blocks {used} leave none for c; allowed: {sum(used) + 1} latents or more, "
            "or smaller or fewer blocks"
        )


def default_body(data: DataSpec) -> Body:
    """Dense 1200-1200 for grey images with a Bernoulli likelihood (the paper's binary sets), else convolutions."""
    return MLP() if data.shape[0] == 1 and data.likelihood == "bernoulli" else Conv()


def hsic(s: Tensor, h: Tensor) -> Tensor:
    """Unbiased Hilbert-Schmidt independence criterion of two parts of a code, (N, d(s)) and (N, d(h)), from 4 rows.

        1/(N(N−3)) [ tr(K L) + 1ᵀK1 · 1ᵀL1 / ((N−1)(N−2)) − 2/(N−2) · 1ᵀK L 1 ],   K, L with zeros on the diagonal

    Song et al. (2012): the squared MMD, under the product of two kernels, of (s, h) and the product of their
    marginals. Independent parts have 0 on average, so single values fall below 0. It needs no permuted codes: an MMD
    from those would compare codes with their own halves.
    """
    count = len(s)
    apart = 1 - torch.eye(count, dtype=s.dtype, device=s.device)
    k, l = gram(s, s, "imq") * apart, gram(h, h, "imq") * apart
    crossed = (k.sum(0) * l.sum(0)).sum()
    sums = k.sum() * l.sum() / ((count - 1) * (count - 2))
    return ((k * l).sum() + sums - 2 / (count - 2) * crossed) / (count * (count - 3))


def permuted_parts(s: Tensor, h: Tensor, order: Tensor) -> Tensor:
    """(N, d(s) + d(h)): s and h each in an order of their own (2, N), a sample of the product of their marginals."""
    return torch.cat([s.index_select(0, order[0]), h.index_select(0, order[1])], -1)


def verdict(critic: nn.Module, z: Tensor, others: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The critic's log density ratio of z to the others, averaged over z, and its cross-entropy, both in nats.

    The first teaches z alone, the second the critic alone. The others, all together, weigh as much as z.
    """
    ratio = detached(critic, z).mean()
    false = [F.softplus(critic(one.detach())).mean() for one in others]
    told = F.softplus(-critic(z.detach())).mean() + sum(false, torch.zeros_like(ratio)) / len(false)
    return ratio, 0.5 * told

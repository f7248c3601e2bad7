"""Maximum mean discrepancy: how far two samples' distributions are, by a kernel (Gretton et al., 2012)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

KERNELS = ("imq", "rbf")
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Multiples of the width that the inverse multiquadratic kernel is averaged over."""


def gram(a: Tensor, b: Tensor, kernel: str, bandwidth: Any = 1.0) -> Tensor:
    """(N, D), (M, D) -> (N, M) values of a kernel k with k(z, z) = 1, of width C = 2 · D · bandwidth.

    ``rbf``: exp(−‖a − b‖² / C). ``imq``: the mean of sC / (sC + ‖a − b‖²) over s in ``SCALES``.
    """
    distance = ((a[:, None] - b[None]) ** 2).sum(-1)
    width = 2 * a.shape[-1] * bandwidth
    if kernel == "rbf":
        return torch.exp(-distance / width)
    total = torch.zeros_like(distance)
    for scale in SCALES:
        total = total + scale * width / (scale * width + distance)
    return total / len(SCALES)


def mmd(a: Tensor, b: Tensor, kernel: str, bandwidth: Any = 1.0) -> Tensor:
    """The unbiased estimate of MMD² between the distributions of two samples, (N, D) and (M, D), from 2 rows each.

        1/(N(N−1)) Σ_{i≠j} k(a_i, a_j) + 1/(M(M−1)) Σ_{i≠j} k(b_i, b_j) − 2/(NM) Σ_ij k(a_i, b_j)

    Gretton et al. (2012), Lemma 6. Its mean is 0 for equal distributions, so single values fall below 0.

    >>> mmd(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [2.0]]), "rbf")
    tensor(-0.8647)
    """

    def within(x: Tensor) -> Tensor:
        values = gram(x, x, kernel, bandwidth)
        return (values.sum() - torch.diagonal(values).sum()) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * gram(a, b, kernel, bandwidth).mean()

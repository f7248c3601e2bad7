"""Mutual information of binned latents and factor levels, in nats: what MIG and the information curves read.

Each latent is cut into equal-width bins between its own smallest and largest value; factor levels are never binned.
The plug-in estimate is biased upwards by about (bins − 1)(levels − 1) / (2 M) nats for an independent pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from unweave.metrics.checks import at_least
from unweave.metrics.rows import Floats, Ints, table
from unweave.types import Codes


def discretise(z: ArrayLike, bins: int = 20) -> Ints:
    """Equal-width bins between min and max of each latent, counted from 0; a constant latent has one bin.

    The edges are NumPy's histogram edges, each bin closed on the left and the last one closed on both sides.

    Args:
        z: (M, D) representation.
        bins: number of bins a latent.

    Returns:
        (M, D) bin numbers.

    >>> discretise([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6]], bins=3)[:, 0].tolist()
    [0, 0, 1, 1, 2, 2]
    """
    values = np.asarray(z, dtype=np.float64)
    out = np.zeros(values.shape, dtype=np.int64)
    for j, column in enumerate(values.T):
        edges = np.linspace(column.min(), column.max(), bins + 1)
        # Bins narrower than the spacing of floating-point numbers cannot be told apart: such a latent is constant.
        if (np.diff(edges) > 0).all():
            out[:, j] = np.digitize(column, edges[:-1]) - 1
    return out


def entropy(labels: ArrayLike) -> Floats:
    """Plug-in entropy −Σ p log p of each column of whole numbers, in nats.

    Args:
        labels: (M, K) whole numbers, 0 or more.

    Returns:
        (K,) entropies.

    >>> entropy([[0], [1], [2]]).round(4).tolist()
    [1.0986]
    """
    columns = np.asarray(labels, dtype=np.int64)
    return np.array([_entropy(np.bincount(column)) for column in columns.T])


def mutual_information(a: ArrayLike, b: ArrayLike) -> Floats:
    """Plug-in mutual information Σ p(a, b) log p(a, b) / (p(a) p(b)) of all pairs of columns, in nats.

    Args:
        a: (M, D) whole numbers, 0 or more.
        b: (M, F) whole numbers, 0 or more.

    Returns:
        (D, F) mutual information, never negative.

    >>> mutual_information([[0], [0], [1], [1]], [[0, 0], [0, 1], [1, 0], [1, 1]]).round(4).tolist()
    [[0.6931, 0.0]]
    """
    left, right = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    out = np.zeros((left.shape[1], right.shape[1]))
    widths = [int(column.max()) + 1 for column in right.T]
    left_entropy, right_entropy = entropy(left), entropy(right)
    for d, column in enumerate(left.T):
        for k, (other, width) in enumerate(zip(right.T, widths, strict=True)):
            joint = _entropy(np.bincount(column * width + other))
            out[d, k] = left_entropy[d] + right_entropy[k] - joint
    # The difference of entropies of an independent or constant pair is 0 up to rounding.
    out[out < 1e-12] = 0.0
    return out


def information_matrix(codes: Codes, bins: int = 20) -> Floats:
    """I(z_j; v_k) of binned latents and factor levels on all the rows given.

    Args:
        codes: M images, D latents, F factors.
        bins: equal-width bins a latent.

    Returns:
        (D, F) mutual information in nats.

    Raises:
        UserError: codes without factors, fewer than 2 bins or 10 images, numbers that are not finite.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> information_matrix(Codes.of(levels.float(), levels)).round(4).tolist()
    [[1.3863, 0.0], [0.0, 1.3863]]
    """
    at_least("information_matrix", 2, bins=bins)
    rows = table(codes, "information_matrix")
    return mutual_information(discretise(rows.z, bins), rows.levels)


def nmi(codes: Codes, bins: int = 20) -> Floats:
    """NMI(z_j, v_k) = I(z_j; v_k) / H(v_k): which share of a factor one latent tells.

    Args:
        codes: M images, D latents, F factors.
        bins: equal-width bins a latent.

    Returns:
        (D, F) numbers in [0, 1]; 0 in the column of a factor with a single level.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> nmi(Codes.of(levels.float(), levels)).round(4).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    information = information_matrix(codes, bins)
    factors = entropy(codes.levels.detach().cpu().numpy())
    return np.divide(information, factors, out=np.zeros_like(information), where=factors > 0)


def _entropy(counts: Ints) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())

"""Mutual information of binned latents and factor levels, in nats: what MIG and the information curves read.

Each latent is cut into bins, by default of equal width between its own smallest and largest value; factor levels are
never binned. The plug-in estimate is biased upwards by about (bins − 1)(levels − 1) / (2 M) nats for an independent
pair; ``correction`` takes the bias off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from unweave.metrics.checks import at_least
from unweave.metrics.rows import Floats, Ints, dense, table
from unweave.names import known
from unweave.types import Codes, UserError

Binning = Literal["width", "clipped", "mass"]
Correction = Literal["none", "miller-madow", "permutation"]
BINNINGS = ("width", "clipped", "mass")
CORRECTIONS = ("none", "miller-madow", "permutation")
_FEW = 16
"""Cells a row up to which all are counted, those that are empty too."""


def discretise(z: ArrayLike, bins: int = 20, binning: str = "width", tail: float = 0.001) -> Ints:
    """Bins of each latent, counted from 0; a constant latent has one bin.

    ``width``: equal widths between min and max. The edges are NumPy's histogram edges, each bin closed on the left and
    the last one closed on both sides. ``clipped``: equal widths after the ⌈tail · M⌉ smallest and the as many largest
    values were moved to the next one, so that few outliers cannot set the range. ``mass``: bins of equal numbers of
    images, equal values kept together, so that only the order of the values matters.

    Args:
        z: (M, D) representation.
        bins: number of bins a latent.
        binning: ``width``, ``clipped`` or ``mass``.
        tail: which share of the images ``clipped`` moves at either end.

    Returns:
        (M, D) bin numbers.

    >>> discretise([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6]], bins=3)[:, 0].tolist()
    [0, 0, 1, 1, 2, 2]
    >>> discretise([[0.1], [0.2], [0.3], [0.4], [0.5], [60.0]], bins=3, binning="mass")[:, 0].tolist()
    [0, 0, 1, 1, 2, 2]
    """
    known(binning, BINNINGS, "binning")
    values = np.asarray(z, dtype=np.float64)
    out = np.zeros(values.shape, dtype=np.int64)
    for j, column in enumerate(values.T):
        if binning == "mass":
            out[:, j] = _by_mass(column, bins)
            continue
        kept = _clipped(column, tail) if binning == "clipped" else column
        edges = np.linspace(kept.min(), kept.max(), bins + 1)
        # Bins narrower than the spacing of floating-point numbers cannot be told apart: such a latent is constant.
        if (np.diff(edges) > 0).all():
            out[:, j] = np.digitize(kept, edges[:-1]) - 1
    return out


def check_binning(who: str, bins: int, binning: str, tail: float, correction: str) -> None:
    """Raises UserError for settings that no binned estimate can be made with."""
    at_least(who, 2, bins=bins)
    known(binning, BINNINGS, f"binning of {who}")
    known(correction, CORRECTIONS, f"correction of {who}")
    if not 0 < tail < 0.5:
        raise UserError(f"{who}: tail = {tail}; allowed is above 0 and below 0.5")


def units(blocks: Sequence[Sequence[int]], latents: int) -> tuple[tuple[int, ...], ...]:
    """The codes that latents form: the blocks, and each latent that is in none of them.

    Raises UserError for blocks that overlap, are empty or name no latent.

    >>> units([(0, 2)], latents=4)
    ((0, 2), (1,), (3,))
    """
    own = [tuple(int(j) for j in block) for block in blocks]
    named = [j for block in own for j in block]
    if not all(own) or len(set(named)) < len(named) or not set(named) <= set(range(latents)):
        raise UserError(f"blocks {own} of {latents} latents; allowed: disjoint, none empty, of 0 to {latents - 1}")
    return (*own, *((j,) for j in range(latents) if j not in set(named)))


def joined(binned: Ints, blocks: Sequence[Sequence[int]]) -> Ints:
    """One symbol a block: rows in the same bins of all its latents share a number.

    Args:
        binned: (M, D) bin numbers.
        blocks: index tuples of latents; latents in none are codes of their own.

    Returns:
        (M, B) symbols, in the order of ``units``.

    >>> joined(np.array([[0, 5, 1], [0, 7, 1], [0, 5, 2]]), [(0, 1)]).tolist()
    [[0, 1], [1, 1], [0, 2]]
    """
    columns = []
    for unit in units(blocks, binned.shape[1]):
        if len(unit) == 1:
            columns.append(binned[:, unit[0]])
        else:
            columns.append(np.unique(binned[:, unit], axis=0, return_inverse=True)[1].reshape(-1))
    return np.stack(columns, axis=1).astype(np.int64)


def entropy(labels: ArrayLike, correction: str = "none") -> Floats:
    """Plug-in entropy −Σ p log p of each column of whole numbers, in nats; corrected, I(v; v).

    Args:
        labels: (M, K) whole numbers, 0 or more.
        correction: as in ``mutual_information``.

    Returns:
        (K,) entropies.

    >>> entropy([[0], [1], [2]]).round(4).tolist()
    [1.0986]
    """
    columns = np.asarray(labels, dtype=np.int64)
    if correction == "none":
        return np.array([_entropy(_counts(column)) for column in columns.T])
    return np.array([mutual_information(v[:, None], v[:, None], correction)[0, 0] for v in columns.T])


def mutual_information(a: ArrayLike, b: ArrayLike, correction: str = "none") -> Floats:
    """Plug-in mutual information Σ p(a, b) log p(a, b) / (p(a) p(b)) of all pairs of columns, in nats.

    ``miller-madow`` adds (m_a + m_b − m_ab − 1) / (2 M), with m the numbers of values, and of pairs of values, that
    occur (Miller, 1955): right to first order where every pair that can occur does. ``permutation`` subtracts what
    the same columns have in common on average when one is shuffled, computed exactly over all M! orders (Vinh et al.,
    2010): an independent pair has 0 in expectation whatever M, before what lies below 0 is set to 0, which leaves some
    0.4 standard deviations of the estimate.

    Args:
        a: (M, D) whole numbers, 0 or more.
        b: (M, F) whole numbers, 0 or more.
        correction: ``none``, ``miller-madow`` or ``permutation``.

    Returns:
        (D, F) mutual information, never negative.

    >>> mutual_information([[0], [0], [1], [1]], [[0, 0], [0, 1], [1, 0], [1, 1]]).round(4).tolist()
    [[0.6931, 0.0]]
    """
    known(correction, CORRECTIONS, "correction")
    left, right = (dense(np.asarray(labels, dtype=np.int64)) for labels in (a, b))
    out = np.zeros((left.shape[1], right.shape[1]))
    widths = [int(column.max()) + 1 for column in right.T]
    left_entropy, right_entropy = entropy(left), entropy(right)
    for d, column in enumerate(left.T):
        for k, (other, width) in enumerate(zip(right.T, widths, strict=True)):
            counts = _counts(column * width + other)
            joint = _entropy(counts)
            out[d, k] = left_entropy[d] + right_entropy[k] - joint
            if correction != "none":
                out[d, k] -= _bias(np.bincount(column), np.bincount(other), counts, correction)
    # The difference of entropies of an independent or constant pair is 0 up to rounding.
    out[out < 1e-12] = 0.0
    return out


def information_matrix(
    codes: Codes,
    bins: int = 20,
    *,
    binning: str = "width",
    tail: float = 0.001,
    correction: str = "none",
    blocks: Sequence[Sequence[int]] = (),
) -> Floats:
    """I(z_j; v_k) of binned latents and factor levels on all the rows given.

    Args:
        codes: M images, D latents, F factors.
        bins: bins a latent.
        binning: ``width``, ``clipped`` or ``mass``, as in ``discretise``.
        tail: of ``clipped``.
        correction: ``none``, ``miller-madow`` or ``permutation``, as in ``mutual_information``.
        blocks: latents that form one code, ``codes.blocks`` for one; (B, F) is returned, in the order of ``units``.

    Returns:
        (D, F) mutual information in nats.

    Raises:
        UserError: codes without factors, fewer than 2 bins or 10 images, numbers that are not finite, unknown words.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> information_matrix(Codes.of(levels.float(), levels)).round(4).tolist()
    [[1.3863, 0.0], [0.0, 1.3863]]
    >>> information_matrix(Codes.of(levels.float(), levels), blocks=[(0, 1)]).round(4).tolist()
    [[1.3863, 1.3863]]
    """
    check_binning("information_matrix", bins, binning, tail, correction)
    rows = table(codes, "information_matrix")
    symbols = joined(discretise(rows.z, bins, binning, tail), blocks)
    return mutual_information(symbols, rows.levels, correction)


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
    factors = entropy(table(codes, "nmi").levels)
    share = np.divide(information, factors, out=np.zeros_like(information), where=factors > 0)
    return np.minimum(share, 1.0)  # a perfect latent's is above by rounding


def _counts(column: Ints) -> Ints:
    """How often each number occurs; of pairs of joined latents far more are possible than images, and few occur."""
    if int(column.max()) < _FEW * len(column):
        return np.bincount(column)
    return np.unique(column, return_counts=True)[1]


def _entropy(counts: Ints) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def _clipped(column: Floats, tail: float) -> Floats:
    ordered, moved = np.sort(column), int(np.ceil(tail * len(column)))
    return np.clip(column, ordered[moved], ordered[-1 - moved]) if 2 * moved < len(column) else column


def _by_mass(column: Floats, bins: int) -> Ints:
    places = np.ceil(np.arange(1, bins) * len(column) / bins).astype(np.int64) - 1
    cuts = np.unique(np.sort(column)[np.maximum(places, 0)])
    return np.unique(np.searchsorted(cuts, column), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _bias(a: Ints, b: Ints, pairs: Ints, correction: str) -> float:
    """What the plug-in estimate is expected to be too high by, in nats, from the counts of values and of pairs."""
    rows, many_a, many_b = int(a.sum()), int((a > 0).sum()), int((b > 0).sum())
    if many_a == 1 or many_b == 1:
        return 0.0
    if correction == "miller-madow":
        return (int((pairs > 0).sum()) + 1 - many_a - many_b) / (2 * rows)
    return expected_information(a, b)


def expected_information(a: ArrayLike, b: ArrayLike) -> float:
    """Mean plug-in mutual information of two columns over all orders of one of them, in nats.

    E = Σ_ij Σ_n (n/M) log(n M / (a_i b_j)) · P(n), P hypergeometric: n of the a_i rows among b_j of M (Vinh, Epps &
    Bailey, 2010).

    Args:
        a: how often each value of the first column occurs.
        b: how often each value of the second column occurs.

    >>> round(expected_information([2, 2], [2, 2]), 4)  # of six orders two agree: ln 2 / 3
    0.231
    """
    from scipy.special import gammaln

    first, many_first = np.unique(np.asarray(a, dtype=np.int64), return_counts=True)
    second, many_second = np.unique(np.asarray(b, dtype=np.int64), return_counts=True)
    rows = int((first * many_first).sum())
    factorial = gammaln(np.arange(rows + 1) + 1.0)
    total = 0.0
    for u, many_u in zip(first[first > 0], many_first[first > 0], strict=True):
        for w, many_w in zip(second[second > 0], many_second[second > 0], strict=True):
            n = np.arange(max(1, u + w - rows), min(u, w) + 1)
            ways = factorial[u] + factorial[w] + factorial[rows - u] + factorial[rows - w] - factorial[rows]
            ways = ways - factorial[n] - factorial[u - n] - factorial[w - n] - factorial[rows - u - w + n]
            total += float(many_u * many_w) * float((n / rows * np.log(rows * n / (u * w)) * np.exp(ways)).sum())
    return total

"""Gradient boosting of class trees on binned latents: the quick estimator inside DCI.

The algorithm is that of scikit-learn's ``GradientBoostingClassifier`` (Friedman, 2001, Algorithm 6: multinomial
deviance, one regression tree a class and stage, depth 3, rate 0.1, 100 stages), with two differences:
a split may lie only between two of ``bins`` quantile groups of a latent, and the gain of latents that tie exactly is
shared between them instead of going to one drawn at random. The trees of all classes grow together, as a few sparse
matrix products a stage, which is what makes it quick.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unweave.metrics.rows import Floats, Ints

_TIE = 1e-9
_TINY = 1e-150
_BLOCK = 1 << 15
"""Histogram cells looked at together: few enough for a processor's cache."""


class Fit(NamedTuple):
    """What boosting found out about one factor."""

    importance: Floats
    """(D,) share of the squared-error reduction of each latent; sums to 1, or to 0 when no tree could split."""
    train: Ints
    """(M,) predicted classes of the training rows."""
    test: Ints
    """(T,) predicted classes of the test rows."""


class _Split(NamedTuple):
    """The best cut of every node (axis 0) of every class tree (axis 1)."""

    latent: Ints
    """(nodes, K) which latent."""
    cut: Ints
    """(nodes, K) rows with a larger bin number go right; the number of bins where a node does not split."""


def boost(
    z: Floats,
    classes: Ints,
    test: Floats,
    *,
    stages: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    bins: int = 64,
) -> Fit:
    """Predict classes from latents by boosted trees.

    Args:
        z: (M, D) training representation.
        classes: (M,) class of each training row, 0 … K − 1, every one of them present.
        test: (T, D) representation to predict.
        stages: boosting stages.
        depth: splits from root to leaf.
        rate: how far each stage moves.
        bins: quantile groups a latent between which a split may lie.

    >>> x = np.arange(12.0)[:, None]
    >>> fit = boost(np.hstack([x, 0 * x]), np.arange(12) // 6, np.array([[2.5, 0.0], [9.5, 0.0]]))
    >>> fit.importance.tolist(), fit.test.tolist()
    ([1.0, 0.0], [0, 1])
    """
    from scipy import sparse

    rows, latents = z.shape
    cuts = [_cuts(column, bins) for column in z.T]
    bins = 1 + max(len(cut) for cut in cuts)
    binned, binned_test = _binned(z, cuts), _binned(test, cuts)
    columns = (binned + np.arange(latents) * bins).ravel()
    entries = (columns, np.repeat(np.arange(rows), latents))
    member = sparse.csr_array((np.ones(rows * latents), entries), shape=(latents * bins, rows))

    target = np.eye(int(classes.max()) + 1)[classes]
    count = target.shape[1]
    prior = np.log(target.mean(0))
    raw, raw_test = np.tile(prior, (rows, 1)), np.tile(prior, (len(test), 1))
    everyone = np.tile(np.asarray(member.sum(axis=1)).reshape(latents, bins, 1, 1), (1, 1, 1, count))
    importance = np.zeros(latents)
    for _ in range(stages):
        p = np.exp(raw - raw.max(1, keepdims=True))
        residual = target - p / p.sum(1, keepdims=True)
        node, node_test = np.zeros((rows, count), np.int64), np.zeros((len(test), count), np.int64)
        sums, counts = (member @ residual).reshape(latents, bins, 1, count), everyone
        for level in range(depth):
            best, gains = _best(sums, counts)
            importance += gains
            right = _right(binned, node, best)
            if level < depth - 1:
                left = [(node == j) & ~right for j in range(2**level)]
                sums = _children(sums, member @ np.hstack([residual * rows_left for rows_left in left]))
                counts = _children(counts, member @ np.hstack(left).astype(np.float64))
            node = 2 * node + right
            node_test = 2 * node_test + _right(binned_test, node_test, best)
        value = rate * _leaves(residual, node, 2**depth)
        each = np.arange(count)
        raw += value[node, each]
        raw_test += value[node_test, each]
    total = importance.sum()
    return Fit(importance / total if total > 0 else importance, raw.argmax(1), raw_test.argmax(1))


def _cuts(column: Floats, bins: int) -> Floats:
    """At most bins − 1 thresholds, each halfway between neighbouring values: all, or those next to quantiles."""
    ordered = np.sort(column)
    steps = np.flatnonzero(np.diff(ordered) > 0) + 1
    if len(steps) > bins - 1:
        wanted = np.arange(1, bins) * len(ordered) / bins
        after = np.minimum(np.searchsorted(steps, wanted), len(steps) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.where(np.abs(steps[before] - wanted) < np.abs(steps[after] - wanted), before, after)
        steps = np.unique(steps[nearer])
    return (ordered[steps - 1] + ordered[steps]) / 2


def _binned(z: Floats, cuts: list[Floats]) -> Ints:
    return np.stack([np.searchsorted(cut, column, side="left") for cut, column in zip(cuts, z.T, strict=True)], axis=1)


def _best(sums: Floats, counts: Floats) -> tuple[_Split, Floats]:
    """The cut of largest squared-error reduction of each node and class, and the reduction credited to each latent.

    ``sums`` and ``counts`` are (D, bins, nodes, K): the residuals and rows in each bin of each latent.
    """
    latents, bins, nodes, count = sums.shape
    gains, cuts = np.empty((latents, nodes, count)), np.empty((latents, nodes, count), np.int64)
    some = max(1, _BLOCK // (bins * nodes * count))
    for place in range(0, latents, some):
        here = slice(place, place + some)
        sum_left, left = np.cumsum(sums[here], axis=1), np.cumsum(counts[here], axis=1)
        total, size = sum_left[:, -1:], left[:, -1:]
        right = size - left
        # w_l w_r / w · (mean_l − mean_r)², written without a division by an empty side; counts are whole numbers.
        difference = sum_left * right - (total - sum_left) * left
        gain = np.where((left > 0.5) & (right > 0.5), difference**2 / np.maximum(left * right * size, 1), 0.0)
        cuts[here] = gain.argmax(1)
        gains[here] = gain.max(1)
    best = gains.argmax(0)
    top, cut = (np.take_along_axis(each, best[None], axis=0)[0] for each in (gains, cuts))
    tied = gains >= top * (1 - _TIE)
    credit = (tied * (top / tied.sum(0))).sum((1, 2))
    return _Split(best, np.where(top > 0, cut, bins)), credit


def _right(binned: Ints, node: Ints, best: _Split) -> Any:
    """Which rows go right in the tree of each class, (rows, K) booleans."""
    if len(best.latent) == 1:
        return binned[:, best.latent[0]] > best.cut[0]
    each = np.arange(node.shape[1])
    return np.take_along_axis(binned, best.latent[node, each], axis=1) > best.cut[node, each]


def _children(parents: Floats, left: Floats) -> Floats:
    """Histograms of left and right children, alternating; a right child is what its sibling leaves of the parent."""
    latents, bins, nodes, count = parents.shape
    left = left.reshape(parents.shape)
    return np.stack([left, parents - left], axis=3).reshape(latents, bins, 2 * nodes, count)


def _leaves(residual: Floats, node: Ints, leaves: int) -> Floats:
    """Newton step of each leaf and class, (K − 1)/K · Σ r / Σ |r|(1 − |r|) (Friedman, 2001, Eq. 32)."""
    count = residual.shape[1]
    place = (node * count + np.arange(count)).ravel()
    size = np.abs(residual)
    above = np.bincount(place, residual.ravel(), leaves * count)
    below = np.bincount(place, (size * (1 - size)).ravel(), leaves * count)
    step = np.where(below > _TINY, above / np.maximum(below, _TINY), 0.0) * (count - 1) / count
    return step.reshape(leaves, count)

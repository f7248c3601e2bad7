"""BetaVAE score: two images share one factor; does the difference of their codes give away which?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.checks import at_least, unrepeated
from unweave.metrics.logistic import fit, live, quietly, standardise
from unweave.metrics.rows import Floats, Ints, generator, table
from unweave.references import HIGGINS_2017, LOCATELLO_2019
from unweave.types import Codes, Reference, Score

_CHUNK = 4_000_000
"""Numbers gathered at once, so that memory stays bounded whatever the batch."""
_LARGE = 1e6
"""Differences beyond this are fitted in a smaller unit: the solver cannot start from them."""


class Pairs(NamedTuple):
    """Which factor the pairs of each vote share, and the two images of each pair."""

    factors: Ints
    """(V,) the factor shared."""
    first: Ints
    """(V, batch) one image of each pair."""
    second: Ints
    """(V, batch) the other: never the same row, always the same level of the shared factor."""


@dataclass(frozen=True)
class BetaVAEScore(Metric):
    """BetaVAE score, "Z-diff" (Higgins et al., 2017, Sec. 3): a linear classifier names the factor that pairs share.

    A vote chooses a factor k and takes ``batch`` pairs of images that have the same level of k, another level for every
    pair, and are otherwise unrelated; its feature is the mean over pairs of |z₁ − z₂|, one number a latent. Multinomial
    logistic regression (scikit-learn's defaults, Locatello et al., 2019) learns k from ``votes`` features; the value is
    its accuracy on ``test_votes`` new ones. A code that keeps factors apart has a latent that does not differ. Chance
    is one in the number of factors; a perfect code scores 1, noise near chance.

    Both images of a pair are different rows with that level, drawn uniformly; a level is drawn uniformly among those
    with two rows or more.

    Args:
        votes: votes that train the classifier.
        test_votes: votes on which it is judged.
        batch: pairs a vote.
        standardised: divide each latent by its standard deviation over all images first. The definition does not; then
            the penalty of the classifier makes codes of small numbers score lower.
        blocks: ``ignore``: each latent gives a feature; ``joint``: each block gives one, the mean over pairs of the
            length of z₁ − z₂ in its latents.

    Parts: ``train_accuracy``. The settings say with ``converged`` whether the classifier stopped by itself. With one
    factor there is nothing to tell apart and the score is 1. A factor with a single level is left out and named
    under ``constant_factors``.

    Raises UserError for codes without factors, fewer than 10 images, or a factor none of whose levels has 2 images.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4), torch.arange(2))[:, :2]
    >>> BetaVAEScore(votes=200, test_votes=100)(Codes.of(levels.float(), levels)).value
    1.0
    """

    name: ClassVar[str] = "beta-vae-score"
    references: ClassVar[tuple[Reference, ...]] = (HIGGINS_2017, LOCATELLO_2019)
    cost: ClassVar[str] = "0.6 s"

    votes: int = 10_000
    test_votes: int = 5_000
    batch: int = 64
    standardised: bool = False
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``beta-vae-score`` by its definition, ``beta-vae-score-standardised`` otherwise; ``blocks`` behind it."""
        own = ["standardised"] if self.standardised else []
        return "-".join([self.name, *own, *self.words("batch"), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("BetaVAEScore", 1, votes=self.votes, test_votes=self.test_votes, batch=self.batch)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        import sklearn

        self.check()
        rows = table(codes, "BetaVAEScore")
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "BetaVAEScore")
        sets, notes = grouping(codes, self.blocks, "BetaVAEScore", rows.notes)
        # Rounding is no difference: a latent that does not vary is exactly 0, whatever its value.
        z = standardise(rows.z)[0] if self.standardised else np.where(live(rows.z), rows.z, 0.0)
        pairs = draw_pairs(rows.levels, self.votes + self.test_votes, self.batch, generator(seed, "votes"), rows.names)
        features = differences(z, pairs, sets)
        right, converged = _right(features, pairs.factors, self.votes)
        settings = {**self.settings(codes, seed), "converged": converged, "sklearn": sklearn.__version__, **notes}
        return Score(float(right[self.votes :].mean()), {"train_accuracy": float(right[: self.votes].mean())}, settings)


def draw_pairs(levels: Ints, votes: int, batch: int, random: np.random.Generator, names: Sequence[str] = ()) -> Pairs:
    """Votes of pairs that share one factor: factor, level and rows all uniform.

    Args:
        levels: (M, F) factor levels.
        votes: number of votes V.
        batch: pairs a vote.
        random: where the choices come from.
        names: of the factors, for the message.

    Raises UserError when some factor has no level with 2 images or more.

    >>> pairs = draw_pairs(np.array([[0], [0], [1], [1]]), 3, 5, np.random.default_rng(0))
    >>> bool(((pairs.first - pairs.second) ** 2 == 1).all())
    True
    """
    chosen = random.integers(levels.shape[1], size=votes)
    which, place, other = random.random((3, votes, batch))
    first, second = np.zeros((votes, batch), dtype=np.int64), np.zeros((votes, batch), dtype=np.int64)
    for k, column in enumerate(levels.T):
        order = np.argsort(column, kind="stable")
        counts = np.bincount(column)
        starts = np.cumsum(counts) - counts
        usable = np.flatnonzero(counts >= 2)
        if not len(usable):
            raise unrepeated("BetaVAEScore", names, k)
        mine = chosen == k
        level = usable[(which[mine] * len(usable)).astype(np.int64)]
        one = (place[mine] * counts[level]).astype(np.int64)
        step = 1 + (other[mine] * (counts[level] - 1)).astype(np.int64)
        first[mine] = order[starts[level] + one]
        second[mine] = order[starts[level] + (one + step) % counts[level]]
    return Pairs(chosen, first, second)


def differences(z: Floats, pairs: Pairs, sets: Sequence[tuple[int, ...]] | None = None) -> Floats:
    """(V, D) mean over the pairs of each vote of |z₁ − z₂|; (V, B) of its length in each of B sets of latents.

    Args:
        z: (M, D) representation.
        pairs: V votes.
        sets: latents that give one feature together; each its own when None.
    """
    units = [[j] for j in range(z.shape[1])] if sets is None else [list(unit) for unit in sets]
    step = max(_CHUNK // (pairs.first.shape[1] * z.shape[1]), 1)
    cuts = range(step, len(pairs.first), step)
    parts = zip(np.split(pairs.first, cuts), np.split(pairs.second, cuts), strict=True)
    return np.concatenate([_lengths(z[one] - z[two], units).mean(axis=1) for one, two in parts])


def _lengths(apart: Floats, units: Sequence[list[int]]) -> Floats:
    """Length of the last axis of differences in each set of latents."""
    if all(len(unit) == 1 for unit in units):
        return np.abs(apart[..., [unit[0] for unit in units]])
    return np.stack([np.hypot.reduce(apart[..., unit], axis=-1) for unit in units], axis=-1)


def _right(features: Floats, factors: Ints, votes: int) -> tuple[Ints, bool]:
    """Which votes a classifier trained on the first of them gets right, and whether its fit converged."""
    if len(np.unique(factors[:votes])) == 1:
        return factors == factors[0], True
    # Fitted in a unit u with C = u² the solution is the same, so the unit only helps the solver.
    unit = float(features.max()) if features.max() > _LARGE else 1.0
    with quietly():
        model, converged = fit(features[:votes] / unit, factors[:votes], unit**2)
    return model.predict(features / unit) == factors, converged

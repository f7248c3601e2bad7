"""FactorVAE score: with one factor held fixed, which latent varies least, and does that give the factor away?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, among, grouping, suffix
from unweave.metrics.checks import at_least, unrepeated
from unweave.metrics.rows import Floats, Ints, generator, table
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score, UserError

_CHUNK = 4_000_000
"""Numbers gathered at once, so that memory stays bounded whatever the batch."""


class Draws(NamedTuple):
    """Which factor each vote holds fixed, and the images it looks at."""

    factors: Ints
    """(V,) the factor held fixed."""
    rows: Ints
    """(V, batch) images that share one level of it."""


@dataclass(frozen=True)
class FactorVAEScore(Metric):
    """FactorVAE score (Kim & Mnih, 2018, Sec. 4): how often the latent that varies least gives the fixed factor away.

    A vote holds one random factor at one random level, takes ``batch`` images and names the latent with the smallest
    variance relative to its variance over all images. A majority table from ``votes`` votes maps latents to factors;
    the value is its accuracy on ``test_votes`` new votes. Latents whose standard deviation over all images is below
    ``threshold`` are dead and never named; with no live latent the score is 0 (Locatello et al., 2019).

    Images are drawn with replacement among the rows with that level. When the codes cover a data set completely, or
    are a uniform sample of it, that is the distribution of freshly drawn images with the factor fixed.

    Args:
        votes: votes that fill the majority table.
        test_votes: votes on which it is judged.
        batch: images a vote.
        threshold: smallest standard deviation of a live latent. At 0 only exactly constant latents are dead.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code, whose relative
            variance is the mean of those of its live latents.

    Parts: ``train_accuracy``. The settings name the dead latents under ``pruned``. Levels with fewer than 2 images
    are never held. A factor with a single level is left out and named under ``constant_factors``.

    Raises UserError for codes without factors, fewer than 10 images, a factor none of whose levels has 2 images,
    or a batch below 2.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> FactorVAEScore(votes=200, test_votes=100)(Codes.of(levels.float(), levels)).value
    1.0
    """

    name: ClassVar[str] = "factor-vae-score"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "kim2018disentangling",
            "Kim, Hyunjik and Mnih, Andriy",
            "Disentangling by Factorising",
            "International Conference on Machine Learning",
            2018,
            "https://arxiv.org/abs/1802.05983",
        ),
        LOCATELLO_2019,
    )
    cost: ClassVar[str] = "0.5 s"

    votes: int = 10_000
    test_votes: int = 5_000
    batch: int = 64
    threshold: float = 0.05
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``factor-vae-score``, with another batch or threshold behind it, and ``blocks`` where they are codes."""
        return "-".join([self.name, *self.words("batch", "threshold"), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("FactorVAEScore", 1, votes=self.votes, test_votes=self.test_votes)
        at_least("FactorVAEScore", 2, batch=self.batch)
        if not self.threshold >= 0:
            raise UserError(f"FactorVAEScore: threshold = {self.threshold}; allowed is 0 or more")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        rows = table(codes, "FactorVAEScore")
        # Holding a factor that never varies would hold nothing: every latent would vary as it does over all images.
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "FactorVAEScore")
        sets, notes = grouping(codes, self.blocks, "FactorVAEScore", rows.notes)
        variance = rows.z.var(axis=0, ddof=1)
        live = (np.sqrt(variance) >= self.threshold) & (np.ptp(rows.z, axis=0) > 0)
        pruned = np.flatnonzero(~live).tolist()
        settings = {**self.settings(codes, seed), "pruned": pruned, **notes}
        if not live.any():
            return Score(0.0, {"train_accuracy": 0.0}, settings)
        draws = draw(rows.levels, self.votes + self.test_votes, self.batch, generator(seed, "votes"), rows.names)
        sets = among(sets, live)
        named = least_varying(rows.z[:, live], variance[live], draws.rows, sets)
        table_votes = np.zeros((len(sets), rows.levels.shape[1]), dtype=np.int64)
        np.add.at(table_votes, (named[: self.votes], draws.factors[: self.votes]), 1)
        right = table_votes.argmax(1)[named] == draws.factors
        return Score(float(right[self.votes :].mean()), {"train_accuracy": float(right[: self.votes].mean())}, settings)


def draw(levels: Ints, votes: int, batch: int, random: np.random.Generator, names: Sequence[str] = ()) -> Draws:
    """Votes that each hold one factor at one level: factor, level and images all uniform.

    Args:
        levels: (M, F) factor levels.
        votes: number of votes V.
        batch: images a vote, drawn with replacement.
        random: where the choices come from.
        names: of the factors, for the message.

    Raises UserError when some factor has no level with 2 images or more.
    """
    chosen = random.integers(levels.shape[1], size=votes)
    which, place = random.random(votes), random.random((votes, batch))
    rows = np.zeros((votes, batch), dtype=np.int64)
    for k, column in enumerate(levels.T):
        order = np.argsort(column, kind="stable")
        counts = np.bincount(column)
        starts = np.cumsum(counts) - counts
        usable = np.flatnonzero(counts >= 2)
        if not len(usable):
            raise unrepeated("FactorVAEScore", names, k)
        mine = chosen == k
        level = usable[(which[mine] * len(usable)).astype(np.int64)]
        rows[mine] = order[starts[level][:, None] + (place[mine] * counts[level][:, None]).astype(np.int64)]
    return Draws(chosen, rows)


def least_varying(z: Floats, variance: Floats, rows: Ints, sets: Sequence[tuple[int, ...]] | None = None) -> Ints:
    """(V,) the latent with the smallest variance among each vote's images relative to its variance over all.

    Of sets of latents, the one whose latents have the smallest mean.

    Args:
        z: (M, D) live latents.
        variance: (D,) their variances over all images, none 0.
        rows: (V, batch) images of each vote.
        sets: latents that count as one; each its own when None.
    """
    units = [[j] for j in range(z.shape[1])] if sets is None else [list(unit) for unit in sets]
    step = max(_CHUNK // (rows.shape[1] * z.shape[1]), 1)
    named = []
    for part in np.split(rows, range(step, len(rows), step)):
        relative = z[part].var(axis=1, ddof=1) / variance
        named.append(np.stack([relative[:, unit].mean(1) for unit in units], axis=1).argmin(1))
    return np.concatenate(named)

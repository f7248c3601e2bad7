"""IRS: when one factor is held fixed and all others change, how still does a latent stay?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.checks import at_least, unrepeated
from unweave.metrics.information import discretise
from unweave.metrics.logistic import live
from unweave.metrics.rows import Floats, Ints, sample, table
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score, UserError


class Robustness(NamedTuple):
    """What the score is made of: how robust each latent is, and to changes of all factors but which."""

    matrix: Floats
    """(D, F) 1 − deviation of latent d while factor k is held ÷ its largest deviation; 0 for a dead latent."""
    parents: Ints
    """(D,) the factor that holds latent d most still; −1 for a dead latent."""
    scores: Floats
    """(D,) the largest of each row."""
    deviations: Floats
    """(D,) largest distance of a latent from its mean, over all images: the weights of the score."""
    names: tuple[str, ...]
    """The F factors."""
    notes: dict[str, object]
    """Images read, factors left out: for the settings of the score."""


@dataclass(frozen=True)
class IRS(Metric):
    """Interventional Robustness Score (Suter et al., 2019): how still a latent stays while its factor does.

    For latent d and factor k, the images with each level l of k have a mean, and a distance from it that the share
    ``quantile`` of them do not exceed; averaged over levels that is dev_dk. With dev_d the largest distance of any
    image from the mean of all, the robustness is R_dk = 1 − dev_dk / dev_d, the parent of d the factor of the largest
    R_dk, and IRS = Σ_d dev_d max_k R_dk / Σ_d dev_d (Locatello et al., 2019). A perfect code scores 1. Noise does not
    score 0, because the quantile of a group lies below the largest deviation of all (docs/metrics/irs.md). It is
    negative where the images of each level lie farther from their own mean than any image from the mean of all, as two
    levels with one outlier each at the other's place do; never below −1.

    ``robustness`` returns the matrix, the parents and the weights; plots read that.

    Args:
        quantile: which share of a group's distances is not exceeded; 1 is the paper's maximum.
        images: number of images read, drawn without replacement when there are more; None for all.
        bins: equal-width bins of the level numbers, as public implementations have it (20), which merges levels of
            larger factors; None leaves factors as they are.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code d, whose distances are
            lengths in its latents, as the paper has it for sets of latents.

    Parts: ``mean``: the plain mean of max_k R_dk over the latents that vary; ``live``: how many do. The settings name
    the ``parents``, None where a latent does not vary (it has weight 0). With no live latent the score is 0. Levels
    with a single image are left out: it never deviates from itself. A factor with a single level is left out and named
    under ``constant_factors``.

    Raises UserError for codes without factors, fewer than 10 images, a factor none of whose levels has 2 images, or a
    quantile outside (0, 1].

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> score = IRS()(Codes.of(2.0 * levels[:, [1, 0]], levels, names=("shape", "x")))
    >>> score.value, score.settings["parents"]
    (1.0, ['x', 'shape'])
    """

    name: ClassVar[str] = "irs"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "suter2019robustly",
            "Suter, Raphael and Miladinović, Đorđe and Schölkopf, Bernhard and Bauer, Stefan",
            "Robustly Disentangled Causal Mechanisms: Validating Deep Representations for Interventional Robustness",
            "International Conference on Machine Learning",
            2019,
            "https://arxiv.org/abs/1811.00007",
        ),
        LOCATELLO_2019,
    )
    limits: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    cost: ClassVar[str] = "0.07 s"

    quantile: float = 0.99
    images: int | None = 10_000
    bins: int | None = None
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``irs``, with other bins and quantiles behind it, and ``blocks`` where they are codes."""
        return "-".join([self.name, *self.words("bins", "quantile"), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("IRS", 10, images=self.images)
        at_least("IRS", 2, bins=self.bins)
        if not 0 < self.quantile <= 1:
            raise UserError(f"IRS: quantile = {self.quantile}; allowed is above 0, up to 1")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        found = self.robustness(codes, seed)
        alive = found.parents >= 0
        settings = {**self.settings(codes, seed), **found.notes}
        settings["parents"] = [found.names[k] if k >= 0 else None for k in found.parents]
        if not alive.any():
            return Score(0.0, {"mean": 0.0, "live": 0.0}, settings)
        weights = found.deviations / found.deviations.max()
        value = float((weights * found.scores).sum() / weights.sum())
        return Score(value, {"mean": float(found.scores[alive].mean()), "live": float(alive.sum())}, settings)

    def robustness(self, codes: Codes, seed: int = 0) -> Robustness:
        """The matrix behind the score, the parent of each latent and its weight."""
        self.check()
        rows = table(codes, "IRS")
        rows = rows.take(sample(len(rows.z), self.images, seed))
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "IRS")
        groups = rows.levels if self.bins is None else discretise(rows.levels, self.bins)
        sets, noted = grouping(codes, self.blocks, "IRS", rows.notes)
        moves = live(rows.z)
        alive = np.array([moves[list(unit)].any() for unit in sets])
        # The distance of a latent that does not move is rounding.
        z = np.where(moves, rows.z, 0.0)
        largest = np.where(alive, distances(z, sets).max(0), 0.0)
        within = deviations(z, groups, self.quantile, sets, rows.names)
        matrix = np.where(alive[:, None], 1 - within / np.where(alive, largest, 1.0)[:, None], 0.0)
        parents = np.where(alive, matrix.argmax(1), -1)
        notes = {"images": len(rows.z), **noted}
        return Robustness(matrix, parents, matrix.max(1), largest, rows.names, notes)


def distances(z: Floats, sets: Sequence[tuple[int, ...]]) -> Floats:
    """(M, B) distance of each image from the mean of all, in each of B sets of latents."""
    apart = z - z.mean(0)
    if all(len(unit) == 1 for unit in sets):
        return np.abs(apart[:, [unit[0] for unit in sets]])
    return np.stack([np.hypot.reduce(apart[:, list(unit)], axis=1) for unit in sets], axis=1)


def deviations(
    z: Floats,
    levels: Ints,
    quantile: float,
    sets: Sequence[tuple[int, ...]] | None = None,
    names: Sequence[str] = (),
) -> Floats:
    """(D, F) distance of a latent from its mean while a factor is held: a quantile over images, a mean over levels.

    Args:
        z: (M, D) representation.
        levels: (M, F) factor levels.
        quantile: which share of the images with a level come no further.
        sets: latents that count as one; each its own when None.
        names: of the factors, for the message.

    Raises UserError for a factor none of whose levels has 2 images.

    >>> deviations(np.array([[0.0], [2.0], [5.0], [5.0]]), np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), 1.0).tolist()
    [[0.5, 2.0]]
    """
    units = [(j,) for j in range(z.shape[1])] if sets is None else sets
    out = np.zeros((len(units), levels.shape[1]))
    for k, column in enumerate(levels.T):
        order = np.argsort(column, kind="stable")
        groups = [rows for rows in np.split(order, np.flatnonzero(np.diff(column[order])) + 1) if len(rows) > 1]
        if not groups:
            raise unrepeated("IRS", names, k)
        for rows in groups:
            out[:, k] += np.quantile(distances(z[rows], units), quantile, axis=0) / len(groups)
    return out

"""Data sets whose factors are not independent: images chosen so that some factors follow others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unweave.data.base import Dataset
from unweave.data.part import Levels, Part, all_levels, scattered
from unweave.data.split import SEEDS
from unweave.names import known
from unweave.types import Reference, UserError

FORMS = ("band", "gaussian")
TARGETS = ("equal", "opposite", "direction")
SLACK = 1e-9
"""How far beyond a band's border a level may lie, so that rounding does not decide."""

TRAEUBLE_2021 = Reference(
    "traeuble2021disentangled",
    "Träuble, Frederik and Creager, Elliot and Kilbertus, Niki and Locatello, Francesco and Dittadi, Andrea and "
    "Goyal, Anirudh and Schölkopf, Bernhard and Bauer, Stefan",
    "On Disentangled Representations Learned from Correlated Data",
    "International Conference on Machine Learning",
    2021,
    "https://arxiv.org/abs/2006.07886",
)


@dataclass(frozen=True)
class Correlated(Part):
    """A data set with fewer images, so that two or more of its factors follow each other.

    Every level is a number in [0, 1]: level / (size − 1), or level / size where the factor wraps around. The deviation
    d of an image is how far its first factor is from where the others want it. Of the images with the same levels of
    these factors a share of w(d) is kept: all or none for ``band`` (w = 1 where d ≤ width), exp(−d² / (2 width²)) for
    ``gaussian`` (Träuble et al., 2021), relative to the largest share there is. So sampling rows evenly samples these
    factors from that joint distribution, while all other factors stay independent of them. Shares that are no whole
    number of images are rounded up or down at random, and which images are kept is random too; both depend on the seed
    only.

    Args:
        of: the whole data set; it has factors.
        between: names of two or more of its factors.
        form: ``band`` or ``gaussian``.
        width: half the width of the band, or the standard deviation σ, in the units above.
        target: where the first factor is wanted: ``equal`` to each of the others (with three or more factors, d² is the
            mean of the squared differences), ``opposite``, 1 − them, or ``direction``, the angle of the two others
            around their middle, in turns (as in the correlated triangle; then there are three factors).
        seed: which images are kept.

    Raises:
        UserError: from ``rows`` and ``open``, for unknown factors or words, a width of 0 or less for ``gaussian`` or
            below 0 for ``band``, or when no image is left.

    >>> from unweave.data import DSprites
    >>> diagonal = Correlated(DSprites(), ("pos_x", "pos_y"), "band", 0.1)
    >>> diagonal.rows, Correlated(DSprites(), ("pos_x", "pos_y"), "gaussian", 0.2).rows
    (152640, 302827)
    """

    of: Dataset
    between: tuple[str, ...]
    form: str = "gaussian"
    width: float = 0.2
    target: str = "equal"
    seed: int = 0

    name: ClassVar[str] = "correlated"
    references: ClassVar[tuple[Reference, ...]] = (TRAEUBLE_2021,)

    def choose(self) -> NDArray[np.int64]:
        """The rows that are kept."""
        known(self.form, FORMS, "form")
        known(self.target, TARGETS, "target")
        levels, factors = all_levels(self.of), self.of.factors
        assert factors is not None
        columns = [factors.position(name) for name in self.between]
        many = 3 if self.target == "direction" else 2
        if len(set(columns)) < max(many, len(columns)) or (self.target == "direction" and len(columns) != 3):
            raise UserError(
                f"correlated: between = {self.between}; allowed: {'three' if many == 3 else 'two or more'} different "
                f"factors of {', '.join(factors.names)}"
            )
        if not self.width >= 0 or (self.form == "gaussian" and self.width == 0):
            raise UserError(f"correlated: width = {self.width}; allowed: above 0 (for a band also 0)")
        if not 0 <= self.seed < SEEDS:
            raise UserError(f"correlated: seed = {self.seed}; allowed: 0 to 2^63 − 1")
        cells = np.ravel_multi_index(tuple(levels[:, columns].T), tuple(factors.sizes[c] for c in columns))
        deviation = self._deviation(levels[:, columns], columns)
        if self.form == "band":
            return np.flatnonzero(deviation <= self.width + SLACK)
        return _thinned(cells, np.exp(-0.5 * (deviation / self.width) ** 2), self.seed)

    def _deviation(self, levels: Levels, columns: list[int]) -> NDArray[np.float64]:
        """(N,) how far the first factor is from where the others want it."""
        factors = self.of.factors
        assert factors is not None
        wraps = [bool(factors.circular) and factors.circular[column] for column in columns]
        spans = [max(1, factors.sizes[c] - (not wrap)) for c, wrap in zip(columns, wraps, strict=True)]
        first, *others = (levels / np.array(spans)).T
        if self.target == "direction":
            away = [other - (0.5 if not wrap else 0.0) for other, wrap in zip(others, wraps[1:], strict=True)]
            others = [(np.arctan2(away[1], away[0]) / (2 * np.pi)) % 1]
        elif self.target == "opposite":
            others = [1 - other for other in others]
        apart = np.stack([np.abs(first - other) for other in others])
        if wraps[0]:
            apart = np.minimum(apart % 1, 1 - apart % 1)
        return np.sqrt((apart**2).mean(axis=0))


def _thinned(cells: NDArray[np.int64], weights: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Rows of which each cell keeps the share that is its weight, relative to the largest."""
    order = np.lexsort((scattered(seed, np.arange(len(cells))), cells))
    _, start, counts = np.unique(cells[order], return_index=True, return_counts=True)
    shares = weights[order[start]] / weights.max() * counts
    quota = np.floor(shares + scattered(seed + 1, cells[order[start]]))
    place = np.arange(len(cells)) - np.repeat(start, counts)
    return np.sort(order[place < np.repeat(quota, counts)])

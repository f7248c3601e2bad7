"""Some of a data set's images, as a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset
from unweave.data.part import Part
from unweave.types import UserError


@dataclass(frozen=True)
class Subset(Part):
    """Some rows of another data set, in the order given; factors, levels and nuisance noise are those of the whole set.

    Row r of the subset is row ``chosen[r]`` of the whole. Most combinations of levels have no image here:
    ``Images.levels`` and ``Images.index`` connect rows and levels.

    Args:
        of: the whole data set.
        chosen: its rows, each at most once.

    Raises:
        UserError: from ``open``, for no rows, repeated rows or rows that the whole set does not have.

    >>> from unweave.data import DSprites
    >>> scales = Subset.along(DSprites(), "scale", row=0)
    >>> scales.rows, scales.open().levels(torch.tensor([5])).tolist()
    (6, [[0, 5, 0, 0, 0]])
    """

    of: Dataset
    chosen: tuple[int, ...]

    name: ClassVar[str] = "subset"

    @classmethod
    def along(cls, of: Dataset, factor: str, row: int, root: Path | None = None) -> Subset:
        """The images that share all factors with image ``row`` but one, which takes all its levels.

        Raises:
            UserError: no such factor, or levels of which there is no image (in a set of correlated factors).
        """
        factors = of.factors
        if factors is None or not 0 <= row < of.rows:
            there = "no factors" if factors is None else f"rows 0 to {of.rows - 1}"
            raise UserError(f"{of.name}: factor {factor!r} around row {row}; this data set has {there}")
        images = None if of.gridded else of.open(root)
        one = torch.tensor([row])
        levels = factors.traverse((factors if images is None else images).levels(one)[0], factor)
        rows = factors.index(levels) if images is None else images.index(levels)
        return cls(of, tuple(rows.tolist()))

    @property
    def rows(self) -> int:
        """Number of images."""
        return len(self.chosen)

    def choose(self) -> NDArray[np.int64]:
        """The rows as given, once they are known to be rows of the whole set."""
        wrong = [row for row in self.chosen if not 0 <= row < self.of.rows]
        if not self.chosen or wrong or len(set(self.chosen)) < len(self.chosen):
            raise UserError(
                f"subset: {len(self.chosen)} rows of {self.of.name}, {len(set(self.chosen))} of them different"
                f"{f', with {wrong[0]} among them' if wrong else ''}; "
                f"allowed: one or more, each once, from 0 to {self.of.rows - 1}"
            )
        return np.array(self.chosen, dtype=np.int64)

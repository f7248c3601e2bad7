"""Some of a data set's images, as a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.factors import Factors
from unweave.types import Draw, UserError

HELD = 1 << 26
"""Up to so many pixels in all, images without nuisance noise are read once and kept."""


@dataclass(frozen=True)
class Subset(Dataset):
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
        whole = of.rows == factors.count
        images = None if whole else of.open(root)
        one = torch.tensor([row])
        levels = factors.traverse((factors if images is None else images).levels(one)[0], factor)
        rows = factors.index(levels) if images is None else images.index(levels)
        return cls(of, tuple(rows.tolist()))

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """That of the whole set."""
        return self.of.shape

    @property
    def likelihood(self) -> str:  # type: ignore[override]
        """That of the whole set."""
        return self.of.likelihood

    @property
    def licence(self) -> str:  # type: ignore[override]
        """That of the whole set."""
        return self.of.licence

    @property
    def factors(self) -> Factors | None:
        """Those of the whole set, with all their levels."""
        return self.of.factors

    @property
    def rows(self) -> int:
        """Number of images."""
        return len(self.chosen)

    def find(self, root: Path | None = None) -> Path | None:
        """The file of the whole set."""
        return self.of.find(root)

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images of the whole set, of which only these are reached."""
        wrong = [row for row in self.chosen if not 0 <= row < self.of.rows]
        if not self.chosen or wrong or len(set(self.chosen)) < len(self.chosen):
            raise UserError(
                f"subset: {len(self.chosen)} rows of {self.of.name}, {len(set(self.chosen))} of them different"
                f"{f', with {wrong[0]} among them' if wrong else ''}; "
                f"allowed: one or more, each once, from 0 to {self.of.rows - 1}"
            )
        return SubsetImages(self.of.open(root, device), torch.tensor(self.chosen, device=device))


class SubsetImages(Images):
    """Rows of an opened data set."""

    def __init__(self, whole: Images, chosen: Tensor) -> None:
        self.whole, self.chosen = whole, chosen
        self.factors, self.rows, self.source = whole.factors, len(chosen), whole.source
        self.table: Tensor | None = None

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W)."""
        rows = rows.to(self.chosen.device)
        if self.table is None and not self.whole.noise(1):
            first = self.whole.batch(self.chosen[:1], {})
            if first.numel() * self.rows <= HELD:
                self.table = torch.cat([self.whole.batch(some, {}) for some in self.chosen.split(1024)])
        return self.whole.batch(self.chosen[rows], draws) if self.table is None else self.table[rows]

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels."""
        return self.whole.levels(self.chosen.to(rows.device)[rows])

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """That of the whole set."""
        return self.whole.noise(rows)

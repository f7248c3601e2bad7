"""Some of a data set's images: what subsets, splits and correlated sets have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.base import Dataset, Images, of_words
from unweave.data.elsewhere import innermost
from unweave.data.factors import Factors
from unweave.data.stored import state
from unweave.types import Draw, UserError

Levels = NDArray[np.int64]

HELD = 1 << 26
"""Up to so many pixels in all, images without nuisance noise are read once and kept."""


class Part(Dataset):
    """Some rows of another data set, in its order; factors, levels and nuisance noise are those of the whole set.

    Row r of the part is row ``chosen()[r]`` of the whole. ``Images.levels`` and ``Images.index`` connect rows and
    levels.
    """

    loose: ClassVar[bool] = True

    of: Dataset
    """The whole set, or its name."""

    def __post_init__(self) -> None:
        of_words(self)

    @abstractmethod
    def choose(self) -> NDArray[np.int64]:
        """Rows of the whole set, in order, each at most once. Raises UserError for a rule that cannot be followed."""

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
    def needs_files(self) -> bool:  # type: ignore[override]
        """Whether the whole set does."""
        return self.of.needs_files

    @property
    def factors(self) -> Factors | None:
        """Those of the whole set, with all their levels."""
        return self.of.factors

    @property
    def rows(self) -> int:
        """Number of images chosen."""
        return len(chosen(self))

    def find(self, root: Path | None = None) -> Path | None:
        """The file of the whole set."""
        return self.of.find(root)

    def present(self, root: Path | None = None) -> bool:
        """Whether the whole set's images can be opened."""
        return self.of.present(root)

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """Those of the whole set."""
        return self.of.remarks(root)

    def prepare(self, root: Path | None = None, tell: Callable[[str], None] | None = None) -> Path | None:
        """Prepares the whole set."""
        return self.of.prepare(root, tell)

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images of the whole set, of which only these are reached.

        Raises:
            UserError: a rule that cannot be followed or leaves no image, or what the whole set refuses.
        """
        rows = torch.tensor(chosen(self), device=device)
        return PartImages(self.of.open(root, device), rows)


class PartImages(Images):
    """Rows of an opened data set."""

    def __init__(self, whole: Images, chosen: Tensor) -> None:
        self.whole, self.chosen = whole, chosen
        self.factors, self.rows, self.source = whole.factors, len(chosen), whole.source
        self.table: Tensor | None = None
        self.streams = whole.streams
        self._undecided = not whole.noise(1)

    @property
    def resident(self) -> bool:
        """Where the whole set is."""
        return self.whole.resident

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W)."""
        rows = rows.to(self.chosen.device)
        if self._undecided:
            self._undecided = False
            first = self.whole.batch(self.chosen[:1], {})
            if first.numel() * self.rows <= HELD:
                self.table = torch.cat([self.whole.batch(some, {}) for some in self.chosen.split(1024)])
                self.streams = False
        return self.whole.batch(self.chosen[rows], draws) if self.table is None else self.table[rows]

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels."""
        return self.whole.levels(self.chosen.to(rows.device)[rows])

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """That of the whole set."""
        return self.whole.noise(rows)

    def ahead(self, rows: Tensor) -> None:
        """The whole set begins to read them."""
        if self.streams:
            self.whole.ahead(self.chosen[rows.to(self.chosen.device)])


def chosen(part: Part) -> NDArray[np.int64]:
    """Which rows of the whole set a part has; worked out once for as many images as the whole has.

    Raises:
        UserError: a rule that cannot be followed, or one that leaves no image.
    """
    return _chosen(part, part.of.rows, _labels(part))


@lru_cache(maxsize=16)
def _chosen(part: Part, count: int, labels: tuple[Any, ...]) -> NDArray[np.int64]:
    rows = part.choose()
    if not len(rows):
        raise UserError(f"{part.name} of {part.of.name}: none of {part.of.rows:,} images is left; allowed: a wider one")
    rows.setflags(write=False)
    return rows


def all_levels(data: Dataset) -> Levels:
    """(N, F) levels of all images of a set, read off their row numbers where every combination has one image.

    Raises:
        UserError: no factors, or files that are not where ``UNWEAVE_DATA`` says.
    """
    if data.factors is None:
        raise UserError(f"{data.name} has no factors to choose images by; allowed: a data set with factors")
    return _all_levels(data, data.rows, _labels(data))


def _labels(data: Dataset) -> tuple[Any, ...]:
    """What the table of labels is known again by, where there is one: somebody may write into it meanwhile."""
    table = innermost(data).labels_file
    try:
        return () if table is None else tuple(state(table))
    except OSError:  # whoever reads it says so
        return ()


@lru_cache(maxsize=4)
def _all_levels(data: Dataset, count: int, labels: tuple[Any, ...]) -> Levels:
    assert data.factors is not None
    if isinstance(data, Part):
        return all_levels(data.of)[chosen(data)]
    if data.gridded:
        return np.stack(np.unravel_index(np.arange(data.rows), data.factors.sizes), axis=1).astype(np.int64)
    return data.open().levels(torch.arange(data.rows)).cpu().numpy()


def scattered(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each whole number, without order: a function of the two only, the same on every machine.

    The finalizer of SplitMix64 (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators").
    """
    start = _finalised(np.array([seed], dtype=np.uint64) + np.uint64(1))
    mixed = _finalised(numbers.astype(np.uint64) + start)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _finalised(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = numbers * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    found: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return found

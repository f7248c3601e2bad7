"""What a data set is: a frozen description that opens to images."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from unweave.data.factors import Factors
from unweave.data.files import find as find_file
from unweave.data.files import not_found
from unweave.types import Draw, Reference, UserError


class DataSpec(NamedTuple):
    """All that a method may know of a data set before it sees a batch."""

    shape: tuple[int, int, int]
    """C, H, W."""
    likelihood: str
    """``bernoulli`` (nats) or ``squared`` (summed squared error)."""
    rows: int
    """Number of images N."""
    factors: Factors | None


class Images(ABC):
    """An opened data set: the only way pixels reach a model."""

    rows: int
    """Number of images."""
    source: str
    """Where the pixels come from, for the record: ``drawn`` or the file that was read."""
    factors: Factors | None = None
    """Names and sizes of what ``levels`` returns, if there is anything."""
    streams: bool = False
    """Whether pixels are read from a disk as they are asked for, so that it helps to say early which ones will be."""

    @property
    def resident(self) -> bool:
        """Whether ``batch`` and ``levels`` find everything on the device of the rows they are given, without a look at
        one number of them: such images can be looked up inside a step that a GPU runs by itself."""
        return False

    @abstractmethod
    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W) float32 in [0, 1] on the data set's device.

        ``draws`` holds the nuisance noise that the data set asked for, a function of (seed, step, row).
        """

    @abstractmethod
    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) factor levels; F = 0 without factors."""

    def index(self, levels: Tensor) -> Tensor:
        """(N, F) factor levels -> (N,) row numbers, the inverse of ``levels``; which rows a traversal passes through.

        Not every combination of levels need exist: factors may be correlated, images left out.

        Raises:
            UserError: no factors, a level outside its factor, or a combination of which there is no image.
        """
        if self.factors is None:
            raise UserError("this data set has no factors, so no image can be asked for by its levels")
        levels = levels.long()
        wanted = self.factors.index(levels)
        if self.rows == self.factors.count and torch.equal(self.levels(wanted), levels):
            return wanted
        held, rows = self.factors.index(self.levels(torch.arange(self.rows, device=levels.device))).sort()
        place = torch.searchsorted(held, wanted).clamp(max=self.rows - 1)
        missing = (held[place] != wanted).nonzero().flatten()
        if len(missing):
            first = dict(zip(self.factors.names, levels[missing[0]].tolist(), strict=True))
            raise UserError(
                f"no image has {first}: only {self.rows} of {self.factors.count} combinations of levels exist here"
            )
        return rows[place]

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """The nuisance noise that ``batch`` wants for so many rows; none by default."""
        return {}

    def ahead(self, rows: Tensor) -> None:
        """(N,) row numbers that ``batch`` will soon be asked for, all together; a set that ``streams`` begins to read
        them. What ``batch`` returns does not depend on it."""
        return


@dataclass(frozen=True)
class Dataset(ABC):
    """A data set by description; ``open`` brings its images.

    ``factors`` says which factors there are and how many levels each has; ``rows`` how many images. Where every
    combination of levels has one image, rows = factors.count and row numbers are ``factors.index(levels)``. Otherwise
    (correlated factors, a part of a set) only ``Images.levels`` and ``Images.index`` connect rows and levels.
    """

    name: ClassVar[str]
    shape: ClassVar[tuple[int, int, int]]
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = ()
    licence: ClassVar[str] = ""
    """Terms of the published files, or of the drawn set."""
    files: ClassVar[tuple[str, ...]] = ()
    """Names of the published files that ``open`` can read, best first; empty for a set that is only drawn."""
    needs_files: ClassVar[bool] = False
    """Whether there is nothing to open without them."""
    published: ClassVar[str] = ""
    """Where the authors publish it."""
    loose: ClassVar[bool] = False
    """Whether images stand in any order, as somebody's own do, where several may share their levels."""
    fingerprint: ClassVar[str] = ""
    """SHA-256 of all images in order, as bytes round(255 · pixel), without nuisance noise; empty when not known."""

    @property
    @abstractmethod
    def factors(self) -> Factors | None:
        """Its ground-truth factors, or None."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """Number of images."""

    @property
    def labels_file(self) -> Path | None:
        """The file that its factors are read from, where that is somebody's own."""
        return None

    @property
    def gridded(self) -> bool:
        """Whether every combination of levels has one image, whose row number is ``factors.index(levels)``."""
        return self.factors is not None and not self.loose and self.rows == self.factors.count

    @abstractmethod
    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, from files under ``root`` when they are there, else drawn.

        Args:
            root: folder of data files; None asks the environment variable ``UNWEAVE_DATA``.
            device: where batches are wanted.

        Raises:
            UserError: the root is no folder, or a file there is not what was published.
        """

    def prepare(self, root: Path | None = None, tell: Callable[[str], None] | None = None) -> Path | None:
        """Decode the published files once into a memory-mapped cache, where the set needs that (``open`` does it too).

        Args:
            root: folder of data files.
            tell: called now and then with a line that says how far it is.

        Returns:
            Where the cache lies; None for a set that is opened as it is.

        Raises:
            UserError: files that the set cannot do without are not there or not as published, or the disk is full.
        """
        if self.needs_files and self.find(root) is None:
            raise not_found(self.name, self.files, self.published, root)
        return None

    def spec(self, likelihood: str | None = None) -> DataSpec:
        """What methods are told of this data set."""
        return DataSpec(self.shape, likelihood or self.likelihood, self.rows, self.factors)

    def find(self, root: Path | None = None) -> Path | None:
        """The published file that ``open`` would read, if there is one under ``root``."""
        return find_file(root, self.files, self.name)

    def present(self, root: Path | None = None) -> bool:
        """Whether there are images to open: drawn ones, or files that are found."""
        return not self.needs_files or self.find(root) is not None

    def describe(self, root: Path | None = None) -> dict[str, Any]:
        """What there is to know before opening: a row of ``unweave data list``."""
        found = self.find(root)
        return {
            "name": self.name,
            "images": self.rows,
            "shape": self.shape,
            "factors": {} if self.factors is None else dict(zip(self.factors.names, self.factors.sizes, strict=True)),
            "likelihood": self.likelihood,
            "licence": self.licence,
            "files": self.files,
            "published": self.published,
            "found": None if found is None else str(found),
            **self.remarks(root),
        }

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """What is to be said of somebody's own images: ``notes``, which are left out and why; ``doubts``, what looks
        like a mistake. Published sets have none."""
        return {}

    def check(self, root: Path | None = None) -> list[str]:
        """Reads or draws every image and compares it with all that is known; readable lines of what was found.

        Here: pixels lie in [0, 1], levels in their factors, rows and levels are each other's inverse, and the
        fingerprint, if the set has one, is right. Nuisance noise is held at zero.

        Raises:
            UserError: one line that says what is wrong.
        """
        images = self.open(root)
        digest = hashlib.sha256()
        one_each = self.gridded
        for rows in torch.arange(self.rows).split(1024):
            pixels = images.batch(rows, still(images.noise(len(rows))))
            if pixels.shape != (len(rows), *self.shape) or not bool(((pixels >= 0) & (pixels <= 1)).all()):
                raise UserError(f"{self.name}: images from row {int(rows[0])} on are not {self.shape} in [0, 1]")
            if self.factors is not None:
                levels = images.levels(rows)
                back = images.index(levels)
                # Several images may share their levels, in a set of one's own or one that lacks some factors.
                if not torch.equal(images.levels(back), levels) or (one_each and not torch.equal(back, rows)):
                    raise UserError(f"{self.name}: levels from row {int(rows[0])} on do not lead back to their rows")
            digest.update((pixels * 255).round().to(torch.uint8).numpy().tobytes())
        if self.fingerprint and digest.hexdigest() != self.fingerprint:
            raise UserError(f"{self.name}: fingerprint {digest.hexdigest()}; expected {self.fingerprint}")
        known = "as expected" if self.fingerprint else "none published to compare with"
        return [
            f"{self.name}: {self.rows:,} images of {self.shape}, {images.source}",
            "no factors"
            if self.factors is None
            else "levels and rows are each other's inverse"
            if one_each
            else "levels lead to images that have them",
            f"sha256 of the pixels {digest.hexdigest()}: {known}",
        ]


def of_words(made: Any) -> None:
    """Give a set that is made of another one the set itself, where its name or a path was given."""
    if not isinstance(made.of, Dataset):
        from unweave.data import dataset

        object.__setattr__(made, "of", dataset(made.of))


def paths(made: Any, *names: str) -> None:
    """Turn a frozen description's texts into paths."""
    for name in names:
        if isinstance(given := getattr(made, name), str):
            object.__setattr__(made, name, Path(given))


STILL = {"bytes": torch.uint8}
"""Types of those draws that are no real numbers."""


def still(noise: Mapping[str, Draw]) -> dict[str, Tensor]:
    """Draws that add nothing: zeros, and permutations that leave everything in place."""
    zeros = {name: torch.zeros(draw.shape, dtype=STILL.get(draw.kind)) for name, draw in noise.items()}
    return {
        name: torch.arange(draw.shape[-1]).expand(draw.shape) if draw.kind == "permutation" else zeros[name]
        for name, draw in noise.items()
    }

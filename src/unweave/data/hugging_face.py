"""The user's own images: a column of pictures in a data set of the Hugging Face library ``datasets``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images, paths
from unweave.data.cache import Cache, Piece, Recipe, Tell, cache_root, prepare, prepared, verify
from unweave.data.factors import Factors
from unweave.data.folder import AT_ONCE, SIDES, some
from unweave.data.formats.anyfile import FITS, Broken, Look, image_of
from unweave.data.labels import heading, ranked
from unweave.data.stored import StoredImages, Table, dark, in_order, place, shared, states
from unweave.names import known
from unweave.types import UserError

MARKS = ("dataset_info.json", "dataset_dict.json")
"""Files by which a folder that ``save_to_disk`` wrote is known: one data set, or several splits."""
PARQUET = ".parquet"


@dataclass(frozen=True)
class HuggingFace(Dataset):
    """A column of pictures in a data set of Hugging Face's ``datasets``; needs ``datasets``.

    Read from the disk alone: a folder that ``save_to_disk`` wrote, or a ``.parquet`` file, as the Hub keeps them. What
    is on the Hub is fetched with that library first. Pictures must lie in the table themselves; one that is only a path
    or an address counts as broken. They are decoded once into a table on disk, by the rules of a folder of pictures.

    Args:
        path: the folder or file.
        column: the column of pictures; the only one when None.
        split: which of several splits; the only one when None.
        size: height and width of the images.
        fit: what of a picture is shown: ``crop``, ``pad`` or ``stretch``, as for a folder of pictures.
        grey: one channel instead of three.
        labels: columns of whole numbers, classes or texts that are factors.
        skip_broken: leave out pictures that cannot be used, instead of stopping with a list of them.

    Raises:
        UserError: from ``rows``, ``factors`` and ``open``: ``datasets`` is not installed, no such data set, column or
            split, broken pictures.

    >>> HuggingFace(Path("saved"), size=32, labels=("label",)).shape
    (3, 32, 32)
    """

    path: Path
    column: str | None = None
    split: str | None = None
    size: int = 64
    fit: str = "crop"
    grey: bool = False
    labels: tuple[str, ...] = ()
    skip_broken: bool = False

    name: ClassVar[str] = "hugging-face"
    likelihood: ClassVar[str] = "squared"
    licence: ClassVar[str] = "the user's own images"
    needs_files: ClassVar[bool] = True
    loose: ClassVar[bool] = True

    def __post_init__(self) -> None:
        paths(self, "path")

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """One or three channels, size × size."""
        return 1 if self.grey else 3, self.size, self.size

    @property
    def factors(self) -> Factors | None:
        """The columns named by ``labels``; their levels are the different values, in order."""
        return self._labelled(self._decoded())[0] if self.labels else None

    @property
    def rows(self) -> int:
        """Number of pictures that can be used; known when they have been decoded, which is done now if need be."""
        return len(self._decoded().images)

    @property
    def names(self) -> tuple[str, ...]:
        """The table's row of each image: broken pictures that are left out are counted."""
        cache = self._decoded()
        broken = _broken(cache)
        whole = [str(row) for row in range(len(cache.images) + len(broken)) if row not in broken]
        factors, levels = self._labelled(cache) if self.labels else (None, None)
        order = in_order(levels, factors)
        return tuple(whole if order is None else [whole[place] for place in order])

    def find(self, root: Path | None = None) -> Path | None:
        """The folder or file, if it is there."""
        return self.path if self.path.exists() else None

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path | None:
        """Decode the pictures, unless that is done, and say which could not be used."""
        cache = self._decoded(tell)
        if cache.notes and tell is not None:
            tell(f"{self.path}: {some(cache.notes)}")
        return cache.folder

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """``notes``: which pictures are left out, and why; ``doubts``: that all is nearly black."""
        cache = self._decoded()
        return {"notes": cache.notes, "doubts": dark(cache.images)}

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images; ``root`` is not used."""
        cache = self._decoded()
        factors, levels = self._labelled(cache) if self.labels else (None, None)
        table = shared([cache.folder / "images.npy"], self, lambda: Table(cache.images, levels))
        order = in_order(levels, factors)
        left = f", {len(cache.notes)} broken pictures left out" if cache.notes else ""
        source = f"{self.path}, {len(cache.images):,} pictures{left}"
        return StoredImages(table, factors, source, torch.device(device), order)

    def check(self, root: Path | None = None) -> list[str]:
        """Compares the decoded images with the checksums taken when they were made.

        Raises:
            UserError: one line that says what is wrong.
        """
        cache = self._decoded()
        verify(cache)
        return [
            f"{self.path}: {len(cache.images):,} of {len(cache.images) + len(cache.notes):,} pictures can be used",
            *cache.notes,
            f"{cache.folder}: as it was written",
        ]

    def _decoded(self, tell: Tell | None = None) -> Cache:
        known(self.fit, FITS, "fit")
        if not SIDES[0] <= self.size <= SIDES[1]:
            raise UserError(f"hugging-face: size = {self.size}; allowed: {SIDES[0]} to {SIDES[1]} pixels")
        table = opened(self.path, self.split)
        column = self._column(table)
        look = Look(self.size, self.fit, self.grey)
        how: dict[str, Any] = {"at": place(self.path), "look": list(look), "column": column}
        how |= {"split": self.split, "files": states(self.path)}

        def pieces(start: int) -> Iterator[Piece]:
            return decoded(table, column, look, start)

        recipe = Recipe(self.name, how, len(table), look.shape, pieces)
        cache = prepared(recipe) or prepare(recipe, tell)
        if cache.notes and not self.skip_broken:
            raise UserError(
                f"{self.path}: {some(cache.notes)}; allowed: pictures that can be read, or skip_broken (with --data: "
                f"{self.path}:skip-broken) to leave these out"
            )
        return cache

    def _column(self, table: Any) -> str:
        import datasets

        pictures = [name for name, kind in table.features.items() if isinstance(kind, datasets.Image)]
        if self.column is not None:
            return known(self.column, pictures, "column of pictures")
        if len(pictures) != 1:
            held = ", ".join(table.column_names[:8])
            raise UserError(f"{self.path}: {len(pictures)} columns of pictures among {held}; allowed: one, or column")
        return pictures[0]

    def _labelled(self, cache: Cache) -> tuple[Factors, NDArray[np.int64]]:
        table = opened(self.path, self.split)
        broken = _broken(cache)
        sizes, levels = [], []
        for name in self.labels:
            values = table[known(name, table.column_names, "column")]
            texts = ["" if value is None else str(value) for row, value in enumerate(values) if row not in broken]
            size, one = ranked(f"{self.path}: column {name!r}", texts)
            if size < 2:
                raise UserError(f"{self.path}: column {name!r} is the same for all pictures; expected two values")
            sizes.append(size)
            levels.append(one)
        names = tuple(heading(str(self.path), name) for name in self.labels)
        return Factors(names, tuple(sizes)), np.stack(levels, axis=1)


def _broken(cache: Cache) -> set[int]:
    """The table's rows whose pictures are left out."""
    return {int(note.split()[1].rstrip(":")) - 1 for note in cache.notes}


def opened(path: Path, split: str | None) -> Any:
    """The table, its pictures left as bytes.

    Raises:
        UserError: ``datasets`` is not installed, nothing it can read there, or no such split.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(f"{path}: reading it needs datasets; run: pip install datasets") from None
    if not path.exists():
        raise UserError(f"{path}: no such data set; allowed: a folder that save_to_disk wrote, or a {PARQUET} file")
    try:
        if path.is_dir():
            found = datasets.load_from_disk(str(path))
        else:
            with _quietly(datasets):
                found = datasets.Dataset.from_parquet(str(path), cache_dir=str(cache_root() / "hugging-face"))
    except Exception as error:  # that library raises whatever its own libraries do
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a data set that datasets can read ({type(error).__name__}: {reason})") from None
    if isinstance(found, datasets.DatasetDict):
        if split is None and len(found) != 1:
            raise UserError(f"{path}: several splits; allowed: split = {' or '.join(found)}")
        found = found[known(split, found, "split") if split is not None else next(iter(found))]
    for name, kind in found.features.items():
        if isinstance(kind, datasets.Image):
            found = found.cast_column(name, datasets.Image(decode=False))
    return found


def decoded(table: Any, column: str, look: Look, start: int) -> Iterator[Piece]:
    """Pictures from the ``start``-th on as images, by as many threads as there are processors; broken ones as notes."""

    def one(value: Any) -> NDArray[np.uint8] | str:
        content = value.get("bytes") if isinstance(value, dict) else None
        if not isinstance(content, bytes):
            return "no picture in the table itself"
        try:
            return image_of(content, look)
        except Broken as why:
            return str(why)

    pictures = table.select_columns([column])
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
        for first in range(start, len(table), AT_ONCE):
            values = pictures[first : first + AT_ONCE][column]
            with warnings.catch_warnings(action="ignore"):
                found = list(pool.map(one, values))
            images = [image for image in found if not isinstance(image, str)]
            notes = [f"picture {first + k + 1}: {why}" for k, why in enumerate(found) if isinstance(why, str)]
            stacked = np.stack(images) if images else np.empty((0, *look.shape), np.uint8)
            yield Piece(stacked, first + len(values), tuple(notes))


def saved(path: Path) -> bool:
    """Whether a path is a data set of that library: a folder that ``save_to_disk`` wrote, or a ``.parquet`` file."""
    return (path.is_dir() and any((path / mark).is_file() for mark in MARKS)) or (
        path.suffix.lower() == PARQUET and path.is_file()
    )


@contextmanager
def _quietly(datasets: Any) -> Iterator[None]:
    """Without that library's own progress bars."""
    silent = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not silent:
            datasets.enable_progress_bars()

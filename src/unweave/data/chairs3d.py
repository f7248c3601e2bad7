"""3D Chairs: 1,393 chair models from 62 directions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, compare, prepare, verify
from unweave.data.factors import Factors
from unweave.data.files import data_root
from unweave.data.formats.folder import fingerprint, listing, reader
from unweave.data.formats.pictures import LARGEST, Rule, pieces
from unweave.data.stored import StoredImages, Table, check_table, missing, shared
from unweave.types import Reference, UserError

CHAIRS, ELEVATIONS, AZIMUTHS = 1_393, 2, 31
WIDTH = 600
SIZES = (28, 32, 64, 128)
FOLDER = "rendered_chairs"
VIEW = re.compile(r"([^/]+)/renders/image_(\d{3})_p(\d{3})_t(\d{3})_r(\d{3})\.png")
"""A picture's name: chair, number, elevation in degrees, azimuth in degrees, distance."""
AUBRY = Reference(
    "aubry2014seeing",
    "Aubry, Mathieu and Maturana, Daniel and Efros, Alexei A. and Russell, Bryan C. and Sivic, Josef",
    "Seeing 3D Chairs: Exemplar Part-Based 2D-3D Alignment Using a Large Dataset of CAD Models",
    "IEEE Conference on Computer Vision and Pattern Recognition",
    2014,
    "https://doi.org/10.1109/CVPR.2014.487",
)


@dataclass(frozen=True)
class Chairs3D(Dataset):
    """3D Chairs (Aubry et al., 2014): renderings of 1,393 chairs from 2 elevations and 31 azimuths, 86,366 in all.

    Read from the unpacked folder ``rendered_chairs`` and decoded once into a cache: resized by Pillow's Lanczos filter,
    then turned grey. The papers count 1,394 chairs and use the set without factors. Rows go by the folder's name, then
    the picture's.

    Implementation details: the code that the field copies resizes first, then cuts out the middle 400 × 400 pixels and
    drops the result, so that its images are of the whole picture: ``crop`` None. It also saves them as JPEG files in
    between, which is not repeated here.

    Args:
        crop: side of the square cut out of the middle before resizing: None (as others in effect do) or 400 (as they
            say), or any other up to 600.
        size: height and width: 28, 32, 64 or 128.
        channels: 1 (grey) or 3.
        views: make factors of what the files' names say: chair (1,393), elevation (2), azimuth (31). Rows are then
            numbered by them, azimuth fastest.

    Raises:
        UserError: from ``open``, without the files, for files that are not as published, or for settings not allowed.

    >>> Chairs3D().rows, Chairs3D().factors, Chairs3D(views=True).factors.sizes
    (86366, None, (1393, 2, 31))
    """

    crop: int | None = None
    size: int = 64
    channels: int = 1
    views: bool = False

    name: ClassVar[str] = "chairs3d"
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (AUBRY,)
    licence: ClassVar[str] = "not stated by its authors; the models belong to others"
    files: ClassVar[tuple[str, ...]] = (f"{FOLDER}/",)
    needs_files: ClassVar[bool] = True
    published: ClassVar[str] = "https://www.di.ens.fr/willow/research/seeing3Dchairs"

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """channels, size, size."""
        return self.channels, self.size, self.size

    @property
    def factors(self) -> Factors | None:
        """None; with ``views`` chair, elevation and azimuth (an angle)."""
        if not self.views:
            return None
        return Factors(("chair", "elevation", "azimuth"), (CHAIRS, ELEVATIONS, AZIMUTHS), (False, False, True))

    @property
    def rows(self) -> int:
        """86,366."""
        return CHAIRS * ELEVATIONS * AZIMUTHS

    def find(self, root: Path | None = None) -> Path | None:
        """The folder of chairs."""
        base = data_root(root)
        if base is None:
            return None
        return next((one for one in (base / FOLDER, base / self.name / FOLDER) if one.is_dir()), None)

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path:
        """Decode all pictures into a cache: 354 MB at 64 × 64, grey."""
        return prepare(self._recipe(root)[0], tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, from the cache, which is made now if it is not there."""
        recipe, names = self._recipe(root)
        cache = prepare(recipe)
        table = shared([cache.folder / "images.npy"], self.name, lambda: Table(cache.images))
        chosen = by_view(names) if self.views else None
        return StoredImages(table, self.factors, str(self.find(root)), torch.device(device), chosen)

    def check(self, root: Path | None = None) -> list[str]:
        """Decodes every published picture again and compares the cache with it.

        Raises:
            UserError: one line that says what is wrong.
        """
        recipe, names = self._recipe(root)
        cache = prepare(recipe)
        verify(cache)
        compare(recipe, cache)
        by_view(names)
        return [
            *check_table(self, self.open(root)),
            f"{cache.folder}: every picture decoded again: as kept",
            f"{CHAIRS:,} chairs, each from {ELEVATIONS} elevations and {AZIMUTHS} azimuths",
        ]

    def _recipe(self, root: Path | None) -> tuple[Recipe, list[str]]:
        if (
            self.size not in SIZES
            or self.channels not in (1, 3)
            or not 1 <= (WIDTH if self.crop is None else self.crop) <= WIDTH
        ):
            raise UserError(
                f"chairs3d: crop = {self.crop}, size = {self.size}, channels = {self.channels}; allowed: crop None or "
                f"1 to {WIDTH}, size {', '.join(map(str, SIZES))}, channels 1 or 3"
            )
        path = self.find(root)
        if path is None:
            raise missing(self, root)
        held = listing(path)
        names = sorted(name for name in held if VIEW.fullmatch(name))
        if len(names) != self.rows:
            chairs = len({name.partition("/")[0] for name in names})
            raise UserError(
                f"{path}: {len(names):,} pictures of {chairs:,} chairs named as published "
                f"(…/renders/image_001_p020_t011_r096.png); expected {self.rows:,} of {CHAIRS:,}"
            )
        mode: Literal["RGB", "L"] = "L" if self.channels == 1 else "RGB"
        rule = Rule("PNG", (WIDTH, WIDTH), self.crop, self.size, "lanczos", mode)

        def decoded(start: int) -> Iterator[Piece]:
            with reader(path, LARGEST) as read:
                yield from pieces(names, read, rule, str(path), start)

        identity = {"pictures": fingerprint(held, names), "rule": list(rule)}
        return Recipe(self.name, identity, len(names), rule.shape, decoded), names


def by_view(names: list[str]) -> NDArray[np.int64]:
    """(N,) places of the pictures in the order of chair, elevation, azimuth.

    Raises:
        UserError: the directions are not the same for all chairs.
    """
    found = [match for name in names if (match := VIEW.fullmatch(name))]
    keys = [(match[1], int(match[3]), int(match[4])) for match in found]
    chairs, elevations, azimuths = (sorted({key[place] for key in keys}) for place in range(3))
    sizes = (len(chairs), len(elevations), len(azimuths))
    if sizes != (CHAIRS, ELEVATIONS, AZIMUTHS) or len(set(keys)) < len(names):
        raise UserError(
            f"chairs3d: {len(set(keys)):,} different pictures of {sizes[0]} chairs, {sizes[1]} elevations, {sizes[2]} "
            f"azimuths; expected every combination of {CHAIRS}, {ELEVATIONS}, {AZIMUTHS}"
        )
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)

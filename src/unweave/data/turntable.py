"""Toys on a turntable: small grey pictures of things seen from all sides, for want of such photographs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, prepare, prepared
from unweave.data.factors import Factors
from unweave.data.stored import StoredImages, Table, shared
from unweave.data.toys.casting import LAMPS, WIDTH, light, look
from unweave.data.toys.forms import INSTANCES, KINDS, toy
from unweave.types import Reference, UserError

ELEVATIONS = tuple(range(10, 75, 8))
"""Degrees above the table."""
TURNS = 18
SIZES = (len(KINDS), INSTANCES, len(ELEVATIONS), TURNS, len(LAMPS))
VIEWS = len(ELEVATIONS) * TURNS
DRAWING = 1
"""Raised when a pixel changes, so that what was kept on disk is drawn anew."""
BUILD_AFTER = 4096
"""Images drawn one by one after which drawing all 48,600 and keeping them on disk has paid."""
DRAWN = "drawn: toys of unweave's own"

LECUN_2004 = Reference(
    "lecun2004learning",
    "LeCun, Yann and Huang, Fu Jie and Bottou, Léon",
    "Learning methods for generic object recognition with invariance to pose and lighting",
    "IEEE Computer Society Conference on Computer Vision and Pattern Recognition",
    2004,
    "https://doi.org/10.1109/CVPR.2004.1315150",
)


@dataclass(frozen=True)
class Turntable(Dataset):
    """Fifty toys of five kinds on a turntable under six lamps: a drawn set made like SmallNORB (LeCun et al., 2004).

    Animals, people, planes, trucks and cars, ten of each, put together from balls, boxes and rods; 9 heights of the
    camera, 18 turns of the table. As many images as SmallNORB has, and its factors, with the ten toys of a kind as a
    factor of their own. No file is read, and **no number on this set compares with one on SmallNORB, Cars3D or 3D
    Chairs**: it is there so that methods can be tried on such data anywhere.

    Implementation details: perspective camera, nine rays a pixel, Lambert's shading with a small highlight, no cast
    shadows but darkness under the toy. All images are drawn once, in about a minute, and kept on disk (199 MB); up to
    4,096 images are drawn one by one before.

    >>> images = Turntable().open()
    >>> rows = torch.tensor([0, 48_599])
    >>> images.batch(rows, {}).shape, images.levels(rows).tolist()
    (torch.Size([2, 1, 64, 64]), [[0, 0, 0, 0, 0], [4, 9, 8, 17, 5]])
    """

    name: ClassVar[str] = "turntable"
    shape: ClassVar[tuple[int, int, int]] = (1, WIDTH, WIDTH)
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (LECUN_2004,)
    licence: ClassVar[str] = "Apache-2.0 (drawn by unweave)"
    published: ClassVar[str] = "drawn here, there is no file; in the manner of SmallNORB"

    @property
    def factors(self) -> Factors:
        """Kind of toy, which of ten, height of the camera, turn of the table (wraps around), lamp; lamp fastest."""
        names = ("category", "instance", "elevation", "azimuth", "lighting")
        return Factors(names, SIZES, (False, False, False, True, False))

    @property
    def rows(self) -> int:
        """48,600."""
        return self.factors.count

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path | None:
        """Draw all images and keep them on disk, unless that is done."""
        return prepare(_recipe(), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images: those kept on disk, else drawn when asked for. On another device all are drawn now."""
        where = torch.device(device)
        if where.type != "cpu" or prepared(_recipe()) is not None:
            return StoredImages(_table(), self.factors, DRAWN, where)
        return ToyImages(self.factors)


class ToyImages(Images):
    """Images drawn when they are asked for, and all of them when many were."""

    factors: Factors

    def __init__(self, factors: Factors) -> None:
        self.factors, self.rows, self.source = factors, factors.count, DRAWN
        self.drawn = 0
        self.all: StoredImages | None = None

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, 1, 64, 64) float32, whole levels of 255; ``draws`` is not used."""
        if self.all is None and self.drawn + len(rows) > BUILD_AFTER:
            self.all = StoredImages(_table(), self.factors, DRAWN, torch.device("cpu"))
        if self.all is not None:
            return self.all.batch(rows, draws)
        if bool(((rows < 0) | (rows >= self.rows)).any()):
            raise IndexError(f"turntable: row numbers {rows.tolist()[:8]} …; allowed are 0 to {self.rows - 1}")
        self.drawn += len(rows)
        pixels = np.zeros((len(rows), WIDTH, WIDTH), np.uint8)
        views, back = np.unique(rows.numpy() // len(LAMPS), return_inverse=True)
        for number, view in enumerate(views.tolist()):
            which = np.flatnonzero(back == number)
            pixels[which] = draw(view, [int(rows[k]) % len(LAMPS) for k in which])
        return torch.from_numpy(pixels)[:, None].to(torch.float32).div_(255)

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, 5) levels."""
        return self.factors.levels(rows)


def draw(view: int, lamps: list[int]) -> NDArray[np.uint8]:
    """(L, 64, 64): one view under some lamps; views are numbered by toy, elevation and (fastest) azimuth."""
    which, place = divmod(view, VIEWS)
    elevation, turn = divmod(place, TURNS)
    seen = look(toy(*divmod(which, INSTANCES)), 360 / TURNS * turn, ELEVATIONS[elevation])
    return np.stack([light(seen, LAMPS[lamp]) for lamp in lamps])


def _pieces(start: int) -> Iterator[Piece]:
    """All images from the given one on, a toy at a time."""
    every, lamps = VIEWS * len(LAMPS), list(range(len(LAMPS)))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "draw") as pool:
        for first in range(start // every, len(KINDS) * INSTANCES):
            views = range(first * VIEWS, (first + 1) * VIEWS)
            found = np.concatenate(list(pool.map(lambda view: draw(view, lamps), views)))
            yield Piece(found[..., None], (first + 1) * every)


def _recipe() -> Recipe:
    count = int(np.prod(SIZES))
    return Recipe("turntable", {"drawing": DRAWING}, count, (WIDTH, WIDTH, 1), _pieces)


def _table() -> Table:
    """All images: mapped from the disk, or in memory where the disk refuses."""
    try:
        cache = prepare(_recipe())
    except UserError:
        return Table(np.concatenate([piece.images for piece in _pieces(0)]))
    return shared([cache.folder / "images.npy"], "turntable", lambda: Table(cache.images))

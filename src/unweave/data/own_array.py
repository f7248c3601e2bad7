"""The user's own images: an array in a file, mapped as it is or made to fit once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images, paths
from unweave.data.cache import Piece, Recipe, Tell, prepare, verify
from unweave.data.factors import Factors
from unweave.data.formats import arrays
from unweave.data.formats.anyfile import FITS, Look, shown
from unweave.data.formats.arrays import TYPES, Claim
from unweave.data.labels import read_labels
from unweave.data.stored import StoredImages, Table, check_table, dark, in_order, place, shared, state
from unweave.names import known
from unweave.types import UserError

CHANNELS = (1, 3)
SIDES = (4, 1024)
ROW = "row"
"""Column of the table of factors that numbers the images, from 0."""


@dataclass(frozen=True)
class ArrayFile(Dataset):
    """Images in a NumPy file: ``.npy``, or one array of an ``.npz``.

    The array is (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3; a shape that can be read both ways has its
    channels last. Bytes are taken as they are; 16 bits are divided by 257, black and white (bool) becomes 0 and 255,
    real numbers from 0 to 1 are multiplied by 255, and all are rounded to bytes.

    An ``.npy`` of bytes with its channels last is mapped where it lies; anything else is written once into a table on
    disk, which is then mapped, so that neither needs to fit into memory.

    Args:
        path: the file.
        key: which array of an ``.npz``; the only one that could be images when None.
        size: height and width of the images; as in the file when None.
        fit: with ``size``, what of an image is shown: ``crop``, ``pad`` or ``stretch``, as for a folder of pictures.
        grey: one channel instead of three.
        labels: a table of factors (CSV): a column ``row`` that counts images from 0, and one column a factor.

    Raises:
        UserError: from ``shape``, ``rows``, ``factors`` and ``open``: no such file, no images in it, a damaged file, a
            table that does not fit.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "x.npy"
    >>> np.save(place, np.full((5, 32, 32), 255, np.uint8))
    >>> data = ArrayFile(place)
    >>> data.rows, data.shape, float(data.open().batch(torch.tensor([4]), {}).mean())
    (5, (1, 32, 32), 1.0)
    """

    path: Path
    key: str | None = None
    size: int | None = None
    fit: str = "crop"
    grey: bool = False
    labels: Path | None = None

    name: ClassVar[str] = "array"
    likelihood: ClassVar[str] = "squared"
    licence: ClassVar[str] = "the user's own images"
    needs_files: ClassVar[bool] = True
    loose: ClassVar[bool] = True

    def __post_init__(self) -> None:
        paths(self, "path", "labels")

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """C, H, W as in the file, unless ``size`` or ``grey`` say otherwise."""
        height, width, channels = _layout(self._claim())[1:]
        return 1 if self.grey else channels, self.size or height, self.size or width

    @property
    def factors(self) -> Factors | None:
        """Columns of the table; their levels are the different values, in order."""
        return None if self.labels is None else self._labelled()[0]

    @property
    def rows(self) -> int:
        """N."""
        return self._claim().shape[0]

    @property
    def labels_file(self) -> Path | None:
        """``labels``."""
        return self.labels

    @property
    def names(self) -> tuple[str, ...]:
        """The file's row of each image: not 0, 1, 2 … where there is one image for every combination of levels."""
        factors, levels = self._labelled() if self.labels is not None else (None, None)
        order = in_order(levels, factors)
        return tuple(map(str, range(self.rows) if order is None else order))

    def find(self, root: Path | None = None) -> Path | None:
        """The file, if it is there."""
        return self.path if self.path.is_file() else None

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path | None:
        """Write the images into a cache, unless they are mapped as they are or that is done."""
        claim = self._claim()
        return None if self._as_it_is(claim) else prepare(self._recipe(claim), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images; ``root`` is not used."""
        claim = self._claim()
        factors, levels = self._labelled() if self.labels is not None else (None, None)

        def make() -> Table:
            if not self._as_it_is(claim):
                return Table(prepare(self._recipe(claim)).images, levels)
            whole = arrays.mapped(self.path, claim)
            return Table(whole if whole.ndim == 4 else whole[..., None], levels)

        table = shared([self.path, *([] if self.labels is None else [self.labels])], self, make)
        order = in_order(levels, factors)
        return StoredImages(table, factors, f"{self.path}, {self.rows:,} images", torch.device(device), order)

    def check(self, root: Path | None = None) -> list[str]:
        """Reads every image, and compares what was written into a cache with the checksums taken then.

        Raises:
            UserError: one line that says what is wrong.
        """
        claim = self._claim()
        if not self._as_it_is(claim):
            verify(prepare(self._recipe(claim)))
        return check_table(self, self.open(root))

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """``doubts``: that all is nearly black."""
        images = self.open()
        return {"doubts": dark(images.table.pixels) if isinstance(images, StoredImages) else []}

    def _claim(self) -> Claim:
        known(self.fit, FITS, "fit")
        if self.size is not None and not SIDES[0] <= self.size <= SIDES[1]:
            raise UserError(f"array: size = {self.size}; allowed: {SIDES[0]} to {SIDES[1]} pixels")
        try:
            found = self.path.stat()
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror or error}; allowed: an .npy or .npz file") from None
        return _chosen(self.path, self.key, found.st_mtime_ns, found.st_size)

    def _as_it_is(self, claim: Claim) -> bool:
        axis, height, width, channels = _layout(claim)
        same = claim.dtype == np.uint8 and not claim.key and axis != 1
        return same and self.shape == (channels, height, width)

    def _recipe(self, claim: Claim) -> Recipe:
        channels, height, width = self.shape
        how = {
            "at": place(self.path),
            "file": state(self.path),
            "key": claim.key,
            "size": self.size,
            "fit": self.fit,
            "grey": self.grey,
        }

        def pieces(start: int) -> Iterator[Piece]:
            done = 0
            for block in arrays.blocks(self.path, claim):
                done += len(block)
                if done > start:
                    yield Piece(self._images(claim, block[-(done - start) :]), done)

        return Recipe(self.name, how, claim.shape[0], (height, width, channels), pieces)

    def _images(self, claim: Claim, block: NDArray[np.generic]) -> NDArray[np.uint8]:
        from PIL import Image

        axis = _layout(claim)[0]
        found = arrays.pixels(f"{self.path}", block)
        found = np.moveaxis(found, axis, -1) if axis else found[..., None]
        if self.size is None and found.shape[-1] == self.shape[0]:
            return found
        made = []
        for one in found:
            picture = Image.fromarray(np.ascontiguousarray(one if one.shape[-1] > 1 else one[..., 0]))
            if self.size is None:
                made.append(np.asarray(picture.convert("L"))[..., None])
            else:
                made.append(shown(picture, Look(self.size, self.fit, self.shape[0] == 1)))
        return np.stack(made)

    def _labelled(self) -> tuple[Factors, NDArray[np.int64]]:
        assert self.labels is not None
        return read_labels(self.labels, [str(row) for row in range(self.rows)], column=ROW)


@lru_cache(maxsize=64)
def _chosen(path: Path, key: str | None, *state: int) -> Claim:
    """The array of a file that holds the images. ``state`` is what a changed file is known by."""
    every = arrays.claims(path)
    fitting = [one for one in every if _fits(one)]
    if key is not None and path.suffix.lower() == ".npz":
        fitting = [one for one in fitting if one.key == known(key, [claim.key for claim in every], "array")]
    if len(fitting) != 1:
        held = ", ".join(f"{one.key or 'an array'} {one.dtype.name} {one.shape}" for one in every[:6]) or "nothing"
        raise UserError(
            f"{path}: {len(fitting)} arrays that could be images; it holds {held}; allowed: one array (or, with key, "
            f"the one it names) of (N, H, W), (N, H, W, C) or (N, C, H, W), C = 1 or 3, {SIDES[0]} to {SIDES[1]} "
            f"pixels a side, {', '.join(TYPES)}"
        )
    return fitting[0]


def _fits(claim: Claim) -> bool:
    if claim.dtype.newbyteorder("=").name not in TYPES or len(claim.shape) not in (3, 4) or not claim.shape[0]:
        return False
    return _layout(claim)[3] in CHANNELS and all(SIDES[0] <= side <= SIDES[1] for side in _layout(claim)[1:3])


def _layout(claim: Claim) -> tuple[int, int, int, int]:
    """Which axis holds the channels (0 for none), then height, width and channels."""
    _, *rest = claim.shape
    if len(rest) == 2:
        return 0, rest[0], rest[1], 1
    if rest[2] in CHANNELS or rest[0] not in CHANNELS:
        return 3, rest[0], rest[1], rest[2]
    return 1, rest[1], rest[2], rest[0]

"""SmallNORB: toys photographed from 162 directions under six lights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, compare, prepare, verify
from unweave.data.factors import Factors
from unweave.data.files import find as find_file
from unweave.data.files import sha256
from unweave.data.formats import norb
from unweave.data.formats.pictures import lanczos
from unweave.data.stored import StoredImages, Table, check_table, missing, shared, state
from unweave.names import known
from unweave.types import Reference, UserError

SIZES = (5, 9, 18, 6)
"""Levels of category, elevation, azimuth, lighting."""
INSTANCES = {"train": (4, 6, 7, 8, 9), "test": (0, 1, 2, 3, 5)}
STEMS = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
KINDS = ("dat", "cat", "info")
SIDE, WIDTH = 64, 96
DAT = {
    "train": (131_896_188, "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873"),
    "test": (130_799_817, ""),
}
"""Size and SHA-256 (empty: not on record) of the published, packed pictures."""
MEANS = (0.75209,)
LECUN_2004 = Reference(
    "lecun2004norb",
    "LeCun, Yann and Huang, Fu Jie and Bottou, Léon",
    "Learning methods for generic object recognition with invariance to pose and lighting",
    "IEEE Conference on Computer Vision and Pattern Recognition",
    2004,
    "https://doi.org/10.1109/CVPR.2004.1315150",
)


@dataclass(frozen=True)
class SmallNORB(Dataset):
    """SmallNORB (LeCun et al., 2004): ten toys of each of five categories, seen from 9 × 18 directions, in six lights.

    The left camera's 48,600 pictures, 96 × 96 grey, resized to 64 × 64 (Lanczos, as in the disentanglement literature).
    Read from the six binary-matrix files, packed by gzip or not. Which of ten instances of a category is seen is a
    nuisance: rows are sorted by the factors, then by instance, so row = index · 10 + k (· 5 for one part).

    Implementation details: azimuth is the published number (0, 2, …, 34) divided by two. ``Images.index`` gives the
    first instance; random rows, as training draws them, give all.

    Args:
        part: ``all``, or the published ``train`` or ``test`` part, 24,300 pictures each, with five instances each.

    Raises:
        UserError: from ``open``, without the files, or for files that are not as published.

    >>> SmallNORB().rows, SmallNORB("test").rows, SmallNORB().factors.sizes
    (48600, 24300, (5, 9, 18, 6))
    """

    part: Literal["all", "train", "test"] = "all"

    name: ClassVar[str] = "smallnorb"
    shape: ClassVar[tuple[int, int, int]] = (1, SIDE, SIDE)
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (LECUN_2004,)
    licence: ClassVar[str] = "for research; not to be sold or redistributed"
    files: ClassVar[tuple[str, ...]] = tuple(f"{stem}-{kind}.mat.gz" for stem in STEMS.values() for kind in KINDS)
    needs_files: ClassVar[bool] = True
    published: ClassVar[str] = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small"

    @property
    def factors(self) -> Factors:
        """Category, elevation, azimuth (an angle), lighting; lighting fastest."""
        return Factors(("category", "elevation", "azimuth", "lighting"), SIZES, (False, False, True, False))

    @property
    def rows(self) -> int:
        """48,600, or 24,300 for one part."""
        return self.factors.count * self._copies

    @property
    def _copies(self) -> int:
        return sum(len(INSTANCES[part]) for part in parts(self.part))

    def find(self, root: Path | None = None) -> Path | None:
        """The images of the first part, if all files of the parts are there."""
        found = [find_part(root, part) for part in parts(self.part)]
        return None if found[0] is None or None in found else found[0][0]

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path:
        """Resize the pictures of the left camera into a cache of 199 MB (100 MB for one part)."""
        return prepare(self._recipe(root), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, from the cache, which is made now if it is not there."""
        cache = prepare(self._recipe(root))
        table = shared([cache.folder / "images.npy"], self.name, lambda: Table(cache.images))
        return StoredImages(table, self.factors, str(self.find(root)), torch.device(device), copies=self._copies)

    def check(self, root: Path | None = None) -> list[str]:
        """Reads the published files in full, the cache, and every image.

        Raises:
            UserError: one line that says what is wrong.
        """
        recipe = self._recipe(root)
        lines = []
        for part in parts(self.part):
            dat, cat, info = find_part(root, part) or _gone(self, root)
            places(cat, info, part)
            lines.append(f"{dat}: {_count(part):,} pairs of pictures; {_verdict(dat, part)}")
        cache = prepare(recipe)
        verify(cache)
        compare(recipe, cache)
        means = MEANS if self.part == "all" else None
        return [*check_table(self, self.open(root), means), *lines]

    def _recipe(self, root: Path | None) -> Recipe:
        paths = {part: find_part(root, part) or _gone(self, root) for part in parts(self.part)}
        identity = {"files": [state(path) for three in paths.values() for path in three]}

        def pieces(start: int) -> Iterator[Piece]:
            images = read(paths)
            yield Piece(images[start:], len(images))

        return Recipe(self.name, identity, self.rows, (SIDE, SIDE, 1), pieces)


def parts(part: str) -> tuple[str, ...]:
    """The published parts that ``part`` stands for. Raises UserError for an unknown one."""
    return tuple(STEMS) if known(part, ("all", *STEMS), "part of smallnorb") == "all" else (part,)


def find_part(root: Path | None, part: str) -> tuple[Path, Path, Path] | None:
    """The pictures, categories and settings of a part, each packed or not, if all three are there."""
    names = [[f"{STEMS[part]}-{kind}.mat{suffix}" for suffix in (".gz", "")] for kind in KINDS]
    dat, cat, info = (find_file(root, name, SmallNORB.name) for name in names)
    return None if dat is None or cat is None or info is None else (dat, cat, info)


def places(cat: Path, info: Path, part: str) -> NDArray[np.int64]:
    """(N, 5) levels of the pictures of a part: category, elevation, azimuth, lighting, and which instance it is.

    Raises:
        UserError: one line, where not every combination occurs exactly once.
    """
    count, instances = _count(part), np.array(INSTANCES[part])
    category = norb.read(cat, (count,), "int32").astype(np.int64)
    instance, elevation, azimuth, lighting = norb.read(info, (count, 4), "int32").astype(np.int64).T
    if (azimuth % 2).any():
        raise UserError(f"{info}: azimuth {azimuth[azimuth % 2 > 0][0]}; expected even numbers")
    which = np.searchsorted(instances, instance).clip(max=len(instances) - 1)
    levels = np.stack([category, elevation, azimuth // 2, lighting, which], axis=1)
    sizes = (*SIZES, len(instances))
    wrong = ((levels < 0) | (levels >= sizes)).any(1) | (instances[which] != instance)
    if wrong.any():
        row = int(wrong.argmax())
        found = (category[row], instance[row], elevation[row], azimuth[row], lighting[row])
        raise UserError(
            f"{info}: picture {row} has category, instance, elevation, azimuth, lighting {tuple(map(int, found))}; "
            f"expected below {SIZES[0]}, one of {', '.join(map(str, instances))}, below {SIZES[1]}, an even number "
            f"below {2 * SIZES[2]}, below {SIZES[3]}"
        )
    if len(np.unique(np.ravel_multi_index(tuple(levels.T), sizes))) < count:
        raise UserError(f"{info}: some combination of category and settings occurs twice; expected each once")
    return levels


def read(paths: Mapping[str, tuple[Path, Path, Path]]) -> NDArray[np.uint8]:
    """(N, 64, 64, 1): the left camera's pictures of the parts, resized, sorted by factors, then by instance."""
    every = sorted(one for part in paths for one in INSTANCES[part])
    images = np.empty((*SIZES, len(every), SIDE, SIDE, 1), np.uint8)
    for part, (dat, cat, info) in paths.items():
        levels = places(cat, info, part)
        levels[:, 4] = np.searchsorted(every, np.array(INSTANCES[part])[levels[:, 4]])
        start = 0
        for block in norb.blocks(dat, (_count(part), 2, WIDTH, WIDTH), "uint8"):
            for place, pair in zip(levels[start : start + len(block)].tolist(), block, strict=True):
                images[tuple(place)] = lanczos(pair[0], SIDE)
            start += len(block)
    return images.reshape(-1, SIDE, SIDE, 1)


def _count(part: str) -> int:
    return int(np.prod(SIZES)) * len(INSTANCES[part])


def _verdict(dat: Path, part: str) -> str:
    if dat.suffix != ".gz":
        return "checksums are known for the packed file only"
    size, digest = DAT[part]
    if not digest:
        return f"{'as many bytes as' if dat.stat().st_size == size else 'other size than'} the published file"
    return f"sha256 {'as published' if sha256(dat) == digest else 'not that of the published file'}"


def _gone(data: Dataset, root: Path | None) -> NoReturn:
    raise missing(data, root)

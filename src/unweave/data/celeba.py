"""CelebA: faces with forty attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, compare, prepare, verify
from unweave.data.factors import Factors
from unweave.data.files import data_root
from unweave.data.files import find as find_file
from unweave.data.formats.celeba import PARTS, read_attributes, read_parts
from unweave.data.formats.folder import fingerprint, listing, reader
from unweave.data.formats.pictures import LARGEST, Rule, pieces
from unweave.data.stored import StoredImages, Table, check_table, missing, shared
from unweave.names import known
from unweave.types import Reference, UserError

COUNTS = {"train": 162_770, "valid": 19_867, "test": 19_962}
WIDTH, HEIGHT = 178, 218
SIZES = (28, 32, 64, 128)
FOLDER, ARCHIVE = "img_align_celeba", "img_align_celeba.zip"
ATTRIBUTES_FILE, PARTS_FILE = "list_attr_celeba.txt", "list_eval_partition.txt"
ATTRIBUTES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)
"""As the second line of the attribute file has them."""
LIU = Reference(
    "liu2015faceattributes",
    "Liu, Ziwei and Luo, Ping and Wang, Xiaogang and Tang, Xiaoou",
    "Deep Learning Face Attributes in the Wild",
    "IEEE International Conference on Computer Vision",
    2015,
    "https://arxiv.org/abs/1411.7766",
)


@dataclass(frozen=True)
class CelebA(Dataset):
    """CelebA (Liu et al., 2015): 202,599 aligned and cropped photographs of faces, 178 × 218, with 40 attributes.

    Read from the folder ``img_align_celeba`` (or the zip archive of that name), ``list_attr_celeba.txt`` and
    ``list_eval_partition.txt``; decoded once into a cache. The attributes are factors of two levels each (1: present).
    They are correlated and do not fix the face: many images share all of them, and most combinations have none.

    Args:
        part: ``all``, or the published ``train``, ``valid`` or ``test`` part.
        crop: side of the square cut out of the middle before resizing: 178 (as Guided-VAE, with which BHiVAE compares),
            148 (closer, as many others), or None to squash the whole picture.
        size: height and width: 28, 32, 64 or 128; resized bilinearly over all pixels.
        attributes: which attributes are factors, in order; all 40 when empty.

    Raises:
        UserError: from ``open``, without the files, for files that are not as published, or for settings not allowed.

    >>> CelebA().rows, CelebA("test", attributes=("Smiling", "Male")).factors.sizes
    (202599, (2, 2))
    """

    part: Literal["all", "train", "valid", "test"] = "all"
    crop: int | None = WIDTH
    size: int = 64
    attributes: tuple[str, ...] = ()

    name: ClassVar[str] = "celeba"
    likelihood: ClassVar[str] = "squared"
    references: ClassVar[tuple[Reference, ...]] = (LIU,)
    licence: ClassVar[str] = "non-commercial research only; the photographs belong to others"
    files: ClassVar[tuple[str, ...]] = (f"{FOLDER}/ or {ARCHIVE}", ATTRIBUTES_FILE, PARTS_FILE)
    needs_files: ClassVar[bool] = True
    published: ClassVar[str] = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """3, size, size."""
        return 3, self.size, self.size

    @property
    def factors(self) -> Factors:
        """The attributes: 0 absent, 1 present."""
        names = self.attributes or ATTRIBUTES
        return Factors(names, (2,) * len(names))

    @property
    def rows(self) -> int:
        """202,599, or those of one part, in the order of the files."""
        whole = sum(COUNTS.values())
        return {**COUNTS, "all": whole}[known(self.part, [*COUNTS, "all"], "part of celeba")]

    def find(self, root: Path | None = None) -> Path | None:
        """The folder or archive of pictures, if both text files are there."""
        found = _locate(root)
        return None if found is None else found[0]

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path:
        """Decode all pictures, whatever the part, into a cache: 2.5 GB at 64 × 64."""
        return prepare(self._recipe(root), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, from the cache, which is made now if it is not there."""
        cache = prepare(self._recipe(root))
        pictures, attributes, parts = _locate(root) or _gone(self, root)
        table = shared(
            [cache.folder / "images.npy", attributes],
            self.attributes,
            lambda: Table(cache.images, self._levels(attributes)),
        )
        chosen = None if self.part == "all" else _rows(parts, self.part)
        return StoredImages(table, self.factors, str(pictures), torch.device(device), chosen)

    def check(self, root: Path | None = None) -> list[str]:
        """Decodes every published picture again, compares the cache with it, and reads both text files.

        Raises:
            UserError: one line that says what is wrong.
        """
        recipe = self._recipe(root)
        cache = prepare(recipe)
        verify(cache)
        compare(recipe, cache)
        for part in COUNTS:
            _rows((_locate(root) or _gone(self, root))[2], part)
        return [
            *check_table(self, self.open(root)),
            f"{cache.folder}: every picture decoded again: as kept",
            f"{ATTRIBUTES_FILE}, {PARTS_FILE}: a line for every picture, parts of {_counts()}",
        ]

    def _recipe(self, root: Path | None) -> Recipe:
        self._allowed()
        path = (_locate(root) or _gone(self, root))[0]
        rule = Rule("JPEG", (WIDTH, HEIGHT), self.crop, self.size, "bilinear", "RGB")
        names, held = _names(), listing(path, FOLDER)
        absent = [name for name in names if name not in held]
        if absent:
            raise UserError(
                f"{path}: {len(absent):,} of {len(names):,} pictures are missing, first {absent[0]}; unpack it again"
            )

        def decoded(start: int) -> Iterator[Piece]:
            with reader(path, LARGEST, FOLDER) as read:
                yield from pieces(names, read, rule, str(path), start)

        identity = {"pictures": fingerprint(held, names), "rule": list(rule)}
        return Recipe(self.name, identity, len(names), rule.shape, decoded)

    def _allowed(self) -> None:
        known(self.part, ("all", *PARTS), "part of celeba")
        for one in self.attributes:
            known(one, ATTRIBUTES, "attribute")
        if self.size not in SIZES or len(set(self.attributes)) < len(self.attributes):
            raise UserError(
                f"celeba: size = {self.size}, attributes = {self.attributes}; allowed: size "
                f"{', '.join(map(str, SIZES))}, each attribute once"
            )
        if self.crop is not None and not 1 <= self.crop <= WIDTH:
            raise UserError(f"celeba: crop = {self.crop}; allowed: 1 to {WIDTH} pixels, or None")

    def _levels(self, path: Path) -> NDArray[np.uint8]:
        every = read_attributes(path, ATTRIBUTES, _names())
        return every[:, [ATTRIBUTES.index(name) for name in self.factors.names]]


def _locate(root: Path | None) -> tuple[Path, Path, Path] | None:
    """Pictures (folder or archive), attributes and parts, if all three are there."""
    base = data_root(root)
    if base is None:
        return None
    near = [place / FOLDER for place in (base, base / CelebA.name)]
    # The archive holds a folder of its own name; unpacked into one of that name, the pictures lie one deeper.
    folders = [one for place in near for one in (place / FOLDER, place) if (one / "000001.jpg").is_file()]
    pictures = folders[0] if folders else find_file(root, (ARCHIVE,), CelebA.name)
    attributes, parts = (find_file(root, (name,), CelebA.name) for name in (ATTRIBUTES_FILE, PARTS_FILE))
    return None if pictures is None or attributes is None or parts is None else (pictures, attributes, parts)


def _names() -> list[str]:
    return [f"{number:06}.jpg" for number in range(1, sum(COUNTS.values()) + 1)]


def _rows(path: Path, part: str) -> NDArray[np.int64]:
    rows = np.flatnonzero(read_parts(path, _names()) == PARTS.index(part))
    if len(rows) != COUNTS[part]:
        raise UserError(f"{path}: {len(rows):,} pictures in part {part!r}; expected {COUNTS[part]:,}")
    return rows


def _counts() -> str:
    return ", ".join(f"{count:,}" for count in COUNTS.values())


def _gone(data: Dataset, root: Path | None) -> NoReturn:
    raise missing(data, root)

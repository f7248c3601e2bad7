"""What MNIST and its drop-in replacements share: 60,000 and 10,000 grey images of 28 × 28 pixels in idx files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.factors import Factors
from unweave.data.files import data_root
from unweave.data.formats import idx
from unweave.data.stored import StoredImages, Table, check_table, missing, shared
from unweave.names import known
from unweave.types import UserError

WIDTH, CLASSES = 28, 10
COUNTS = {"train": 60_000, "test": 10_000}
STEMS = {"train": "train", "test": "t10k"}
SIZES = (28, 32, 64, 128)
FITS = ("resize", "pad")
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
FILES = tuple(f"{stem}-{kind}.gz" for stem in STEMS.values() for kind in KINDS)
"""Names of the published files: images and labels of the training and of the test part."""


@dataclass(frozen=True)
class Digits(Dataset):
    """What the sets in MNIST's format have in common; not a data set itself. See ``MNIST`` for the arguments."""

    part: Literal["train", "test"] = "train"
    size: int = WIDTH
    fit: Literal["resize", "pad"] = "resize"
    binary: bool = False

    likelihood: ClassVar[str] = "bernoulli"
    files: ClassVar[tuple[str, ...]] = FILES
    needs_files: ClassVar[bool] = True
    label: ClassVar[str] = "digit"
    """What the ten classes are."""
    folders: ClassVar[tuple[str, ...]] = ()
    """Folders of the data root where the files may lie; the first is the one that messages name."""
    digests: ClassVar[Mapping[str, str]] = {}
    """SHA-256 of each file's unpacked bytes after the header, as published, by the file's name."""

    md5s: ClassVar[Mapping[str, str]] = {}
    """MD5 of the files as published, still packed, where only that is known."""

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """1, size, size."""
        return 1, self.size, self.size

    @property
    def factors(self) -> Factors:
        """The class alone: a label, of which each level has thousands of images."""
        return Factors((self.label,), (CLASSES,))

    @property
    def rows(self) -> int:
        """60,000 training images or 10,000 test images, in the order of the files."""
        return COUNTS[known(self.part, COUNTS, f"part of {self.name}")]

    def find(self, root: Path | None = None) -> Path | None:
        """The file of this part's images, if its labels lie beside it."""
        pair = find_pair(root, self.folders, self.part)
        return None if pair is None else pair[0]

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images and labels of this part, read from the two files and held in memory as bytes.

        Raises:
            UserError: no files, files that are not as published, or settings that are not allowed.
        """
        check_fit(self.name, self.size, self.fit)
        pair = find_pair(root, self.folders, self.part)
        if pair is None:
            raise missing(self, root)

        def make() -> Table:
            pixels, labels = read_pair(pair, self.part)
            return Table(fitted(pixels, self.size, self.fit, self.binary), labels[:, None])

        table = shared(pair, self, make)
        return StoredImages(table, self.factors, str(pair[0]), torch.device(device))

    def check(self, root: Path | None = None) -> list[str]:
        """Reads all files that are there in full and compares them with the published ones.

        Raises:
            UserError: one line that says what is wrong.
        """
        images = self.open(root)
        lines = check_table(self, images)
        for part in COUNTS:
            pair = find_pair(root, self.folders, part)
            if pair is None:
                lines.append(f"{part} part: not found")
                continue
            for path, array in zip(pair, read_pair(pair, part), strict=True):
                digest = hashlib.sha256(array.tobytes()).hexdigest()
                expected = self.digests.get(path.name.removesuffix(".gz"))
                if expected is not None and digest != expected:
                    raise UserError(
                        f"{path}: its numbers have sha256 {digest}; {self.name}'s have {expected}: another data set"
                    )
                same = "as published" if expected else self._verdict(path)
                lines.append(f"{path}: {len(array):,} entries, sha256 of the numbers {digest}: {same}")
        return lines

    def _verdict(self, path: Path) -> str:
        known = self.md5s.get(path.name)
        if known is None:
            return "none on record"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        return f"md5 of the file {'as published' if found == known else f'{found}, not that of the published file'}"


def find_pair(root: Path | None, folders: tuple[str, ...], part: str) -> tuple[Path, Path] | None:
    """Images and labels of a part, packed or not, in one of the folders of the data root, or in the root itself if
    that is such a folder: all these sets use the same file names, so the folder says which one it is."""
    base = data_root(root)
    if base is None:
        return None
    places = [base / folder for folder in folders]
    if base.resolve().name in folders:
        places.insert(0, base)
    for place in places:
        for suffix in (".gz", ""):
            pair = tuple(place / f"{STEMS[part]}-{kind}{suffix}" for kind in KINDS)
            if all(path.is_file() for path in pair):
                return pair[0], pair[1]
    return None


def read_pair(pair: tuple[Path, Path], part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(N, 28, 28) images and (N,) labels. Raises UserError, one line, for files that are not as published."""
    count = COUNTS[part]
    labels = idx.read(pair[1], (count,))
    if labels.max() >= CLASSES:
        raise UserError(f"{pair[1]}: label {labels.max()} of image {labels.argmax()}; expected 0 to {CLASSES - 1}")
    return idx.read(pair[0], (count, WIDTH, WIDTH)), labels


def check_fit(name: str, size: int, fit: str) -> None:
    """Raises UserError for an image size or a way to get there that is not allowed."""
    if size not in SIZES or fit not in FITS:
        raise UserError(
            f"{name}: size = {size}, fit = {fit!r}; allowed: size {', '.join(map(str, SIZES))}, fit {' or '.join(FITS)}"
        )


def fitted(pixels: NDArray[np.uint8], size: int, fit: str, binary: bool) -> NDArray[np.uint8]:
    """(N, 28, 28) images as (N, size, size, 1): padded with black or resized bilinearly; 0 or 255 where binary.

    >>> fitted(np.full((1, 28, 28), 128, np.uint8), 32, "pad", True)[0, :, 16, 0].tolist()[:4]
    [0, 0, 255, 255]
    """
    from PIL import Image

    if size != WIDTH and fit == "pad":
        margin = (size - WIDTH) // 2
        pixels = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)))
    elif size != WIDTH:
        bilinear, larger = Image.Resampling.BILINEAR, np.empty((len(pixels), size, size), np.uint8)
        for place, one in enumerate(pixels):
            larger[place] = np.asarray(Image.fromarray(one).resize((size, size), bilinear))
        pixels = larger
    if binary:
        pixels = np.where(pixels > 127, np.uint8(255), np.uint8(0))
    return pixels[..., None]

"""MNIST-Rotation: 1,000 digits of MNIST in six directions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.digits import CLASSES, FILES, WIDTH, check_fit, find_pair, fitted, read_pair
from unweave.data.factors import Factors
from unweave.data.mnist import FOLDERS, LECUN, LICENCE, PUBLISHED
from unweave.data.stored import StoredImages, Table, check_table, missing, shared
from unweave.types import Reference, UserError

ANGLES = (0, 15, 30, 45, 60, 75)
"""Degrees, counter-clockwise, one a domain."""
EACH = 100
"""Images of each digit in each domain."""
GHIFARY = Reference(
    "ghifary2015domain",
    "Ghifary, Muhammad and Kleijn, W. Bastiaan and Zhang, Mengjie and Balduzzi, David",
    "Domain Generalization for Object Recognition with Multi-task Autoencoders",
    "IEEE International Conference on Computer Vision",
    2015,
    "https://arxiv.org/abs/1508.07680",
)


@dataclass(frozen=True)
class MNISTRotation(Dataset):
    """MNIST-Rotation (Ghifary et al., 2015): 100 training digits of each class, turned by 0°, 15°, …, 75°.

    Made from MNIST's training files: six domains of 1,000 images. Rows are sorted by digit, then domain, then the
    number k of the image within both, so row = (digit · 6 + domain) · 100 + k. When paired, image k of a digit is the
    same handwriting in all domains. Factors are digit and domain; the handwriting is not labelled.

    Implementation details: which images are taken is not published. Here those of a class are sorted by a hash of
    their number and ``seed`` and the first 100 are taken, or the first 600 when not paired. They are turned at 28 × 28
    about the middle, bilinearly, with black coming in, and only then resized or padded.

    Args:
        paired: the same 1,000 images in every domain; else 6,000 different ones.
        seed: which images, from 0.
        size: height and width: 28 as published, or 32, 64 or 128.
        fit: how a larger image comes about: ``resize`` (bilinear) or ``pad`` (black around).
        binary: 1 where a pixel, after turning and resizing, is above 0.5, else 0.

    Raises:
        UserError: from ``open``, without MNIST's files, for files that are not as published, or for settings not
            allowed.

    >>> MNISTRotation().rows, MNISTRotation().factors.sizes
    (6000, (10, 6))
    """

    paired: bool = True
    seed: int = 0
    size: int = WIDTH
    fit: Literal["resize", "pad"] = "resize"
    binary: bool = False

    name: ClassVar[str] = "mnist-rotation"
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (GHIFARY, LECUN)
    licence: ClassVar[str] = f"{LICENCE} (MNIST's files)"
    files: ClassVar[tuple[str, ...]] = FILES[:2]
    needs_files: ClassVar[bool] = True
    published: ClassVar[str] = f"{PUBLISHED} (made from MNIST's training files)"

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """1, size, size."""
        return 1, self.size, self.size

    @property
    def factors(self) -> Factors:
        """Digit and domain (the angle, which does not wrap around: 0° to 75°)."""
        return Factors(("digit", "domain"), (CLASSES, len(ANGLES)))

    @property
    def rows(self) -> int:
        """6,000."""
        return self.factors.count * EACH

    def find(self, root: Path | None = None) -> Path | None:
        """MNIST's training images, if their labels lie beside them."""
        pair = find_pair(root, FOLDERS, "train")
        return None if pair is None else pair[0]

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, made from MNIST's training files and held in memory."""
        check_fit(self.name, self.size, self.fit)
        if self.seed < 0:
            raise UserError(f"{self.name}: seed = {self.seed}; allowed: a whole number from 0")
        pair = find_pair(root, FOLDERS, "train")
        if pair is None:
            raise missing(self, root)

        def make() -> Table:
            pixels, labels = read_pair(pair, "train")
            return Table(fitted(rotated(pixels, labels, self.paired, self.seed), self.size, self.fit, self.binary))

        table = shared(pair, self, make)
        return StoredImages(table, self.factors, f"made from {pair[0]}", torch.device(device), copies=EACH)

    def check(self, root: Path | None = None) -> list[str]:
        """Reads MNIST's training files, makes all images and looks at each.

        Raises:
            UserError: one line that says what is wrong.
        """
        return [*check_table(self, self.open(root)), "MNIST's own files: unweave data check mnist"]


def rotated(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], paired: bool, seed: int) -> NDArray[np.uint8]:
    """(6000, 28, 28) out of MNIST's training part, in the order of the rows.

    Raises:
        UserError: too few images of a class.
    """
    from PIL import Image

    turned = np.empty((CLASSES, len(ANGLES), EACH, *pixels.shape[1:]), np.uint8)
    for digit in range(CLASSES):
        rows = chosen(labels, digit, seed)
        needed = EACH if paired else EACH * len(ANGLES)
        if len(rows) < needed:
            raise UserError(f"mnist-rotation: {len(rows)} images of digit {digit}; {needed} are needed")
        for domain, angle in enumerate(ANGLES):
            start = 0 if paired else domain * EACH
            for place, row in enumerate(rows[start : start + EACH]):
                picture = Image.fromarray(pixels[row])
                turned[digit, domain, place] = picture.rotate(angle, Image.Resampling.BILINEAR) if angle else picture
    return turned.reshape(-1, *pixels.shape[1:])


def chosen(labels: NDArray[np.uint8], digit: int, seed: int) -> list[int]:
    """The rows of a class in the order in which they are taken, the same on every machine and in every version."""
    rows = np.flatnonzero(labels == digit).tolist()
    return sorted(rows, key=lambda row: hashlib.sha256(f"mnist-rotation {seed} {row}".encode()).digest())

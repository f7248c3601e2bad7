"""The correlated triangle: a triangle at every position, always pointing at the middle of the canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.factors import Factors
from unweave.references import WU_2022
from unweave.types import Draw, Reference, UserError

SIDE, BOX, MARGIN, CANVAS = 32, 11, 10, 64
CLASSES = 32
STEP = 360.0 / CLASSES
"""Degrees from one orientation to the next."""


@dataclass(frozen=True)
class Triangle(Dataset):
    """DEFT's correlated triangle (Wu et al., 2022, Section 5.4): 1,024 images, one a position.

    Position (x, y) in {0..31}² fixes the orientation: θ = atan2(y − 16, x − 16) + 180°, in steps of 360°/32, so that
    the triangle points at the middle. So only 1,024 of 32 · 32 · 32 combinations of levels exist: ``rows`` is 1,024,
    ``factors.count`` 32,768; ``Images.levels`` and ``Images.index`` connect the two. Orientations are not equally
    frequent: a normalised score has to divide by their entropy, not by log 32.

    Implementation details: after the authors' code, the paper's arctan is the full-circle atan2; ``pos_x`` moves the
    triangle down the rows and ``pos_y`` along the columns; edges are grey (bilinear rotation, sampled at 1/32 pixel).
    The authors number 33 orientations, of which the last, θ = 360°, looks like the first; here it counts as the first.
    A later version of their code draws noisy angles when sampling; the paper describes the set without.

    Args:
        author_labels: number the orientations 0..32 as the authors do.
        angle_noise: standard deviation, in degrees, of a Gaussian added to the angle on every access; labels stay.

    >>> images = Triangle().open()
    >>> images.levels(torch.tensor([0, 528])).tolist(), images.index(torch.tensor([[4, 0, 0]])).tolist()
    ([[4, 0, 0], [16, 16, 16]], [0])
    """

    author_labels: bool = False
    angle_noise: float = 0.0

    name: ClassVar[str] = "triangle"
    shape: ClassVar[tuple[int, int, int]] = (1, CANVAS, CANVAS)
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (WU_2022,)
    licence: ClassVar[str] = "Apache-2.0 (drawn by unweave)"
    published: ClassVar[str] = "described in https://arxiv.org/abs/2102.03986; drawn here, there is no file"
    fingerprint: ClassVar[str] = "78c698a930b2660a8b6c591c7046f4f3910b9fcad4037d8b198303addd6ddd65"

    @property
    def factors(self) -> Factors:
        """Orientation (an angle), pos_x (rows), pos_y (columns)."""
        return Factors(
            ("orientation", "pos_x", "pos_y"), (CLASSES + self.author_labels, SIDE, SIDE), (True, False, False)
        )

    @property
    def rows(self) -> int:
        """1,024: pos_x slower, pos_y faster."""
        return SIDE * SIDE

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, drawn; there are no files.

        Raises:
            UserError: ``angle_noise`` is negative or not finite.
        """
        if not (0 <= self.angle_noise < float("inf")):
            raise UserError(f"triangle: angle_noise is {self.angle_noise}; allowed are degrees from 0 up")
        return TriangleImages(self, torch.device(device))


class TriangleImages(Images):
    """The 1,024 images on the device (16 MB); with angle noise, rotated anew on every access."""

    def __init__(self, triangle: Triangle, device: torch.device) -> None:
        self.factors, self.rows, self.source = triangle.factors, triangle.rows, "drawn"
        self.angle_noise = triangle.angle_noise
        self.known = torch.from_numpy(_levels(triangle.author_labels)).to(device)
        self.template = _template().to(device)
        rows = torch.arange(self.rows)
        self.table = _paste(rotate(_template(), self._angles(rows, self.known.cpu())), rows).to(device)

    @property
    def resident(self) -> bool:
        """Always: pictures are on the device, and turned there."""
        return True

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, 1, 64, 64) float32 in [0, 1]; ``draws["angle"]`` (N,) N(0, 1) where noise is on."""
        rows = rows.to(self.table.device)
        if not self.angle_noise:
            return self.table.index_select(0, rows)
        if "angle" not in draws:
            raise UserError("triangle: angle_noise needs draws['angle'], (N,) standard normal numbers, as noise() asks")
        angles = self._angles(rows, self.known) + self.angle_noise * draws["angle"].to(self.table.device, torch.float64)
        return _paste(rotate(self.template, angles), rows)

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, 3) levels."""
        return self.known.to(rows.device).index_select(0, rows)

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """``angle``, one standard normal number an image, where noise is on."""
        return {"angle": Draw((rows,), "normal")} if self.angle_noise else {}

    def _angles(self, rows: Tensor, levels: Tensor) -> Tensor:
        return levels[rows, 0].double() * STEP - 90


def rotate(picture: Tensor, angles: Tensor) -> Tensor:
    """(B, B) picture turned counter-clockwise about its middle by (N,) degrees -> (N, B, B) float32; zeros come in.

    Pixel (row, column) takes the picture's value at the place it came from, interpolated bilinearly. As in OpenCV's
    warpAffine, with which the authors drew the set, places are rounded to 1/32 pixel: first the two parts of each
    coordinate to 1/1024, then their sum.
    """
    size = picture.shape[-1]
    middle = (size - 1) / 2
    radians = torch.deg2rad(angles.double())[:, None]
    cos, sin = radians.cos(), radians.sin()
    k = torch.arange(size, device=picture.device, dtype=torch.float64)
    column = _place(cos * k, -sin * k + ((1 - cos) * middle + sin * middle))
    row = _place(sin * k, cos * k + ((1 - cos) * middle - sin * middle))
    frame = torch.nn.functional.pad(picture.float(), (1, 2, 1, 2))
    out = torch.zeros(len(angles), size, size, device=picture.device)
    lower, righter = (row & 31) / 32, (column & 31) / 32
    for down, vertical in ((0, 1 - lower), (1, lower)):
        for right, horizontal in ((0, 1 - righter), (1, righter)):
            r, c = (row >> 5) + 1 + down, (column >> 5) + 1 + right
            out += vertical * horizontal * frame[r.clamp(0, size + 2), c.clamp(0, size + 2)]
    return out


def _place(along: Tensor, across: Tensor) -> Tensor:
    """(N, B) parts that grow with the column and with the row -> (N, row, column) places in 1/32 pixel."""
    return ((along[:, None, :] * 1024).round().long() + (across[:, :, None] * 1024).round().long() + 16) >> 5


def _template() -> Tensor:
    """(11, 11): the filled triangle with corners (column, row) = (0, 2), (10, 5), (0, 8), outline included."""
    column, row = torch.arange(BOX), torch.arange(BOX)[:, None]
    return ((row - 5).abs() <= (35 - 3 * column) // 10).float()


def _levels(author_labels: bool) -> np.ndarray:
    x, y = np.divmod(np.arange(SIDE * SIDE), SIDE)
    theta = np.degrees(np.arctan2(y - 16, x - 16)) + 180
    # Multiples of 45° are the only exact borders between classes that occur; rounding puts them on the border.
    orientation = np.floor(theta.round(9) / STEP).astype(np.int64)
    return np.stack([orientation if author_labels else orientation % CLASSES, x, y], axis=1)


def _paste(pictures: Tensor, rows: Tensor) -> Tensor:
    """(N, 11, 11) pictures -> (N, 1, 64, 64): rows 10 + x … 20 + x, columns 10 + y … 20 + y."""
    box = torch.arange(BOX, device=pictures.device)
    corner = (MARGIN + rows // SIDE) * CANVAS + MARGIN + rows % SIDE
    place = corner[:, None, None] + box[:, None] * CANVAS + box
    canvas = torch.zeros(len(rows), CANVAS * CANVAS, device=pictures.device)
    return canvas.scatter_(1, place.flatten(1), pictures.flatten(1)).view(-1, 1, CANVAS, CANVAS)

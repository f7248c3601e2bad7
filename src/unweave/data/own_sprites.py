"""Sprites like those of dSprites with other numbers: sizes of picture, levels of factors, a colour, a second shape."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.dsprites import MATTHEY
from unweave.data.factors import Factors
from unweave.data.polygons import UNIT
from unweave.data.sprites import outline
from unweave.types import Reference, UserError

SHAPES = 3
SIZES = (16, 256)
MOST_LEVELS = 1024
MOST = 1 << 24
"""Images: an epoch is a permutation of all row numbers."""
STANDARD = 64
"""Size of picture in which the shapes' outlines are given."""


@dataclass(frozen=True)
class Sprites(Dataset):
    """Squares, ellipses and hearts as in dSprites (Matthey et al., 2017), drawn in any size, number and colour.

    Every combination of levels has one image. Scales run evenly from 0.5 to 1 and positions over the middle half of the
    picture, as in dSprites; one level alone is scale 1 and the middle. Orientations are evenly spaced around the circle
    with none twice: where dSprites has 40, of which the last equals the first, 39 give the same pictures. A pixel is
    sampled once, at its centre, without anti-aliasing.

    Args:
        size: height and width of the images, 16 to 256.
        scales: levels of scale.
        orientations: levels of orientation.
        positions: levels of each position.
        colours: hues around the circle, a factor of its own in front; 1 for white, in one channel.
        second: whether there is a second, smaller shape, upright, white and in front, with factors ``shape_2``,
            ``pos_x_2`` and ``pos_y_2``.

    Raises:
        UserError: from ``open``, for numbers out of range, or more than 16,777,216 images.

    >>> Sprites(size=32, positions=8, colours=6).factors.sizes
    (6, 3, 6, 40, 8, 8)
    >>> Sprites(size=32, positions=8, colours=6).open().batch(torch.tensor([0]), {}).shape
    torch.Size([1, 3, 32, 32])
    """

    size: int = 64
    scales: int = 6
    orientations: int = 40
    positions: int = 32
    colours: int = 1
    second: bool = False

    name: ClassVar[str] = "sprites"
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (MATTHEY,)
    licence: ClassVar[str] = "Apache-2.0 (drawn by unweave)"
    published: ClassVar[str] = "drawn here, there is no file; dSprites in other sizes and numbers"

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """One channel, three with colours."""
        return 3 if self.colours > 1 else 1, self.size, self.size

    @property
    def factors(self) -> Factors:
        """Colour if there are any, shape, scale, orientation (wraps around), positions, then those of the second."""
        named = [("colour", self.colours, True)] * (self.colours > 1)
        named += [("shape", SHAPES, False), ("scale", self.scales, False), ("orientation", self.orientations, True)]
        named += [("pos_x", self.positions, False), ("pos_y", self.positions, False)]
        if self.second:
            named += [
                ("shape_2", SHAPES, False),
                ("pos_x_2", self.positions, False),
                ("pos_y_2", self.positions, False),
            ]
        names, sizes, wraps = zip(*((n, s, w) for n, s, w in named if s > 1), strict=True)
        return Factors(names, sizes, wraps)

    @property
    def rows(self) -> int:
        """Every combination once."""
        return self.factors.count

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, drawn when they are asked for; there are no files."""
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise UserError(f"sprites: size = {self.size}; allowed: {SIZES[0]} to {SIZES[1]} pixels")
        for name in ("scales", "orientations", "positions", "colours"):
            if not 1 <= getattr(self, name) <= MOST_LEVELS:
                raise UserError(f"sprites: {name} = {getattr(self, name)}; allowed: 1 to {MOST_LEVELS} levels")
        if self.rows > MOST:
            raise UserError(f"sprites: {self.rows:,} combinations of {self.factors.sizes}; allowed: up to {MOST:,}")
        return OwnImages(self, torch.device(device))


class OwnImages(Images):
    """Sprites drawn when they are asked for."""

    factors: Factors

    def __init__(self, sprites: Sprites, device: torch.device) -> None:
        self.sprites, self.device = sprites, device
        self.factors, self.rows, self.source = sprites.factors, sprites.rows, "drawn"
        hues = [colorsys.hsv_to_rgb(k / sprites.colours, 1.0, 1.0) for k in range(sprites.colours)]
        self.hues = torch.tensor(hues, dtype=torch.float32, device=device)

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W) float32; ``draws`` is not used."""
        rows = rows.cpu()
        if bool(((rows < 0) | (rows >= self.rows)).any()):
            raise IndexError(f"sprites: row numbers {rows.tolist()[:8]} …; allowed are 0 to {self.rows - 1}")
        of = self.sprites
        levels = dict(zip(self.factors.names, self.factors.levels(rows).numpy().T, strict=True))
        none = np.zeros(len(rows), np.int64)
        scale = np.linspace(0.5, 1.0, of.scales)[levels["scale"]] if of.scales > 1 else np.ones(len(rows))
        angle = 2 * np.pi * levels.get("orientation", none) / of.orientations
        places = [_place(levels.get(name), of.positions, len(rows)) for name in ("pos_x", "pos_y")]
        first = self._on(draw(of.size, levels["shape"], scale, angle, *places))
        x = first * self.hues[torch.from_numpy(levels["colour"])][:, :, None, None] if of.colours > 1 else first
        if of.second:
            places = [_place(levels.get(name), of.positions, len(rows)) for name in ("pos_x_2", "pos_y_2")]
            x = torch.maximum(x, self._on(draw(of.size, levels["shape_2"], 0.5 + 0 * scale, 0 * angle, *places)))
        return x

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels."""
        return self.factors.levels(rows)

    def _on(self, pixels: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(pixels)[:, None].to(self.device, torch.float32)


def draw(
    size: int,
    shape: NDArray[np.int64],
    scale: NDArray[np.float64],
    angle: NDArray[np.float64],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """(N, size, size) pixels, 0 or 1.

    Args:
        size: height and width.
        shape: (N,) 0 square, 1 ellipse, 2 heart.
        scale: (N,) of the shape.
        angle: (N,) radians, counter-clockwise.
        across: (N,) where its centre is, 0 to 1 over the middle half of the picture.
        down: the same from top to bottom.
    """
    pixels = np.zeros((len(shape), size, size), np.uint8)
    for kind in range(SHAPES):
        which = np.flatnonzero(shape == kind)
        if not len(which):
            continue
        u, v = outline(kind).T
        s, cos, sin = (one[which, None] for one in (scale, np.cos(angle), np.sin(angle)))
        x = STANDARD / 4 + STANDARD / 2 * across[which, None] + s * (cos * u + sin * v)
        y = STANDARD / 4 + STANDARD / 2 * down[which, None] + s * (-sin * u + cos * v)
        columns, rows = (np.rint(one * (size / STANDARD) * UNIT).astype(np.int64) for one in (x, y))
        pixels[which] = fill(columns, rows, size)
    return pixels


def fill(x: NDArray[np.int64], y: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """(N, V) corners in 1/256 pixel -> (N, size, size) filled polygons: ``polygons.fill`` for pictures of any width."""
    half, count = UNIT // 2, len(x)
    x1, y1 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    first = (np.minimum(y, y1) - half) // UNIT + 1
    times = (np.maximum(y, y1) - half) // UNIT + 1 - first
    which, edge = np.nonzero(times)
    repeat = times[which, edge]
    start = np.repeat(np.cumsum(repeat) - repeat, repeat)
    which, edge = np.repeat(which, repeat), np.repeat(edge, repeat)
    row = first[which, edge] + np.arange(len(which)) - start
    height, width = (y1 - y)[which, edge], (x1 - x)[which, edge]
    numerator = (x[which, edge] - half) * height + (row * UNIT + half - y[which, edge]) * width
    sign = np.sign(height)
    column = (-((-sign * numerator) // (UNIT * sign * height))).clip(0, size)
    inside = (row >= 0) & (row < size)
    flips = ((which * size + row) * (size + 1) + column)[inside]
    turned = (np.bincount(flips, minlength=count * size * (size + 1)) & 1).astype(np.uint8)
    filled: NDArray[np.uint8] = np.bitwise_xor.accumulate(turned.reshape(count, size, size + 1), axis=2)[:, :, :size]
    return filled


def _place(level: NDArray[np.int64] | None, levels: int, count: int) -> NDArray[np.float64]:
    return np.full(count, 0.5) if level is None else level / (levels - 1)

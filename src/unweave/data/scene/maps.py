"""Shapes3D as sums of maps: every picture is its floor, its object and its walls with sky, each in the colours wanted.

A pure hue's red, green and blue are fifths: 0, 1/5 … 5/5. So for one geometry (scale, shape, orientation) six grey maps
of each surface suffice, and a picture of any three hues is three of them added for red, for green and for blue.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.scene.hexagons import Numbers
from unweave.data.scene.lanczos import reduce
from unweave.data.scene.room import FLOOR, LAMP_AT, SAMPLES, SKY, WALL, room, view
from unweave.data.scene.solids import enter, light

SIZES = (10, 10, 10, 8, 4, 15)
"""Levels of floor, wall and object hue, scale, shape and orientation."""
GEOMETRIES = 8 * 4 * 15
WIDTH, CHANNELS, FIFTHS = 64, 3, 6
HUES = ((5, 0, 0), (5, 3, 0), (4, 5, 0), (1, 5, 0), (0, 5, 2), (0, 5, 5), (0, 2, 5), (1, 0, 5), (4, 0, 5), (5, 0, 3))
"""Red, green and blue, in fifths, of hue 0, 0.1 … 0.9 at full saturation and value."""
SKY_COLOUR = (153, 226, 249)
MAPS = FIFTHS + FIFTHS + CHANNELS * FIFTHS
"""Maps a geometry: floor in each fifth, object in each, then walls with sky in each channel and fifth."""
UNIT = 64
"""Maps are counted in 1/64 of a level of 255."""
PIECE = 32
"""Images composed at a time on the CPU: what lies between table and picture stays in its cache."""
REACH = 1.5
"""Nothing further from the axis, along x or y, is in the object's shadow."""


class Samples:
    """What a camera sees at 192 × 192 places, before hues are chosen.

    Args:
        geometry: (scale · 4 + shape) · 15 + orientation, the last three factors as counted in row numbers.
    """

    def __init__(self, geometry: int) -> None:
        scale, shape, orientation = (int(k) for k in np.unravel_index(geometry, SIZES[3:]))
        camera, empty = view(orientation), room(orientation)
        depth = enter(shape, scale, camera.eye, camera.rays)
        self.object = np.isfinite(depth)
        """Which samples see the object."""
        points = camera.eye + depth[self.object, None] * camera.rays[self.object]
        self.bright, self.white = light(shape, scale, points, camera.axis)
        """(K,) brightness and added white of those that do."""
        self.surface = empty.surface
        """FLOOR, WALL or SKY; what lies behind the object where the object is seen."""
        near = (self.surface == FLOOR) & ~self.object & (np.abs(empty.points[:, :2]) < REACH).all(1)
        towards = LAMP_AT - empty.points[near]
        shaded = near.nonzero()[0][enter(shape, scale, empty.points[near], towards) < 1]
        self.brightness = empty.steady + empty.lamp
        """Brightness of floor and walls."""
        self.brightness[shaded] = empty.steady[shaded]

    def of(self, surface: int) -> NDArray[np.bool_]:
        """Which samples see that surface of the room."""
        return (self.surface == surface) & ~self.object


def shades(brightness: Numbers, white: Numbers | float = 0.0) -> Numbers:
    """(K,) brightness -> (6, K) levels of 255 for each fifth of a hue, rounded and never above 255."""
    fifths = np.arange(FIFTHS)[:, None] / (FIFTHS - 1)
    return np.round(255 * np.minimum(fifths * brightness + white, 1.0))


def draw(geometry: int) -> NDArray[np.int16]:
    """One geometry, 0 to 479 -> (30, 4096) maps in 1/64 level, in the order that ``MAPS`` says."""
    seen = Samples(geometry)
    planes = np.zeros((3 * FIFTHS + 1, SAMPLES * SAMPLES))
    for start, surface in ((0, FLOOR), (2 * FIFTHS, WALL)):
        here = seen.of(surface)
        planes[start : start + FIFTHS, here] = shades(seen.brightness[here])
    planes[FIFTHS : 2 * FIFTHS, seen.object] = shades(seen.bright, seen.white)
    planes[-1, seen.of(SKY)] = 1
    small = reduce(planes.reshape(-1, SAMPLES, SAMPLES)).reshape(len(planes), WIDTH * WIDTH)
    walls, sky = small[2 * FIFTHS : -1], small[-1]
    coloured = [walls + level * sky for level in SKY_COLOUR]
    return np.round(UNIT * np.concatenate([small[: 2 * FIFTHS], *coloured])).astype(np.int16)


class Maps:
    """The maps of all geometries, (480 · 30, 4096), each geometry drawn when it is first needed."""

    def __init__(self, device: str = "cpu") -> None:
        self.table = torch.empty(GEOMETRIES * MAPS, WIDTH * WIDTH, dtype=torch.int16)
        self.missing = torch.ones(GEOMETRIES, dtype=torch.bool)
        self.complete = False
        self.hues = torch.tensor(HUES, device=device)
        self.channel = torch.arange(CHANNELS, device=device) * FIFTHS

    def need(self, geometries: Tensor) -> None:
        """Draw those of (N,) geometries that are not there yet."""
        for geometry in geometries[self.missing[geometries]].unique().tolist():
            self.table[geometry * MAPS : (geometry + 1) * MAPS] = torch.from_numpy(draw(geometry))
            self.missing[geometry] = False
        self.complete = not bool(self.missing.any())

    def compose(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, 3, 64, 64) float32: whole levels of 255, divided by 255."""
        if not self.complete:
            self.need(rows % GEOMETRIES)
        pixels = torch.empty(len(rows) * CHANNELS, WIDTH * WIDTH, device=self.table.device)
        piece = PIECE if self.table.device.type == "cpu" else max(1, len(rows))
        for some, place in zip(rows.split(piece), pixels.split(piece * CHANNELS), strict=True):
            self._add(some, place)
        return pixels.view(len(rows), CHANNELS, WIDTH, WIDTH)

    def _add(self, rows: Tensor, pixels: Tensor) -> None:
        floor = self.hues.index_select(0, rows // (GEOMETRIES * 100))  # refuses rows that do not exist
        wall, thing = (self.hues[rows // unit % 10] for unit in (GEOMETRIES * 10, GEOMETRIES))
        base = (rows % GEOMETRIES * MAPS)[:, None]
        levels = self.table.index_select(0, (base + floor).flatten())
        levels += self.table.index_select(0, (base + FIFTHS + thing).flatten())
        levels += self.table.index_select(0, (base + 2 * FIFTHS + self.channel + wall).flatten())
        levels += UNIT // 2
        levels >>= UNIT.bit_length() - 1
        torch.div(levels.clamp_(0, 255), 255, out=pixels)


@cache
def maps(device: str = "cpu") -> Maps:
    """This process's maps on a device, 118 MB; on the CPU still to be drawn, elsewhere complete.

    They are always drawn on the CPU and then moved, so that pictures are the same bit for bit on every device.
    """
    held = Maps(device)
    if device != "cpu":
        maps().need(torch.arange(GEOMETRIES))
        held.table, held.complete = maps().table.to(device), True
    return held

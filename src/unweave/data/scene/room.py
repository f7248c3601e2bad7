"""The room without its object: camera, surfaces and light, sampled once at each of 192 × 192 places.

Lengths are in units in which the back wall is 3.5 from the object's axis. x points right, y away from the camera of the
middle orientation, z up; the floor is z = 0. All numbers were fitted to published images (docs/data/shapes3d.md).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.data.scene.hexagons import Numbers, sample

SAMPLES = 192
"""Rows and columns of samples; three by three of them lie in a pixel."""
ANGLES = np.radians(1.010 * np.linspace(-30.0, 30.0, 15))
"""Of the camera's orbit, by orientation."""
DISTANCE, HEIGHT, TARGET = 2.6427, 0.8148, 0.8022
"""Of the camera from the object's axis and from the floor; height of the point on the axis that it looks at."""
FOCAL = 67.592 / 64 * SAMPLES
"""Focal length in samples: a field of view of 50.67 degrees."""
TOP = 2.0815
"""Height of the walls."""
PLANES = {"floor": (2, 0.0, 1.0), "back": (1, 3.5, -1.0), "left": (0, -3.605, 1.0), "right": (0, 3.609, -1.0)}
"""The coordinate that is constant on a surface, its value, and on which side of it the room is."""
FLOOR, WALL, SKY = 0, 1, 2
"""Surfaces of the room, as numbered in ``Room.surface``; the sky is where there is none."""

AMBIENT, HEAD, LAMP = 0.35, 0.6, 1.0
"""Strengths of light: from everywhere; along the camera's axis, without shadow; of the lamp under the ceiling."""
LAMP_AT, LAMP_AIM = np.array([-1.542, 0.495, 7.78]), np.array([-1.529, 0.446, 0.0])
"""Where the lamp is, and a point that it shines at."""
FOCUS = 10
"""Power of the cosine by which the lamp's light falls off with the angle to its axis."""


class View(NamedTuple):
    """A camera: where it is and where it looks."""

    eye: Numbers
    """(3,) position."""
    axis: Numbers
    """(3,) unit vector it looks along."""
    rays: Numbers
    """(192 · 192, 3) directions through the middles of the samples, row by row from the top; not of unit length."""
    right: Numbers
    """(3,) what a ray changes by from one sample to the next on its right; a sample down it is ``below``."""
    below: Numbers


class Room(NamedTuple):
    """What a camera sees of the room, a number for each of 192 · 192 samples."""

    surface: NDArray[np.uint8]
    """FLOOR, WALL or SKY."""
    points: Numbers
    """(192 · 192, 3) where surfaces are seen; not a number in the sky."""
    steady: Numbers
    """Brightness by all light but the lamp's: what the hue's red, green and blue (0 to 1) are multiplied with."""
    lamp: Numbers
    """Brightness that the lamp adds where nothing shadows it."""


@cache
def view(orientation: int) -> View:
    """The camera at orientation 0 (left of the axis) to 14 (right of it)."""
    sin, cos = np.sin(ANGLES[orientation]), np.cos(ANGLES[orientation])
    eye = np.array([DISTANCE * sin, -DISTANCE * cos, HEIGHT])
    axis = unit(np.array([0.0, 0.0, TARGET]) - eye)
    right = np.array([cos, sin, 0.0])
    below = np.cross(axis, right)
    offset = np.arange(SAMPLES) + 0.5 - SAMPLES / 2
    rays = FOCAL * axis + offset[:, None] * right + offset[:, None, None] * below
    return View(eye, axis, rays.reshape(-1, 3), right, below)


@cache
def room(orientation: int) -> Room:
    """The empty room as seen at orientation 0 to 14."""
    eye, axis, rays, right, below = view(orientation)
    reach = {name: _reach(eye, rays, name) for name in PLANES}
    nearest = np.minimum.reduce(list(reach.values()))
    points = eye + nearest[:, None] * rays
    seen = points[:, 2] <= TOP
    surface = np.full(len(rays), SKY, dtype=np.uint8)
    steady, lamp = np.zeros(len(rays)), np.zeros(len(rays))
    for name, (along, _, side) in PLANES.items():
        here = seen & (reach[name] == nearest)
        ahead, down = (
            eye + _reach(eye, rays[here] + step, name)[:, None] * (rays[here] + step) for step in (right, below)
        )
        texture = sample(name, points[here], ahead, down)
        towards, light = spot(points[here])
        surface[here] = FLOOR if name == "floor" else WALL
        steady[here] = texture * (AMBIENT + HEAD * max(0.0, -side * axis[along]))
        lamp[here] = texture * LAMP * np.maximum(side * towards[:, along], 0) * light
    points[~seen] = np.nan
    return Room(surface, points, steady, lamp)


def spot(points: Numbers) -> tuple[Numbers, Numbers]:
    """(N, 3) points -> (N, 3) unit vectors towards the lamp, and (N,) how much of its light reaches them, 0 to 1."""
    towards = unit(LAMP_AT - points)
    return towards, np.maximum(towards @ unit(LAMP_AT - LAMP_AIM), 0) ** FOCUS


def unit(vectors: Numbers) -> Numbers:
    """(..., 3) vectors of length one."""
    return vectors / np.sqrt((vectors**2).sum(-1, keepdims=True))


def _reach(eye: Numbers, rays: Numbers, name: str) -> Numbers:
    """How many times its direction each ray goes to a plane; inf where it goes away from it."""
    along, where, _ = PLANES[name]
    with np.errstate(divide="ignore"):
        reach = (where - eye[along]) / rays[:, along]
    return np.where(reach > 0, reach, np.inf)

"""Rays from a camera to a toy, and the light that comes back: everything for a whole picture at once."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.data.toys.forms import Form, Toy

WIDTH = 64
RAYS = 3
"""Rays a pixel, along each side: nine in all."""
DISTANCE, WIDE = 5.0, 23.0
"""Of the camera from the middle of the turntable; the angle that a picture spans, in degrees."""
GROUND = 0.78
"""Brightness of the table, evenly lit."""
EDGE = 1e-6

Rows = NDArray[np.float32]


class Lamp(NamedTuple):
    """A far lamp: from where it shines (degrees from the camera's side, degrees above the table), how bright."""

    side: float
    above: float
    bright: float
    even: float
    """Light from everywhere."""


LAMPS = (
    Lamp(0, 45, 0.75, 0.3),
    Lamp(-70, 35, 0.85, 0.2),
    Lamp(70, 35, 0.85, 0.2),
    Lamp(0, 88, 0.7, 0.3),
    Lamp(150, 30, 0.8, 0.32),
    Lamp(-40, 55, 0.45, 0.12),
)


class View(NamedTuple):
    """What the rays of one picture met: all rays of a pixel one after the other, pixels row by row."""

    hit: NDArray[np.int64]
    """Which rays met the toy."""
    normal: Rows
    """(M, 3) there, in the camera's frame turned upright: ahead of the camera, up, right."""
    shade: Rows
    """(M,) there."""
    dark: Rows
    """(R,) how much of the even light the toy takes from the table, for rays that met the table."""


def look(toy: Toy, azimuth: float, elevation: float) -> View:
    """A toy turned by an angle, from a camera at a height, both in degrees."""
    a, e = np.radians(azimuth), np.radians(elevation)
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    lift = np.array([[np.cos(e), np.sin(e), 0], [-np.sin(e), np.cos(e), 0], [0, 0, 1]])
    # Directions of rays in the room: the camera looks along −x, from above, at half the toy's height.
    rays = (lift.T @ _rays()).astype(np.float32)
    eye = lift.T @ np.array([DISTANCE, 0, 0]) + np.array([0, toy.height / 2, 0])
    back = turn.T
    best = np.full(rays.shape[1], np.inf, np.float32)
    met = np.zeros((rays.shape[1], 2), np.int16)
    for place, (form, matrices, middles, _) in enumerate(toy.forms):
        inverse = np.linalg.inv(matrices)
        start = np.einsum("pij,pj->pi", inverse, back @ eye - middles).astype(np.float32)
        way = ((inverse @ back).reshape(-1, 3).astype(np.float32) @ rays).reshape(len(middles), 3, -1)
        for number in range(len(middles)):
            far = _meet(form, start[number], way[number])
            nearer = far < best
            best[nearer] = far[nearer]
            met[nearer] = place, number
    hit = np.flatnonzero(np.isfinite(best))
    normal, shade = np.zeros((len(hit), 3), np.float32), np.zeros(len(hit), np.float32)
    for place, (form, matrices, middles, shades) in enumerate(toy.forms):
        for number in range(len(middles)):
            mine = np.flatnonzero((met[hit, 0] == place) & (met[hit, 1] == number))
            if not len(mine):
                continue
            inverse = np.linalg.inv(matrices[number])
            room = rays[:, hit[mine]] * best[hit[mine]] + eye[:, None]
            local = inverse @ (back @ room - middles[number][:, None])
            outward = turn @ (inverse.T @ _normal(form, local))
            normal[mine] = (outward / np.linalg.norm(outward, axis=0)).T
            shade[mine] = shades[number]
    return View(hit, normal, shade, _dark(toy, rays, eye, back))


def light(view: View, lamp: Lamp) -> NDArray[np.uint8]:
    """(64, 64): a view under a lamp."""
    s, h = np.radians(lamp.side), np.radians(lamp.above)
    to = np.array([np.cos(h) * np.cos(s), np.sin(h), np.cos(h) * np.sin(s)], np.float32)
    table = GROUND * (lamp.even + lamp.bright * (0.45 + 0.4 * to[1])) / 0.95
    rays = (table * (1 - view.dark)).astype(np.float32)
    straight = np.maximum(view.normal @ to, 0)
    upper = 0.75 + 0.25 * view.normal[:, 1]
    toward = to + np.array([1, 0, 0], np.float32)
    shine = np.maximum(view.normal @ (toward / np.linalg.norm(toward)), 0) ** 24
    rays[view.hit] = view.shade * (lamp.even * 1.2 * upper + lamp.bright * straight) + 0.18 * lamp.bright * shine
    pixels = rays.reshape(WIDTH, RAYS, WIDTH, RAYS).mean((1, 3))
    found: NDArray[np.uint8] = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    return found


@cache
def _rays() -> NDArray[np.float64]:
    """(3, R) directions in the camera's frame: it looks along −x, y is up, z to the right."""
    half = np.tan(np.radians(WIDE / 2))
    place = ((np.arange(WIDTH * RAYS) + 0.5) / (WIDTH * RAYS) * 2 - 1) * half
    down, across = np.meshgrid(-place, -place, indexing="ij")
    return np.stack([np.full(down.size, -1.0), down.ravel(), across.ravel()])


def _meet(form: Form, start: Rows, way: Rows) -> Rows:
    """(R,) how far along the ray the unit form is met; infinity where it is not."""
    if form == "box":
        near, far = _slabs(start, way)
    else:
        rows = slice(None) if form == "ball" else [0, 2]
        o, d = start[rows], way[rows]
        a, b, c = (d * d).sum(0), o @ d, np.float32(o @ o - 1)
        under = b * b - a * c
        root = np.sqrt(np.maximum(under, 0))
        a = np.maximum(a, np.float32(1e-12))
        near = np.where(under > 0, (-b - root) / a, np.float32(np.inf))
        far = np.where(under > 0, (-b + root) / a, np.float32(-np.inf))
        if form == "rod":
            low, high = _slabs(start[1:2], way[1:2])
            near, far = np.maximum(near, low), np.minimum(far, high)
    return np.where(near < far, near, np.float32(np.inf))


def _slabs(start: Rows, way: Rows) -> tuple[Rows, Rows]:
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (-1 - start)[:, None] / way, (1 - start)[:, None] / way
    return np.minimum(one, other).max(0), np.maximum(one, other).min(0)


def _normal(form: Form, local: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, M) outward normals of the unit form at points (3, M) on it."""
    if form == "ball":
        return local
    if form == "rod":
        cap = np.abs(local[1]) > 1 - 1e-4
        around = local * np.array([1, 0, 1])[:, None]
        return np.where(cap, np.sign(local) * np.array([0, 1, 0])[:, None], around)
    face = np.abs(local).argmax(0)
    return np.sign(local) * (np.arange(3)[:, None] == face)


def _dark(toy: Toy, rays: Rows, eye: NDArray[np.float64], back: NDArray[np.float64]) -> Rows:
    """(R,) how dark the table is under and around the toy; 0 where a ray does not meet the table."""
    down = rays[1] < -EDGE
    far = np.where(down, -eye[1] / np.where(down, rays[1], -1), 0).astype(np.float32)
    x, z = eye[0] + far * rays[0], eye[2] + far * rays[2]
    along, across = back[0, 0] * x + back[0, 2] * z, back[2, 0] * x + back[2, 2] * z
    wide = 0.12
    off = (along / (toy.spread[0] + wide)) ** 2 + (across / (toy.spread[1] + wide)) ** 2
    found: Rows = np.where(down, 0.42 * np.exp(-1.2 * off**1.5), 0).astype(np.float32)
    return found

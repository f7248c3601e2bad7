"""The object: cube, cylinder, sphere or capsule on the floor; where rays meet it and how it is lit."""

from __future__ import annotations

import numpy as np

from unweave.data.scene.hexagons import Numbers
from unweave.data.scene.room import AMBIENT, HEAD, LAMP, spot

CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
SIZES = ((0.3757, 0.3757), (0.4007, 0.4019), (0.4546, 0.0), (0.3465, 0.3503))
"""At scale 1: radius (of the cube: half its side), and half the height of the straight part."""
SCALES = np.linspace(0.75, 1.25, 8)
SLICES, STACKS = 28, 16
"""Of the mesh on whose vertices light falls: steps around, and from the upper pole to the lower."""
GLOSS = 0.15
"""White light that the lamp adds wherever it shines on the object."""


def size(shape: int, scale: int) -> tuple[float, float, float]:
    """Radius, half height of the straight part, and height of the middle above the floor."""
    radius, half = (float(number * SCALES[scale]) for number in SIZES[shape])
    return radius, half, half if shape in (CUBE, CYLINDER) else half + radius


def enter(shape: int, scale: int, origin: Numbers, rays: Numbers) -> Numbers:
    """How many times its direction each ray goes until it meets the object; inf where it never does.

    Args:
        shape: 0 cube, 1 cylinder, 2 sphere, 3 capsule.
        scale: 0 to 7.
        origin: (3,) or (N, 3), where rays start, outside the object.
        rays: (N, 3) directions, none exactly upright.
    """
    radius, half, middle = size(shape, scale)
    origin = origin - np.array([0.0, 0.0, middle])
    if shape == CUBE:
        return _first(*(_slab(origin[..., k], rays[:, k], radius) for k in range(3)))
    if shape == SPHERE:
        return _first(_ball(origin, rays, radius))
    straight = _first(_ball(origin[..., :2], rays[:, :2], radius), _slab(origin[..., 2], rays[:, 2], half))
    if shape == CYLINDER:
        return straight
    upper, lower = (_first(_ball(origin - np.array([0.0, 0.0, z]), rays, radius)) for z in (half, -half))
    return np.minimum(straight, np.minimum(upper, lower))


def light(shape: int, scale: int, points: Numbers, axis: Numbers) -> tuple[Numbers, Numbers]:
    """How bright the object is at (N, 3) points on it: (N,) what its hue is multiplied with, and (N,) white to add.

    Flat faces are lit point by point. Round ones are lit at the vertices of a mesh, and in between the light is
    interpolated: one sees facets where the lamp's light ends.

    Args:
        shape: 0 cube, 1 cylinder, 2 sphere, 3 capsule.
        scale: 0 to 7.
        points: where.
        axis: (3,) unit vector along which the camera looks.
    """
    radius, half, middle = size(shape, scale)
    local = points - np.array([0.0, 0.0, middle])
    if shape == CUBE:
        normals = np.where(np.abs(local) == np.abs(local).max(1, keepdims=True), np.sign(local), 0.0)
        return _falls(points, normals, axis)
    straight = np.clip(local[:, 2], -half, half)
    around = np.arctan2(local[:, 1], local[:, 0]) * SLICES / (2 * np.pi)
    down = np.full(len(points), STACKS / 2)
    if shape != CYLINDER:
        down = np.arccos(np.clip((local[:, 2] - straight) / radius, -1, 1)) * STACKS / np.pi
    slice_, stack = np.floor(around), np.floor(down)
    bright, white = np.zeros(len(points)), np.zeros(len(points))
    for i in (0, 1):
        for j in (0, 1):
            turn, tilt = (slice_ + i) * 2 * np.pi / SLICES, (stack + j) * np.pi / STACKS
            normals = np.stack([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)], axis=1)
            vertices = radius * normals
            vertices[:, 2] += straight + middle
            share = np.abs(1 - i - (around - slice_)) * np.abs(1 - j - (down - stack))
            for total, part in zip((bright, white), _falls(vertices, normals, axis), strict=True):
                total += share * part
    if shape == CYLINDER:
        lid = (local[:, 0] ** 2 + local[:, 1] ** 2 < radius**2 * (1 - 1e-9)) & (local[:, 2] > 0)
        flat = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (int(lid.sum()), 3))
        bright[lid], white[lid] = _falls(points[lid], flat, axis)
    return bright, white


def _falls(points: Numbers, normals: Numbers, axis: Numbers) -> tuple[Numbers, Numbers]:
    """All light that falls on points with these normals, and the lamp's gloss there."""
    towards, reaching = spot(points)
    facing = (towards * normals).sum(-1)
    bright = AMBIENT + HEAD * np.maximum(-(normals @ axis), 0) + LAMP * np.maximum(facing, 0) * reaching
    return bright, np.where(facing > 0, GLOSS * reaching, 0.0)


Span = tuple[Numbers, Numbers]
"""Where rays are inside something: from, to."""


def _slab(origin: Numbers, rays: Numbers, half: float) -> Span:
    """Inside -half to half along one coordinate."""
    with np.errstate(divide="ignore"):
        a, b = (-half - origin) / rays, (half - origin) / rays
    return np.minimum(a, b), np.maximum(a, b)


def _ball(origin: Numbers, rays: Numbers, radius: float) -> Span:
    """Inside a ball around 0; in two coordinates, inside a cylinder without ends."""
    a, b = (rays**2).sum(-1), (origin * rays).sum(-1)
    square = b**2 - a * ((origin**2).sum(-1) - radius**2)
    root = np.sqrt(np.maximum(square, 0))
    return np.where(square < 0, np.inf, (-b - root) / a), (-b + root) / a


def _first(*spans: Span) -> Numbers:
    """Where rays enter what all spans have in common; inf where that is nothing, or lies behind them."""
    start = np.maximum.reduce([a for a, _ in spans])
    end = np.minimum.reduce([b for _, b in spans])
    return np.where((start <= end) & (start > 0), start, np.inf)

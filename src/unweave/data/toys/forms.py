"""Toys of five kinds, ten of each, put together from balls, boxes and rods."""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.data.part import scattered

KINDS = ("animal", "human", "plane", "truck", "car")
INSTANCES = 10
ROUGHLY = 1.0
"""Every toy is scaled so that its corners lie within this distance of its middle."""

Vector = tuple[float, float, float]
Form = Literal["ball", "box", "rod"]
FORMS: tuple[Form, ...] = ("ball", "box", "rod")


class Piece(NamedTuple):
    """A unit ball, box [−1, 1]³ or rod (radius 1 around the second axis, from −1 to 1), stretched, turned and moved.

    Axes: the first points ahead, the second up, the third to the right.
    """

    form: Form
    middle: Vector
    half: Vector
    """Half its size along its own three axes."""
    shade: float
    """How much light it sends back, 0 to 1."""
    pitch: float = 0.0
    """Degrees by which its front is lifted."""
    roll: float = 0.0
    """Degrees by which its right side is lifted."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3): from the unit form to the toy."""
        p, r = np.radians(self.pitch), np.radians(self.roll)
        lifted = np.array([[np.cos(p), -np.sin(p), 0], [np.sin(p), np.cos(p), 0], [0, 0, 1]])
        rolled = np.array([[1, 0, 0], [0, np.cos(r), np.sin(r)], [0, -np.sin(r), np.cos(r)]])
        return lifted @ rolled @ np.diag(self.half)


class Toy(NamedTuple):
    """A toy's pieces by form, standing on height 0, with its middle above the origin."""

    forms: tuple[tuple[Form, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], ...]
    """Form, (P, 3, 3) matrices, (P, 3) middles, (P,) shades."""
    height: float
    spread: tuple[float, float]
    """Half its length and half its width."""


@cache
def toy(kind: int, instance: int) -> Toy:
    """A toy by its two numbers.

    >>> toy(4, 0).height < 1 < 2 * toy(4, 0).spread[0]
    True
    """
    draws = scattered(2024 + kind, np.arange(instance * 16, instance * 16 + 16))
    # The first number runs through all ten toys of a kind evenly, so that no two are alike.
    draws[0] = (instance * 7 % INSTANCES + 0.5) / INSTANCES
    pieces = (_animal, _human, _plane, _truck, _car)[kind](draws)
    low, high = _bounds(pieces)
    centre = (low + high) / 2
    reach = np.sqrt((((high - low) / 2) ** 2).sum())
    scale = ROUGHLY / reach
    moved = np.array([centre[0], low[1], centre[2]])
    forms = []
    for form in FORMS:
        some = [piece for piece in pieces if piece.form == form]
        if some:
            matrices = np.stack([piece.matrix * scale for piece in some])
            middles = np.stack([(np.array(piece.middle) - moved) * scale for piece in some])
            forms.append((form, matrices, middles, np.array([piece.shade for piece in some])))
    size = (high - low) * scale
    return Toy(tuple(forms), float(size[1]), (float(size[0] / 2), float(size[2] / 2)))


def _bounds(pieces: list[Piece]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middles = np.array([piece.middle for piece in pieces])
    reach = []
    for piece in pieces:
        across = np.abs(piece.matrix)
        # Exact for balls and boxes, a little too wide for rods that are turned.
        reach.append(np.sqrt((across**2).sum(1)) if piece.form == "ball" else across.sum(1))
    return (middles - reach).min(0), (middles + reach).max(0)


def _animal(u: NDArray[np.float64]) -> list[Piece]:
    length, thick = 0.45 + 0.35 * u[0], 0.2 + 0.12 * u[1]
    leg, neck, head = 0.2 + 0.35 * u[2], 0.05 + 0.45 * u[3], 0.13 + 0.08 * u[4]
    shade, belly = 0.5 + 0.4 * u[5], leg + thick
    foot = 0.05 + 0.04 * u[6]
    top = (length * 0.95 + 0.25 * neck, belly + thick * 0.5 + neck)
    pieces = [
        Piece("ball", (0, belly, 0), (length, thick, thick * 0.85), shade),
        Piece("ball", (*top, 0), (head * 1.1, head, head * 0.85), shade),
        Piece(
            "ball", (top[0] + head * 1.1, top[1] - head * 0.25, 0), (head * (0.4 + u[7]), head * 0.5, head * 0.5), 0.9
        ),
        Piece(
            "rod",
            (length * 0.85 + 0.12 * neck, belly + 0.5 * (neck + thick * 0.5), 0),
            (0.09, 0.5 * neck + 0.12, 0.09),
            shade,
            -20,
        ),
        Piece("rod", (-length - 0.08, belly + 0.1, 0), (0.03, 0.1 + 0.2 * u[8], 0.03), 0.3, 20 + 50 * u[9]),
    ]
    for side in (-1, 1):
        pieces += [
            Piece(
                "rod",
                (ahead * length * 0.65, leg / 2 + 0.05, side * thick * 0.5),
                (foot, leg / 2 + 0.05, foot),
                shade * 0.8,
            )
            for ahead in (-1, 1)
        ]
        ear = (top[0] - head * 0.4, top[1] + head * (0.7 + 0.4 * u[10]), side * head * 0.6)
        pieces.append(Piece("ball", ear, (0.04, head * (0.3 + 0.6 * u[10]), 0.05), 0.35))
    return pieces


def _human(u: NDArray[np.float64]) -> list[Piece]:
    leg, torso, wide = 0.5 + 0.3 * u[0], 0.32 + 0.16 * u[1], 0.2 + 0.12 * u[2]
    head, arm, raised = 0.13 + 0.06 * u[3], 0.3 + 0.12 * u[4], 15 + 80 * u[5]
    coat, skin, trousers = 0.35 + 0.6 * u[6], 0.9, 0.25 + 0.6 * u[7]
    shoulder = 2 * leg * 0.5 + 1.7 * torso
    pieces = [
        Piece("box" if u[8] < 0.5 else "ball", (0, leg + torso, 0), (wide * 0.6, torso, wide), coat),
        Piece("ball", (0, leg + 2 * torso + head * 0.9, 0), (head, head * 1.1, head), skin),
        Piece("ball", (head * 1.05, leg + 2 * torso + head * 0.75, 0), (0.07, 0.045, 0.045), 0.2),
        Piece("box", (-wide * 0.6 - 0.07, leg + torso * 1.25, 0), (0.09, torso * 0.6, wide * 0.7), 0.15),
    ]
    if u[9] < 0.5:
        pieces.append(
            Piece("rod", (0, leg + 2 * torso + head * 1.9, 0), (head * 1.1, head * (0.2 + u[10]), head * 1.1), 0.2)
        )
    for side in (-1, 1):
        stride = side * 12 * u[11]
        pieces.append(
            Piece(
                "rod",
                (0.4 * leg * np.sin(np.radians(stride)), leg / 2, side * wide * 0.5),
                (0.09, leg / 2, 0.09),
                trousers,
                stride,
            )
        )
        turn = np.radians(raised)
        hand = (0.1 * u[12], shoulder - arm * np.cos(turn) * 0.9, side * (wide + arm * np.sin(turn)))
        pieces.append(Piece("rod", hand, (0.06, arm, 0.06), coat * 0.85, 0, side * raised))
    return pieces


def _plane(u: NDArray[np.float64]) -> list[Piece]:
    length, thick, span = 0.75 + 0.3 * u[0], 0.1 + 0.08 * u[1], 0.6 + 0.5 * u[2]
    deep, body, wing = 0.14 + 0.14 * u[3], 0.55 + 0.4 * u[4], 0.35 + 0.55 * u[5]
    height = thick * (0.6 * u[6] - 0.2)
    fin = 0.16 + 0.14 * u[7]
    stand = 0.25
    pieces = [
        Piece(
            "ball" if u[8] < 0.6 else "rod",
            (0, stand, 0),
            (length, thick, thick) if u[8] < 0.6 else (thick, length, thick),
            body,
            0 if u[8] < 0.6 else -90,
        ),
        Piece("ball", (length * 0.45, stand + thick * 0.8, 0), (length * 0.18, thick * 0.6, thick * 0.6), 0.15),
        Piece("box", (0.1 * u[9], stand + height, 0), (deep, 0.025, span), wing),
        Piece("box", (-length * 0.88, stand + thick * 0.2, 0), (deep * 0.5, 0.02, span * 0.38), wing),
        Piece("box", (-length * 0.88, stand + fin, 0), (deep * 0.5, fin, 0.02), body * 0.7, -8),
        Piece("rod", (0, stand / 2, 0), (0.04, stand / 2, 0.04), 0.25),
        Piece("rod", (0, 0.03, 0), (0.22, 0.03, 0.22), 0.25),
    ]
    engines = int(3 * u[10])
    for side in (-1, 1):
        pieces += [
            Piece("ball", (deep * 0.6, stand + height - 0.06, side * span * (0.3 + 0.3 * k)), (0.16, 0.06, 0.06), 0.3)
            for k in range(engines)
        ]
    return pieces


def _wheels(length: float, wide: float, radius: float, places: tuple[float, ...]) -> list[Piece]:
    return [
        Piece("rod", (place * length, radius, side * wide), (radius, 0.05, radius), 0.12, 0, 90)
        for place in places
        for side in (-1, 1)
    ]


def _truck(u: NDArray[np.float64]) -> list[Piece]:
    length, high, wide = 0.6 + 0.3 * u[0], 0.2 + 0.25 * u[1], 0.22 + 0.1 * u[2]
    cab, tall, radius = 0.16 + 0.1 * u[3], 0.22 + 0.12 * u[4], 0.1 + 0.05 * u[5]
    load, front = 0.4 + 0.55 * u[6], 0.3 + 0.6 * u[7]
    floor = radius * 1.4
    back = length - cab
    pieces = [
        Piece("box", (0, floor, 0), (length, 0.05, wide * 0.8), 0.3),
        Piece("box", (length - cab, floor + tall, 0), (cab, tall, wide * 0.95), front),
        Piece("box", (length - cab * 0.4, floor + tall * 1.45, 0), (cab * 0.63, tall * 0.35, wide * 0.8), 0.12),
        *_wheels(length, wide * 0.85, radius, (-0.75, -0.45, 0.7) if u[8] < 0.5 else (-0.65, 0.65)),
    ]
    if u[9] < 0.4:
        pieces.append(Piece("rod", (-cab, floor + high * 0.9, 0), (high * 0.85, back * 0.95, wide * 0.9), load, -90))
    elif u[9] < 0.8:
        pieces.append(Piece("box", (-cab, floor + high, 0), (back * 0.95, high, wide), load))
    else:
        pieces.append(Piece("box", (-cab, floor + high * 0.4, 0), (back * 0.95, high * 0.4, wide), load))
        pieces.append(Piece("ball", (-cab, floor + high * 0.8, 0), (back * 0.8, high * 0.6, wide * 0.8), 0.55))
    return pieces


def _car(u: NDArray[np.float64]) -> list[Piece]:
    length, high, wide = 0.6 + 0.25 * u[0], 0.11 + 0.06 * u[1], 0.26 + 0.08 * u[2]
    radius, paint = 0.11 + 0.05 * u[3], 0.3 + 0.65 * u[4]
    floor, roof = radius * 1.1, 0.1 + 0.1 * u[5]
    cabin, place = length * (0.35 + 0.25 * u[6]), -length * (0.1 + 0.25 * u[7])
    form: Form = "box" if u[8] < 0.5 else "ball"
    tall = roof if form == "box" else roof * 1.9
    pieces = [
        Piece("box", (0, floor + high, 0), (length, high, wide), paint),
        Piece("ball", (length * 0.85, floor + high, 0), (length * 0.25, high * 0.95, wide * 0.9), paint),
        Piece(form, (place, floor + 2 * high + (roof if form == "box" else 0), 0), (cabin, tall, wide * 0.85), 0.2),
        Piece("box", (place, floor + 2 * high + roof * 1.9, 0), (cabin * 0.8, 0.03, wide * 0.75), paint),
        *_wheels(length, wide, radius, (-0.62, 0.62)),
    ]
    if u[9] < 0.3:
        pieces.append(Piece("box", (-length * 0.95, floor + 2 * high + 0.12, 0), (0.07, 0.02, wide), paint * 0.7))
    return pieces

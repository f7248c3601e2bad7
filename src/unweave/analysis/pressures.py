"""Pressures that a data set asks for: where its information curve changes, and schedules for DEFT and DeVAE."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unweave.analysis.code_information import Curve
from unweave.names import known
from unweave.types import UserError

GRID = 64
"""Points, evenly in log β, on which changes of a curve are looked for."""
NORMAL = 1.4826
"""A normal distribution's standard deviation in units of its median absolute deviation."""


class Change(NamedTuple):
    """A pressure below which information comes in faster than above."""

    beta: float
    height: float
    """The second difference there, in units of its scatter (robust standard deviations)."""


class Proposal(NamedTuple):
    """Pressures for a method, and what they rest on."""

    betas: tuple[float, ...]
    """As the method takes them: falling for DEFT, rising for DeVAE."""
    information: tuple[float, ...]
    """I(x; z) in nats that the curve has at each of them."""
    total: float
    """I(x; z) at the end of the curve, in nats."""
    dimension: float
    """How many directions tell something new over the middle half of the information."""


def change_points(curve: Curve, peaks: float = 5.0, width: int = 3) -> tuple[Change, ...]:
    """The pressures at which information begins to come in faster, highest first: new factors that start to freeze.

    On a grid of 64 points in log β, I(x; z) is smoothed twice by a mean over 2 · width + 1. Peaks of its second
    difference count that lie more than ``peaks`` robust deviations (1.4826 · median absolute deviation) above the
    median, and of those within 2 · width points of each other only the highest. Wu et al. (2022), Fig. 16, where a
    person marked them by eye; an upper bound of the factors' own freezing points.

    Args:
        curve: of an annealing test with ``full``, or of the linear code.
        peaks: how far above the scatter.
        width: half the width of the smoothing, and half the least distance of two changes, in grid points.

    Raises:
        UserError: a curve of fewer than 3 pressures, a width below 1.

    >>> betas = np.geomspace(100, 1, 200)
    >>> nats = np.maximum(0, np.log(30 / betas)) + 3 * np.maximum(0, np.log(9 / betas))
    >>> [round(change.beta, -1) for change in change_points(Curve(tuple(betas), tuple(nats)))]
    [30.0, 10.0]
    """
    if len(curve.betas) < 3 or width < 1:
        raise UserError(f"change_points: {len(curve.betas)} pressures, width {width}; allowed: 3 and 1, or more")
    logs = -np.log(np.asarray(curve.betas, dtype=np.float64))
    grid = np.linspace(logs[0], logs[-1], GRID)
    nats = np.interp(grid, logs, np.maximum.accumulate(curve.information))
    # Two means in turn weight the middle most, so that a bend becomes one peak. The ends go on in a straight line.
    smooth = np.pad(nats, 2 * width, mode="reflect", reflect_type="odd")
    for _ in range(2):
        smooth = np.convolve(smooth, np.full(2 * width + 1, 1 / (2 * width + 1)), "valid")
    second = np.zeros(GRID)
    second[1:-1] = np.diff(smooth, 2)
    usual = float(np.median(second))
    # On a curve without noise there is no scatter: then a thousandth of the highest peak stands for it.
    scatter = max(NORMAL * float(np.median(np.abs(second - usual))), 1e-3 * float(second.max()), 1e-9 * float(nats[-1]))
    heights = (second - usual) / (scatter or 1.0)
    near = 2 * width
    chosen = [
        k for k in range(GRID) if heights[k] > peaks and heights[k] == heights[max(0, k - near) : k + near + 1].max()
    ]
    return tuple(Change(math.exp(-grid[place]), float(heights[place])) for place in chosen)


def propose_pressures(
    curve: Curve, method: str = "deft", groups: int | None = None, latents: int | None = None, ratio: float = 1.0
) -> Proposal:
    """Pressures for DEFT or DeVAE that give each stage, or each space, the same share of the information.

        DEFT:   β_j with I(β_j) = (j − ½) / G · I_total,  j = 1 … G
        DeVAE:  β_0 = the last pressure of the curve,  β_k with I(β_k) = (1 − k/K) · I_total,  k = 1 … K − 1

    I_total is the information at the end of the curve. A DEFT stage is in the middle of its share: clear of the
    critical pressure, where a code grows slowly, and of the end, where nothing is left to learn. DeVAE's first space is
    to reconstruct, so it gets everything; the others divide the rest evenly.

    With ``groups`` None, G is the largest number (that divides the ``latents``, if they are given) for which every
    stage gets a whole direction of its own, "one factor in the ideal situation" (Wu et al., 2022, §4.2): G ≤ the
    information dimension of the middle half of the curve, 2 ΔI / Δ log(1/β). For DeVAE it is 2, its cheapest form.

    Args:
        curve: of ``linear_information``, which needs no training, or of an annealing test with ``full``.
        method: ``deft`` or ``devae``.
        groups: stages G, or spaces K.
        latents: how many latents DEFT divides among its groups.
        ratio: freezing point / critical pressure that an annealing test found (``Freezing.ratio``); multiplies all
            pressures but DeVAE's first. For the closed form when the training will be short; 1 for a measured curve.

    Raises:
        UserError: an unknown method, a curve without information, groups below 1 or that do not divide the latents.

    >>> straight = Curve((100.0, 1.0), (0.0, 4.0))
    >>> [round(beta, 2) for beta in propose_pressures(straight, groups=2).betas]
    [31.62, 3.16]
    >>> [round(beta, 2) for beta in propose_pressures(straight, "devae", groups=3).betas]
    [1.0, 4.64, 21.54]
    """
    known(method, ("deft", "devae"), "method")
    total = max(curve.information, default=0.0)
    if not total > 0 or not 0 < ratio < math.inf:
        raise UserError(
            f"propose_pressures: a curve up to {total:.4g} nats, ratio = {ratio}; allowed: more than 0, both"
        )
    dimension = curve.dimension(total / 4, 3 * total / 4)
    if groups is None:
        groups = 2 if method == "devae" else _most(dimension, latents)
    if groups < 1 or (method == "deft" and latents is not None and latents % groups):
        raise UserError(f"propose_pressures: {groups} groups of {latents} latents; allowed: 1 or more that divide them")
    if method == "devae":
        shares = [total * (1 - k / groups) for k in range(1, groups)]
        betas = [curve.betas[-1], *(ratio * curve.pressure(nats) for nats in shares)]
        return Proposal(tuple(betas), (total, *shares), total, dimension)
    shares = [total * (j + 0.5) / groups for j in range(groups)]
    return Proposal(tuple(ratio * curve.pressure(nats) for nats in shares), tuple(shares), total, dimension)


def _most(dimension: float, latents: int | None) -> int:
    """The largest number of groups, one direction or more each."""
    most = max(1, math.floor(dimension))
    return max(g for g in range(1, most + 1) if latents is None or latents % g == 0)

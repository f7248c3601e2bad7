"""Matrices as heat-maps, and mini-batches as circles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from unweave.analysis.properties import BatchProperties
from unweave.report.latents import DARK
from unweave.report.markup import Html, join, tag
from unweave.report.plot import Frame, axes, drawing, f, span, text
from unweave.types import UserError

ROW = 20.0
NUMBERS = 34.0
"""Narrowest cell, in pixels, that has room for its number."""
AREA = 180.0
"""Largest circle of the scatter, in square pixels."""


def heat_map(
    matrix: np.ndarray, rows: Sequence[str] = (), columns: Sequence[str] = (), title: str = "", width: float = 480.0
) -> str:
    """A matrix of numbers from 0 to 1 as a drawing: I(z_i; c_j) or pairs of latents.

    Args:
        matrix: (R, C) in [0, 1]; NaN where not estimated.
        rows: R names; numbers when empty.
        columns: C names.
        title: stands on top.
        width: of the drawing, in pixels.

    Returns:
        An SVG document.

    Raises:
        UserError: a matrix that is none, names that do not fit, numbers outside 0 to 1.

    >>> heat_map(np.eye(2), title="pairs").startswith('<svg xmlns')
    True
    """
    return heat_maps({title: matrix}, rows, columns, width=width)


def heat_maps(
    matrices: Mapping[str, np.ndarray],
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    title: str = "",
    width: float = 420.0,
    beside: int = 3,
    left: float = 58.0,
) -> str:
    """Several matrices of numbers from 0 to 1 beside each other, as in Figure 1 of RecurD (Chen et al., 2022).

    Args:
        matrices: title -> (R, C); their sizes may differ where rows and columns are not named.
        rows: R names; numbers when empty.
        columns: C names; numbers when empty.
        title: stands on top.
        width: of each, in pixels.
        beside: how many in a row.
        left: room for the names of the rows, in pixels.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw, names that do not fit, numbers outside 0 to 1.
    """
    if not matrices or beside < 1:
        raise UserError(f"heat_maps: {len(matrices)} matrices, beside = {beside}; allowed: one or more of both")
    top, gap = 30.0 + (26 if title else 0), left + 2
    parts: list[Html] = [text(left, 24, title, class_="head")] if title else []
    high = 0.0
    for place, (name, given) in enumerate(matrices.items()):
        matrix = np.asarray(given, dtype=np.float64)
        _check(name, matrix, rows, columns)
        down = list(rows) or [str(k) for k in range(len(matrix))]
        along = list(columns) or [str(k) for k in range(matrix.shape[1])]
        if place and place % beside == 0:
            top, high = high + 26, 0.0
        parts.append(heat(matrix, down, along, left + place % beside * (width + gap), top, width, name))
        high = max(high, top + 30 + ROW * len(matrix))
    words = "; ".join(
        f"{name or 'matrix'} {len(m)} by {np.shape(m)[1]}, largest {np.nanmax(m):.2f}" for name, m in matrices.items()
    )
    wide = left + min(len(matrices), beside) * (width + gap) - gap + 16
    return drawing(wide, high + 10, f"{title}: {words}".strip(": "), *parts)


def heat(
    matrix: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    left: float,
    top: float,
    width: float,
    title: str = "",
) -> Html:
    """The cells of one matrix with names of rows and columns, to be put into a drawing."""
    wide = width / max(1, len(columns))
    parts = [text(left, top - 9, title, class_="title")] if title else []
    every = max(1, math.ceil(26 / wide)) if all(name.isdecimal() for name in columns) else 1
    for k, name in enumerate(columns):
        if k % every == 0:
            parts.append(text(left + (k + 0.5) * wide, top + 12, name, anchor="middle"))
    for r, (name, values) in enumerate(zip(rows, matrix, strict=True)):
        y = top + 20 + r * ROW
        parts.append(text(left - 7, y + 14, name, anchor="end"))
        for k, value in enumerate(values):
            missing = bool(np.isnan(value))
            share = 0.0 if missing else min(max(float(value), 0.0), 1.0)
            box = {"x": f(left + k * wide), "y": f(y), "width": f(max(1.0, wide - 1.5)), "height": f(ROW - 1.5)}
            parts.append(tag("rect", **box, rx="2", style=f"fill:rgb(var(--heat)/{0.04 + 0.96 * share:.3f})"))
            if wide >= NUMBERS:
                kind = "strong" if share >= DARK else "cell"
                told = "–" if missing else f"{value:.2f}"
                parts.append(text(left + (k + 0.5) * wide - 0.75, y + 13.5, told, anchor="middle", class_=kind))
    return join(*parts)


def properties_figure(
    batches: Mapping[str, Sequence[BatchProperties]],
    title: str = "",
    across: str = "reconstruction error",
    up: str = "Σ I(z_i; z_j), nats (lower is better)",
) -> str:
    """The scatter of paper 003: a circle a mini-batch, its area I(x; z), a panel a model on the same axes.

    Args:
        batches: name of the model -> its mini-batches (``analysis.batch_properties``).
        title: stands on top.
        across: name of the axis of sufficiency.
        up: name of the axis of disentanglement.

    Returns:
        An SVG document.

    Raises:
        UserError: no batches.
    """
    every = [one for each in batches.values() for one in each]
    if not every:
        raise UserError("properties_figure: no batches; allowed: one model or more with at least one batch each")
    wide = span([one.sufficiency for one in every])
    high = span([one.disentanglement for one in every])
    most = max(max(one.minimality for one in every), 1e-12)
    size, left, top = 250.0, 70.0, 62.0
    parts: list[Html] = [text(left, 24, title or "Three properties of mini-batches", class_="head")]
    for place, (name, each) in enumerate(batches.items()):
        frame = Frame(left + place * (size + 62), top, size, size, *wide, *high)
        mean = sum(one.minimality for one in each) / max(1, len(each))
        parts.append(axes(frame, f"{name} · I(x; z) {mean:.2f} nats", across, up if place == 0 else ""))
        for one in each:
            radius = math.sqrt(AREA * max(one.minimality, 0.0) / most / math.pi)
            at = {"cx": f(frame.across(one.sufficiency)), "cy": f(frame.down(one.disentanglement))}
            colour = f"s{place % 8} f{place % 8}"
            parts.append(tag("circle", **at, r=f"{max(radius, 0.8):.2f}", class_=colour, fill_opacity="0.35"))
    last = left + len(batches) * (size + 62) - 62
    parts.append(text(left, top + size + 52, f"Area: I(x; z); the largest circle has {most:.2f} nats."))
    words = ", ".join(f"{name} {len(each)} batches" for name, each in batches.items())
    return drawing(
        max(last + 20, 400.0), top + size + 66, f"{title or 'Three properties of mini-batches'}: {words}", *parts
    )


def _check(name: str, matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise UserError(f"heat_maps: {name!r} has shape {matrix.shape}; allowed is (rows, columns), neither of them 0")
    for what, names, count in (("rows", rows, matrix.shape[0]), ("columns", columns, matrix.shape[1])):
        if names and len(names) != count:
            raise UserError(f"heat_maps: {len(names)} names for {count} {what} of {name!r}")
    if bool(((matrix < -1e-6) | (matrix > 1 + 1e-6)).any()):
        raise UserError(
            f"heat_maps: {name!r} runs from {np.nanmin(matrix):g} to {np.nanmax(matrix):g}; allowed: 0 to 1"
        )

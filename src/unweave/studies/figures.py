"""Figures of a study as plain data: what is drawn, not how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = Sequence[float] | NDArray[Any]
Series: TypeAlias = tuple[Numbers, Numbers]
"""x and y of a line or of a cloud of points."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Lines over a common axis, such as a score over training; several runs of one kind become a mean with its spread.

    Args:
        title: what is shown.
        lines: name -> one (x, y) a run; runs of one name are drawn as their mean and their standard deviation where
            they have the same x, and each by itself where they have not.
        across: name of the horizontal axis.
        up: name of the vertical one.
        log: logarithmic horizontal axis.
        points: mark the points, for lines through few of them.
        unit: the vertical axis is 0 to 1.
        caption: what to read off.
        spreads: name -> the standard deviation at each x of a line that is one run, drawn like that of several.
        marks: values of the horizontal axis with a line upwards, and what it says.
    """

    title: str
    lines: Mapping[str, Sequence[Series]]
    across: str = "steps"
    up: str = ""
    log: bool = False
    points: bool = False
    unit: bool = False
    caption: str = ""
    spreads: Mapping[str, Numbers] = field(default_factory=dict)
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, eq=False)
class Scatter:
    """Points, each with a name.

    Args:
        title: what is shown.
        clouds: name -> (x, y) of its points.
        across: name of the horizontal axis.
        up: name of the vertical one.
        areas: name -> one number a point, which its area is proportional to.
        words: name -> one word a point, which stands beside it.
        outlines: lines under the points, such as the contours of a prior.
        caption: what to read off.
    """

    title: str
    clouds: Mapping[str, Series]
    across: str = ""
    up: str = ""
    areas: Mapping[str, Sequence[float]] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outlines: Sequence[Series] = ()
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Distributions:
    """Samples beside each other: every value a dot, their spread an outline where there are enough of them.

    Args:
        title: what is shown.
        groups: name -> values.
        up: name of the axis of values.
        unit: that axis is 0 to 1.
        log: logarithmic axis of values.
        marks: values with a line across, and what it says.
        caption: what to read off.
    """

    title: str
    groups: Mapping[str, Sequence[float]]
    up: str = ""
    unit: bool = False
    log: bool = False
    marks: Sequence[tuple[float, str]] = ()
    caption: str = ""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Matrices of numbers from 0 to 1 with the same rows and columns.

    Args:
        title: what is shown.
        matrices: name -> (R, C).
        rows: R names; numbers when empty.
        columns: C names; numbers when empty.
        caption: what to read off.
    """

    title: str
    matrices: Mapping[str, np.ndarray]
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Strips:
    """Rows of images, such as traversals.

    Args:
        title: what is shown.
        rows: (name, (N, H, W, C) uint8), top to bottom.
        below: N captions under the columns.
        caption: what to read off.
    """

    title: str
    rows: Sequence[tuple[str, np.ndarray]]
    below: Sequence[str] = ()
    caption: str = ""


Figure: TypeAlias = Curves | Scatter | Distributions | HeatMap | Strips

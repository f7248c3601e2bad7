"""Figures of studies as drawings: lines, clouds, distributions, matrices and strips of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unweave.report import pictures
from unweave.report.curves import log_ticks
from unweave.report.maps import heat_maps
from unweave.report.markup import Html, tag
from unweave.report.numbers import short
from unweave.report.plot import COLOURS, Frame, axes, band, drawing, f, legend, line, span, text
from unweave.studies import Curves, Distributions, Figure, HeatMap, Scatter, Strips

WIDTH, HEIGHT = 540.0, 220.0
LEFT, RIGHT, TOP = 62.0, 16.0, 40.0
ENOUGH = 5
"""Values from which a distribution is drawn as an outline, and not only as dots."""
SLOT = 92.0
"""Width of one group of a distribution."""
AREA = 220.0
"""Largest circle of a scatter, in square pixels."""

Values = NDArray[np.float64]


def figure(one: Figure) -> Html:
    """A figure with its caption, for a page.

    >>> "<svg" in figure(Curves("MIG", {"ours": [([0, 1], [0.0, 0.5])]}))
    True
    """
    if isinstance(one, Strips):
        return _strips(one)
    caption = tag("figcaption", one.caption) if one.caption else None
    return tag("figure", tag("div", Html(svg(one)), class_="scroll"), caption, class_="drawn")


def svg(one: Curves | Scatter | Distributions | HeatMap) -> str:
    """The drawing of a figure that is no strip of images, as an SVG document that stands alone."""
    if isinstance(one, Curves):
        return _curves(one)
    if isinstance(one, Scatter):
        return _scatter(one)
    if isinstance(one, Distributions):
        return _distributions(one)
    columns = list(one.columns) or [str(k) for k in range(next(iter(one.matrices.values())).shape[1])]
    width = max(44.0 * len(columns), 8.0 * sum(map(len, columns)), 150.0)
    left = max((6.6 * len(name) for name in one.rows), default=0.0) + 16
    return heat_maps(one.matrices, one.rows, columns, one.title, width=min(width, 430.0), left=max(left, 40.0))


def _curves(one: Curves) -> str:
    lines = {
        name: [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in each]
        for name, each in one.lines.items()
        if len(each)
    }
    log = one.log and all(bool((x > 0).all()) for each in lines.values() for x, _ in each)
    place = (lambda x: np.log10(x)) if log else (lambda x: x)
    drawn = {name: _runs(each, place, one.spreads.get(name)) for name, each in lines.items()}
    every = [run for each in drawn.values() for run in each]
    marks = [(float(place(np.float64(value))), told) for value, told in one.marks if value > 0 or not log]
    across = span(np.concatenate([*(x for x, _, _ in every), [value for value, _ in marks]]) if every else [], pad=0.02)
    heights = [np.concatenate([mean - sd, mean + sd]) for _, mean, sd in every]
    up = (0.0, 1.0) if one.unit else span(np.concatenate(heights) if heights else [], zero=_near_zero(heights))
    entries = [(name, k, k) for k, name in enumerate(drawn)] if len(drawn) > 1 or "" not in drawn else []
    words, used = legend(entries, LEFT, TOP, WIDTH - LEFT - RIGHT) if entries else (Html(""), 0.0)
    frame = Frame(LEFT, TOP + used + 10, WIDTH - LEFT - RIGHT, HEIGHT, *across, *up)
    parts: list[object] = [
        text(LEFT, 20, one.title, class_="title"),
        words,
        axes(frame, "", one.across, one.up, _powers(*across) if log else None),
    ]
    for nth, (value, told) in enumerate(marks):
        at = {
            "x1": f(frame.across(value)),
            "x2": f(frame.across(value)),
            "y1": f(frame.top),
            "y2": f(frame.top + HEIGHT),
        }
        parts.append(tag("line", **at, class_="axis", stroke_dasharray="3 3"))
        # Neighbours take turns in height.
        parts.append(text(frame.across(value) + 3, frame.top + 12 + 12 * (nth % 3), told))
    for k, runs in enumerate(drawn.values()):
        for x, mean, sd in runs:
            if sd.any():
                parts.append(band(frame, x, mean - sd, mean + sd, k))
            parts.append(line(frame, x, mean, k, k))
            if one.points or len(x) < 3:
                parts += [_dot(frame, a, b, k) for a, b in zip(x, mean, strict=True) if math.isfinite(b)]
    ends = ", ".join(f"{name} {short(_last(runs))}" for name, runs in drawn.items())
    return drawing(WIDTH, frame.top + HEIGHT + 42, f"{one.title}: at the end {ends}", *parts)


def _runs(
    each: Sequence[tuple[Values, Values]],
    place: Callable[[Values], Values],
    spread: Sequence[float] | NDArray[Any] | None,
) -> list[tuple[Values, Values, Values]]:
    """Runs of one name as (x, mean, sd): one where they share their x, else each by itself; ``spread`` is one run's."""
    if len(each) > 1 and all(np.array_equal(x, each[0][0]) for x, _ in each):
        stacked = np.stack([y for _, y in each])
        return [(place(each[0][0]), stacked.mean(0), stacked.std(0, ddof=1))]
    if len(each) == 1 and spread is not None:
        return [(place(each[0][0]), each[0][1], np.asarray(spread, np.float64))]
    return [(place(x), y, np.zeros_like(y)) for x, y in each]


def _scatter(one: Scatter) -> str:
    clouds = {name: (np.asarray(x, np.float64), np.asarray(y, np.float64)) for name, (x, y) in one.clouds.items()}
    xs = np.concatenate([x for x, _ in clouds.values()] or [np.zeros(0)])
    ys = np.concatenate([y for _, y in clouds.values()] or [np.zeros(0)])
    outlines = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in one.outlines]
    for x, y in outlines:
        xs, ys = np.append(xs, x), np.append(ys, y)
    words, used = legend([(name, k, 0) for k, name in enumerate(clouds)], LEFT, TOP, WIDTH - LEFT - RIGHT)
    height = WIDTH - LEFT - RIGHT if outlines else 260.0
    frame = Frame(LEFT, TOP + used + 10, WIDTH - LEFT - RIGHT, height, *span(xs), *span(ys))
    parts: list[object] = [text(LEFT, 20, one.title, class_="title"), words, axes(frame, "", one.across, one.up)]
    for x, y in outlines:
        points = " ".join(f"{f(frame.across(a))},{f(frame.down(b))}" for a, b in zip(x, y, strict=True))
        parts.append(tag("polyline", points=points, fill="none", class_="axis"))
    most = max((max(areas, default=0.0) for areas in one.areas.values()), default=0.0)
    for k, (name, (x, y)) in enumerate(clouds.items()):
        areas = one.areas.get(name)
        for place, (a, b) in enumerate(zip(x, y, strict=True)):
            if not (math.isfinite(a) and math.isfinite(b)):
                continue
            radius = 3.2 if areas is None or not most else math.sqrt(AREA * max(areas[place], 0.0) / most / math.pi)
            parts.append(_dot(frame, a, b, k, max(radius, 0.8), 0.55))
            if name in one.words:
                parts.append(text(frame.across(a) + 5, frame.down(b) - 4, one.words[name][place]))
    told = ", ".join(f"{name} {len(x)} points" for name, (x, _) in clouds.items())
    return drawing(WIDTH, frame.top + frame.height + 42, f"{one.title}: {told}", *parts)


def _distributions(one: Distributions) -> str:
    groups = {name: np.sort(np.asarray(values, np.float64)) for name, values in one.groups.items()}
    groups = {name: values[np.isfinite(values)] for name, values in groups.items()}
    every = np.concatenate([*groups.values(), np.array([value for value, _ in one.marks])])
    log = one.log and bool((every > 0).all()) and len(every) > 0
    if log:
        every, groups = np.log10(every), {name: np.log10(values) for name, values in groups.items()}
    up = (0.0, 1.0) if one.unit else span(every, zero=not log and _near_zero([every]))
    width = max(WIDTH, LEFT + RIGHT + SLOT * len(groups))
    frame = Frame(LEFT, TOP + 8, width - LEFT - RIGHT, HEIGHT, 0.0, float(max(1, len(groups))), *up)
    parts: list[object] = [
        text(LEFT, 20, one.title, class_="title"),
        axes(frame, "", "", one.up, [], _powers(*up) if log else None),
    ]
    floor = frame.top + frame.height
    for value, words in one.marks:
        y = f(frame.down(math.log10(value) if log else value))
        parts.append(tag("line", x1=f(LEFT), x2=f(width - RIGHT), y1=y, y2=y, class_="line s1", stroke_dasharray="3 3"))
        parts.append(text(width - RIGHT, float(y) - 3, words, anchor="end"))
    for k, (name, values) in enumerate(groups.items()):
        middle = frame.across(k + 0.5)
        room = 0.42 * frame.width / max(1, len(groups))
        # Long names take turns in height.
        parts.append(text(middle, floor + 16 + 13 * (k % 2) * (len(groups) > 3), name, anchor="middle"))
        if not len(values):
            parts.append(text(middle, floor - 6, "none", anchor="middle"))
            continue
        if len(values) >= ENOUGH and np.ptp(values) > 0:
            parts.append(_outline(frame, values, middle, room, k))
        for place, value in enumerate(values):
            shift = room * 0.5 * (((place * 7) % 11) / 5 - 1) if len(values) > 1 else 0.0
            at = {"cx": f(middle + shift), "cy": f(frame.down(float(value))), "r": "2.4"}
            parts.append(tag("circle", **at, class_=f"f{k % COLOURS}", fill_opacity="0.75"))
        y = f(frame.down(float(np.median(values))))
        parts.append(tag("line", x1=f(middle - room * 0.6), x2=f(middle + room * 0.6), y1=y, y2=y, class_="line s6"))
    told = ", ".join(
        f"{name} median {short(10 ** float(np.median(v)) if log else float(np.median(v)))} of {len(v)}"
        for name, v in groups.items()
        if len(v)
    )
    return drawing(width, floor + 36, f"{one.title}: {told}", *parts)


def _outline(frame: Frame, values: Values, middle: float, room: float, colour: int) -> Html:
    """The density of some values on both sides of a line, by a Gaussian kernel of Scott's width."""
    width = max(float(values.std(ddof=1)) * len(values) ** -0.2, 1e-9)
    grid = np.linspace(values[0] - 2 * width, values[-1] + 2 * width, 60)
    grid = grid[(grid >= frame.low_y) & (grid <= frame.high_y)]
    density = np.exp(-0.5 * ((grid[:, None] - values[None]) / width) ** 2).sum(1)
    half = room * density / density.max()
    right = [f"{f(middle + h)},{f(frame.down(float(v)))}" for h, v in zip(half, grid, strict=True)]
    left = [f"{f(middle - h)},{f(frame.down(float(v)))}" for h, v in zip(half, grid, strict=True)]
    return tag("path", d=f"M{'L'.join([*right, *left[::-1]])}Z", class_=f"band f{colour % COLOURS}")


def _strips(one: Strips) -> Html:
    """Rows of images beside their names; neighbours of one length in one block, captions under the last that fits."""
    pieces: list[object] = [tag("h3", one.title)]
    most = max((len(images) for _, images in one.rows), default=0)
    blocks = [list(rows) for _, rows in groupby(one.rows, lambda row: row[1].shape)]
    fitting = [place for place, rows in enumerate(blocks) if len(rows[0][1]) == len(one.below)]
    for place, rows in enumerate(blocks):
        names = tag("ol", *(tag("li", name) for name, _ in rows), class_="rows")
        below = one.below if fitting[-1:] == [place] else ()
        kind = "panel ticked" if below else "panel"
        pieces.append(tag("div", names, pictures.strip(*rows, below=below, columns=most), class_=kind))
    pieces += [tag("figcaption", one.caption)] if one.caption else []
    return tag("figure", *pieces, class_="pictures")


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    """Ticks of an axis that holds logarithms to base 10."""
    return [(math.log10(value), short(value)) for value in log_ticks(10.0**low, 10.0**high)]


def _near_zero(heights: Iterable[Values]) -> bool:
    """Whether an axis may begin at 0 without squeezing what it shows."""
    every = np.concatenate([*heights, np.zeros(0)])
    every = every[np.isfinite(every)]
    return bool(len(every)) and float(every.min()) >= 0 and float(every.min()) < 0.5 * float(every.max())


def _last(runs: Sequence[tuple[Values, Values, Values]]) -> float:
    return float(np.mean([mean[-1] for _, mean, _ in runs if len(mean)])) if runs else math.nan


def _dot(frame: Frame, x: float, y: float, colour: int, radius: float = 2.6, opacity: float = 1.0) -> Html:
    at = {"cx": f(frame.across(float(x))), "cy": f(frame.down(float(y))), "r": f"{radius:.2f}"}
    return tag("circle", **at, class_=f"f{colour % COLOURS}", fill_opacity=f"{opacity:g}")

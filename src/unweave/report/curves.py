"""Training curves as small drawings: one SVG a term, thinned, with honest axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from unweave.report.markup import Html, join, tag
from unweave.report.numbers import number, short

WIDTH, HEIGHT = 340.0, 156.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 10.0, 24.0
BUCKETS = 120
LOG_FROM = 10.0
"""A logarithmic axis where positive values reach this many times their median: on a linear one, most would lie flat."""


def thin(values: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Indices of at most 5 points a bucket that draw the same line: its first, last, lowest, highest and first gap.

    The first and last point, both extremes and at least one point of every bucket with a value that is not finite are
    always kept; short curves are kept whole.

    >>> thin(np.array([3.0, 1.0, 2.0])).tolist()
    [0, 1, 2]
    """
    count = len(values)
    if count <= 4 * buckets:
        return np.arange(count)
    kept: set[int] = set()
    edges = np.linspace(0, count, buckets + 1).astype(int)
    for start, stop in itertools.pairwise(edges):
        part = values[start:stop]
        finite = np.flatnonzero(np.isfinite(part))
        kept.update((int(start), int(stop) - 1))
        if len(finite):
            inner = part[finite]
            kept.update((int(start + finite[inner.argmin()]), int(start + finite[inner.argmax()])))
        if len(finite) < len(part):
            kept.add(int(start + np.flatnonzero(~np.isfinite(part))[0]))
    return np.array(sorted(kept))


def logarithmic(values: np.ndarray) -> bool:
    """Whether finite values are all positive and most lie a decade or more under the largest.

    >>> logarithmic(np.geomspace(1, 1e4, 50)), logarithmic(np.linspace(1, 4, 50)), logarithmic(np.array([0.0, 99.0]))
    (True, False, False)
    """
    if not len(values) or values.min() <= 0:
        return False
    return bool(values.max() / LOG_FROM >= np.median(values))


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers 1, 2, 2.5 or 5 × 10ᵏ apart within [low, high].

    >>> ticks(0, 20000), ticks(0.13, 0.41)
    ([0.0, 5000.0, 10000.0, 15000.0, 20000.0], [0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
    """
    raw = (high - low) / wanted
    if not raw > 0:
        return [low]
    base = 10.0 ** math.floor(math.log10(raw))
    if base == 0:
        return [low]
    step = base * min((1, 2, 2.5, 5, 10), key=lambda m: abs(math.log(raw / (base * m))))
    first = math.ceil(low / step - 1e-9)
    out = [float(f"{k * step:.10g}") for k in range(first, first + 3 * wanted) if k * step <= high + 1e-9 * step]
    return out or [low]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high], at most five; with 2s and 5s between them where powers alone are too few.

    >>> log_ticks(0.5, 2000), log_ticks(30, 900)
    ([1.0, 10.0, 100.0, 1000.0], [50.0, 100.0, 200.0, 500.0])
    """
    bottom, top = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(bottom, top + 1))
    if len(powers) >= 3:
        return [float(f"1e{p}") for p in powers[:: -(-len(powers) // 5)]]
    return [v for p in range(bottom - 1, top + 1) for m in (1, 2, 5) if low <= (v := float(f"{m}e{p}")) <= high]


def curve(term: str, steps: Sequence[float], values: Sequence[float]) -> Html:
    """A figure with the term's name, its last value, the drawing and its range in words."""
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    good = np.isfinite(y)
    head = tag("span", term, class_="term")
    if not len(y):
        return tag("figure", tag("figcaption", head), tag("p", "no value was recorded", class_="none"), class_="curve")
    last = tag("span", number(y[-1], 4), class_="last" if good[-1] else "last bad")
    span = f"steps {number(x[0])} to {number(x[-1])}" if len(x) > 1 else f"step {number(x[0])} only"
    bad = None
    if not good.all():
        first = f"first at step {number(x[~good][0])}"
        bad = tag("p", f"{number(int((~good).sum()))} of {number(len(y))} values not finite, {first}", class_="bad")
    if not good.any():
        return tag("figure", tag("figcaption", head, last), bad, class_="curve")
    log = logarithmic(y[good])
    low, high = float(y[good].min()), float(y[good].max())
    words = f"{span} · lowest {number(low)} · highest {number(high)}"
    foot = tag("p", words, tag("b", " · log scale") if log else None, class_="range")
    label = f"{term}: last value {number(y[-1], 4)}; {words}{'; logarithmic axis' if log else ''}"
    return tag("figure", tag("figcaption", head, last), _drawing(label, x, y, log), foot, bad, class_="curve")


def _drawing(label: str, x: np.ndarray, y: np.ndarray, log: bool) -> Html:
    kept = thin(y)
    # Clipped so that the difference of the highest and the lowest fits a float.
    x, y = x[kept], np.clip(y[kept], -1e300, 1e300, where=np.isfinite(y[kept]), out=y[kept].copy())
    good = np.isfinite(y)
    ys = np.log10(y, where=good, out=np.full_like(y, np.nan)) if log else y
    low, high = float(ys[good].min()), float(ys[good].max())
    pad = 0.04 * (high - low) or (0.1 if log else 0.05 * abs(high) or 0.5)
    low, high = low - pad, high + pad
    left, right = (float(x[0]), float(x[-1])) if x[-1] > x[0] else (float(x[0]) - 0.5, float(x[0]) + 0.5)

    def across(value: float) -> float:
        return LEFT + (value - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def down(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    marks = log_ticks(10.0**low, 10.0**high) if log else ticks(low, high)
    rows = [(down(math.log10(v) if log else v), short(v)) for v in marks]
    grid = [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_f(at), y2=_f(at), class_="grid") for at, _ in rows]
    grid += [tag("text", text, x=LEFT - 6, y=_f(at + 3.5), text_anchor="end") for at, text in rows]
    for value in ticks(left, right, 3) if x[-1] > x[0] else [float(x[0])]:
        at = across(value)
        # A centred label at either end would leave the drawing.
        anchor = "end" if at > WIDTH - RIGHT - 10 else "middle"
        grid.append(
            tag(
                "text", short(value), x=_f(at + (RIGHT - 2 if anchor == "end" else 0)), y=HEIGHT - 7, text_anchor=anchor
            )
        )
    lines = tag(
        "path",
        d=_path([(across(a), down(b)) if g else None for a, b, g in zip(x, ys, good, strict=True)]),
        class_="line",
    )
    end = tag("circle", cx=_f(across(x[-1])), cy=_f(down(ys[-1])), r=2.6, class_="end") if good[-1] else None
    floor = HEIGHT - BOTTOM
    broken = tag("path", d=_gaps([across(a) for a in x], good, floor), class_="gap") if not good.all() else None
    axis = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="axis")
    return tag(
        "svg", join(*grid), axis, lines, end, broken, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=label
    )


def _gaps(xs: Sequence[float], good: np.ndarray, y: float) -> str:
    """One stroke along the axis for every run of values that are not finite."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], good, [True])).astype(int)))
    return "".join(f"M{_f(xs[a])},{_f(y)}H{_f(xs[b - 1])}" for a, b in edges.reshape(-1, 2))


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """Lines through the points, broken where there is None; a point alone becomes a dot."""
    out: list[str] = []
    pen = False
    for here, following in zip(points, [*points[1:], None], strict=True):
        if here is None:
            pen = False
            continue
        at = f"{_f(here[0])},{_f(here[1])}"
        out.append(f"{'L' if pen else 'M'}{at}")
        if not pen and following is None:
            out.append("h0")
        pen = True
    return "".join(out)


def _f(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")

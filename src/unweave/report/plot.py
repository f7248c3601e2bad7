"""Small drawings that stand alone: one SVG with its own colours for light and dark, axes, lines, a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unweave.report.curves import ticks
from unweave.report.markup import Html, join, tag
from unweave.report.numbers import short

LIGHT = ("#0b6a8f", "#c2410c", "#1c7a4a", "#7c3aad", "#8a5a00", "#b8246b", "#3f4a53", "#0f766e")
DARK = ("#67bfe6", "#ff9e6b", "#63c995", "#c9a2f2", "#e9b755", "#ff8fc0", "#b9c3cb", "#4fd1c5")
DASHES = ("none", "7 3", "2 2.5", "9 3 2 3")
COLOURS = len(LIGHT)
"""Lines differ by colour; from the second round of colours on, and always beside each other, also by dashes."""

STYLE = (
    "svg{--ink:#15191d;--muted:#57616a;--line:#dfe3e6;--surface:#fff;--heat:4 78 112;--cell:#000;--strong:#fff;"
    "--bad:#b3261e;"
    + "".join(f"--c{k}:{c};" for k, c in enumerate(LIGHT))
    + "}@media screen and (prefers-color-scheme:dark){svg{--ink:#e6eaed;--muted:#9ba6b0;--line:#2b323a;"
    "--surface:#161a1f;--heat:78 160 200;--cell:#fff;--strong:#000;--bad:#ff8f86;"
    + "".join(f"--c{k}:{c};" for k, c in enumerate(DARK))
    + "}}text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;fill:var(--muted);"
    "font-variant-numeric:tabular-nums}.title{font-size:12.5px;font-weight:600;fill:var(--ink)}"
    ".head{font-size:15px;font-weight:640;fill:var(--ink)}.grid{stroke:var(--line);shape-rendering:crispEdges}"
    ".axis{stroke:var(--muted);shape-rendering:crispEdges}.line{fill:none;stroke-width:1.7;stroke-linejoin:round;"
    "stroke-linecap:round}.band{stroke:none;fill-opacity:.16}.event{fill:var(--bad);fill-opacity:.12}"
    ".ground{fill:var(--surface)}.cell{fill:var(--cell)}.strong{fill:var(--strong)}"
    + "".join(f".s{k}{{stroke:var(--c{k})}}.f{k}{{fill:var(--c{k})}}" for k in range(COLOURS))
)


class Frame(NamedTuple):
    """A plot's place in the drawing, and the values at its edges."""

    left: float
    top: float
    width: float
    height: float
    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def across(self, value: float) -> float:
        """x of a value in the drawing."""
        return self.left + (value - self.low_x) / (self.high_x - self.low_x) * self.width

    def down(self, value: float) -> float:
        """y of a value in the drawing."""
        return self.top + self.height - (value - self.low_y) / (self.high_y - self.low_y) * self.height


def span(values: Sequence[float] | np.ndarray, pad: float = 0.05, zero: bool = False) -> tuple[float, float]:
    """Edges of an axis for finite values, a little wider than they are; from 0 where asked for.

    >>> span([1.0, 3.0], pad=0.0), span([], zero=True), span([2.0])
    ((1.0, 3.0), (0.0, 1.0), (1.9, 2.1))
    """
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found)]
    if not len(found):
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    if zero:
        low = min(low, 0.0)
    if high == low:
        room = 0.05 * abs(high) or 0.5
        return low - room, high + room
    room = pad * (high - low)
    return (low if zero and low == 0 else low - room), high + room


def drawing(width: float, height: float, label: str, *children: object) -> str:
    """A complete SVG document, readable by screen readers through its label."""
    ground = tag("rect", width=f(width), height=f(height), class_="ground")
    inner = join(tag("title", label), tag("style", Html(STYLE)), ground, *children)
    size = {"viewBox": f"0 0 {f(width)} {f(height)}", "width": f(width), "height": f(height)}
    return tag("svg", inner, xmlns="http://www.w3.org/2000/svg", role="img", aria_label=label, **size)


def axes(
    frame: Frame,
    title: str = "",
    below: str = "",
    beside: str = "",
    x_ticks: Sequence[tuple[float, str]] | None = None,
    y_ticks: Sequence[tuple[float, str]] | None = None,
) -> Html:
    """Grid, tick labels, the line at the bottom, a title on top and names of the axes.

    Args:
        frame: place and values.
        title: on top.
        below: name of the horizontal axis.
        beside: name of the vertical one.
        x_ticks: (value, label) of the horizontal axis; round numbers when None.
        y_ticks: the same of the vertical one.
    """
    floor = frame.top + frame.height
    parts = []
    if y_ticks is None:
        y_ticks = labelled(ticks(frame.low_y, frame.high_y))
    if x_ticks is None:
        x_ticks = labelled(ticks(frame.low_x, frame.high_x, 3))
    for value, label in y_ticks:
        at = frame.down(value)
        parts.append(tag("line", x1=f(frame.left), x2=f(frame.left + frame.width), y1=f(at), y2=f(at), class_="grid"))
        parts.append(text(frame.left - 6, at + 3.5, label, anchor="end"))
    for value, label in x_ticks:
        parts.append(text(frame.across(value), floor + 15, label, anchor="middle"))
    parts.append(tag("line", x1=f(frame.left), x2=f(frame.left + frame.width), y1=f(floor), y2=f(floor), class_="axis"))
    if title:
        parts.append(text(frame.left, frame.top - 9, title, class_="title"))
    if below:
        parts.append(text(frame.left + frame.width / 2, floor + 31, below, anchor="middle"))
    if beside:
        x, y = frame.left - 42, frame.top + frame.height / 2
        parts.append(tag("text", beside, x=f(x), y=f(y), text_anchor="middle", transform=f"rotate(-90 {f(x)} {f(y)})"))
    return join(*parts)


def labelled(values: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with their labels, which are longer where short ones would be the same.

    >>> [word for _, word in labelled([10.0, 20.0])], [word for _, word in labelled([2829.5, 2829.8, 2830.0])]
    (['10', '20'], ['2829.5', '2829.8', '2830'])
    """
    words = [short(value) for value in values]
    if len(set(words)) < len(words):
        words = [f"{value:.7g}".replace("-", "−") for value in values]
    return list(zip(values, words, strict=True))


def line(
    frame: Frame, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, colour: int, dash: int
) -> Html:
    """A line through the points, broken where a value is not finite; a point alone becomes a dot."""
    points = [
        (frame.across(float(a)), frame.down(float(b))) if math.isfinite(b) else None for a, b in zip(x, y, strict=True)
    ]
    out: list[str] = []
    for here, before, following in zip(points, [None, *points[:-1]], [*points[1:], None], strict=True):
        if here is not None:
            out.append(f"{'M' if before is None else 'L'}{f(here[0])},{f(here[1])}")
            out += ["h0"] if before is None and following is None else []
    dashes = DASHES[dash % len(DASHES)]
    return tag("path", d="".join(out), class_=f"line s{colour % COLOURS}", stroke_dasharray=dashes)


def band(frame: Frame, x: Sequence[float] | np.ndarray, low: np.ndarray, high: np.ndarray, colour: int) -> Html:
    """The area between two lines, for errors."""
    forth = [f"{f(frame.across(float(a)))},{f(frame.down(float(b)))}" for a, b in zip(x, high, strict=True)]
    back = [f"{f(frame.across(float(a)))},{f(frame.down(float(b)))}" for a, b in zip(x, low, strict=True)]
    return tag("path", d=f"M{'L'.join([*forth, *back[::-1]])}Z", class_=f"band f{colour % COLOURS}")


def legend(entries: Sequence[tuple[str, int, int]], left: float, top: float, width: float) -> tuple[Html, float]:
    """Samples of lines with their names, in rows; and how high it is.

    Args:
        entries: (name, colour, dash).
        left: of the drawing.
        top: of the first row.
        width: after which a new row begins.
    """
    x, y, parts = left, top, []
    for name, colour, dash in entries:
        size = 34 + 6.6 * len(name)
        if x > left and x + size > left + width:
            x, y = left, y + 18
        stroke = DASHES[dash % len(DASHES)]
        parts.append(tag("path", d=f"M{f(x)},{f(y)}h20", class_=f"line s{colour % COLOURS}", stroke_dasharray=stroke))
        parts.append(text(x + 26, y + 3.8, name))
        x += size + 14
    return join(*parts), y - top + 18


def text(x: float, y: float, words: str, anchor: str = "start", class_: str = "") -> Html:
    """Words at a place."""
    kind = {"class_": class_} if class_ else {}
    return tag("text", words, x=f(x), y=f(y), text_anchor=anchor, **kind)


def f(value: float) -> str:
    """A coordinate in one decimal."""
    return f"{value:.1f}".removesuffix(".0")

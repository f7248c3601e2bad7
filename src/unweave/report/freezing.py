"""Freezing as drawings: information against the pressure, a spectrum, freezing points of several factors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unweave.analysis import Change, Curve, Freezing, FreezingPoints, FreezingSpectrum
from unweave.report.curves import ticks
from unweave.report.markup import Html, join, tag
from unweave.report.numbers import number, short
from unweave.types import UserError

WIDTH, HEIGHT = 460.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 18.0, 26.0, 40.0
ROW = 34.0
STYLE = (
    ".freezing{--ink:#15191d;--muted:#57616a;--line:#dfe3e6;--accent:#0b6a8f;--bad:#b3261e}"
    "@media screen and (prefers-color-scheme:dark){"
    ".freezing{--ink:#e6eaed;--muted:#9ba6b0;--line:#2b323a;--accent:#67bfe6;--bad:#ff8f86}}"
    ".freezing text{font:11px system-ui,sans-serif;fill:var(--muted)}"
    ".freezing .title{font-weight:620;font-size:12.5px;fill:var(--ink)}"
    ".freezing .grid{stroke:var(--line)}.freezing .axis{stroke:var(--muted)}"
    ".freezing .line{fill:none;stroke:var(--accent);stroke-width:1.8}"
    ".freezing .thin{fill:none;stroke:var(--muted);stroke-dasharray:4 3}"
    ".freezing .mark{stroke:var(--bad);stroke-width:1.3}.freezing .limit{stroke:var(--ink);stroke-dasharray:2 3}"
    ".freezing .dot{fill:var(--accent);fill-opacity:.65}.freezing .bar{stroke:var(--ink);stroke-width:2}"
    ".freezing .said{fill:var(--ink)}.freezing .told{fill:var(--bad)}"
)
"""The look of a drawing, in itself, so that it can stand alone; light and dark follow the reader's system."""


def annealing_curve(test: Freezing | Curve, changes: Sequence[Change] = (), title: str = "") -> Html:
    """I(x; z) against the pressure, falling from left to right, with freezing point, β_c and changes marked.

    >>> drawing = annealing_curve(Freezing(5.0, Curve((10.0, 5.0, 1.0), (0.0, 0.2, 2.0)), 8.0))
    >>> "freezing point 5" in drawing and "β_c 8" in drawing
    True
    """
    curve = test.curve if isinstance(test, Freezing) else test
    if len(curve.betas) < 2:
        raise UserError(f"annealing_curve: a curve of {len(curve.betas)} pressures; allowed: 2 or more")
    marks = [(change.beta, f"{change.beta:.3g}", "mark") for change in changes]
    if isinstance(test, Freezing):
        marks += [(test.critical, f"β_c {test.critical:.3g}", "limit")]
        marks += [(test.point, f"freezing point {test.point:.3g}", "mark")] if test.point is not None else []
    top = max(*curve.information, 1e-9)
    plot = _Plot(max(curve.betas), min(curve.betas), top, "nats", title or "I(x; z) while the pressure falls")
    return plot.drawing([("line", list(zip(curve.betas, curve.information, strict=True)), "")], marks)


def spectrum_figure(
    spectrum: FreezingSpectrum, curve: Curve | None = None, betas: Sequence[float] = (), title: str = ""
) -> Html:
    """How many directions are frozen at each pressure, the linear code's information, and proposed pressures.

    >>> import torch
    >>> from unweave.analysis import freezing_spectrum
    >>> "pressure" in spectrum_figure(freezing_spectrum(torch.eye(4).reshape(4, 1, 2, 2)), betas=(1.2, 0.6))
    True
    """
    if not len(spectrum.values):
        raise UserError("spectrum_figure: all images are the same; allowed: a spectrum with at least one value")
    values = spectrum.values.tolist()
    end = min([values[-1], *(curve.betas if curve else ()), *betas])
    low = max(end, values[-1]) if not spectrum.complete else end
    grid = [values[0] * (low / values[0]) ** (k / 80) for k in range(81)]
    # The last point may round to just below what the spectrum reaches.
    rates = [(beta, spectrum.rate(max(beta, low))) for beta in grid]
    top = max(curve.information) * 1.6 if curve else max(rate for _, rate in rates) or 1.0
    lines = [("thin", [(beta, rate) for beta, rate in rates if rate <= top], "KL, water-filling")]
    lines += [("line", list(zip(curve.betas, curve.information, strict=True)), "I(x; z), linear code")] if curve else []
    marks = [(beta, f"{beta:.3g}", "mark") for beta in betas]
    plot = _Plot(values[0] * 1.15, min(end, *betas, low) if betas else end, top, "nats", title or "Freezing spectrum")
    return plot.drawing(lines, marks, rug=values)


def freezing_figure(factors: Sequence[FreezingPoints], betas: Sequence[float] = (), title: str = "") -> Html:
    """The freezing points of several factors, a row each: every test a dot, the median a bar.

    >>> test = Freezing(5.0, Curve((10.0, 5.0), (0.0, 0.2)), 8.0)
    >>> "scale" in freezing_figure([FreezingPoints("scale", (test, test))])
    True
    """
    points = [point for factor in factors for point in factor.points]
    if not points:
        raise UserError("freezing_figure: no freezing point was reached; allowed: at least one")
    plot = _Plot(
        max([*points, *betas]) * 1.2,
        min([*points, *betas]) / 1.2,
        1.0,
        "",
        title or "Freezing points",
        ROW * len(factors),
    )
    parts = []
    for place, factor in enumerate(factors):
        at = TOP + ROW * (place + 0.5)
        missed = len(factor.tests) - len(factor.points)
        name = factor.factor + (f" ({missed} not reached)" if missed else "")
        parts.append(tag("text", name, x=LEFT + 4, y=_f(at - 8), class_="said"))
        for k, point in enumerate(factor.points):
            shift = 3.0 * ((k * 7) % 5 - 2) / 2
            parts.append(tag("circle", cx=_f(plot.across(point)), cy=_f(at + 5 + shift), r=3, class_="dot"))
        if factor.median is not None:
            x = _f(plot.across(factor.median))
            parts.append(tag("line", x1=x, x2=x, y1=_f(at - 3), y2=_f(at + 13), class_="bar"))
    said = ", ".join(f"{f.factor} median {number(f.median)}" for f in factors if f.median is not None)
    return plot.drawing([], [(beta, f"{beta:.3g}", "mark") for beta in betas], extra=parts, label=said)


class _Plot:
    """A logarithmic pressure axis that falls from left to right."""

    def __init__(self, high: float, low: float, top: float, unit: str, title: str, inside: float | None = None) -> None:
        self.high, self.low, self.top, self.unit, self.title = math.log(high), math.log(low), top, unit, title
        self.floor = TOP + inside if inside is not None else HEIGHT - BOTTOM

    def across(self, beta: float) -> float:
        span = self.high - self.low or 1.0
        return LEFT + (self.high - math.log(beta)) / span * (WIDTH - LEFT - RIGHT)

    def down(self, value: float) -> float:
        return self.floor - value / (1.06 * self.top) * (self.floor - TOP)

    def drawing(
        self,
        lines: Sequence[tuple[str, Sequence[tuple[float, float]], str]],
        marks: Sequence[tuple[float, str, str]],
        rug: Sequence[float] = (),
        extra: Sequence[Html] = (),
        label: str = "",
    ) -> Html:
        parts = self._ground()
        for beta in rug:
            if math.log(beta) >= self.low - 1e-9:
                parts.append(self._stroke(beta, self.floor, self.floor - 7, "bar"))
        for kind, points, words in lines:
            path = "L".join(f"{_f(self.across(beta))},{_f(self.down(value))}" for beta, value in points)
            parts.append(tag("path", d=f"M{path}", class_=kind))
            over = -7 if self._late(points[-1][0]) else 9
            parts += [self._words(words, points[-1][0], self.down(points[-1][1]) + over, 6, None)] if words else []
        for place, (beta, words, kind) in enumerate(sorted(marks, reverse=True)):
            parts.append(self._stroke(beta, TOP, self.floor, kind))
            # Labels of neighbouring marks take turns in height.
            parts.append(self._words(words, beta, TOP + 10 + 13 * (place % 3), 4, "told" if kind == "mark" else "said"))
        told = "; ".join([self.title, *(words for _, words, _ in marks), *([label] if label else [])])
        height = self.floor + BOTTOM
        return tag(
            "svg",
            tag("style", Html(STYLE)),
            join(*parts),
            *extra,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:g} {height:g}",
            width=_f(WIDTH),
            role="img",
            class_="freezing",
            aria_label=told,
        )

    def _ground(self) -> list[Html]:
        """Title, grid, axis and their labels."""
        right = WIDTH - RIGHT
        parts = [tag("text", self.title, x=LEFT, y=13, class_="title")]
        for value in ticks(0, self.top, 4) if self.unit else []:
            y = self.down(value)
            parts.append(tag("line", x1=LEFT, x2=right, y1=_f(y), y2=_f(y), class_="grid"))
            parts.append(tag("text", short(value), x=LEFT - 6, y=_f(y + 3.5), text_anchor="end"))
        low = _f(self.floor + 15)
        for value in _pressures(math.exp(self.low), math.exp(self.high)):
            parts.append(tag("text", short(value), x=_f(self.across(value)), y=low, text_anchor="middle"))
        parts.append(tag("line", x1=LEFT, x2=right, y1=_f(self.floor), y2=_f(self.floor), class_="axis"))
        below = {"x": _f((LEFT + right) / 2), "y": _f(self.floor + 31)}
        parts.append(tag("text", "pressure β, falling", **below, text_anchor="middle"))
        return [*parts, *([tag("text", self.unit, x=LEFT - 6, y=TOP - 4, text_anchor="end")] if self.unit else [])]

    def _stroke(self, beta: float, top: float, floor: float, kind: str) -> Html:
        x = _f(self.across(beta))
        return tag("line", x1=x, x2=x, y1=_f(top), y2=_f(floor), class_=kind)

    def _words(self, words: str, beta: float, y: float, gap: float, kind: str | None) -> Html:
        """A label right of a pressure; left of it where it would leave the drawing."""
        late = self._late(beta)
        x = self.across(beta) + (-gap if late else gap)
        return tag("text", words, x=_f(x), y=_f(y), text_anchor="end" if late else None, class_=kind)

    def _late(self, beta: float) -> bool:
        return self.across(beta) > WIDTH - 130


def _pressures(low: float, high: float) -> list[float]:
    found = [
        m * 10.0**p for p in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)
    ]
    return [float(f"{v:.6g}") for v in found if low <= v <= high]


def _f(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

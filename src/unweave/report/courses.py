"""Figures of information over training: one training in full, and several trainings beside each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unweave.analysis.course import ALIVE, Course
from unweave.report.maps import heat
from unweave.report.markup import Html, tag
from unweave.report.plot import Frame, axes, band, drawing, f, legend, line, span, text
from unweave.types import UserError

WIDTH, COLUMNS = 1000.0, 3
LEFT, RIGHT, GAP = 58.0, 16.0, 62.0
PANEL = 150.0
SPACE = 78.0
"""Height of what stands between two rows of panels: labels, a title."""
ROOM = 1.2
"""How much higher than its values a panel is that has its legend inside."""
MAP_ROWS = 24
"""Most steps shown in the heat-map."""


def course_figure(course: Course, latents: int = 5, title: str = "", delta: float = 0.05, alive: float = ALIVE) -> str:
    """One training: a panel a factor with a curve a latent, the means, the parts of the rate, and the heat-map.

    As Figure 3 of DeVAE (Wu et al., 2023) and Figures 3 and 7 of DEFT (Wu et al., 2022). Diffusion events are marked
    from the peak to the lowest point.

    Args:
        course: measured points.
        latents: how many latents are drawn: those with the highest KL at the end.
        title: stands on top.
        delta: δ of the events.
        alive: a latent counts as telling nothing while its KL is below so many nats; 0: all count, as in publications.

    Returns:
        An SVG document.

    Raises:
        UserError: no latents.
    """
    if latents < 1:
        raise UserError(f"course_figure: latents = {latents}; allowed: 1 or more")
    course = course.living(alive)
    chosen = course.informative(latents)
    events = course.events(delta, alive)
    parts: list[Html] = [text(LEFT, 26, title or "Information over training", class_="head")]
    if alive:
        parts.append(text(WIDTH - RIGHT, 26, f"latents count from a KL of {alive:g} nats on", anchor="end"))
    names = [(f"latent {j}", place, place) for place, j in enumerate(chosen)]
    drawn, used = legend(names, LEFT, 48, WIDTH - LEFT)
    parts.append(drawn)
    frames = _frames(len(course.factors) + 1 + bool(course.rate), 48 + used + 26)
    for k, name in enumerate(course.factors):
        frame = _framed(frames[k], course.steps, (0.0, 1.0))
        marks = [(event.peak, event.lowest) for event in events if event.factor == name]
        parts += [_mark(frame, begin, end) for begin, end in marks]
        told = f"{name} · diffuses" if marks else name
        parts.append(axes(frame, told, "steps", "NMI(z, c)" if k % COLUMNS == 0 else ""))
        parts += [line(frame, course.steps, course.nmi[:, j, k], p, p) for p, j in enumerate(chosen)]
    place = len(course.factors)
    means = {"NMI1": course.nmi1, "NMI2": course.nmi2, "MIG": course.mig}
    parts += _means(_framed(frames[place], course.steps, (0.0, ROOM)), course, means)
    if course.rate:
        parts += _rate(frames[place + 1], course)
    bottom = frames[-1].top + PANEL + SPACE
    high, maps = _history(course, bottom)
    label = f"{title or 'Information over training'}: {len(course.steps)} steps up to {int(course.steps[-1]):,}, "
    label += f"NMI1 {course.nmi1[-1]:.2f}, NMI2 {course.nmi2[-1]:.2f}, MIG {course.mig[-1]:.2f} at the end, "
    label += f"{len(events)} diffusion events"
    return drawing(WIDTH, bottom + high, label, *parts, *maps)


def compare_figure(courses: Mapping[str, Course], title: str = "", alive: float = ALIVE) -> str:
    """Several trainings: I(x; z), NMI1, NMI2 and MIG with a curve a training, then a panel a training with its factors.

    As Figure 7 of DEFT (Wu et al., 2022) and Figure 3 of DeVAE (Wu et al., 2023). In the lower panels a solid curve is
    a factor's best latent, a dashed one its second best.

    Args:
        courses: name -> course.
        title: stands on top.
        alive: as in ``course_figure``.

    Returns:
        An SVG document.

    Raises:
        UserError: no course, or courses of different factors.
    """
    factors = {course.factors for course in courses.values()}
    if len(factors) != 1:
        raise UserError(f"compare_figure: {len(courses)} courses of {len(factors)} sets of factors; allowed: one set")
    (names,) = factors
    courses = {name: course.living(alive) for name, course in courses.items()}
    entries = [(name, place, place) for place, name in enumerate(courses)]
    parts: list[Html] = [text(LEFT, 26, title or "Information over training", class_="head")]
    if alive:
        parts.append(text(WIDTH - RIGHT, 26, f"latents count from a KL of {alive:g} nats on", anchor="end"))
    drawn, used = legend(entries, LEFT, 48, WIDTH - LEFT)
    parts.append(drawn)
    ends = np.concatenate([course.steps for course in courses.values()])
    curves: dict[str, tuple[str, dict[str, np.ndarray]]] = {
        "NMI1": ("NMI1: best latent", {n: c.nmi1 for n, c in courses.items()}),
        "NMI2": ("NMI2: second best", {n: c.nmi2 for n, c in courses.items()}),
        "MIG": ("MIG: NMI1 − NMI2", {n: c.mig for n, c in courses.items()}),
    }
    if all("mi" in course.rate for course in courses.values()):
        mi = {n: np.asarray(c.rate["mi"]) for n, c in courses.items()}
        curves = {"MI": ("I(x; z) in nats", mi), **curves}
    columns = len(curves)
    frames = _frames(columns, 48 + used + 26, columns)
    for frame, (kind, (told, each)) in zip(frames, curves.items(), strict=True):
        high = span(np.concatenate(list(each.values())), zero=True)[1] if kind == "MI" else 1.0
        framed = _framed(frame, ends, (0.0, high))
        parts.append(axes(framed, told, "steps"))
        parts += [line(framed, courses[n].steps, values, p, p) for p, (n, values) in enumerate(each.items())]
    top = frames[-1].top + PANEL + SPACE
    kinds = [(name, place, 0) for place, name in enumerate(names)]
    drawn, used = legend([*kinds, ("second best", 6, 1)], LEFT, top - 16, WIDTH - LEFT)
    parts.append(drawn)
    frames = _frames(len(courses), top + used + 14)
    for frame, (name, course) in zip(frames, courses.items(), strict=True):
        framed = _framed(frame, ends, (0.0, 1.0))
        first, second = course.ranked(1), course.ranked(2)
        marks = course.events(alive=alive)
        parts.append(axes(framed, f"{name} · {len(marks)} diffusion events", "steps", "NMI(c, 1)"))
        for k in range(len(names)):
            parts += [line(framed, course.steps, first[:, k], k, 0), line(framed, course.steps, second[:, k], k, 1)]
    last = ", ".join(f"{name} NMI1 {course.nmi1[-1]:.2f}" for name, course in courses.items())
    label = f"{title or 'Information over training'}: at the end {last}"
    return drawing(WIDTH, frames[-1].top + PANEL + 46, label, *parts)


def _frames(count: int, top: float, columns: int = COLUMNS) -> list[Frame]:
    """Empty frames in rows."""
    gap = GAP if columns <= COLUMNS else 44.0
    width = (WIDTH - LEFT - RIGHT - (columns - 1) * gap) / columns
    return [
        Frame(LEFT + (k % columns) * (width + gap), top + (k // columns) * (PANEL + SPACE), width, PANEL, 0, 1, 0, 1)
        for k in range(count)
    ]


def _framed(frame: Frame, steps: np.ndarray, rise: tuple[float, float]) -> Frame:
    low, high = float(steps.min()), float(steps.max())
    low = 0.0 if low <= 0.2 * high else low
    if low == high:
        low, high = low - 1, high + 1
    return frame._replace(low_x=low, high_x=high, low_y=rise[0], high_y=rise[1])


def _mark(frame: Frame, begin: float, end: float) -> Html:
    left, right = frame.across(begin), frame.across(end)
    return tag("rect", x=f(left), y=f(frame.top), width=f(right - left), height=f(frame.height), class_="event")


def _means(frame: Frame, course: Course, means: Mapping[str, np.ndarray]) -> list[Html]:
    drawn, _ = legend([(name, p, p) for p, name in enumerate(means)], frame.left + 8, frame.top + 8, 500)
    lines = [line(frame, course.steps, values, p, p) for p, values in enumerate(means.values())]
    return [axes(frame, "mean over factors", "steps"), *lines, drawn]


def _rate(frame: Frame, course: Course) -> list[Html]:
    names = {"mi": "MI", "tc": "TC", "dw": "DW", "kl": "KL"}
    each = {name: np.asarray(course.rate[name]) for name in names if name in course.rate}
    low, high = span(np.concatenate(list(each.values())), zero=True)
    framed = _framed(frame, course.steps, (low, high + (ROOM - 1) * (high - low)))
    parts = [axes(framed, "the rate and its parts, nats", "steps")]
    for place, (name, values) in enumerate(each.items()):
        error = np.asarray(course.rate.get(f"{name}_error", np.zeros_like(values)))
        if error.any():
            parts.append(band(framed, course.steps, values - 2 * error, values + 2 * error, place))
        parts.append(line(framed, course.steps, values, place, place))
    drawn, _ = legend([(names[n], p, p) for p, n in enumerate(each)], framed.left + 8, framed.top + 8, 500)
    return [*parts, drawn]


def _history(course: Course, top: float) -> tuple[float, list[Html]]:
    """The heat-map over training: a row a step, a column a factor, for the best and the second best latent."""
    kept = sorted({round(t) for t in np.linspace(0, len(course.steps) - 1, min(MAP_ROWS, len(course.steps)))})
    rows = [f"{int(course.steps[t]):,}" for t in kept]
    parts, wide = [], (WIDTH - LEFT - RIGHT - GAP) / 2
    for side, told in enumerate(("NMI(c, 1): the best latent", "NMI(c, 2): the second best")):
        left = LEFT + side * (wide + GAP)
        parts.append(heat(course.ranked(side + 1)[kept], rows, course.factors, left, top, wide, told))
    return heat_height(len(kept)) + 10, parts


def heat_height(rows: int) -> float:
    """How high a heat-map of so many rows is under its top."""
    return 30.0 + 20.0 * rows

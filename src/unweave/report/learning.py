"""Figures of downstream tasks and of the three properties over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unweave.analysis.rate import KLParts
from unweave.analysis.transfer import Efficiency
from unweave.analysis.watch import PropertyCourse
from unweave.report.markup import Html, tag
from unweave.report.plot import Frame, axes, band, drawing, f, legend, line, span, text
from unweave.types import UserError

PROPERTIES = {
    "sufficiency": "reconstruction error (sufficiency)",
    "minimality": "I(x; z), nats (minimal sufficiency)",
    "disentanglement": "Σ I(z_i; z_j), nats (disentanglement)",
}
"""What each property is drawn as; lower is better for all three."""
WIDE, HIGH, GAP = 290.0, 190.0, 70.0


def efficiency_figure(
    tasks: Mapping[str, Mapping[str, Efficiency]], dotted: Mapping[str, Efficiency] | None = None, title: str = ""
) -> str:
    """Test accuracy against the share of the training images, as Figure 7 of RecurD (Chen et al., 2022).

    Args:
        tasks: task, such as "MNIST" or "a domain left out" -> {model: its curve}; a panel a task.
        dotted: task -> a curve drawn dotted: a single-layer supervised network (``data_efficiency(pixel_codes(…))``).
        title: stands on top.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw.
    """
    names = list(dict.fromkeys(name for each in tasks.values() for name in each))
    if not names:
        raise UserError("efficiency_figure: no curves; allowed: one task or more with at least one model each")
    heading = title or "Downstream accuracy from frozen codes"
    legends = [(name, k, 0) for k, name in enumerate(names)] + ([("single layer on pixels", 6, 2)] if dotted else [])
    drawn, used = legend(legends, 62, 46, len(tasks) * (WIDE + GAP))
    top = 64 + used
    parts: list[Html] = [text(62, 24, heading, class_="head"), drawn]
    for place, (task, each) in enumerate(tasks.items()):
        more = [dotted[task]] if dotted and task in dotted else []
        low, high = span(np.concatenate([one.accuracy for one in [*each.values(), *more]]), pad=0.1)
        frame = Frame(62 + place * (WIDE + GAP), top, WIDE, HIGH, 0.0, 1.05, max(low, 0.0), min(high, 1.0))
        some = next(iter([*each.values(), *more]))
        marks = [(share, f"{100 * share:.0f} %") for share in some.fractions]
        parts.append(axes(frame, f"{task} · {some.label}", "share of the training images", "test accuracy", marks))
        parts += [line(frame, one.fractions, one.accuracy, names.index(name), 0) for name, one in each.items()]
        parts += [line(frame, one.fractions, one.accuracy, 6, 2) for one in more]
    words = "; ".join(
        f"{task}: " + ", ".join(f"{name} {one.accuracy[-1]:.3f}" for name, one in each.items())
        for task, each in tasks.items()
    )
    return drawing(62 + len(tasks) * (WIDE + GAP) - GAP + 24, top + HIGH + 46, f"{heading}: at the end {words}", *parts)


def property_course_figure(courses: Mapping[str, PropertyCourse], title: str = "") -> str:
    """The three properties over training, a panel each and a curve a model, with bands of two standard errors.

    Args:
        courses: model -> its course (``analysis.property_course``).
        title: stands on top.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw.
    """
    if not courses:
        raise UserError("property_course_figure: no courses; allowed: one or more")
    heading = title or "Three properties over training"
    drawn, used = legend([(name, k, k) for k, name in enumerate(courses)], 62, 46, 3 * (WIDE + GAP))
    top = 64 + used
    parts: list[Html] = [text(62, 24, heading, class_="head"), drawn]
    ends = np.concatenate([one.steps for one in courses.values()])
    for place, (name, words) in enumerate(PROPERTIES.items()):
        rise = span(np.concatenate([one.mean[name] for one in courses.values()]), zero=True)
        frame = Frame(62 + place * (WIDE + GAP), top, WIDE, HIGH, 0.0, float(ends.max()), *rise)
        parts.append(axes(frame, words, "steps"))
        for k, one in enumerate(courses.values()):
            middle, error = one.mean[name], 2 * np.nan_to_num(one.error[name])
            low, high = (np.clip(v, *rise) for v in (middle - error, middle + error))
            parts += [band(frame, one.steps, low, high, k), line(frame, one.steps, middle, k, k)]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{what} {one.mean[what][-1]:.3g}" for what in PROPERTIES)
        for name, one in courses.items()
    )
    return drawing(62 + 3 * (WIDE + GAP) - GAP + 24, top + HIGH + 46, f"{heading}: at the end {told}", *parts)


def rate_figure(rate: KLParts, title: str = "", units: Sequence[str] = ()) -> str:
    """The KL of each latent in parts: I(x; z_j) and KL(q(z_j) ‖ p) as a bar, its whole and their errors beside it.

    Args:
        rate: see ``analysis.kl_decompose``.
        title: stands on top.
        units: names of the latents; their numbers when empty.

    Returns:
        An SVG document.
    """
    each = [one for one in rate.units if len(one.latents) == 1]
    names = list(units) or [str(one.latents[0]) for one in each]
    heading = title or "The KL in parts"
    wide = max(320.0, 34.0 * len(each))
    drawn, used = legend([("I(x; z), information", 0, 0), ("KL(q(z) ‖ p), off the prior", 1, 0)], 62, 46, wide)
    high = span([one.kl for one in each] + [one.mi + 2 * one.errors["mi"] for one in each], zero=True)[1]
    frame = Frame(62, 60 + used, wide, HIGH, -0.6, len(each) - 0.4, 0.0, max(high, 1e-9))
    every = max(1, len(each) // 24)
    marks = [(float(k), name) for k, name in enumerate(names) if k % every == 0]
    parts: list[Html] = [text(62, 24, heading, class_="head"), drawn, axes(frame, "", "latent", "nats", marks)]
    half = 0.36 * wide / (len(each) + 0.2)
    for k, one in enumerate(each):
        middle, floor = frame.across(float(k)), 0.0
        for colour, part in ((0, max(one.mi, 0.0)), (1, max(one.dw, 0.0))):
            top, bottom = frame.down(floor + part), frame.down(floor)
            box = {"x": f(middle - half), "y": f(top), "width": f(2 * half), "height": f(bottom - top)}
            parts.append(tag("rect", **box, class_=f"f{colour}"))
            floor += part
        ends = {"y1": f(frame.down(one.mi - 2 * one.errors["mi"])), "y2": f(frame.down(one.mi + 2 * one.errors["mi"]))}
        parts.append(tag("line", x1=f(middle), x2=f(middle), **ends, class_="line s6"))
    whole = {"mi": "I(x; z)", "tc": "TC", "dw": "off the prior"}
    told = ", ".join(f"{name} {getattr(rate, key):.2f} ± {rate.errors[key]:.2f}" for key, name in whole.items())
    together = f"All latents together: KL {rate.kl:.2f} nats = {told} (standard errors)"
    parts.append(text(62, frame.top + HIGH + 52, together))
    whole_width = max(62 + wide + 24, 80 + 6.0 * len(together))
    return drawing(whole_width, frame.top + HIGH + 68, f"{heading}: KL {rate.kl:.2f} nats, {told}", *parts)

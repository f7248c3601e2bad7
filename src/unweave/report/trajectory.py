"""The best-ELBO trajectory as a figure: grouping coefficient against capacity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unweave.analysis.trajectory import Trajectory
from unweave.report.markup import Html, tag
from unweave.report.numbers import short
from unweave.report.plot import Frame, axes, drawing, f, legend, line, text
from unweave.types import UserError

SIZE, HIGH = 470.0, 290.0


def trajectory_figure(
    trajectories: Mapping[str, Trajectory],
    title: str = "",
    omniscient: Mapping[str, set[tuple[float, float]]] | None = None,
) -> str:
    """Figure 2 of β-STCVAE (Chen et al., 2022): the best grouping coefficient at each capacity, a curve a pressure.

    Dots with bars of two standard errors are means over numbers of latents, lines the fitted curves, the dashed level
    line what β-TCVAE has (mean of 1/m). Across stand places in the list of capacities, as in the paper, with the
    capacities beneath.

    Args:
        trajectories: name, such as the pressure -> its trajectory (``analysis.elbo_trajectory``).
        title: stands on top.
        omniscient: name -> (capacity, coefficient) of cells with an omniscient latent (``analysis.omniscient``), marked
            by squares.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw, or trajectories over different capacities.

    >>> from unweave.analysis import Trained, elbo_trajectory
    >>> grid = [Trained(c, 8, i, (i - b) ** 2) for c, b in ((1, 4), (2, 1), (3, 2)) for i in (1, 2, 4)]
    >>> "V-shaped" in trajectory_figure({"β = 4": elbo_trajectory(grid)})
    True
    """
    capacities = {one.capacities for one in trajectories.values()}
    if len(capacities) != 1:
        raise UserError(
            f"trajectory_figure: {len(trajectories)} trajectories over {len(capacities)} lists of capacities; "
            "allowed: one list"
        )
    (each,) = capacities
    heading = title or "Best-ELBO trajectory"
    names = [(name, k, 0) for k, name in enumerate(trajectories)]
    drawn, used = legend([*names, ("single latents (β-TCVAE)", 6, 1)], 64, 48, SIZE)
    frame = Frame(64, 48 + used + 16, SIZE, HIGH, -0.3, len(each) - 0.7, 0.0, 1.08)
    parts: list[Html] = [text(64, 24, heading, class_="head"), drawn]
    marks = [(float(place), short(capacity)) for place, capacity in enumerate(each)]
    parts.append(axes(frame, "", "capacity", "grouping coefficient i/m", marks))
    for place, (name, one) in enumerate(trajectories.items()):
        at = np.arange(len(each), dtype=np.float64)
        level = np.full(2, one.reference)
        parts.append(line(frame, [frame.low_x, frame.high_x], level, 6, 1))
        parts.append(line(frame, at, one.curve, place, 0))
        for x, middle, error in zip(at, one.coefficients, np.nan_to_num(one.errors), strict=True):
            where = f(frame.across(x + 0.03 * place))
            ends = {"y1": f(frame.down(middle - 2 * error)), "y2": f(frame.down(middle + 2 * error))}
            parts.append(tag("line", x1=where, x2=where, **ends, class_=f"line s{place % 8}"))
            parts.append(tag("circle", cx=where, cy=f(frame.down(middle)), r="4", class_=f"f{place % 8}"))
        for capacity, coefficient in sorted((omniscient or {}).get(name, set())):
            left, above = frame.across(each.index(capacity)) - 8, frame.down(coefficient) - 8
            box = {"x": f(left), "y": f(above), "width": "16", "height": "16"}
            parts.append(tag("rect", **box, class_=f"line s{place % 8}"))
    words = "; ".join(f"{name}: {told(one)}" for name, one in trajectories.items())
    bottom = frame.top + HIGH + 66
    parts += [text(64, bottom + 18 * k, f"{name}: {told(one)}") for k, (name, one) in enumerate(trajectories.items())]
    return drawing(64 + SIZE + 24, bottom + 18 * len(trajectories), f"{heading}: {words}", *parts)


def told(one: Trajectory) -> str:
    """What the fitted curve does, in words."""
    if one.v_shaped:
        return f"V-shaped, falls by {one.falls:.2f} to place {one.lowest:.1f} and rises by {one.rises:.2f}"
    return f"not V-shaped: the fitted curve {'falls' if one.falls > one.rises else 'rises'} throughout"

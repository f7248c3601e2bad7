"""How latents answer to their factors, as a figure: the robustness matrix, and a panel a latent."""

from __future__ import annotations

import numpy as np

from unweave.analysis.interventions import Interventions, Response
from unweave.report.maps import ROW, heat
from unweave.report.markup import Html
from unweave.report.plot import Frame, axes, band, drawing, legend, line, span, text

LINES = 5
"""Most lines of another factor in a panel."""
COLUMNS, PANEL, HIGH = 3, 236.0, 150.0
ROOM = 116.0
"""Height of what stands between two rows of panels: labels, a legend of two lines, a title."""


def interventions_figure(found: Interventions, latents: int = 6, title: str = "") -> str:
    """The robustness of every latent to every factor, and below it how the most robust latents answer to their parent.

    A panel has the parent's levels across: a thick line with a band for the latent's mean ± standard deviation over all
    images with that level, and thin dashed lines for the means at up to 5 levels of the other factor that moves the
    latent most. A latent of one factor alone has no band, and its dashed lines lie on the thick one.

    Args:
        found: see ``analysis.interventions``.
        latents: most panels.
        title: stands on top.

    Returns:
        An SVG document.

    >>> import torch
    >>> from unweave.analysis import interventions
    >>> from unweave.types import Codes
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(3))
    >>> interventions_figure(interventions(Codes.of(levels.double(), levels))).startswith("<svg xmlns")
    True
    """
    shown = found.responses[:latents]
    wide = 64 + COLUMNS * (PANEL + 60)
    rows = [str(d) for d in range(len(found.matrix))]
    heading = title or "Robustness: how still a latent stays while a factor is held"
    parts: list[Html] = [text(64, 24, heading, class_="head")]
    across = min(wide - 90, 84.0 * len(found.names))
    parts.append(heat(found.matrix, rows, list(found.names), 64, 62, across, "1 − deviation while held ÷ largest"))
    top = 62 + 30 + ROW * len(rows) + 56
    for place, one in enumerate(shown):
        left = 64 + place % COLUMNS * (PANEL + 60)
        parts += _panel(one, left, top + place // COLUMNS * (HIGH + ROOM))
    high = top + -(-max(len(shown), 1) // COLUMNS) * (HIGH + ROOM) - 20
    told = ", ".join(f"latent {one.latent} {one.parent} {one.robustness:.2f}" for one in shown) or "no latent moves"
    return drawing(wide, high, f"{heading}: {told}", *parts)


def _panel(one: Response, left: float, top: float) -> list[Html]:
    other = one.strongest
    lines = one.given[other] if other else np.zeros((len(one.levels), 0))
    chosen = sorted({round(k) for k in np.linspace(0, lines.shape[1] - 1, min(LINES, lines.shape[1]))})
    every = [one.mean - one.deviation, one.mean + one.deviation, *(lines[:, k] for k in chosen)]
    low, high = float(one.levels[0]), float(one.levels[-1])
    frame = Frame(left, top, PANEL, HIGH, low - 0.5, high + 0.5, *span(np.concatenate(every)))
    name = f"latent {one.latent} · R = {one.robustness:.2f}"
    parts = [axes(frame, name, f"level of {one.parent}", "z")]
    parts.append(band(frame, one.levels, one.mean - one.deviation, one.mean + one.deviation, 0))
    for k in chosen:
        parts.append(line(frame, one.levels, lines[:, k], 1, 2))
    parts.append(line(frame, one.levels, one.mean, 0, 0))
    names = [("mean ± deviation", 0, 0), *([(f"at levels of {other}", 1, 2)] if other else [])]
    drawn, _ = legend(names, left, top + HIGH + 48, PANEL + 40)
    return [*parts, drawn]

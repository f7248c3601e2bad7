"""Figures of blocks and attributes: the scatter against the prior, the diagonal, a block beside single latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unweave.analysis.attributes import BlockScatter, Diagonal
from unweave.report.markup import Html, tag
from unweave.report.plot import COLOURS, Frame, axes, band, drawing, f, legend, line, text
from unweave.types import UserError

SIZE = 270.0
GAP = 66.0


def scatter_figure(scatters: Sequence[BlockScatter], title: str = "", levels: Sequence[str] = ()) -> str:
    """Codes of blocks of two latents over the contours of their prior, as Figure 3 of BHiVAE (Liu et al., 2021).

    The share of codes within each contour stands beside that of the prior. Colours are levels of a factor, if the
    scatters have one (of more than eight levels, colours repeat).

    Args:
        scatters: a panel each (``analysis.block_scatter``).
        title: stands on top.
        levels: names of the factor's levels, for the legend; their numbers when empty.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw.

    >>> import torch
    >>> from unweave.analysis import block_scatter
    >>> from unweave.types import Codes
    >>> "1 σ: 100 % (39 %)" in scatter_figure([block_scatter(Codes.of(torch.zeros(20, 2)), (0, 1))])
    True
    """
    if not scatters:
        raise UserError("scatter_figure: no blocks; allowed: one scatter or more")
    heading = title or "Codes of blocks over their prior"
    parts: list[Html] = [text(58, 24, heading, class_="head")]
    seen = sorted({int(level) for one in scatters for level in one.levels})
    top, named = 62.0, next((one.factor for one in scatters if one.factor), "")
    if seen and len(seen) <= COLOURS:
        names = [(levels[k] if k < len(levels) else f"{named} {k}", k, 0) for k in seen]
        drawn, used = legend(names, 58, 46, len(scatters) * (SIZE + GAP))
        parts.append(drawn)
        top += used + 10
    for place, one in enumerate(scatters):
        reach = max(4.0, 1.08 * float(np.quantile(np.abs(one.z), 0.995)) if len(one.z) else 4.0)
        frame = Frame(58 + place * (SIZE + GAP), top, SIZE, SIZE, -reach, reach, -reach, reach)
        first, second = one.block
        parts.append(axes(frame, f"latents {first} and {second}", f"z{first}", f"z{second}"))
        for k, (x, y) in enumerate(np.clip(one.z, -reach, reach)):
            colour = int(one.levels[k]) % COLOURS if len(one.levels) else 0
            at = {"cx": f(frame.across(x)), "cy": f(frame.down(y))}
            parts.append(tag("circle", **at, r="1.7", class_=f"f{colour}", fill_opacity="0.55"))
        for contour in one.contours:
            inside = np.abs(contour).max(1) <= reach
            parts.append(line(frame, contour[:, 0], np.where(inside, contour[:, 1], np.nan), 6, 1))
        shares = zip(one.radii, one.inside, one.expected, strict=True)
        words = ", ".join(f"{r:g} σ: {100 * share:.0f} % ({100 * own:.0f} %)" for r, share, own in shares)
        parts.append(text(frame.left, top + SIZE + 50, f"within {words}"))
    parts.append(text(58, top + SIZE + 70, "In brackets: the share that the prior has there. Dashed: its contours."))
    label = f"{heading}: {len(scatters)} blocks, share within 1 σ " + ", ".join(f"{s.inside[0]:.2f}" for s in scatters)
    return drawing(58 + len(scatters) * (SIZE + GAP) + 10, top + SIZE + 86, label, *parts)


def diagonal_figure(diagonals: Sequence[Diagonal], title: str = "", levels: Sequence[str] = ()) -> str:
    """The probability of each level of an attribute while a block moves along its diagonal (BHiVAE, Figure 7).

    Lines are means over base codes, bands their standard deviation.

    Args:
        diagonals: a panel each (``analysis.attribute_along``).
        title: stands on top.
        levels: names of the levels; their numbers when empty. More than eight levels are drawn evenly thinned to eight.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw.
    """
    if not diagonals:
        raise UserError("diagonal_figure: no diagonals; allowed: one or more")
    heading = title or "Attributes along the diagonal of a block"
    most = max(one.mean.shape[1] for one in diagonals)
    chosen = sorted({round(k) for k in np.linspace(0, most - 1, min(most, COLOURS))})
    names = [(levels[k] if k < len(levels) else f"level {k}", place, place) for place, k in enumerate(chosen)]
    drawn, used = legend(names, 58, 46, len(diagonals) * (SIZE + GAP))
    top, high = 72 + used, 190.0
    parts: list[Html] = [text(58, 24, heading, class_="head"), drawn]
    for place, one in enumerate(diagonals):
        low, up = float(one.values.min()), float(one.values.max())
        low, up = (low - 0.5, up + 0.5) if low == up else (low, up)
        frame = Frame(58 + place * (SIZE + GAP), top, SIZE, high, low, up, 0.0, 1.0)
        which = "latents " + ", ".join(map(str, one.block)) if len(one.block) > 1 else f"latent {one.block[0]}"
        parts.append(axes(frame, f"{one.factor} · {which}", "value of every latent of it", "probability"))
        for colour, k in enumerate(chosen):
            if k < one.mean.shape[1]:
                low_, high_ = one.mean[:, k] - one.deviation[:, k], one.mean[:, k] + one.deviation[:, k]
                parts.append(band(frame, one.values, np.clip(low_, 0, 1), np.clip(high_, 0, 1), colour))
                parts.append(line(frame, one.values, one.mean[:, k], colour, colour))
        parts.append(
            text(frame.left, top + high + 50, f"The classifier is right on {100 * one.accuracy:.1f} % of images.")
        )
    label = f"{heading}: " + ", ".join(f"{one.factor} along {one.block}" for one in diagonals)
    return drawing(58 + len(diagonals) * (SIZE + GAP) - GAP + 24, top + high + 66, label, *parts)


def bars_figure(
    groups: Mapping[str, Mapping[str, float]],
    title: str = "",
    beside: str = "accuracy",
    errors: Mapping[str, Mapping[str, float]] | None = None,
    level: tuple[str, float] | None = None,
) -> str:
    """Bars side by side, such as block against single latents for several sizes of code (BHiVAE, Figure 8).

    Args:
        groups: group, such as the size of the code -> {bar: value in [0, 1]}.
        title: stands on top.
        beside: what the values are.
        errors: standard errors, drawn as whiskers of twice their size.
        level: name and height of a dashed line, such as chance.

    Returns:
        An SVG document.

    Raises:
        UserError: nothing to draw, values outside [0, 1].

    >>> "block" in bars_figure({"10": {"block": 0.9, "single": 0.8}})
    True
    """
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    values = [value for bars in groups.values() for value in bars.values()]
    if not names or not all(0 <= value <= 1 for value in values):
        raise UserError(f"bars_figure: {len(values)} values {values[:6]}; allowed: one or more, from 0 to 1")
    heading = title or "Accuracy"
    wide, high = max(300.0, len(groups) * (26.0 * len(names) + 26)), 210.0
    legends = [(name, k, 0) for k, name in enumerate(names)] + ([(level[0], 6, 1)] if level else [])
    drawn, used = legend(legends, 62, 46, wide)
    frame = Frame(62, 58 + used, wide, high, -0.5, len(groups) - 0.5, 0.0, 1.0)
    parts: list[Html] = [text(62, 24, heading, class_="head"), drawn]
    parts.append(axes(frame, "", "", beside, [(float(k), name) for k, name in enumerate(groups)]))
    each = 0.8 / len(names)
    for place, (group, bars) in enumerate(groups.items()):
        for name, value in bars.items():
            k = names.index(name)
            middle = frame.across(place - 0.4 + (k + 0.5) * each)
            size = (frame.across(each) - frame.across(0.0)) * 0.86
            top = frame.down(value)
            box = {"x": f(middle - size / 2), "y": f(top), "width": f(size), "height": f(frame.down(0.0) - top)}
            parts.append(tag("rect", **box, rx="2", class_=f"f{k % COLOURS}"))
            error = (errors or {}).get(group, {}).get(name, 0.0)
            above = frame.down(value + 2 * error) - 5
            parts.append(text(middle, above, f"{value:.2f}".lstrip("0") if value < 1 else "1", anchor="middle"))
            if error:
                ends = {"y1": f(frame.down(value - 2 * error)), "y2": f(frame.down(value + 2 * error))}
                parts.append(tag("line", x1=f(middle), x2=f(middle), **ends, class_="line s6"))
    if level:
        parts.append(line(frame, [frame.low_x, frame.high_x], [level[1], level[1]], 6, 1))
    told = "; ".join(f"{g}: " + ", ".join(f"{n} {v:.3f}" for n, v in bars.items()) for g, bars in groups.items())
    return drawing(62 + wide + 24, frame.top + high + 34, f"{heading}: {told}", *parts)

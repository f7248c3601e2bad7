"""The latent × factor table: which latent carries what, as numbers on a coloured ground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unweave.report.markup import Html, tag
from unweave.report.numbers import number
from unweave.report.story import Information

DEAD = 0.01
"""A latent with less KL (nats), or without KL less NMI with every factor, counts as unused and is folded away."""
NAMED = 0.05
"""The smallest NMI at which a latent is said to carry a factor."""
DARK = 0.73
"""From this NMI on a cell is so strongly coloured that its number changes colour (contrast at least 4.5 all along)."""


def told(information: Information | None) -> bool:
    """Whether there is a number to show for at least one latent."""
    return known_factors(information) or (
        information is not None and information.kl is not None and bool(information.kl.size)
    )


def known_factors(information: Information | None) -> bool:
    """Whether there is an information matrix with at least one cell."""
    return information is not None and information.nmi is not None and bool(information.nmi.size)


def order(information: Information) -> tuple[list[int], list[int]]:
    """Latents in use and unused latents, both by falling KL (without KL: by falling sum of NMI).

    >>> order(Information(kl=np.array([0.001, 2.0, 3.0])))
    ([2, 1], [0])
    """
    worth = size = information.kl
    if worth is None or size is None:
        nmi = np.nan_to_num(information.nmi, nan=0.0) if information.nmi is not None else np.zeros((0, 1))
        worth, size = nmi.sum(axis=1), nmi.max(axis=1)
    ranked = [int(d) for d in np.argsort(-np.nan_to_num(worth, nan=-1.0), kind="stable")]
    # A KL that is not a number is no proof that the latent is unused.
    return [d for d in ranked if not size[d] < DEAD], [d for d in ranked if size[d] < DEAD]


def label(information: Information | None, latent: int) -> str:
    """The label of a latent; its number where it has none."""
    if information is not None and 0 <= latent < len(information.latents):
        return str(information.latents[latent])
    return str(latent)


def carries(information: Information | None, latent: int) -> tuple[str, float] | None:
    """The factor of which a latent tells most, and how much; None where that is not known.

    >>> carries(Information(nmi=np.array([[0.1, 0.7]]), factors=("shape", "x")), 0)
    ('x', 0.7)
    """
    if information is None or information.nmi is None or not known_factors(information):
        return None
    if not 0 <= latent < len(information.nmi) or np.isnan(information.nmi[latent]).all():
        return None
    best = int(np.nanargmax(information.nmi[latent]))
    return str(information.factors[best]), float(information.nmi[latent, best])


def nats(value: float) -> str:
    """A KL in two decimals; in one digit where that would show nothing.

    >>> nats(1.234), nats(0.0002)
    ('1.23', '2e−4')
    """
    return f"{value:.2f}" if 0.005 <= abs(value) < 1e6 or value == 0 else number(value, 1)


def lede(information: Information) -> str:
    """What the table says, in one sentence."""
    alive, dead = order(information)
    total = f"{len(alive)} of {len(alive) + len(dead)} latents are in use"
    if information.kl is not None:
        summed = float(np.nansum(information.kl))
        return (
            f"{total} (KL of at least {DEAD} nats). The KL of all latents adds up to {number(summed)} nats per image."
        )
    return f"{total} (normalised mutual information of at least {DEAD} with some factor). Their KL is not known."


def matrix(information: Information) -> Html:
    """The table of latents in use, and the unused ones folded under it."""
    alive, dead = order(information)
    factors = list(information.factors) if known_factors(information) else []
    by = "KL" if information.kl is not None else "summed information"
    parts = [f"Latents sorted by {by}."]
    if information.kl is not None:
        parts.append("The KL is the most that a latent can tell of an image on average.")
    if factors:
        parts.append("Cells: normalised mutual information (0 none, 1 all); bold: the highest of its column.")
        parts.append("Gap: the highest minus the second highest over all latents.")
    if information.settings:
        parts.append(information.settings)
    words = tag("p", " ".join(parts), class_="lede")
    pieces = [words, _table(information, alive, factors, "Latents in use", gaps=True)] if alive else [words]
    if dead:
        word = "latent" if len(dead) == 1 else "latents"
        under = f"KL under {DEAD} nats" if information.kl is not None else f"under {DEAD} with every factor"
        table = _table(information, dead, factors, "Unused latents", gaps=False)
        pieces.append(tag("details", tag("summary", f"{len(dead)} unused {word} ({under})"), table))
    return tag("div", *pieces, class_="information")


def _table(information: Information, latents: Sequence[int], factors: Sequence[str], caption: str, gaps: bool) -> Html:
    kl, nmi = information.kl, information.nmi
    heads = [tag("th", "Latent", scope="col")]
    heads += [tag("th", "KL, nats", scope="col")] if kl is not None else []
    heads += [tag("th", name, scope="col") for name in factors]
    best = _best(nmi) if factors and nmi is not None else []
    top = float(np.nanmax(kl)) if kl is not None and not np.isnan(kl).all() else 0.0
    body = []
    for latent in latents:
        cells = [tag("th", label(information, latent), scope="row")]
        if kl is not None:
            cells.append(_kl_cell(float(kl[latent]), top))
        if nmi is not None:
            cells += [_cell(float(nmi[latent, f]), latent == best[f]) for f in range(len(factors))]
        body.append(tag("tr", *cells))
    foot = None
    if gaps and factors and nmi is not None and len(nmi) > 1:
        cells = [tag("th", "Gap", scope="row")] + ([tag("td")] if kl is not None else [])
        cells += [tag("td", _gap(nmi[:, f])) for f in range(len(factors))]
        foot = tag("tfoot", tag("tr", *cells))
    inner = [tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *body), foot]
    table = tag("table", *inner, class_="matrix", style=f"--columns:{len(factors)}")
    return tag("div", table, class_="scroll", tabindex="0", role="group", aria_label="Information by latent and factor")


def _cell(value: float, best: bool) -> Html:
    if np.isnan(value):
        return tag("td", "–", title="not estimated")
    value = min(max(value, 0.0), 1.0)
    text = f"{value:.2f}"
    kind = "cell" + (" strong" if value >= DARK else " faint" if value < 0.005 else "")
    return tag("td", tag("b", text) if best else text, class_=kind, style=f"--v:{value:.3f}")


def _kl_cell(value: float, top: float) -> Html:
    if not np.isfinite(value):
        return tag("td", number(value), class_="bad")
    share = 100 * value / top if top > 0 and np.isfinite(top) else 0.0
    bar = tag("span", tag("span", style=f"width:{max(share, 0):.1f}%"), class_="bar", aria_hidden="true")
    return tag("td", tag("span", nats(value)), bar, class_="kl")


def _best(nmi: np.ndarray) -> list[int]:
    """The latent that tells most of each factor; −1 where none tells at least ``NAMED``."""
    filled = np.nan_to_num(nmi, nan=-1.0)
    return [int(column.argmax()) if column.max() >= NAMED else -1 for column in filled.T]


def _gap(column: np.ndarray) -> str:
    known = np.sort(column[~np.isnan(column)])
    return f"{known[-1] - known[-2]:.2f}" if len(known) > 1 else "–"

"""What a person must know of each latent before moving it: how much it tells, of what, and how far it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from unweave.metrics import nmi
from unweave.metrics.rows import FEWEST
from unweave.report import latents
from unweave.report.from_run import BINS, SPAN, middle
from unweave.report.story import Information
from unweave.types import Codes, Gaussian

EDGE = 0.005
"""Share of codes outside a slider's range at either end, before the range is made a tenth wider."""


@dataclass(frozen=True)
class Summary:
    """A latent space of a model on its data set, as plain numbers that can be kept beside the run.

    Args:
        kl: mean KL of each latent in nats; None for an encoder without a density.
        nmi: normalised mutual information of each latent with each factor; None without factors, or with
            too few images.
        low: lower end of each latent's range.
        high: upper end.
        start: the code of the image whose factors are nearest to the middle, or of the most central image.
        row: that image; None where it cannot be named.
        images: how many were encoded.
    """

    kl: list[float] | None
    nmi: list[list[float]] | None
    low: list[float]
    high: list[float]
    start: list[float]
    row: int | None
    images: int


@dataclass(frozen=True)
class Unit:
    """What one slider moves: a latent, or a block of latents along its diagonal.

    Args:
        latents: their numbers.
        kl: their summed KL in nats, or None.
        factor: the factor of which they tell most, if any is known and told.
        told: how much of it, the normalised mutual information.
        worth: what units are sorted by: information about all factors, else KL.
        low: lower end of the range.
        high: upper end.
        alive: whether any of them is in use.
    """

    latents: tuple[int, ...]
    kl: float | None
    factor: str
    told: float | None
    worth: float
    low: float
    high: float
    alive: bool

    @property
    def label(self) -> str:
        """What it is called without a name of its own.

        >>> Unit((0, 1), None, "", None, 0.0, -1.0, 1.0, True).label
        'latents 0, 1'
        """
        return f"latent{'s' if len(self.latents) > 1 else ''} {', '.join(map(str, self.latents))}"


def summarise(codes: Codes) -> Summary:
    """The summary of codes; which image ``start`` is the code of is not known yet.

    >>> import torch
    >>> codes = Codes.of(torch.tensor([[0.0, 2.0], [1.0, 2.0]]), torch.tensor([[0], [1]]))
    >>> summarise(codes).low, summarise(codes).kl
    ([-0.094, -2.0], None)
    """
    mean = codes.mean.double().numpy()
    kl = None if codes.logvar is None else Gaussian(codes.mean, codes.logvar).kl().double().mean(0).tolist()
    low, high = np.quantile(mean, (EDGE, 1 - EDGE), axis=0)
    room = 0.1 * (high - low)
    still = high - low < 0.1
    low, high = np.where(still, -SPAN, low - room), np.where(still, SPAN, high + room)
    return Summary(
        kl=kl,
        nmi=nmi(codes, BINS).tolist() if codes.levels.shape[1] and len(mean) >= FEWEST else None,
        low=[round(float(value), 3) for value in low],
        high=[round(float(value), 3) for value in high],
        start=[round(float(value), 4) for value in mean[middle(codes)]],
        row=None,
        images=len(mean),
    )


def unknown(count: int) -> Summary:
    """The summary of a model whose data cannot be opened: nothing is known of its latents.

    >>> unknown(2).high
    [2.0, 2.0]
    """
    return Summary(None, None, [-SPAN] * count, [SPAN] * count, [0.0] * count, None, 0)


def information(summary: Summary, factors: Sequence[str], space: int) -> Information:
    """The summary as the report's table tells it."""
    table = None if summary.nmi is None else np.asarray(summary.nmi, dtype=np.float64)
    kl = None if summary.kl is None else np.asarray(summary.kl, dtype=np.float64)
    how = f"{BINS} equal-width bins a latent, {summary.images:,} images, latent space {space}."
    return Information(table, kl, factors if table is not None else (), settings=how)


def units(summary: Summary, blocks: Sequence[Sequence[int]], factors: Sequence[str]) -> list[Unit]:
    """All units of a model, most informative first, unused ones last.

    >>> known = Summary([1.0, 0.0, 2.0], [[0.1], [0.0], [0.8]], [-1.0] * 3, [1.0] * 3, [0.0] * 3, 0, 9)
    >>> [(unit.latents, unit.factor, unit.alive) for unit in units(known, (), ["x"])]
    [((2,), 'x', True), ((0,), 'x', True), ((1,), '', False)]
    """
    told = information(summary, factors, 0)
    count = len(summary.low)
    alive = set(latents.order(told)[0]) if latents.told(told) else set(range(count))
    found = []
    for block in blocks or [(latent,) for latent in range(count)]:
        inside = list(block)
        best = [one for latent in inside if (one := latents.carries(told, latent)) is not None]
        factor, share = max(best, key=lambda one: one[1], default=("", None))
        kl = None if summary.kl is None else float(sum(summary.kl[latent] for latent in inside))
        worth = kl or 0.0
        if summary.nmi is not None:
            worth = float(np.nansum(np.asarray(summary.nmi)[inside]))
        low, high = (float(np.mean([ends[latent] for latent in inside])) for ends in (summary.low, summary.high))
        named = factor if share is not None and share >= latents.NAMED else ""
        found.append(Unit(tuple(inside), kl, named, share, worth, low, high, bool(alive & set(inside))))
    return sorted(found, key=lambda unit: (not unit.alive, -unit.worth, unit.latents))


def to_json(summary: Summary) -> dict[str, Any]:
    """The summary as plain JSON values."""
    return asdict(summary)


def from_json(values: Mapping[str, Any], count: int, factors: int) -> Summary | None:
    """The summary back from JSON; None where it is damaged or of another model: it is then made anew."""
    try:
        summary = Summary(**values)
        lists = [summary.low, summary.high, summary.start, *([] if summary.kl is None else [summary.kl])]
        fits = all(len(one) == count and all(isinstance(v, int | float) and isfinite(v) for v in one) for one in lists)
        table = [] if summary.nmi is None else summary.nmi
        fits = fits and len(table) in (0, count) and all(len(one) == factors for one in table)
        fits = fits and all(isinstance(v, int | float | None) for one in table for v in one)
        fits = fits and isinstance(summary.images, int) and isinstance(summary.row, int | None)
        return summary if fits else None
    except (TypeError, ValueError, OverflowError):
        return None


def frames(unit: Unit, count: int) -> Iterator[float]:
    """The middle of each of ``count`` equal parts of a unit's range: what a strip under its slider shows.

    >>> list(frames(Unit((0,), None, "", None, 0.0, -1.0, 1.0, True), 2))
    [-0.5, 0.5]
    """
    edges = np.linspace(unit.low, unit.high, count + 1).tolist()
    yield from (round((left + right) / 2, 4) for left, right in pairwise(edges))

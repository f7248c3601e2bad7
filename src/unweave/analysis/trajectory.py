"""How large groups of latents should be at each capacity: the best-ELBO trajectory over a grid of trained models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from unweave.metrics.rows import Floats
from unweave.names import known
from unweave.types import Codes, Gaussian, UserError

SHAPES = ("quadratic", "bent")
PICKS = ("mean", "best")


class Trained(NamedTuple):
    """One trained model of the grid."""

    capacity: float
    """What counts as parameter capacity, such as the width of its fully connected layers."""
    latents: int
    """n."""
    group: int
    """i, latents in a group: a divisor of n below n."""
    negative_elbo: float
    """R + KL in nats on held data, without any pressure; lower is better."""


class Trajectory(NamedTuple):
    """The grouping coefficient that is best at each capacity."""

    capacities: tuple[float, ...]
    """C of them, rising; their places 0 … C − 1 are what the curve is fitted over."""
    coefficients: Floats
    """(C,) i/m of the best group size, averaged over numbers of latents."""
    errors: Floats
    """(C,) standard errors of that mean over numbers of latents; NaN for one alone."""
    chosen: Mapping[tuple[float, int], int]
    """(capacity, n) -> the best i."""
    cells: Mapping[tuple[float, int, int], float]
    """(capacity, n, i) -> the negative ELBO that stands for the cell."""
    curve: Floats
    """(C,) the fitted curve."""
    lowest: float
    """Where the fitted curve is lowest, as a place among the capacities."""
    falls: float
    """By how much the fitted curve falls up to there."""
    rises: float
    """By how much it rises after."""
    reference: float
    """Mean of 1/m over numbers of latents: the coefficient of β-TCVAE, whose groups are single latents."""

    @property
    def v_shaped(self) -> bool:
        """Whether the fitted curve falls and then rises, both by more than rounding."""
        return min(self.falls, self.rises) > 1e-9


def largest_group(latents: int) -> int:
    """m: the largest proper divisor of a number of latents.

    >>> [largest_group(n) for n in (6, 8, 9, 10, 12, 20)]
    [3, 4, 3, 5, 6, 10]
    """
    if latents < 2:
        raise UserError(f"largest_group: {latents} latents; allowed: 2 or more")
    return next(m for m in range(latents // 2, 0, -1) if latents % m == 0)


def negative_elbo(codes: Codes, error: str = "bce") -> float:
    """R + KL of codes in nats an image: the mean reconstruction error plus the mean KL to the prior, N(0, I) or the
    model's own (``codes.rate``).

    Args:
        codes: of held images, with log-variances and distortion.
        error: ``bce`` or ``squared_error``.

    Raises:
        UserError: codes without log-variances, or without that error.

    >>> import torch
    >>> held = Codes.of(torch.ones(4, 2), logvar=torch.zeros(4, 2))._replace(distortion={"bce": torch.full((4,), 3.0)})
    >>> negative_elbo(held)
    4.0
    """
    if codes.logvar is None or not codes.distortion:
        raise UserError("negative_elbo: these codes lack log-variances or errors; allowed: codes of a VAE's run")
    known(error, codes.distortion, "reconstruction error")
    return float(codes.distortion[error].double().mean()) + mean_rate(codes)


def mean_rate(codes: Codes) -> float:
    """Mean KL(q(z|x) ‖ p(z)) in nats of codes with log-variances, p the model's own prior where it has one."""
    if codes.rate is not None:
        return float(codes.rate.double().mean())
    assert codes.logvar is not None
    return float(Gaussian(codes.mean.double(), codes.logvar.double()).kl().sum(1).mean())


def elbo_trajectory(models: Iterable[Trained], pick: str = "mean", shape: str = "quadratic") -> Trajectory:
    """The best-ELBO trajectory of β-STCVAE (Chen et al., 2022, §4.2, Fig. 2), for one data set and one pressure.

    For each capacity and each number of latents n the group size i whose models have the best ELBO is taken, as a share
    of the largest, i/m; these are averaged over n. A curve over the capacities' places in their list, as in the paper,
    tells the direction: the paper finds that it falls and then rises ("V-shaped").

    Args:
        models: every trained model of the grid; those of one capacity, n and i are repeats.
        pick: ``mean``: a cell of repeats counts by its mean; ``best``: by its best model.
        shape: ``quadratic``: a parabola; ``bent``: two lines that meet at the inner capacity that fits best.

    Raises:
        UserError: no models, fewer than 3 capacities, group sizes that are no proper divisors, numbers that are not
            finite, unknown words.

    >>> best = {1: 4, 2: 1, 3: 4}
    >>> grid = [Trained(c, 8, i, float(i != best[c])) for c in best for i in (1, 2, 4)]
    >>> found = elbo_trajectory(grid)
    >>> found.coefficients.tolist(), found.v_shaped, round(found.lowest, 6), found.reference
    ([1.0, 0.25, 1.0], True, 1.0, 0.25)
    """
    known(pick, PICKS, "pick of elbo_trajectory")
    known(shape, SHAPES, "shape of elbo_trajectory")
    repeats: dict[tuple[float, int, int], list[float]] = {}
    for one in models:
        if not 1 <= one.group < one.latents or one.latents % one.group or not math.isfinite(one.negative_elbo):
            raise UserError(f"elbo_trajectory: {one}; allowed: groups that divide the latents, and a finite ELBO")
        repeats.setdefault((float(one.capacity), one.latents, one.group), []).append(one.negative_elbo)
    capacities = tuple(sorted({cell[0] for cell in repeats}))
    if len(capacities) < 3:
        raise UserError(f"elbo_trajectory: {len(capacities)} capacities; allowed: 3 or more, for there to be a bend")
    cells = {cell: fmean(values) if pick == "mean" else min(values) for cell, values in repeats.items()}
    chosen: dict[tuple[float, int], int] = {}
    for capacity, latents, group in sorted(cells):
        before = chosen.get((capacity, latents))
        if before is None or cells[(capacity, latents, group)] < cells[(capacity, latents, before)]:
            chosen[(capacity, latents)] = group
    shares = [[i / largest_group(n) for (c, n), i in chosen.items() if c == capacity] for capacity in capacities]
    means = np.array([fmean(each) for each in shares])
    errors = np.array([stdev(each) / math.sqrt(len(each)) if len(each) > 1 else math.nan for each in shares])
    curve, lowest, bottom = _parabola(means) if shape == "quadratic" else _bend(means)
    every = {n for _, n in chosen}
    reference = fmean(1 / largest_group(n) for n in sorted(every))
    falls, rises = float(curve[0] - bottom), float(curve[-1] - bottom)
    return Trajectory(capacities, means, errors, chosen, cells, curve, lowest, falls, rises, reference)


def _parabola(values: Floats) -> tuple[Floats, float, float]:
    """A parabola through values at 0, 1, …: its values there, its lowest place within them, and its value there."""
    at = np.arange(len(values), dtype=np.float64)
    square, slope, height = np.polyfit(at, values, 2)
    inner = float(np.clip(-slope / (2 * square), 0, at[-1])) if square > 1e-12 else 0.0
    ends = [0.0, float(at[-1]), inner]
    lowest = min(ends, key=lambda x: square * x**2 + slope * x + height)
    return square * at**2 + slope * at + height, lowest, float(square * lowest**2 + slope * lowest + height)


def _bend(values: Floats) -> tuple[Floats, float, float]:
    """Two lines that meet at an inner place: the pair with the least squared error."""
    at = np.arange(len(values), dtype=np.float64)
    best: tuple[float, Floats] | None = None
    for knee in range(1, len(values) - 1):
        design = np.stack([np.ones_like(at), np.minimum(at - knee, 0), np.maximum(at - knee, 0)], axis=1)
        fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
        error = float(((fitted - values) ** 2).sum())
        if best is None or error < best[0] - 1e-12:
            best = (error, fitted)
    assert best is not None
    lowest = int(best[1].argmin())
    return best[1], float(lowest), float(best[1][lowest])

"""I(x; z) against the pressure: of codes that were trained, and of the best linear code, which needs no training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unweave.analysis.density import AggregatePosterior
from unweave.analysis.spectrum import FreezingSpectrum, Pixels
from unweave.data import Dataset
from unweave.engine.noise import draw
from unweave.types import Codes, Draw, UserError

PER_IMAGE, MOST = 200, 10_000
"""Draws of z for each image, and of all of them, in ``code_information``."""
BLOCK = 1 << 25
"""Densities held at once."""


class Curve(NamedTuple):
    """I(x; z) while the pressure falls.

    >>> Curve((100.0, 10.0, 1.0), (0.0, 1.0, 4.0)).pressure(2.5)
    3.1622776601683795
    """

    betas: tuple[float, ...]
    """Pressures, falling."""
    information: tuple[float, ...]
    """Nats an image at each."""

    def pressure(self, nats: float) -> float:
        """The pressure at which so much information is first reached, on straight lines in log β.

        Raises:
            UserError: an information that the curve does not reach.
        """
        reached = np.maximum.accumulate(self.information)
        if not 0 <= nats <= reached[-1]:
            raise UserError(f"{nats:.4g} nats; this curve goes from 0 to {reached[-1]:.4g}")
        place = int(np.searchsorted(reached, nats))
        if place == 0:
            return self.betas[0]
        low, high = reached[place - 1], reached[place]
        part = (nats - low) / (high - low)
        a, b = math.log(self.betas[place - 1]), math.log(self.betas[place])
        return math.exp(a + part * (b - a))

    def dimension(self, low: float, high: float) -> float:
        """How many directions tell something new between two informations in nats: 2 ΔI / Δ log(1/β).

        Of a code whose directions are all used, a pressure lower by a factor f lets ½ log f nats more into each.

        Raises:
            UserError: informations that the curve does not reach one after the other.
        """
        first, last = self.pressure(low), self.pressure(high)
        if not first > last:
            raise UserError(
                f"a curve that begins with {self.information[0]:.4g} nats at pressure {self.betas[0]:.4g}; allowed: "
                f"one that begins below {low:.4g} nats, so at a higher pressure"
            )
        return 2 * (high - low) / math.log(first / last)


def code_information(codes: Codes, seed: int = 0) -> float:
    """I(x; z) of codes in nats, q(z) being the exact mixture over their images: E log q(z|x) − log 1/M Σ_m q(z|x_m).

    The expectation is over 200 draws for each image, 10,000 at most. At most log M.

    Args:
        codes: of all M images, with log-variances.
        seed: which draws.

    Raises:
        UserError: codes without log-variances.

    >>> apart = Codes.of(torch.tensor([[-50.0], [50.0]]), logvar=torch.zeros(2, 1))
    >>> round(code_information(apart), 4)
    0.6931
    """
    posterior = AggregatePosterior(codes, min(PER_IMAGE * len(codes.mean), MOST), seed)
    whole = tuple(range(posterior.latents))
    return float(posterior.entropies([whole])) + float(posterior.draws().own.mean())


def linear_information(
    data: Dataset | str | Tensor,
    spectrum: FreezingSpectrum,
    *,
    sample: int | None = 100_000,
    points: int = 32,
    draws: int = 256,
    end: float = 1.0,
    seed: int = 0,
    root: Path | str | None = None,
) -> Curve:
    """I(x; z) against the pressure for the best linear code, from the images alone: an annealing test without training.

        z_i | x ~ N( √(1 − β/λ_i) t_i(x), β/λ_i )  for every λ_i > β,  t_i the scores of mean 0 and variance 1

    Its KL is the water-filling ½ Σ log λ_i / β. Its information is less, since q(z) is no Gaussian: directions that
    depend on each other, such as the harmonics of one position, are counted once. It never exceeds log N, which finite
    data reach when every image can be told from all others.

    Args:
        data: the data set or images of which ``spectrum`` is.
        spectrum: see ``freezing_spectrum``. Directions it does not hold are left out.
        sample: how many images q(z) is a mixture of; None for all. The curve ends at log of their number at most.
        points: pressures, evenly in log β from β_c to ``end``.
        draws: samples of z, the same for all pressures.
        end: the last pressure.
        seed: of the sample and the draws.
        root: folder of data files.

    Raises:
        UserError: images that are all the same, a β_c that is not above ``end``, fewer than 2 points or 1 draw.

    >>> from unweave.analysis import freezing_spectrum
    >>> bars = torch.eye(8).repeat_interleave(4, dim=1).reshape(8, 1, 8, 4)
    >>> curve = linear_information(bars, freezing_spectrum(bars), end=0.01)
    >>> round(curve.information[0], 4), round(curve.information[-1], 4), round(math.log(8), 4)
    (0.0, 2.0794, 2.0794)
    """
    if not 0 < end < spectrum.critical or points < 2 or draws < 1:
        raise UserError(
            f"linear_information: critical pressure {spectrum.critical:.4g}, end = {end:g}, points = {points}, draws = "
            f"{draws}; allowed: an end above 0 and below the critical pressure, 2 points and 1 draw or more"
        )
    pixels = Pixels(data, spectrum.likelihood, sample, seed, root)
    scores = torch.cat([spectrum.scores(x).float() for x in pixels])
    seeds = torch.tensor([seed])
    uniform = draw(seeds, 0, "linear code rows", Draw((draws,), "uniform"), torch.float64)[0]
    rows = (uniform * len(scores)).long()
    noise = draw(seeds, 0, "linear code z", Draw((draws, scores.shape[1])))[0]
    betas = torch.logspace(math.log10(spectrum.critical), math.log10(end), points, dtype=torch.float64).tolist()
    return Curve(tuple(betas), tuple(_information(scores, spectrum.values, beta, rows, noise) for beta in betas))


def _information(scores: Tensor, values: Tensor, beta: float, rows: Tensor, noise: Tensor) -> float:
    used = int((values > beta).sum())
    if not used:
        return 0.0
    # In units of the posterior's own deviation: z = gain · t + noise.
    gain = torch.sqrt(values[:used] / beta - 1).float()
    means = scores[:, :used] * gain
    z = means[rows] + noise[:, :used]
    half = 0.5 * (means**2).sum(1)
    step = max(1, BLOCK // len(means))
    logs = [torch.logsumexp(some @ means.mT - half, 1) for some in z.split(step)]
    # log q(z|x) − log q(z), where |z|²/2 and the normalisation cancel.
    own = 0.5 * (z**2).sum(1) - 0.5 * (noise[:, :used] ** 2).sum(1)
    most = math.log(len(means))
    return min(max(0.0, float((own - torch.cat(logs)).double().mean()) + most), most)

"""What a metric gives to a perfect code and to noise, at the very images scored: the range in which to read a score.

No code reaches 1 on every data set: MIG cuts latents in 20 bins, so a factor with 40 levels loses information even when
a latent equals it. And noise does not score 0. Both ends depend on the factors and on the number of images, so they are
computed, not quoted.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from unweave.metrics.base import Metric
from unweave.metrics.dci import DCI
from unweave.metrics.factor_vae import FactorVAEScore
from unweave.metrics.infomec import InfoMEC
from unweave.metrics.rows import generator
from unweave.types import Codes, Score

_NARROW = -6.0
"""Log-variance of a perfect code: a twentieth of the distance between two levels."""


def perfect(codes: Codes) -> Codes:
    """The code in which latent k equals factor k's level: as many latents as factors, same images.

    >>> perfect(Codes.of([[0.3], [0.1]], [[0, 1], [1, 0]])).mean.tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    codes.need_factors("perfect")
    mean = codes.levels.to(torch.float64)
    logvar = None if codes.logvar is None else torch.full_like(mean, _NARROW)
    return codes._replace(mean=mean, logvar=logvar, blocks=(), distortion={}, pixels=0)


def noise(codes: Codes, seed: int = 0) -> Codes:
    """The code that knows nothing: independent N(0, 1) numbers, as many latents and blocks as the codes have, same
    images, and posteriors as wide as those of the codes."""
    drawn = torch.from_numpy(generator(seed, "noise").standard_normal(tuple(codes.mean.shape)))
    logvar = None if codes.logvar is None else codes.logvar.to(torch.float64)
    return codes._replace(mean=drawn, logvar=logvar, distortion={}, pixels=0)


def ceiling(metric: Metric, codes: Codes, seed: int = 0) -> Score | None:
    """The score of the perfect code on the images of ``codes``; None for a metric that does not read factors.

    DCI uses its ``fast`` estimator here in place of ``boosting``, and no latent counts as dead because it moves less
    than others, which one that equals a factor of few levels does; the settings of the returned score say so.

    Raises UserError for codes without factors.

    >>> from unweave.metrics.mig import MIG
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(40))
    >>> codes = Codes.of(torch.zeros(160, 2), levels)
    >>> score = ceiling(MIG(), codes)  # 40 levels in 20 bins: (1 + ln 20 / ln 40) / 2
    >>> round(score.value, 4)
    0.906
    """
    return _open(_quick(metric))(perfect(codes), seed) if metric.reads == "factors" else None


def floor(metric: Metric, codes: Codes, seed: int = 0) -> Score | None:
    """The score of N(0, 1) noise with as many latents, on the images of ``codes``; None where factors are not read.

    DCI uses its ``fast`` estimator, as in ``ceiling``.
    """
    return _quick(metric)(noise(codes, seed), seed) if metric.reads == "factors" else None


def _quick(metric: Metric) -> Metric:
    return replace(metric, estimator="fast") if isinstance(metric, DCI) and metric.estimator == "boosting" else metric


def _open(metric: Metric) -> Metric:
    """The metric without the threshold below which a latent that moves counts as dead."""
    if isinstance(metric, InfoMEC):
        return replace(metric, active=0.0)
    return replace(metric, threshold=0.0) if isinstance(metric, FactorVAEScore) else metric

"""Gaussian total correlation: how far from uncorrelated are the latents?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, among, grouping, suffix
from unweave.metrics.covariance import covariance
from unweave.metrics.rows import Floats
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score, UserError

WATANABE_1960 = Reference(
    "watanabe1960information",
    "Watanabe, Satosi",
    "Information Theoretical Analysis of Multivariate Correlation",
    "IBM Journal of Research and Development 4(1)",
    1960,
    "https://doi.org/10.1147/rd.41.0066",
)


@dataclass(frozen=True)
class GaussianTC(Metric):
    """Gaussian total correlation: that of the normal distribution with the covariance of the latents, in nats.

    TC = KL(N(0, Σ) ‖ N(0, diag Σ)) = −½ log det R = −½ Σ_i log λ_i, R the correlation matrix of Σ and λ its
    eigenvalues (total correlation: Watanabe, 1960; as a score of codes: Locatello et al., 2019). It is 0 if and
    only if no two latents are correlated, and at most the true total correlation only where q(z) is normal: what
    depends without being correlated it does not see.

    A constant latent has no correlation: it is left out and named. Where one latent is a linear function of others TC
    is infinite; eigenvalues are taken as at least ``smallest``, which bounds it by −½ log(smallest) for each of them.

    Args:
        of: ``mean``: posterior means; ``sample``: samples of q(z|x), whose covariance has E[σ²] more on the diagonal.
        smallest: least eigenvalue of R; below it latents count as copies, and ``copies`` says how many do.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one, and the value is the total
            correlation of the blocks, TC − Σ_b TC_b: what is within a block does not count.

    Parts: ``per_latent``, TC / the number of latents that vary; ``copies``. The settings name ``constant_latents``.
    Independent latents get about L(L − 1) / (4 M) with L latents and M images; no code needs factors for it.

    Raises UserError for fewer than 10 images, numbers that are not finite, or ``sample`` without log-variances.

    >>> import torch
    >>> mixing = torch.tensor([[1.0, 0.9], [0.0, 0.19**0.5]])
    >>> z = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0)) @ mixing
    >>> round(GaussianTC()(Codes.of(z)).value, 1)  # −½ log(1 − .81)
    0.8
    """

    name: ClassVar[str] = "gaussian-tc"
    references: ClassVar[tuple[Reference, ...]] = (WATANABE_1960, LOCATELLO_2019)
    better: ClassVar[str] = "lower"
    reads: ClassVar[str] = "codes"
    limits: ClassVar[tuple[float, float]] = (0.0, math.inf)
    cost: ClassVar[str] = "0.1 s"

    of: Literal["mean", "sample"] = "mean"
    smallest: float = 1e-10
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``gaussian-tc`` of the means, ``gaussian-tc-sample`` of samples; ``smallest…``, ``blocks`` behind it."""
        words = [*([] if self.of == "mean" else [self.of]), *self.words("smallest")]
        return "-".join([self.name, *words, *suffix(self.blocks)])

    @property
    def posteriors(self) -> bool:
        """For samples."""
        return self.of == "sample"

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        if not 0 < self.smallest < 1:
            raise UserError(f"GaussianTC: smallest = {self.smallest}; allowed is above 0 and below 1")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        found = covariance(codes, self.of, "GaussianTC")
        sets, notes = grouping(codes, self.blocks, "GaussianTC", found.notes)
        matrix, blocks = found.matrix, [list(unit) for unit in among(sets, found.live)]
        value, copies = gaussian_tc(matrix, self.smallest)
        within = sum(gaussian_tc(matrix[np.ix_(unit, unit)], self.smallest)[0] for unit in blocks)
        value = max(value - within, 0.0)
        parts = {"per_latent": value / max(len(matrix), 1), "copies": copies}
        return Score(value, parts, {**self.settings(codes, seed), **notes})


def gaussian_tc(covariance: Floats, smallest: float = 1e-10) -> tuple[float, int]:
    """−½ log det of the correlation matrix in nats, and how many of its eigenvalues were raised to ``smallest``.

    >>> value, copies = gaussian_tc(np.array([[1.0, 0.9], [0.9, 1.0]]))
    >>> round(value, 4), copies
    (0.8304, 0)
    """
    if len(covariance) < 2:
        return 0.0, 0
    root = np.sqrt(np.diag(covariance))
    values = np.linalg.eigvalsh(covariance / root[:, None] / root)
    return max(float(-0.5 * np.log(np.maximum(values, smallest)).sum()), 0.0), int((values < smallest).sum())

"""Gaussian Wasserstein correlation: how far must the latents be moved to be uncorrelated?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, among, grouping, suffix
from unweave.metrics.covariance import covariance
from unweave.metrics.rows import Floats
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class GaussianWasserstein(Metric):
    """Wasserstein correlation: squared distance of a normal distribution from the product of its marginals.

    W = W₂²(N(0, Σ), N(0, Δ)) = 2 tr Σ − 2 tr (Δ^½ Σ Δ^½)^½ with Δ = diag Σ (Olkin & Pukelsheim, 1982; as a score of
    codes, Locatello et al., 2019): the mean squared length of the shortest move that makes normal latents
    independent, in squared latent units. The normalised form W / tr Σ does not change when all latents are multiplied
    by one number; it is 0 for uncorrelated latents and 2 − 2/√L for L equal copies of one.

    Unlike total correlation it stays finite for copies, and hardly counts latents of small variance; a constant latent
    adds nothing.

    Args:
        normalised: the value is W / tr Σ, else W.
        of: ``mean``: posterior means; ``sample``: samples of q(z|x), whose covariance has E[σ²] more on the diagonal.
        blocks: ``ignore``: Δ is diagonal; ``joint``: Δ keeps the covariances within each block, so that the move makes
            the blocks independent.

    Parts: ``wasserstein`` and ``normalised``. The settings name ``constant_latents``. Codes without a latent that
    varies score 0.

    Raises UserError for fewer than 10 images, numbers that are not finite, or ``sample`` without log-variances.

    >>> import torch
    >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    >>> round(GaussianWasserstein()(Codes.of(torch.cat([x, x], 1))).value, 4)  # 2 − √2
    0.5858
    """

    name: ClassVar[str] = "gaussian-wasserstein"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "olkin1982distance",
            "Olkin, Ingram and Pukelsheim, Friedrich",
            "The Distance Between Two Random Vectors with Given Dispersion Matrices",
            "Linear Algebra and its Applications 48",
            1982,
            "https://doi.org/10.1016/0024-3795(82)90112-4",
        ),
        LOCATELLO_2019,
    )
    better: ClassVar[str] = "lower"
    reads: ClassVar[str] = "codes"
    limits: ClassVar[tuple[float, float]] = (0.0, math.inf)
    cost: ClassVar[str] = "0.06 s"

    normalised: bool = True
    of: Literal["mean", "sample"] = "mean"
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """The name, with ``raw`` behind it where not normalised, ``sample`` where of samples, and ``blocks``."""
        words = [*([] if self.normalised else ["raw"]), *([] if self.of == "mean" else [self.of])]
        return "-".join([self.name, *words, *suffix(self.blocks)])

    @property
    def posteriors(self) -> bool:
        """For samples."""
        return self.of == "sample"

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        matrix, dead, live = covariance(codes, self.of, "GaussianWasserstein")
        sets, notes = grouping(codes, self.blocks, "GaussianWasserstein", dead)
        distance = gaussian_wasserstein(matrix, among(sets, live))
        total = float(np.trace(matrix))
        parts = {"wasserstein": distance, "normalised": distance / total if total > 0 else 0.0}
        value = parts["normalised" if self.normalised else "wasserstein"]
        return Score(value, parts, {**self.settings(codes, seed), **notes})


def gaussian_wasserstein(covariance: Floats, sets: Sequence[tuple[int, ...]] | None = None) -> float:
    """W₂² between N(0, Σ) and N(0, diag Σ), or with sets of latents N(0, Δ) of the blocks of Σ; squared latent units.

    >>> round(gaussian_wasserstein(np.array([[1.0, 0.9], [0.9, 1.0]])), 4)
    0.6107
    >>> abs(round(gaussian_wasserstein(np.array([[1.0, 0.9], [0.9, 1.0]]), [(0, 1)]), 4))
    0.0
    """
    if len(covariance) < 2:
        return 0.0
    root = np.diag(np.sqrt(np.diag(covariance)))
    for unit in (list(unit) for unit in sets or () if len(unit) > 1):
        sizes, axes = np.linalg.eigh(covariance[np.ix_(unit, unit)])
        root[np.ix_(unit, unit)] = axes * np.sqrt(np.maximum(sizes, 0.0)) @ axes.T
    values = np.linalg.eigvalsh(root @ covariance @ root)
    return max(float(2 * np.trace(covariance) - 2 * np.sqrt(np.maximum(values, 0.0)).sum()), 0.0)

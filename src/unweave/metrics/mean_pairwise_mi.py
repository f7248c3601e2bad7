"""Mean pairwise mutual information: how much do latents tell about one another?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.checks import at_least
from unweave.metrics.covariance import drawn
from unweave.metrics.information import (
    Binning,
    Correction,
    check_binning,
    discretise,
    entropy,
    mutual_information,
)
from unweave.metrics.rows import Floats, Ints, sample
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class MeanPairwiseMI(Metric):
    """Mean mutual information of two latents, over all pairs, in nats (Locatello et al., 2019).

    (1 / (D(D − 1))) Σ_{i ≠ j} I(z_i; z_j) with the plug-in information of binned latents, as in MIG. Unlike Gaussian
    total correlation it sees dependence without correlation; unlike total correlation it sees pairs only.

    A constant latent has no information about any and lowers the mean: compare models with as many latents alive.
    Independent latents get about (bins − 1)² / 2M nats unless ``correction`` takes it off.

    Args:
        of: ``mean``: posterior means; ``sample``: one sample of q(z|x) for each image.
        bins: bins of each latent.
        images: number of images M read, drawn without replacement when there are more; None for all.
        binning: ``width``, ``clipped`` or ``mass`` (``metrics.information.discretise``).
        tail: which share of the images ``clipped`` counts as outliers at either end.
        correction: ``none``, ``miller-madow`` or ``permutation`` (``metrics.information.mutual_information``).

    Parts: ``largest``, the most that two latents share; ``nmi``, the mean of I(z_i; z_j) / √(H_i H_j), 0 for a
    constant. With one latent all are 0. The largest possible value is ln(bins).

    Raises UserError for fewer than 10 images, fewer than 2 bins, numbers that are not finite, unknown words, or
    ``sample`` for codes without log-variances.

    >>> import torch
    >>> z = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0))
    >>> MeanPairwiseMI()(Codes.of(z)).value, round(MeanPairwiseMI()(Codes.of(z[:, [0, 0]])).value, 4)
    (0.0, 1.3863)
    """

    name: ClassVar[str] = "mean-pairwise-mi"
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019,)
    better: ClassVar[str] = "lower"
    reads: ClassVar[str] = "codes"

    of: Literal["mean", "sample"] = "mean"
    bins: int = 20
    images: int | None = 10_000
    binning: Binning = "width"
    tail: float = 0.001
    correction: Correction = "none"

    @property
    def label(self) -> str:
        """The name, with the words of another representation, binning and correction behind it."""
        words = [word for word in (self.of, self.binning, self.correction) if word not in ("mean", "width", "none")]
        return "-".join([self.name, *words])

    @property
    def posteriors(self) -> bool:
        """For samples."""
        return self.of == "sample"

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        check_binning("MeanPairwiseMI", self.bins, self.binning, self.tail, self.correction)
        at_least("MeanPairwiseMI", 10, images=self.images)
        z = drawn(codes, self.of, "MeanPairwiseMI", seed)
        z = z[sample(len(z), self.images, seed)]
        binned = discretise(z, self.bins, self.binning, self.tail)
        shared, scale = _pairs(binned, self.correction), entropy(binned)
        count = z.shape[1] * (z.shape[1] - 1) / 2
        root = np.sqrt(np.outer(scale, scale))[np.triu_indices(len(scale), 1)]
        nmi = np.divide(shared, root, out=np.zeros_like(shared), where=root > 0)
        parts = {"largest": float(shared.max(initial=0.0)), "nmi": float(nmi.sum() / count) if count else 0.0}
        value = float(shared.sum() / count) if count else 0.0
        return Score(value, parts, {**self.settings(codes, seed), "images": len(z)})


def _pairs(binned: Ints, correction: str) -> Floats:
    """I(z_i; z_j) for i < j, row by row."""
    latents = binned.shape[1]
    rows = [mutual_information(binned[:, [i]], binned[:, i + 1 :], correction)[0] for i in range(latents - 1)]
    return np.concatenate(rows) if rows else np.zeros(0)

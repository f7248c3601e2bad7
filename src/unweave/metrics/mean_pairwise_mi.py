"""Mean pairwise mutual information: how much do latents tell about one another?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.checks import at_least
from unweave.metrics.covariance import drawn
from unweave.metrics.information import (
    Binning,
    Correction,
    check_binning,
    discretise,
    entropy,
    joined,
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
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code, whose symbols are the
            combinations of their bins, and the mean is over pairs of codes.

    Parts: ``largest``, the most that two latents share; ``nmi``, the mean of I(z_i; z_j) / √(H_i H_j), 0 for a
    constant, H corrected as I is. With one latent all are 0. The largest possible value is ln(bins) for
    latents without a correction; ``miller-madow`` adds to the entropy of few images.

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
    limits: ClassVar[tuple[float, float]] = (0.0, math.inf)
    cost: ClassVar[str] = "0.03 s"

    of: Literal["mean", "sample"] = "mean"
    bins: int = 20
    images: int | None = 10_000
    binning: Binning = "width"
    tail: float = 0.001
    correction: Correction = "none"
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """The name, with the words of another representation, binning, correction and of blocks behind it."""
        words = [word for word in (self.of, self.binning, self.correction) if word not in ("mean", "width", "none")]
        return "-".join([self.name, *words, *self.words("bins", "tail"), *suffix(self.blocks)])

    @property
    def posteriors(self) -> bool:
        """For samples."""
        return self.of == "sample"

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        check_binning("MeanPairwiseMI", self.bins, self.binning, self.tail, self.correction)
        at_least("MeanPairwiseMI", 10, images=self.images)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        z = drawn(codes, self.of, "MeanPairwiseMI", seed)
        z = z[sample(len(z), self.images, seed)]
        sets, notes = grouping(codes, self.blocks, "MeanPairwiseMI")
        binned = joined(discretise(z, self.bins, self.binning, self.tail), sets)
        shared, scale = _pairs(binned, self.correction), entropy(binned, self.correction)
        count = len(sets) * (len(sets) - 1) / 2
        root = np.sqrt(np.outer(scale, scale))[np.triu_indices(len(scale), 1)]
        nmi = np.clip(np.divide(shared, root, out=np.zeros_like(shared), where=root > 0), 0.0, 1.0)
        parts = {"largest": float(shared.max(initial=0.0)), "nmi": float(nmi.sum() / count) if count else 0.0}
        value = float(shared.sum() / count) if count else 0.0
        return Score(value, parts, {**self.settings(codes, seed), "images": len(z), **notes})


def _pairs(binned: Ints, correction: str) -> Floats:
    """I(z_i; z_j) for i < j, row by row."""
    latents = binned.shape[1]
    rows = [mutual_information(binned[:, [i]], binned[:, i + 1 :], correction)[0] for i in range(latents - 1)]
    return np.concatenate(rows) if rows else np.zeros(0)

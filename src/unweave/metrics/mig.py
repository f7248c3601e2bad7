"""MIG: is each factor told by one latent, and by one alone?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.checks import at_least
from unweave.metrics.gap import gaps
from unweave.metrics.information import (
    Binning,
    Correction,
    check_binning,
    discretise,
    entropy,
    joined,
    mutual_information,
)
from unweave.metrics.rows import sample, table
from unweave.references import CHEN_2018, LOCATELLO_2019
from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class MIG(Metric):
    """Mutual Information Gap: how much better the best latent tells a factor than the second best.

    MIG = (1/F) Σ_k [I(z_(1); v_k) − I(z_(2); v_k)] / H(v_k), the largest and second largest over latents
    (Chen et al., 2018, Eq. 6), with plug-in mutual information of equal-width bins (Locatello et al., 2019).

    Args:
        bins: equal-width bins of each latent between its smallest and largest value; factor levels are never binned.
        images: number of images read, drawn without replacement when there are more; None for all.
        binning: ``width``; ``clipped``, equal widths without the outliers at either end; or ``mass``, bins of equal
            numbers of images (``metrics.information.discretise``).
        tail: which share of the images ``clipped`` counts as outliers at either end.
        correction: ``none``; ``miller-madow`` or ``permutation`` take the bias off I, and off H, which is I(v; v)
            (``metrics.information.mutual_information``); shares I / H are then kept within 0 … 1.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code, whose symbols are
            the combinations of their bins.

    Parts: ``gap.NAME`` of each factor, ``nmi1`` and ``nmi2``: means over factors of the largest and second largest
    I / H. With one latent the second largest is 0. A factor with a single level is left out of the mean and named in
    the settings under ``constant_factors``; ``blocks_ignored`` says that there were blocks, ``units`` which latents
    were one code.

    Raises UserError for codes without factors, fewer than 10 images, fewer than 2 bins, or unknown words.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> score = MIG()(Codes.of(levels.float(), levels, names=("shape", "x")))
    >>> round(score.value, 6), round(score.parts["gap.shape"], 6)
    (1.0, 1.0)
    """

    name: ClassVar[str] = "mig"
    references: ClassVar[tuple[Reference, ...]] = (
        CHEN_2018,
        LOCATELLO_2019,
    )
    cost: ClassVar[str] = "0.05 s"

    bins: int = 20
    images: int | None = 10_000
    binning: Binning = "width"
    tail: float = 0.001
    correction: Correction = "none"
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``mig`` as publications compute it, with the words of other bins and corrections behind it."""
        words = [word for word in (self.binning, self.correction) if word not in ("width", "none")]
        return "-".join([self.name, *words, *self.words("bins", "tail"), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        check_binning("MIG", self.bins, self.binning, self.tail, self.correction)
        at_least("MIG", 10, images=self.images)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        rows = table(codes, "MIG")
        rows = rows.take(sample(len(rows.z), self.images, seed))
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "MIG")
        sets, notes = grouping(codes, self.blocks, "MIG", rows.notes)
        symbols = joined(discretise(rows.z, self.bins, self.binning, self.tail), sets)
        information = mutual_information(symbols, rows.levels, self.correction)
        own = entropy(rows.levels, self.correction)
        # Where nearly every image has a level of its own, a corrected H is 0: nothing can be told from chance.
        share = np.divide(information, own, out=np.zeros_like(information), where=own > 0)
        if self.correction != "none":
            share = np.clip(share, 0.0, 1.0)
        value, parts = gaps(share, rows.names)
        return Score(value, parts, {**self.settings(codes, seed), "images": len(rows.z), **notes})

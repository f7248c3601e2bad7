"""MIG: is each factor told by one latent, and by one alone?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.checks import at_least
from unweave.metrics.information import discretise, entropy, mutual_information
from unweave.metrics.rows import sample, table
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class MIG(Metric):
    """Mutual Information Gap: how much better the best latent tells a factor than the second best.

    MIG = (1/F) Σ_k [I(z_(1); v_k) − I(z_(2); v_k)] / H(v_k), the largest and second largest over latents
    (Chen et al., 2018, Eq. 6), with plug-in mutual information of equal-width bins (Locatello et al., 2019).

    Args:
        bins: equal-width bins of each latent between its smallest and largest value; factor levels are never binned.
        images: number of images read, drawn without replacement when there are more; None for all.

    Parts: ``gap.NAME`` of each factor, ``nmi1`` and ``nmi2``: means over factors of the largest and second largest
    I / H. With one latent the second largest is 0. A factor with a single level is left out of the mean and named in
    the settings under ``constant_factors``; blocks of latents are scored latent by latent, with ``blocks_ignored``.

    Raises UserError for codes without factors, fewer than 10 images, or fewer than 2 bins.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> score = MIG()(Codes.of(levels.float(), levels, names=("shape", "x")))
    >>> round(score.value, 6), round(score.parts["gap.shape"], 6)
    (1.0, 1.0)
    """

    name: ClassVar[str] = "mig"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "chen2018isolating",
            "Chen, Ricky T. Q. and Li, Xuechen and Grosse, Roger and Duvenaud, David",
            "Isolating Sources of Disentanglement in Variational Autoencoders",
            "Advances in Neural Information Processing Systems",
            2018,
            "https://arxiv.org/abs/1802.04942",
        ),
        LOCATELLO_2019,
    )

    bins: int = 20
    images: int | None = 10_000

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        at_least("MIG", 2, bins=self.bins)
        at_least("MIG", 10, images=self.images)
        rows = table(codes, "MIG")
        rows = rows.take(sample(len(rows.z), self.images, seed))
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "MIG")
        share = mutual_information(discretise(rows.z, self.bins), rows.levels) / entropy(rows.levels)
        ranked = -np.sort(-share, axis=0)
        first, second = ranked[0], ranked[1] if len(ranked) > 1 else np.zeros_like(ranked[0])
        parts = {f"gap.{name}": float(gap) for name, gap in zip(rows.names, first - second, strict=True)}
        parts |= {"nmi1": float(first.mean()), "nmi2": float(second.mean())}
        settings = {**self.settings(codes, seed), "images": len(rows.z), **rows.notes}
        return Score(float((first - second).mean()), parts, settings)

"""Modularity: does each latent tell of one factor only?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.checks import at_least
from unweave.metrics.information import discretise, joined, mutual_information
from unweave.metrics.rows import Floats, sample, table
from unweave.references import LOCATELLO_2019, RIDGEWAY_2018
from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class Modularity(Metric):
    """Modularity (Ridgeway & Mozer, 2018, Sec. 3): how far each latent's information is about one factor alone.

    With m_dk = I(z_d; v_k) and θ_d = max_k m_dk, the modularity of a latent is
    1 − Σ_{k ≠ k*} m_dk² / (θ_d² (F − 1)), and 0 where θ_d = 0; the value is the plain mean over all latents. Mutual
    information is that of equal-width bins, as in MIG (Locatello et al., 2019). A perfect code scores 1. Noise does
    not score 0: plug-in information is positive by chance, and chance favours the factor of most levels, so that noise
    on dSprites' factors scores .64 and noisy latents pull a perfect code down (docs/metrics/modularity.md).

    Args:
        bins: equal-width bins of each latent between its smallest and largest value; factor levels are never binned.
        images: number of images read, drawn without replacement when there are more; None for all.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code d, whose symbols are
            the combinations of their bins, as in MIG.

    Parts: ``weighted``: the mean weighted by θ_d, in which latents that tell nothing hardly count; ``informative``:
    how many latents have θ_d > 0. With one factor every latent with any information has modularity 1. A factor with
    a single level is left out and named under ``constant_factors``.

    Raises UserError for codes without factors, fewer than 10 images or 2 bins.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> mixed = torch.cat([levels, levels.sum(1, keepdim=True)], 1).float()
    >>> round(Modularity()(Codes.of(levels.float(), levels)).value, 6)
    1.0
    >>> round(Modularity()(Codes.of(mixed, levels)).value, 6)  # the sum tells as much of one factor as of the other
    0.666667
    """

    name: ClassVar[str] = "modularity"
    references: ClassVar[tuple[Reference, ...]] = (RIDGEWAY_2018, LOCATELLO_2019)
    cost: ClassVar[str] = "0.04 s"

    bins: int = 20
    images: int | None = 10_000
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``modularity``, with other bins behind it, and ``blocks`` where they are codes."""
        return "-".join([self.name, *self.words("bins"), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("Modularity", 2, bins=self.bins)
        at_least("Modularity", 10, images=self.images)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        rows = table(codes, "Modularity")
        rows = rows.take(sample(len(rows.z), self.images, seed))
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "Modularity")
        sets, notes = grouping(codes, self.blocks, "Modularity", rows.notes)
        information = mutual_information(joined(discretise(rows.z, self.bins), sets), rows.levels)
        each, most = modularity(information), information.max(axis=1)
        weighted = float((each * most).sum() / most.sum()) if most.any() else 0.0
        parts = {"weighted": weighted, "informative": float((most > 0).sum())}
        settings = {**self.settings(codes, seed), "images": len(rows.z), **notes}
        return Score(float(each.mean()), parts, settings)


def modularity(information: NDArray[Any]) -> Floats:
    """(D,) modularity of each latent, from the (D, F) mutual information of latents and factors.

    >>> modularity(np.array([[2.0, 0, 0], [2.0, 2.0, 0], [0, 0, 0]])).tolist()
    [1.0, 0.5, 0.0]
    """
    matrix = np.asarray(information, dtype=np.float64)
    most = matrix.max(axis=1)
    # Divided before it is squared, because the squares of very small numbers are 0.
    share = matrix / np.where(most > 0, most, 1.0)[:, None]
    rest = ((share**2).sum(axis=1) - 1) / max(matrix.shape[1] - 1, 1)
    return np.where(most > 0, 1 - rest, 0.0)

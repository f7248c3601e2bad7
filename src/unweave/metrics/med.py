"""MED: disentanglement as DCI has it, read off mutual information in place of a classifier's importances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.checks import at_least
from unweave.metrics.dci import completeness, concentrations, disentanglement
from unweave.metrics.information import discretise, joined, mutual_information
from unweave.metrics.rows import Floats, Ints, Table, sample, table
from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class MED(Metric):
    """Mutual-information-based Entropy Disentanglement (Cao et al., 2022), and its Top-k form.

    With R_dk = I(z_d; v_k) / Σ_d I(z_d; v_k), each factor's information shared out among the latents, the value is
    Σ_d ρ_d (1 − H_F(R_d·)), ρ_d = Σ_k R_dk / ΣR: the disentanglement of DCI, whose entropy in base F it is, of a matrix
    that no classifier is needed for, so that hundreds of latents cost seconds. Mutual information is that of
    equal-width bins, as in MIG. A perfect code scores near 1, noise near 0.

    Top-k: every latent belongs to the factor of its largest R_dk. Of each factor's latents the ``top`` with the largest
    1 − H_F are kept, and the value is the same sum over them alone: whether a part of a large representation is
    disentangled. It can only be compared at the same ``top``.

    Args:
        top: latents kept for each factor; None keeps all.
        bins: equal-width bins of each latent between its smallest and largest value; factor levels are never binned.
        images: number of images read, drawn without replacement when there are more; None for all.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code d, whose symbols are
            the combinations of their bins, as in MIG; ``top`` and ``kept`` then count codes in the order of ``units``.

    Parts: ``disentanglement`` and ``completeness`` (Σ_k κ_k (1 − H_D(R_·k)), as in DCI) of all latents; with ``top``
    also ``top.disentanglement``, ``top.completeness`` and ``top.latents``, how many are kept, and under ``kept`` in
    the settings which. A factor with a single level is left out and named under ``constant_factors``.

    Raises UserError for codes without factors, fewer than 10 images or 2 bins, or ``top`` below 1.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> mixed = torch.cat([levels, levels.sum(1, keepdim=True)], 1).float()
    >>> round(MED()(Codes.of(levels.float(), levels)).value, 4), round(MED(top=1)(Codes.of(mixed, levels)).value, 4)
    (1.0, 1.0)
    """

    name: ClassVar[str] = "med"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "cao2022empirical",
            "Cao, Jinkun and Nai, Ruiqian and Yang, Qing and Huang, Jialei and Gao, Yang",
            "An Empirical Study on Disentanglement of Negative-free Contrastive Learning",
            "Advances in Neural Information Processing Systems",
            2022,
            "https://arxiv.org/abs/2206.04756",
        ),
    )
    cost: ClassVar[str] = "0.04 s"

    top: int | None = None
    bins: int = 20
    images: int | None = 10_000
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``med``, and ``med-top2`` where two latents are kept for each factor; ``blocks`` behind it."""
        top = [] if self.top is None else [f"top{self.top}"]
        return "-".join([self.name, *top, *self.words("bins"), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("MED", 1, top=self.top)
        at_least("MED", 2, bins=self.bins)
        at_least("MED", 10, images=self.images)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        matrix, rows = self._shares(codes, seed)
        settings = {**self.settings(codes, seed), "images": len(rows.z), **rows.notes}
        parts = {"disentanglement": disentanglement(matrix), "completeness": completeness(matrix)}
        if self.top is None:
            return Score(parts["disentanglement"], parts, settings)
        kept = pick(matrix, self.top)
        # Of no latents that tell anything there is nothing to disentangle.
        parts["top.disentanglement"] = disentanglement(matrix[kept]) if len(kept) else 0.0
        parts["top.completeness"] = completeness(matrix[kept]) if len(kept) else 0.0
        parts["top.latents"] = float(len(kept))
        return Score(parts["top.disentanglement"], parts, {**settings, "kept": kept.tolist()})

    def shares(self, codes: Codes, seed: int = 0) -> Floats:
        """The (D, F) matrix R behind the score: which share of a factor's information each latent has."""
        return self._shares(codes, seed)[0]

    def _shares(self, codes: Codes, seed: int) -> tuple[Floats, Table]:
        """R, and the table with all that is to be noted."""
        self.check()
        rows = table(codes, "MED")
        rows = rows.take(sample(len(rows.z), self.images, seed))
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "MED")
        sets, notes = grouping(codes, self.blocks, "MED", rows.notes)
        information = mutual_information(joined(discretise(rows.z, self.bins), sets), rows.levels)
        whole = information.sum(axis=0)
        return information / np.where(whole > 0, whole, 1.0), rows._replace(notes=notes)


def pick(matrix: NDArray[Any], top: int) -> Ints:
    """Of the latents whose largest entry is factor k, the ``top`` with the least entropy, for each k; in order.

    A latent that has nothing of any factor belongs to none.

    Args:
        matrix: (D, F) how much of factor k latent d has.
        top: latents kept for each factor, fewer where it has fewer.

    >>> pick(np.array([[0.9, 0.1], [0.6, 0.4], [0.0, 1.0], [1.0, 0.0]]), top=1).tolist()
    [2, 3]
    """
    shares = np.asarray(matrix)
    each, factor = concentrations(matrix), shares.argmax(axis=1)
    best = np.argsort(-each, kind="stable")
    best = best[shares[best].max(axis=1) > 0]
    kept = [best[factor[best] == k][:top] for k in range(shares.shape[1])]
    return np.sort(np.concatenate(kept))

"""MIG by densities in place of bins: the form of its authors, which also scores blocks of latents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping
from unweave.metrics.checks import at_least
from unweave.metrics.gap import gaps
from unweave.metrics.rows import Floats, Ints, generator, logvariances, sample, table
from unweave.mixture import bench, pieces
from unweave.references import CHEN_2018, CHEN_2022
from unweave.types import Codes, Gaussian, Reference, Score


@dataclass(frozen=True)
class MIGPosterior(Metric):
    """Mutual Information Gap from the densities of the aggregate posterior, for latents or blocks of them.

    MIG = (1/F) Σ_k [I(z_(1); v_k) − I(z_(2); v_k)] / H(v_k) (Chen et al., 2018, Eq. 6) with I(z_S; v_k) = E log
    q(z_S|v_k) − E log q(z_S), averaged over draws z ~ q(z|x), and H(v_k) over the same draws. Both densities are exact
    sums over the encoded images, as its authors compute them: q(z_S) = 1/M Σ_m Π_{j∈S} q(z_j|x_m) over all M, q(z_S|v)
    over those with that level. S is one latent, or a block of them, which is how models with groups of latents are
    scored (Chen et al., 2022). Estimates of I below 0 count as 0, as in the authors' code.

    The images read are taken for all there are: where posteriors are so narrow that no two of them overlap, every
    latent seems to know every factor. docs/metrics/mig-posterior.md has what noise scores.

    Args:
        samples: draws that the expectation is averaged over, each from another image as long as there are enough.
        images: number of images M read, drawn without replacement when there are more; None for all.
        blocks: ``joint``: the latents of a block are one code; ``ignore``: each latent is.

    Parts: ``gap.NAME`` of each factor, ``nmi1`` and ``nmi2``: means over factors of the largest and second largest
    I / H. With one code the second largest is 0. A factor with a single level is left out and named in the settings
    under ``constant_factors``; ``units`` says which latents were one code.

    Raises UserError for codes without factors or without log-variances, fewer than 10 images, or no samples.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> codes = Codes.of(levels.float(), levels, logvar=torch.full((16, 2), -6.0))
    >>> round(MIGPosterior(samples=500)(codes).value, 4)
    1.0
    """

    name: ClassVar[str] = "mig-posterior"
    references: ClassVar[tuple[Reference, ...]] = (CHEN_2018, CHEN_2022)
    cost: ClassVar[str] = "2 s"

    samples: int = 2_000
    images: int | None = 10_000
    blocks: Blocks = "joint"

    @property
    def label(self) -> str:
        """``mig-posterior``, or ``mig-posterior-latents`` where blocks are taken apart."""
        return self.name if self.blocks == "joint" else f"{self.name}-latents"

    @property
    def posteriors(self) -> bool:
        """Always."""
        return True

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("MIGPosterior", 1, samples=self.samples)
        at_least("MIGPosterior", 10, images=self.images)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        rows, logvar = table(codes, "MIGPosterior"), logvariances(codes, "MIGPosterior")
        read = sample(len(rows.z), self.images, seed)
        rows = rows.take(read).without(np.ptp(rows.levels[read], axis=0) == 0, "MIGPosterior")
        sets, notes = grouping(codes, self.blocks, "MIGPosterior", rows.notes)
        random = generator(seed, "posterior")
        drawn = random.permutation(len(rows.z))[np.arange(self.samples) % len(rows.z)]
        found = information(rows.z, logvar[read], rows.levels, sets, drawn, random)
        value, parts = gaps(found / surprise(rows.levels, drawn), rows.names)
        return Score(value, parts, {**self.settings(codes, seed), "images": len(rows.z), **notes})


def surprise(levels: Ints, drawn: Ints) -> Floats:
    """−log p(v_k) averaged over the images drawn, p from all of them: H(v_k), and no estimate of I is above it.

    Args:
        levels: (M, F) factor levels.
        drawn: which images.
    """
    share = np.stack([np.bincount(column)[column] for column in levels.T], axis=1) / len(levels)
    return np.maximum(-np.log(share[drawn]).mean(0), np.finfo(np.float64).tiny)


def information(
    mean: Floats,
    logvar: Floats,
    levels: Ints,
    sets: Sequence[tuple[int, ...]],
    drawn: Ints,
    random: np.random.Generator,
) -> Floats:
    """I(z_S; v_k) of sets of latents and factors, where x is one of the M images: E [log q(z_S|v_k) − log q(z_S)].

    Args:
        mean: (M, D) posterior means.
        logvar: (M, D) log-variances.
        levels: (M, F) factor levels.
        sets: B index tuples of latents.
        drawn: (N,) the image that each draw z is of.
        random: which z of its posterior.

    Returns:
        (B, F) in nats, 0 where the estimate is below.
    """
    import torch

    z = mean[drawn] + np.exp(logvar[drawn] / 2) * random.standard_normal((len(drawn), mean.shape[1]))
    posteriors = Gaussian(torch.from_numpy(mean), torch.from_numpy(logvar))
    # Column c of the table marks the images with the c-th level that occurs; sizes are those of the groups.
    kinds = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in levels.T]
    starts = np.cumsum([0, *(int(kind.max()) + 1 for kind in kinds)])
    numbers = np.stack([kind + start for kind, start in zip(kinds, starts, strict=False)], axis=1)
    member = torch.zeros(len(mean), int(starts[-1]), dtype=torch.float64)
    member[torch.arange(len(mean))[:, None], torch.from_numpy(numbers)] = 1.0
    where = bench()
    member = member.to(where)
    sizes = member.sum(0).log()
    mine, own = torch.from_numpy(numbers[drawn]).to(where), torch.from_numpy(drawn).to(where)
    summed = torch.zeros(len(sets), levels.shape[1], dtype=torch.float64, device=where)
    with torch.no_grad():
        for piece in pieces(torch.from_numpy(z), posteriors, sets):
            log_probs, groups = piece.log_probs, mine[piece.samples]
            top = log_probs.max(-1, keepdim=True).values
            weights = torch.exp(log_probs - top)
            within = torch.gather(weights @ member, 1, groups)
            # A group holds the posterior that z was drawn from: that alone is left where all of it underflows.
            least = torch.gather(log_probs, 1, own[piece.samples, None]) - top
            inside = torch.where(within > 0, within.log(), least) - sizes[groups]
            everywhere = weights.sum(-1, keepdim=True).log() - math.log(len(mean))
            summed[piece.which] += (inside - everywhere).sum(0)
    found: Any = (summed / len(drawn)).cpu().numpy()
    return np.maximum(found, 0.0)

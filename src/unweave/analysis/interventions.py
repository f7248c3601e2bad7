"""How a latent answers when one factor is set and all others vary: the picture behind the robustness score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from unweave.metrics.irs import IRS
from unweave.metrics.rows import Floats, Ints, sample, table
from unweave.types import Codes


class Response(NamedTuple):
    """One latent against the factor that holds it most still."""

    latent: int
    parent: str
    """Name of that factor."""
    robustness: float
    """R of latent and parent, at most 1; below 0 only where an outlier makes a level wider than the whole."""
    levels: Ints
    """(L,) the parent's levels that occur."""
    mean: Floats
    """(L,) mean of the latent at each of them, all other factors as they come."""
    deviation: Floats
    """(L,) its standard deviation there: what the other factors still do."""
    given: Mapping[str, Floats]
    """Other factor -> (L, its levels): the mean at both levels; NaN where no image has them."""

    @property
    def strongest(self) -> str:
        """The other factor whose level moves the latent most once the parent is set; empty without other factors."""
        spread = {name: float(np.nanmean(np.nanvar(means, axis=1))) for name, means in self.given.items()}
        return max(spread, key=lambda name: spread[name]) if spread else ""


class Interventions(NamedTuple):
    """Every latent's robustness to every factor, and its answer to its parent."""

    matrix: Floats
    """(D, F) robustness, as ``IRS.robustness`` has it; 0 in the row of a latent that does not move."""
    deviations: Floats
    """(D,) largest distance of a latent from its mean: the weight of the latent in the score."""
    names: tuple[str, ...]
    """The F factors."""
    responses: tuple[Response, ...]
    """One for each latent that moves, the most robust first."""


def interventions(codes: Codes, quantile: float = 0.99, images: int | None = 10_000, seed: int = 0) -> Interventions:
    """How latents answer to their factors (Suter et al., 2019: the plots of interventional robustness).

    The parent of a latent is the factor k of the largest R_dk = 1 − dev_dk / dev_d (``IRS``). Setting it to a level l
    leaves the latent at E[z_d | v_k = l] ± its standard deviation over all images with that level; what is left of it
    belongs to the other factors, and E[z_d | v_k = l, v_j = m] shows to which. A latent of one factor alone has a band
    of no width and one line for all m.

    Args:
        codes: M images, D latents, F factors.
        quantile: as in ``IRS``.
        images: number of images read, drawn without replacement when there are more; None for all.
        seed: which ones; those that ``IRS`` reads with this seed.

    Raises:
        UserError: codes without factors, and all that ``IRS`` refuses.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(3))
    >>> found = interventions(Codes.of(2.0 * levels[:, [1]], levels, names=("shape", "x")))
    >>> found.responses[0].parent, found.responses[0].mean.tolist(), found.responses[0].deviation.tolist()
    ('x', [0.0, 2.0, 4.0], [0.0, 0.0, 0.0])
    """
    robust = IRS(quantile=quantile, images=images).robustness(codes, seed)
    rows = table(codes, "interventions")
    rows = rows.take(sample(len(rows.z), images, seed))
    rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "interventions")
    order = [d for d in np.argsort(-robust.scores, kind="stable").tolist() if robust.parents[d] >= 0]
    found = tuple(
        _response(rows.z[:, d], rows.levels, d, int(robust.parents[d]), rows.names, float(robust.scores[d]))
        for d in order
    )
    return Interventions(robust.matrix, robust.deviations, rows.names, found)


def _response(z: Floats, levels: Ints, latent: int, parent: int, names: tuple[str, ...], robustness: float) -> Response:
    seen, place = np.unique(levels[:, parent], return_inverse=True)
    place = place.reshape(-1)
    count = np.bincount(place)
    mean = np.bincount(place, z) / count
    deviation = np.sqrt(np.bincount(place, (z - mean[place]) ** 2) / count)
    given = {}
    for k, name in enumerate(names):
        if k != parent:
            others, other = np.unique(levels[:, k], return_inverse=True)
            cell = place * len(others) + other.reshape(-1)
            size = np.bincount(cell, minlength=len(seen) * len(others))
            total = np.bincount(cell, z, minlength=len(size))
            means = np.divide(total, size, out=np.full(len(size), np.nan), where=size > 0)
            given[name] = means.reshape(len(seen), len(others))
    return Response(latent, names[parent], robustness, seen, mean, deviation, given)

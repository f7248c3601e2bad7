"""How much latents, or features of any layer, tell of each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.engine.codes import BATCH, nuisance, sampled
from unweave.metrics.information import discretise, entropy, mutual_information
from unweave.metrics.rows import Floats, representation
from unweave.names import known
from unweave.networks import Model
from unweave.types import Codes, UserError


def pairwise_nmi(codes: Codes, bins: int = 20) -> Floats:
    """NMI(z_i; z_j) = I(z_i; z_j) / √(H(z_i) H(z_j)) of binned latents: 0 where two have nothing in common.

    Chen et al. (2022), Figure 1, divides by H(c), which names neither of the two; the geometric mean is symmetric and
    gives 1 on the diagonal. A constant latent has nothing in common with any, itself included: its row is 0.

    Args:
        codes: M images, D latents (or features).
        bins: equal-width bins a latent.

    Returns:
        (D, D) symmetric, in [0, 1].

    Raises:
        UserError: fewer than 2 bins or 10 images, numbers that are not finite.

    >>> z = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
    >>> pairwise_nmi(Codes.of(torch.cat([z, -z, torch.zeros_like(z)], 1))).round(2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if bins < 2:
        raise UserError(f"pairwise_nmi: bins = {bins}; allowed: 2 or more")
    binned = discretise(representation(codes, "pairwise_nmi"), bins)
    h = entropy(binned)
    scale = np.sqrt(h[:, None] * h[None, :])
    shared = mutual_information(binned, binned)
    found = np.divide(shared, scale, out=np.zeros_like(shared), where=scale > 0)
    return np.minimum((found + found.T) / 2, 1.0)


@torch.no_grad()
def layer_codes(
    model: Model,
    data: Dataset,
    images: Images,
    layers: Sequence[str] | None = None,
    *,
    count: int | None = 10_000,
    seed: int = 0,
) -> dict[str, Codes]:
    """Layer name -> its features as codes, so that MIG and every other metric can be asked of intermediate layers.

    Maps (N, C, H, W) are averaged over their pixels, so that each channel is one feature; what is already (N, ·) stays
    as it is and any other shape is flattened. (Chen et al., 2022, Table 8, scores layers and does not say how a map
    becomes a code.)

    Args:
        model: its ``features`` name the layers.
        data: the data set, for the names of its factors.
        images: the opened data set, such as ``run.images``.
        layers: which layers; all of them when None.
        count: how many images; all when None.
        seed: which images; the same as ``run.codes(count, seed=seed)`` reads.

    Raises:
        UserError: a model that offers no layers, or none of that name.

    >>> from unweave.data import Triangle
    >>> from unweave.networks import VAE, Conv
    >>> data, model = Triangle(), VAE(Conv("lite"), (1, 64, 64), 5, "bernoulli")
    >>> {name: codes.mean.shape[1] for name, codes in layer_codes(model, data, data.open(), count=20).items()}
    {'layer 1': 8, 'layer 3': 8, 'layer 5': 16, 'layer 7': 16, 'layer 10': 64}
    """
    parameter = next(model.parameters())
    rows = sampled(images.rows, count, seed, parameter.device)
    found: dict[str, list[Tensor]] = {}
    levels = []
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        x = images.batch(some, nuisance(images, some, seed, "codes")).to(parameter.dtype)
        levels.append(images.levels(some))
        given = model.features(x)
        if not given:
            raise UserError(f"layer_codes: {type(model).__name__} offers no layers; allowed: models with features(x)")
        for name in given if layers is None else [known(name, given, "layer") for name in layers]:
            found.setdefault(name, []).append(pooled(given[name]).float().cpu())
    factors = data.factors
    return {
        name: Codes(
            mean=torch.cat(parts),
            logvar=None,
            levels=torch.cat(levels).cpu(),
            sizes=factors.sizes if factors else (),
            names=factors.names if factors else (),
        )
        for name, parts in found.items()
    }


def pooled(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C), the mean over pixels; anything else flattened to (N, ·).

    >>> pooled(torch.ones(2, 3, 4, 4)).shape, pooled(torch.ones(2, 3, 5)).shape
    (torch.Size([2, 3]), torch.Size([2, 15]))
    """
    return features.mean((2, 3)) if features.ndim == 4 else features.flatten(1)

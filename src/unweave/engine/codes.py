"""From a model and its images to codes: the data set, encoded once."""

from __future__ import annotations

import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.engine.cpu import keep_memory
from unweave.engine.graph import settings
from unweave.engine.noise import draw
from unweave.engine.place import home
from unweave.networks import Model
from unweave.types import Codes, Draw, UserError

BATCH, ON_CARD = 512, 4096
"""Images a pass, on a CPU and, of 64×64 pixels in three channels, on a card; it moves numbers by rounding only."""


def sampled(total: int, count: int | None, seed: int = 0, device: torch.device | str = "cpu") -> Tensor:
    """The rows, in order, that ``encode`` reads of so many images.

    Raises:
        UserError: a count below 1.

    >>> sampled(10, None).tolist() == sampled(10, 10).tolist() == list(range(10)), len(sampled(10, 3))
    (True, 3)
    """
    if count is not None and count < 1:
        raise UserError(f"count = {count}; allowed: a whole number from 1, or None for all images")
    if count is None or count >= total:
        return torch.arange(total, device=device)
    seeds = torch.tensor([seed], device=device)
    return draw(seeds, 0, "codes rows", Draw((total,), "permutation"))[0, :count].sort().values


@torch.no_grad()
def encode(
    model: Model,
    data: Dataset,
    images: Images,
    *,
    count: int | None = 15_000,
    seed: int = 0,
    space: int = 0,
    distortion: bool = True,
) -> Codes:
    """Encode a data set, or a sample of it without replacement.

    Args:
        count: how many images; all of them when None or more than there are.
        seed: which sample, and which noise in the codes that are decoded for the distortion.
        space: the latent space, for models with several.
        distortion: also decode a sample of q(z|x) for each image and keep its errors ``bce`` and ``squared_error``, and
            the rate of models whose prior is not N(0, I).

    Raises:
        UserError: a space that the model does not have, or a count below 1.
    """
    if not 0 <= space < model.spaces:
        raise UserError(f"latent space {space}; this model has 0 to {model.spaces - 1}")
    device = next(model.parameters()).device
    if device.type == "cpu":
        keep_memory()
    dtype, own = next(model.parameters()).dtype, home(device)
    rows = sampled(images.rows, count, seed, own)
    kept: dict[str, Tensor] = {}

    def keep(name: str, some: slice, value: Tensor) -> None:
        # Into one tensor from the start, where the model is: small results left between large activations would keep
        # those from being used again, and a card would wait for every one that is sent away.
        if name not in kept:
            kept[name] = torch.empty(len(rows), *value.shape[1:], dtype=value.dtype, device=device)
        kept[name][some] = value

    size = max(1, min(ON_CARD, ON_CARD * 3 * 64**2 // math.prod(data.shape))) if device.type == "cuda" else BATCH
    with settings("float32") if device.type == "cuda" else nullcontext():
        for place in range(0, len(rows), size):
            where = slice(place, place + size)
            some = rows[where]
            x = images.batch(some, nuisance(images, some, seed, "codes")).to(device, dtype)
            q = model.encode(x, space)
            keep("mean", where, q.mean)
            if q.logvar is not None:
                keep("logvar", where, q.logvar)
            keep("levels", where, images.levels(some))
            if distortion:
                noise = draw(some, seed, "codes z", Draw((q.mean.shape[1],)), dtype).to(device)
                z = model.sample(x, q, noise, space)
                rate = model.rate(x, q, z, space)
                if rate is not None:
                    keep("rate", where, rate)
                logits = model.decode(z, space)
                errors = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
                keep("bce", where, errors.flatten(1).sum(1))
                keep("squared_error", where, ((torch.sigmoid(logits) - x) ** 2).flatten(1).sum(1))
    kept = {name: value.cpu() for name, value in kept.items()}
    factors = data.factors
    return Codes(
        mean=kept["mean"],
        logvar=kept.get("logvar"),
        levels=kept["levels"],
        sizes=factors.sizes if factors else (),
        names=factors.names if factors else (),
        blocks=model.blocks,
        distortion={name: kept[name] for name in ("bce", "squared_error") if name in kept},
        space=space,
        pixels=data.shape[0] * data.shape[1] * data.shape[2],
        rate=kept.get("rate"),
    )


def nuisance(images: Images, rows: Tensor, seed: int, purpose: str) -> dict[str, Tensor]:
    """The nuisance noise of some rows outside training, (N, …) by name: that of a row depends on the row and the seed
    only, whatever other rows are looked at with it."""
    # The row takes the place of the seed and the seed that of the step; shapes of nuisance noise begin with the rows.
    return {
        name: draw(rows, seed, f"{purpose} nuisance {name}", Draw(what.shape[1:], what.kind))
        for name, what in images.noise(1).items()
    }

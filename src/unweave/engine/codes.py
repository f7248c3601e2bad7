"""From a model and its images to codes: the data set, encoded once."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from unweave.data.base import Dataset, Images
from unweave.engine.noise import draw
from unweave.networks import Model
from unweave.types import Codes, Draw, UserError

BATCH = 512
"""Images a pass; part of the description of the numbers, since rounding depends on it."""


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
        distortion: also decode a sample of q(z|x) for each image and keep its errors ``bce`` and ``squared_error``.

    Raises:
        UserError: a space that the model does not have.
    """
    if not 0 <= space < model.spaces:
        raise UserError(f"latent space {space}; this model has 0 to {model.spaces - 1}")
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    seeds = torch.tensor([seed], device=device)
    rows = torch.arange(images.rows, device=device)
    if count is not None and count < images.rows:
        rows = draw(seeds, 0, "codes rows", Draw((images.rows,), "permutation"))[0, :count].sort().values
    means, logvars, levels = [], [], []
    errors: dict[str, list[torch.Tensor]] = {"bce": [], "squared_error": []} if distortion else {}
    for place in range(0, len(rows), BATCH):
        some = rows[place : place + BATCH]
        nuisance = {
            name: draw(seeds, place, f"codes nuisance {name}", what)[0] for name, what in images.noise(len(some)).items()
        }
        x = images.batch(some, nuisance).to(dtype)
        q = model.encode(x, space)
        means.append(q.mean)
        if q.logvar is not None:
            logvars.append(q.logvar)
        levels.append(images.levels(some))
        if distortion:
            noise = draw(seeds, place, "codes z", Draw(tuple(q.mean.shape)), dtype)[0]
            logits = model.decode(q.sample(noise), space)
            errors["bce"].append(F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1))
            errors["squared_error"].append(((torch.sigmoid(logits) - x) ** 2).flatten(1).sum(1))
    factors = data.factors
    return Codes(
        mean=torch.cat(means).cpu(),
        logvar=torch.cat(logvars).cpu() if logvars else None,
        levels=torch.cat(levels).cpu(),
        sizes=factors.sizes if factors else (),
        names=factors.names if factors else (),
        blocks=model.blocks,
        distortion={name: torch.cat(parts).cpu() for name, parts in errors.items()},
        space=space,
        pixels=data.shape[0] * data.shape[1] * data.shape[2],
    )

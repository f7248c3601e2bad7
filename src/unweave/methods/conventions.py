"""What a pressure of another library is called here: losses that average where ours sum."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unweave.names import known
from unweave.types import UserError

REDUCTIONS = ("sum", "mean")


def convert_beta(
    beta: float,
    shape: Sequence[int],
    latents: int,
    *,
    pixels: str = "mean",
    over_latents: str = "sum",
    recon_weight: float = 1.0,
    kl_weight: float = 1.0,
) -> float:
    """The β that makes ours the same objective as one that averages over pixels or latents, up to a constant factor.

        theirs = a · R / P + β · w · KL / L          ours = R + β_here · KL,   β_here = β · (w / a) · (P / L)

    R is the reconstruction error of an image summed over pixels, KL that of an image summed over latents. P is C·H·W
    where theirs is a mean over pixels, else 1; L is the number of latents where theirs is a mean over latents, else 1.
    Whether both terms are summed or averaged over the batch makes no difference. Theirs is then a / P times ours, which
    Adam does not notice but for its ε, a weight decay or a clipped gradient; plain gradient descent does.

    Args:
        beta: theirs.
        shape: (C, H, W) of an image.
        latents: D.
        pixels: ``mean`` or ``sum`` of the reconstruction error over pixels and channels.
        over_latents: ``sum`` or ``mean`` of the KL over latents.
        recon_weight: a: ½ for half the squared error, compared with our ``squared``.
        kl_weight: w: batch / images of the data set for a KL that is weighted so.

    Raises:
        UserError: a reduction that is neither, a size below 1, a negative β or a weight that is not above 0.

    Higgins et al. (2017) call β · M / N normalised, M latents and N pixels: a mean over both. Theirs of 0.0098 is

    >>> round(convert_beta(0.0098, (1, 64, 64), 10, over_latents="mean"), 2)
    4.01
    >>> convert_beta(1.0, (1, 64, 64), 10, pixels="sum", recon_weight=0.5)
    2.0
    """
    known(pixels, REDUCTIONS, "reduction over pixels")
    known(over_latents, REDUCTIONS, "reduction over latents")
    if len(shape) != 3 or min(shape) < 1 or latents < 1:
        raise UserError(
            f"convert_beta: images of shape {tuple(shape)}, {latents} latents; allowed: (C, H, W) and latents, from 1"
        )
    if not 0 <= beta < math.inf:
        raise UserError(f"convert_beta: beta = {beta}; allowed: numbers of 0 or more")
    for name, weight in (("recon_weight", recon_weight), ("kl_weight", kl_weight)):
        if not 0 < weight < math.inf:
            raise UserError(f"convert_beta: {name} = {weight}; allowed: numbers above 0")
    many = math.prod(shape) if pixels == "mean" else 1
    shared = latents if over_latents == "mean" else 1
    return beta * (kl_weight / recon_weight) * many / shared

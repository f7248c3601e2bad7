"""How far a reconstruction is from its image: one number an image, summed over pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.names import known

LIKELIHOODS = ("bernoulli", "squared")


def distortion(likelihood: str, logits: Tensor, x: Tensor) -> Tensor:
    """Reconstruction error of each image, shape (N,).

    ``bernoulli``: −Σ [x log s + (1 − x) log(1 − s)] in nats with s = sigmoid(logits), the negative log-likelihood for
    binary pixels. ``squared``: Σ (x − s)², without the ½, because all published pressures assume it.

    Raises:
        UserError: any other likelihood.

    >>> distortion("bernoulli", torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([2.7726])
    """
    known(likelihood, LIKELIHOODS, "likelihood")
    if likelihood == "bernoulli":
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    return ((x - torch.sigmoid(logits)) ** 2).flatten(1).sum(1)

"""Spectral normalisation without memory: layers that stretch nothing, for critics that must not win too easily."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS = 8
"""Steps of the power iteration, in every forward pass from the same start."""


class SpectralLinear(nn.Linear):
    """A dense layer whose weights are divided by their largest singular value (Miyato et al., 2018).

    The usual form keeps the singular vector of the step before as hidden state. Here it is found anew, so that a loss
    is a function of the parameters alone; the gradient, as there, takes the vectors as given.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / largest(self.weight), self.bias)


def largest(weight: Tensor) -> Tensor:
    """The largest singular value of a matrix, from below.

    >>> round(float(largest(torch.diag(torch.tensor([3.0, 1.0])))), 4)
    3.0
    """
    fixed = weight.detach()
    # Sums of products in place of matrix products, which autocast would round to bfloat16.
    u = torch.ones_like(fixed[:, 0])
    v = torch.ones_like(fixed[0])
    for _ in range(STEPS):
        v = F.normalize((fixed * u[:, None]).sum(0), dim=0)
        u = F.normalize((fixed * v).sum(1), dim=0)
    return (u[:, None] * weight * v).sum()

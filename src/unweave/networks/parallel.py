"""Layers that hold several networks of one shape and run them side by side."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ParallelLinear(nn.Module):
    """``count`` dense layers side by side, each for its own row: (…, count, inputs) -> (…, count, outputs).

    They start as ``torch.nn.Linear`` does.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        reach = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-reach, reach))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, *x.shape[-2:]).transpose(0, 1)
        y = torch.bmm(flat, self.weight).transpose(0, 1)
        return y.reshape(*x.shape[:-1], y.shape[-1]) + self.bias


def dense(inputs: int, outputs: int, count: int = 0) -> nn.Module:
    """One dense layer for all rows, or ``count`` of them, one a row."""
    return ParallelLinear(count, inputs, outputs) if count else nn.Linear(inputs, outputs)

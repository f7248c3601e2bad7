"""RecurD's router: which groups of features each encoder of the next module reads, image by image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUTERS = ("matmul", "hadamard", "linear", "fix", "attention")
HEADS = 8


class Router(nn.Module):
    """Features of I groups to composition weights: (N, I, inputs) -> (N, I, J), every column a distribution over I.

    ``matmul`` and ``hadamard`` are Chen et al. (2022), eq. 5: similarities of the groups times (as matrices, or entry
    by entry) what a dense layer with a ReLU makes of each group, then the softmax of each column's k largest entries.
    ``linear`` is the softmax of the dense layer alone, ``attention`` the mean of 8 heads whose queries, one an encoder,
    are learned; both are dense.

    Args:
        kind: one of the four words.
        inputs: features a group.
        outputs: J, how many encoders read.
        k: how many groups each of them reads, with ``matmul`` and ``hadamard``.
        scaled: divide the products of features by the root of their number before the softmax.
    """

    def __init__(self, kind: str, inputs: int, outputs: int, k: int, scaled: bool = True) -> None:
        super().__init__()
        self.kind, self.k, self.scaled = kind, k, scaled
        if kind == "attention":
            size = max(1, inputs // HEADS)
            self.key = nn.Linear(inputs, HEADS * size)
            self.query = nn.Parameter(torch.randn(outputs, HEADS, size))
        else:
            self.value = nn.Linear(inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        if self.kind == "linear":
            return torch.softmax(self.value(features), -2)
        if self.kind == "attention":
            keys = self.key(features).unflatten(-1, (HEADS, -1))
            scores = torch.einsum("nihd,jhd->nhij", keys, self.query) / math.sqrt(keys.shape[-1])
            return torch.softmax(scores, -2).mean(1)
        values = F.relu(self.value(features))
        likeness = similarity(features, self.scaled)
        return top_softmax(likeness @ values if self.kind == "matmul" else likeness * values, self.k)


def similarity(features: Tensor, scaled: bool = True) -> Tensor:
    """softmax(F Fᵀ / √q) over the last axis: (…, I, q) -> (…, I, I); without the root when not ``scaled``."""
    products = features @ features.mT
    return torch.softmax(products / math.sqrt(features.shape[-1]) if scaled else products, -1)


def top_softmax(logits: Tensor, k: int) -> Tensor:
    """The softmax of every column's k largest entries, 0 elsewhere: (…, I, J), columns sum to 1.

    Of equal entries, column j takes row j (modulo I) first and goes on downwards. A column that a ReLU made 0 is such a
    tie; so encoders without a preference read different groups, and the same ones on every machine.

    >>> top_softmax(torch.zeros(3, 3), 2)
    tensor([[0.5000, 0.0000, 0.5000],
            [0.5000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.5000]])
    """
    count, columns = logits.shape[-2:]
    first = torch.arange(columns, device=logits.device)
    order = (torch.arange(count, device=logits.device)[:, None] + first) % count
    values, places = torch.sort(logits.gather(-2, order.expand_as(logits)), dim=-2, descending=True, stable=True)
    rows = (places[..., :k, :] + first) % count
    return torch.zeros_like(logits).scatter(-2, rows, torch.softmax(values[..., :k, :], -2))

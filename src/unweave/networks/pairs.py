"""Critics of pairs: how well two parts of a representation go together, for many pairs of parts at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave.networks.bodies import Trunk
from unweave.networks.parallel import dense

BOUND = 10.0
"""Log-variances of a PairDensity are kept in (−BOUND, BOUND)."""


class PairCritic(nn.Module):
    """T(a, b), a perceptron on two parts beside each other, for P pairs of parts.

    Args:
        left, right: sizes of the parts a and b.
        hidden, layers: width and number of the hidden layers, with ReLUs.
        pairs: P networks, one a pair; 0 for one network that judges them all.
        shifts: how many independent samples are made of each batch.
    """

    def __init__(
        self, left: int, right: int, hidden: int = 256, layers: int = 3, pairs: int = 0, shifts: int = 1
    ) -> None:
        super().__init__()
        self.own, self.shifts = pairs > 0, shifts
        # The first layer on (a, b) is a sum of one on a and one on b, which each need computing once a part.
        self.left = dense(left, hidden, pairs)
        self.right = dense(right, hidden, pairs)
        self.trunk = Trunk(_stack(hidden, layers, pairs))
        self.head = dense(hidden, 1, pairs)

    def forward(self, left: Tensor, right: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """(N, I, ·) and (N, J, ·) parts, (P,) indices of the pairs' members -> (1 + shifts, N, P) scores.

        Row 0 has the parts as they came, a joint sample; in row r, b is that of the image r places before, a sample of
        the product of the marginals.
        """
        a, b = self._each(self.left, left, i), self._each(self.right, right, j)
        both = torch.stack([a + torch.roll(b, shift, 0) for shift in range(self.shifts + 1)])
        scores = self.head(self.trunk(both).to(left.dtype))
        return scores[..., 0]

    def _each(self, layer: nn.Module, parts: Tensor, index: Tensor) -> Tensor:
        """A layer's outputs for every pair, (N, P, hidden), in the trunk's precision: there are many more pairs than
        parts."""
        kind = torch.bfloat16 if self.trunk.bf16 else parts.dtype
        if self.own:
            return layer(parts.index_select(1, index)).to(kind)
        return layer(parts).to(kind).index_select(1, index)


class PairDensity(nn.Module):
    """log q(b|a), a diagonal Gaussian whose mean and log-variance a perceptron computes from a, for P pairs of parts.

    Takes and gives what ``PairCritic`` does.
    """

    def __init__(
        self, left: int, right: int, hidden: int = 256, layers: int = 3, pairs: int = 0, shifts: int = 1
    ) -> None:
        super().__init__()
        self.own, self.shifts = pairs > 0, shifts
        self.left = dense(left, hidden, pairs)
        self.trunk = Trunk(_stack(hidden, layers, pairs))
        self.head = dense(hidden, 2 * right, pairs)

    def forward(self, left: Tensor, right: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """As of ``PairCritic``, with log-densities in nats for scores."""
        nodes = left.index_select(1, i) if self.own else left
        outputs = self.head(self.trunk(self.left(nodes)).to(left.dtype))
        mean, logvar = (outputs if self.own else outputs.index_select(1, i)).chunk(2, -1)
        logvar = BOUND * torch.tanh(logvar / BOUND)
        b = right.index_select(1, j)
        others = torch.stack([torch.roll(b, shift, 0) for shift in range(self.shifts + 1)])
        return torch.distributions.Normal(mean, torch.exp(logvar / 2), validate_args=False).log_prob(others).sum(-1)


def unordered(count: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Members of the pairs i < j of ``count`` parts.

    >>> [one.tolist() for one in unordered(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    i, j = torch.triu_indices(count, count, 1, device=device)
    return i, j


def ordered(count: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Members of the pairs i ≠ j of ``count`` parts.

    >>> [one.tolist() for one in ordered(3)]
    [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    """
    place = torch.arange(count * (count - 1), device=device)
    i, j = place // (count - 1), place % (count - 1)
    return i, j + (j >= i)


def _stack(hidden: int, layers: int, pairs: int) -> nn.Sequential:
    stack: list[nn.Module] = [nn.ReLU()]
    for _ in range(layers - 1):
        stack += [dense(hidden, hidden, pairs), nn.ReLU()]
    return nn.Sequential(*stack)

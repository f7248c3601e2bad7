"""Estimators of mutual information from a critic's scores, in nats.

Each takes ``joint``, (N, …) scores of N pairs (a, b) that belong together, and ``marginal``, (R, N, …) scores of pairs
that do not (``b`` of other rows), and gives one number for each of the remaining places. Where an estimator is followed
along another slope than its own, the result has the value of the one and the gradient of the other.

>>> import torch
>>> joint, marginal = torch.tensor([1.0, 3.0]), torch.tensor([[0.0, 0.0]])
>>> float(donsker_varadhan(joint, marginal, torch.tensor(0.0)))
2.0
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ESTIMATORS = ("dv", "jsd", "nwj", "infonce", "club", "smile")
UNSET = -1e9
"""A moving average, as a logarithm, before its first batch."""


def donsker_varadhan(joint: Tensor, marginal: Tensor, log_average: Tensor) -> Tensor:
    """I ≥ E_J[T] − log E_M[exp T], with the gradient E_J[∇T] − E_M[exp(T) ∇T] / average (MINE, Belghazi et al. 2018).

    The logarithm's own gradient over a small batch is biased; a moving average of E_M[exp T] takes most of that away.

    Args:
        log_average: logarithm of that average, the present batch included (see ``moving_average``).
    """
    weights = torch.exp(marginal - log_average.detach())
    return _along(joint.mean(0) - log_mean_exp(marginal), joint.mean(0) - weights.mean((0, 1)))


def moving_average(log_average: Tensor, marginal: Tensor, rate: Any) -> Tensor:
    """log[(1 − rate) · average + rate · E_M[exp T]], from one logarithm to the next; the batch's own when ``UNSET``.

    Logarithms, because exp(T) leaves float32 where T > 88.
    """
    now = log_mean_exp(marginal.detach())
    top = torch.maximum(log_average, now)
    mixed = top + torch.log((1 - rate) * torch.exp(log_average - top) + rate * torch.exp(now - top))
    return torch.where(log_average <= UNSET, now, mixed)


def nwj(joint: Tensor, marginal: Tensor) -> Tensor:
    """I ≥ E_J[T] − E_M[exp T] + 1, tight where T is the log-ratio of the densities (Nguyen et al. 2010)."""
    return joint.mean(0) - torch.exp(marginal).mean((0, 1)) + 1


def jensen_shannon(joint: Tensor, marginal: Tensor) -> Tensor:
    """The value of ``nwj`` with the gradient of −E_J[log(1 + exp −T)] − E_M[log(1 + exp T)] (Hjelm et al. 2019; as
    Federici et al. 2020 use it)."""
    return _along(nwj(joint, marginal), _divergence(joint, marginal))


def infonce(joint: Tensor, marginal: Tensor) -> Tensor:
    """I ≥ E_J[T − log((exp T + Σ_r exp T_r) / (R + 1))], at most log(R + 1) (van den Oord et al. 2018)."""
    both = torch.cat([joint[None], marginal])
    return (joint - torch.logsumexp(both, 0)).mean(0) + math.log(len(both))


def club(joint: Tensor, marginal: Tensor) -> Tensor:
    """E_J[log q(b|a)] − E_M[log q(b|a)] ≥ I where q is the conditional density (Cheng et al. 2020).

    An upper bound, and one whose scores are log-densities: they are learned by raising ``joint.mean()``, not this.
    """
    return joint.mean(0) - marginal.mean((0, 1))


def smile(joint: Tensor, marginal: Tensor, clip: Any) -> Tensor:
    """E_J[T] − log E_M[exp T] with T kept in [−clip, clip] in the second term, along the gradient of ``jensen_shannon``
    (Song & Ermon 2020)."""
    value = joint.mean(0) - log_mean_exp(torch.clamp(marginal, -clip, clip))
    return _along(value, _divergence(joint, marginal))


def log_mean_exp(scores: Tensor) -> Tensor:
    """log E[exp T] over the first two axes."""
    return torch.logsumexp(scores, (0, 1)) - math.log(scores.shape[0] * scores.shape[1])


def bounded(scores: Tensor, bound: Any) -> Tensor:
    """bound · tanh(T / bound): a score that cannot run away, and that has a gradient wherever it is."""
    return bound * torch.tanh(scores / bound)


def _divergence(joint: Tensor, marginal: Tensor) -> Tensor:
    return -F.softplus(-joint).mean(0) - F.softplus(marginal).mean((0, 1))


def _along(value: Tensor, slope: Tensor) -> Tensor:
    """The first's value with the second's gradient."""
    return value.detach() + (slope - slope.detach())

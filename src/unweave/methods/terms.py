"""Formulas that several objectives share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unweave.networks import Model
from unweave.types import Batch, Gaussian


def autoencode(model: Model, batch: Batch) -> tuple[Gaussian, Tensor, Tensor, Tensor]:
    """One pass through the model: q(z|x), a sample z, the reconstruction error and the KL, both batch means in nats."""
    q = model.encode(batch.x)
    z = q.sample(batch.noise["z"])
    recon = model.distortion(model.decode(z), batch.x).mean()
    return q, z, recon, q.kl().sum(-1).mean()


def chosen(values: Sequence[Any], index: Tensor, dtype: torch.dtype) -> Tensor:
    """``values[index]`` for a 0-dim integer tensor, where the values may be numbers or 0-dim tensors."""
    out = torch.zeros((), dtype=dtype, device=index.device)
    for place, value in enumerate(values):
        out = torch.where(index == place, number(value, dtype, index.device), out)
    return out


def number(value: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A hyperparameter as a 0-dim tensor on the device; in lockstep it is a tensor already.

    Filled there, not copied: a copy from the main memory makes a GPU wait, and no step with one can be captured.
    """
    return value.to(dtype) if isinstance(value, Tensor) else torch.full((), value, dtype=dtype, device=device)


def progress(step: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """Fraction of a schedule that has passed, from 0 to 1."""
    return torch.clamp(step.to(dtype) / length, 0.0, 1.0)

"""What a training will take: seconds on one thread, bytes on the disk, told before it starts."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from unweave.analysis.complexity import complexity
from unweave.engine import Complete
from unweave.methods import Method

STEP = 3e-3
"""Seconds of a step that multiplies nothing: Python, the optimiser, drawing a batch."""
RATE = {"bf16": 85e9, "tf32": 55e9, "float32": 55e9, "float64": 20e9}
"""Multiply-accumulates a second of one thread, forward and backward together (β-VAE, 64×64, batch 64); on a processor
``tf32`` is ``float32``."""


class Cost(NamedTuple):
    """What a piece of work takes, roughly: from operation counts, within a factor of two or three."""

    seconds: float
    """On one thread of a present-day processor."""
    steps: int = 0
    """Optimiser steps."""
    disk: int = 0
    """Bytes that stay."""


def cost(experiment: Complete) -> Cost:
    """The cost of one training, from what its network multiplies and from its number of parameters.

    A step takes ``STEP`` + 3 · MACs · batch / ``RATE`` seconds, a backward pass being twice the forward one. One
    encoding and one decoding an image (of each latent space) are counted, critics by their parameters.

    >>> from unweave.engine import Experiment
    >>> found = cost(Experiment("beta-vae", "triangle", steps=1000, batch=64, precision="bf16").complete())
    >>> round(found.seconds), found.steps
    (40, 1000)
    """
    # Numbers that may differ in a pack, and lengths of schedules, change nothing in the network, and where a method has
    # none of its own no field does: one is built for all.
    method, maker = experiment.method, type(experiment.method).network
    form = (
        ()
        if maker is Method.network
        else tuple(
            len(value) if isinstance(value, tuple) else None if isinstance(value, float) else value
            for value in (getattr(method, one.name) for one in fields(method) if one.name not in method.schedules)
        )
    )
    like = (maker, form, experiment.spec, experiment.network, experiment.latents)
    macs, parameters = _size(_Same(like, experiment))
    views = 1 if method.views == "one" else 2
    seconds = STEP + 3 * macs * views * experiment.batch / RATE[experiment.precision]
    # Weights and two moments in float32, and a trace of at most 2,000 rows.
    disk = 12 * parameters + 100 * min(experiment.steps, 2000) + 4000
    return Cost(experiment.steps * seconds, experiment.steps, disk)


class _Same:
    """An experiment that equals all others of the same network."""

    def __init__(self, like: tuple[Any, ...], experiment: Complete) -> None:
        self.like, self.experiment = like, experiment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.like == other.like

    def __hash__(self) -> int:
        return hash(self.like)


@lru_cache(4096)
def _size(same: _Same) -> tuple[int, int]:
    """MACs of one image and number of parameters of the network."""
    full = same.experiment
    # Only shapes are counted: tensors of this device have nothing else, so no weight is drawn and nothing multiplied.
    with torch.device("meta"):
        model = full.method.network(full.spec, full.latents, full.network)
        found = complexity(model, full.data.shape)
    macs = found.encode_macs + model.spaces * (found.macs - found.encode_macs) + found.critic_parameters
    return macs, found.parameters + found.critic_parameters

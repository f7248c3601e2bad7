"""Experiments small enough to train in a test, and what is left of them at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from unweave.data import Dataset
from unweave.engine import Experiment, train
from unweave.engine.experiment import Complete
from unweave.methods import Method
from unweave.networks import MLP
from unweave.testing import Dots

STEPS = 20


def tiny(method: Method | str = "vae", data: Dataset | str | None = None, **settings: Any) -> Complete:
    """20 steps of 4 images on 32 small squares, with a dense network, in float64."""
    given: dict[str, Any] = {"steps": STEPS, "batch": 4, "latents": 4, "network": MLP((8,)), "precision": "float64"}
    return Experiment(method, data or Dots(), **{**given, **settings}).complete()


def finals(experiments: Iterable[Complete] | Complete, **settings: Any) -> dict[str, dict[str, Tensor]]:
    """key -> all that is needed to go on, of every experiment after training."""
    found: dict[str, dict[str, Tensor]] = {}
    for snapshot in train(experiments, **{"every": 1000, **settings}):
        for member, one in enumerate(snapshot.experiments):
            found[one.key] = snapshot.memory(member)
    return found


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two memories are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def apart(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """The largest difference of two memories, relative to the largest number of each tensor (or 1)."""
    assert a.keys() == b.keys()
    off = [float((a[n] - b[n]).abs().max() / max(1.0, float(b[n].abs().max()))) for n in a if a[n].numel()]
    return max(off)

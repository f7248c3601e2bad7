"""Experiments small enough to train in a test, and what is left of them at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from unweave.data import Dataset
from unweave.engine import Experiment, train
from unweave.engine.experiment import Complete
from unweave.methods import METHODS, Method
from unweave.networks import MLP
from unweave.testing import Dots
from unweave.types import UserError

STEPS = 20

SMALL: dict[str, dict[str, Any]] = {
    "bhivae": {"width": 8, "part_width": 8, "critic_hidden": 8, "critic_layers": 2},
    "bhivae-supervised": {"width": 8, "part_width": 8, "classifier_hidden": 8},
    "factor-vae": {"critic_hidden": 16, "critic_layers": 2},
    "guided-vae-supervised": {"critic_hidden": 8},
    "nvae": {"width": 8, "groups": (1, 1)},
    "recurd": {"critic_hidden": 16, "critic_layers": 2},
    "vamp-prior": {"pseudo_inputs": 8},
}
"""Fields that only make a network smaller."""


def tiny(method: Method | str = "vae", data: Dataset | str | None = None, **settings: Any) -> Complete:
    """20 steps of 4 images on 32 small squares, with a dense network, in float64."""
    given: dict[str, Any] = {"steps": STEPS, "batch": 4, "latents": 4, "network": MLP((8,)), "precision": "float64"}
    return Experiment(method, data or Dots(), **{**given, **settings}).complete()


def every(name: str) -> Method:
    """A method with small networks, whose schedules go through some stages within 20 steps."""
    kind = METHODS[name]
    method = kind(**(dict(kind.presets[""].fields) | SMALL.get(name, {})))
    lengths = [v for n in method.schedules for v in _numbers(getattr(method, n))]
    return method.over(8 / max(lengths)) if lengths else method


def fitted(method: Method, **settings: Any) -> Complete:
    """``tiny`` with the first number of latents that the method takes."""
    for latents in (4, 6, 8, 10, 12):
        try:
            return tiny(method, latents=latents, batch=6, **settings)
        except UserError as error:
            refused = error
    raise refused


def _numbers(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


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

"""A training whose codes are looked at on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from unweave.analysis.properties import BatchProperties, batch_properties
from unweave.engine import Complete, Experiment, encode, train
from unweave.engine.place import home, place
from unweave.metrics.rows import Floats
from unweave.types import Codes, UserError


def watch(
    experiment: Experiment | Complete,
    at: int | Sequence[int] = 10,
    count: int = 5_000,
    *,
    seed: int = 0,
    space: int = 0,
    device: str | torch.device | None = None,
    root: Path | str | None = None,
) -> Iterator[tuple[int, Codes]]:
    """Train one model and yield its codes at chosen steps: (step, codes of the same images each time).

    For whatever reads codes; ``follow`` measures information over training, keeps it, and can be interrupted.

    Args:
        experiment: what to train.
        at: how many steps, evenly spaced and the last one among them; or the steps, from 1 to the end.
        count: images encoded each time, drawn with ``seed``.
        seed: of that sample.
        space: the latent space, for models with several.
        device: ``cpu``, ``cuda`` …; a GPU where there is one by default.
        root: folder with data files.

    Raises:
        UserError: steps outside the training, fewer than 10 images.

    >>> from unweave.networks import MLP
    >>> e = Experiment("vae", "triangle", steps=4, batch=8, network=MLP((8,)))
    >>> [(step, len(codes.mean)) for step, codes in watch(e, at=2, count=50)]
    [(2, 50), (4, 50)]
    """
    full = experiment.complete()
    wanted = sorted({full.steps * k // at for k in range(1, at + 1)} if isinstance(at, int) and at > 0 else _list(at))
    if not wanted or wanted[0] < 1 or wanted[-1] > full.steps or count < 10:
        raise UserError(
            f"watch: steps {wanted[:8]}, count = {count}; allowed: 1 to {full.steps:,}, and 10 images or more"
        )
    images = full.data.open(Path(root) if root else None, home(place(device)))
    for snapshot in train(full, every=wanted, device=device, root=root):
        if snapshot.failures[0] is not None:
            return
        if snapshot.step in wanted:
            yield snapshot.step, encode(snapshot.models[0], full.data, images, count=count, seed=seed, space=space)


class PropertyCourse(NamedTuple):
    """The three properties of a model's mini-batches over its training."""

    steps: Floats
    """(T,)."""
    mean: dict[str, Floats]
    """``sufficiency``, ``minimality``, ``disentanglement`` -> (T,) mean over the mini-batches of a step."""
    error: dict[str, Floats]
    """The same -> (T,) standard errors of those means."""


def property_course(
    training: Iterable[tuple[int, Codes]], batch: int = 64, error: str = "bce", batches: int = 20, seed: int = 0
) -> PropertyCourse:
    """Sufficiency, minimal sufficiency and disentanglement over training (Chen et al., 2022, Fig. 4).

    Args:
        training: (step, codes), such as ``watch`` yields.
        batch: images in a mini-batch.
        error: ``bce`` or ``squared_error``.
        batches: mini-batches a step, at most.
        seed: which draws, the same at every step.

    Raises:
        UserError: no steps, and what ``batch_properties`` refuses.

    >>> codes = Codes.of(torch.zeros(20, 2), logvar=torch.zeros(20, 2))._replace(distortion={"bce": torch.ones(20)})
    >>> course = property_course([(10, codes), (20, codes)], batch=10)
    >>> course.steps.tolist(), course.mean["sufficiency"].tolist()
    ([10.0, 20.0], [1.0, 1.0])
    """
    steps, found = [], []
    for step, codes in training:
        steps.append(float(step))
        found.append(np.array(batch_properties(codes, batch, error, batches=batches, seed=seed), dtype=np.float64))
    if not steps:
        raise UserError("property_course: no steps; allowed: one or more")
    mean = np.stack([each.mean(0) for each in found])
    spread = [each.std(0, ddof=1) / math.sqrt(len(each)) if len(each) > 1 else np.full(3, np.nan) for each in found]
    names = BatchProperties._fields
    return PropertyCourse(
        np.array(steps),
        {name: mean[:, k] for k, name in enumerate(names)},
        {name: np.stack(spread)[:, k] for k, name in enumerate(names)},
    )


def _list(at: int | Sequence[int]) -> set[int]:
    return {at} if isinstance(at, int) else {int(step) for step in at}

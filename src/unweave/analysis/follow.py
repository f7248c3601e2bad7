"""Training that is watched: the ordinary engine, with the codes of chosen steps measured on the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unweave.analysis.course import Course, Point, point
from unweave.data.base import Images
from unweave.engine import Complete, Experiment, encode, train
from unweave.engine.place import home, place
from unweave.engine.step import build
from unweave.engine.train import restore_model
from unweave.networks import Model
from unweave.store import RunFolder, StoreError
from unweave.types import UserError


def follow(
    experiment: Experiment | Complete,
    at: int | Sequence[int] = 20,
    count: int = 10_000,
    *,
    samples: int = 1000,
    bins: int = 20,
    seed: int = 0,
    space: int = 0,
    device: str | torch.device | None = None,
    root: Path | str | None = None,
    out: Path | str | None = None,
    told: Callable[[Point], object] = lambda point: None,
) -> Course:
    """Train one model as ever and measure its codes at chosen steps: I(z_j; c_k), KL, the parts of the rate, errors.

    The same images are encoded each time. The weights at the end are those of ``fit``: nothing that is measured touches
    the training. With ``out`` the training resumes from its checkpoint and the points already measured are read back,
    so a killed one loses no point; the steps asked for are then also those of the checkpoints, so ask for steps with a
    large common divisor.

    Args:
        experiment: what to train, on data with factors.
        at: how many steps, evenly spaced and the last one among them; or the steps, 0 (the untrained model) to the end.
        count: images encoded each time, drawn with ``seed``.
        samples: draws for the parts of the rate, 0 for none.
        bins: equal-width bins a latent.
        seed: of the sample of images and of the draws.
        space: the latent space, for models with several.
        device: ``cpu``, ``cuda`` …; a GPU where there is one by default.
        root: folder with data files.
        out: folder for run folders; nothing is kept when None.
        told: called with every point as it is measured.

    Returns:
        The course; shorter where the loss stopped being finite.

    Raises:
        UserError: steps outside the training, data without factors, a training that is past a step not yet measured, or
            one that was finite at none of the steps.

    >>> from unweave.networks import MLP
    >>> e = Experiment("vae", "triangle", steps=4, batch=8, network=MLP((8,)))
    >>> course = follow(e, at=2, count=50, samples=20)
    >>> course.steps.tolist(), course.nmi.shape
    ([2.0, 4.0], (2, 10, 3))
    """
    full = experiment.complete()
    wanted = _steps(at, full.steps)
    if full.data.factors is None:
        raise UserError(f"follow: {full.data.name} has no factors to follow; allowed is a data set with factors")
    if count < 10:
        raise UserError(f"follow: count = {count}; allowed: 10 images or more")
    where = place(device)
    images = full.data.open(Path(root) if root else None, home(where))
    asked = {"count": count, "samples": samples, "bins": bins, "seed": seed, "space": space}
    kept = _Kept(None if out is None else RunFolder(Path(out) / full.key), asked)

    def measure(model: Model, step: int) -> None:
        found = _measured(model, full, images, step, asked)
        kept.add(found)
        told(found)

    done = kept.step()
    if 0 in wanted and 0 not in kept.points:
        measure(build(full, where), 0)
    if done in wanted and done not in kept.points and kept.folder is not None:
        # The process ended between a checkpoint and its measurement: the checkpoint has the model.
        checkpoint = kept.folder.load()
        assert checkpoint is not None
        model = build(full, where)
        restore_model(model, checkpoint.tensors)
        measure(model, done)
    lost = [step for step in wanted if 0 < step <= done and step not in kept.points]
    if lost:
        raise UserError(
            f"follow: {kept.folder and kept.folder.path} is at step {done:,}, and steps {lost[:6]} were not measured "
            "in this way before it; allowed: later steps, or another folder as out"
        )
    if any(step > done for step in wanted):
        inner = [step for step in wanted if 0 < step < full.steps]
        for snapshot in train(full, every=inner or full.steps, device=device, root=root, out=out):
            if snapshot.failures[0] is not None:
                break
            if snapshot.step in wanted:
                measure(snapshot.models[0], snapshot.step)
    found = [kept.points[step] for step in wanted if step in kept.points]
    if not found:
        raise UserError("follow: the loss stopped being finite before the first step asked for; nothing was measured")
    return Course.of(found)


def _measured(model: Model, full: Complete, images: Images, step: int, asked: Mapping[str, int]) -> Point:
    """A point from a model; its random numbers are its own."""
    codes = encode(model, full.data, images, count=asked["count"], seed=asked["seed"], space=asked["space"])
    return point(codes, step, bins=asked["bins"], samples=asked["samples"], seed=asked["seed"])


def _steps(at: int | Sequence[int], end: int) -> list[int]:
    if isinstance(at, int):
        if not 1 <= at <= end:
            raise UserError(f"follow: at = {at}; allowed: 1 to {end:,} points, or a list of steps")
        return [end * k // at for k in range(1, at + 1)]
    steps = sorted({int(step) for step in at})
    if not steps or steps[0] < 0 or steps[-1] > end:
        raise UserError(f"follow: steps {list(at)[:8]}; allowed: one or more from 0 to {end:,}")
    return steps


class _Kept:
    """Points measured so far, in a run's folder under a name made of how they were asked for; or in memory."""

    def __init__(self, folder: RunFolder | None, asked: Mapping[str, int]) -> None:
        self.folder, self.asked = folder, dict(asked)
        digest = hashlib.sha256(json.dumps(self.asked, sort_keys=True).encode()).hexdigest()
        self.name = f"course-{digest[:8]}"
        values = folder.read(self.name) if folder is not None else {}
        try:
            self.points = {int(one["step"]): _from_json(one) for one in values.get("points", [])}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"{folder and folder.path}/{self.name}.json is damaged ({error})") from None

    def step(self) -> int:
        """The step that the folder's checkpoint is at; 0 without one."""
        checkpoint = self.folder.load() if self.folder is not None else None
        return checkpoint.step if checkpoint is not None else 0

    def add(self, found: Point) -> None:
        """Keep one more."""
        self.points[found.step] = found
        if self.folder is not None:
            each = [_to_json(self.points[step]) for step in sorted(self.points)]
            self.folder.write(self.name, {"asked": self.asked, "points": each})


def _to_json(one: Point) -> dict[str, Any]:
    arrays = {name: getattr(one, name).tolist() for name in ("information", "entropies", "kl")}
    return {"step": one.step, **arrays, "rate": dict(one.rate), "recon": dict(one.recon), "factors": list(one.factors)}


def _from_json(values: Mapping[str, Any]) -> Point:
    information, entropies, kl = (
        np.array(values[name], dtype=np.float64) for name in ("information", "entropies", "kl")
    )
    if information.shape != (len(kl), len(entropies)) or entropies.ndim != 1:
        raise ValueError("arrays that do not fit each other")
    rate, recon = ({key: float(one) for key, one in values[name].items()} for name in ("rate", "recon"))
    factors = tuple(map(str, values["factors"]))
    return Point(int(values["step"]), information, entropies, kl, rate, recon, factors)

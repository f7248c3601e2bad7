"""What most people use: ``fit`` trains, ``load`` brings back, and a ``Run`` encodes, decodes and scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.engine import Complete, Experiment, Failure, Snapshot, encode, from_json, train
from unweave.engine.step import build
from unweave.engine.train import restore_model
from unweave.methods import Method
from unweave.metrics import METRICS, Metric, applicable, quick
from unweave.names import known
from unweave.store import RunFolder, now
from unweave.types import Codes, Score, UserError

IMAGES = 15_000
"""How many images a score reads unless told otherwise."""


class Run:
    """A trained model with its experiment, its trace and its scores.

    Attributes:
        experiment: the complete description.
        model: the network; ``model.encode(x)`` and ``model.decode(z)`` as in training.
        terms: ``total`` and every term of the loss, one number a window of steps; ``steps`` has the step each ends at.
        step: how many steps were taken.
        failure: where the loss was no longer finite, or None.
        folder: where it is kept, or None.
    """

    def __init__(
        self,
        experiment: Complete,
        model: torch.nn.Module,
        *,
        step: int,
        trace: Mapping[str, list[float]],
        failure: Failure | None = None,
        folder: RunFolder | None = None,
        root: Path | str | None = None,
        scores: Mapping[str, Score] | None = None,
    ) -> None:
        self.experiment = experiment
        self.model: Any = model.eval()
        self.step = step
        self.steps = list(trace.get("step", []))
        self.terms = {name: values for name, values in trace.items() if name != "step"}
        self.failure = failure
        self.folder = folder
        self.scores: dict[str, Score] = dict(scores or {})
        self._root = root
        self._images: Images | None = None

    @property
    def data(self) -> Dataset:
        """The data set it was trained on."""
        return self.experiment.data

    @property
    def images(self) -> Images:
        """The data set's images, opened when first asked for."""
        if self._images is None:
            device = next(self.model.parameters()).device
            self._images = self.data.open(Path(self._root) if self._root else None, device)
        return self._images

    def codes(self, count: int | None = IMAGES, *, seed: int = 0, space: int = 0) -> Codes:
        """The data set (or ``count`` images of it, drawn with ``seed``), encoded: what metrics read."""
        return encode(self.model, self.data, self.images, count=count, seed=seed, space=space)

    def score(
        self,
        metrics: Iterable[Metric | str] | None = None,
        *,
        count: int | None = IMAGES,
        seed: int = 0,
        space: int = 0,
        told: Callable[[str], None] = lambda name: None,
    ) -> dict[str, Score]:
        """Score the model, and keep the scores with the run (those of space 0).

        Args:
            metrics: metrics or their names; every one that applies, with DCI's fast estimator, when None.
            count: how many images are read; None for all.
            seed: of the sample and of the metrics.
            space: the latent space.
            told: called with a metric's label before it is computed.

        Raises:
            UserError: an unknown metric, or one that the data cannot be scored by.

        >>> from unweave.networks import MLP
        >>> run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
        >>> 0 <= run.score(["mig"])["mig"].value <= 1
        True
        """
        chosen = quick() if metrics is None else [METRICS[known(m, METRICS, "metric")]() if isinstance(m, str) else m for m in metrics]
        codes = self.codes(count, seed=seed, space=space)
        found = {}
        for metric in applicable(chosen, codes) if metrics is None else chosen:
            told(metric.label)
            found[metric.label] = metric(codes, seed=seed)
        if space == 0:
            self.scores |= found
            if self.folder is not None:
                keep_scores(self.folder, self.step, found)
        return found

    def reconstruct(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Images of some rows and what the model makes of their mean codes, both (N, C, H, W) in [0, 1]."""
        with torch.no_grad():
            x = self.view(rows)
            return x, torch.sigmoid(self.model.decode(self.model.encode(x).mean))

    def traverse(self, latent: int, values: Tensor, base: Tensor) -> Tensor:
        """(V, C, H, W) images in [0, 1]: latent ``latent`` of the code ``base`` (D,) set to each of ``values`` (V,)."""
        if not 0 <= latent < self.model.latents:
            raise UserError(f"latent {latent}; this model has 0 to {self.model.latents - 1}")
        z = base.repeat(len(values), 1)
        z[:, latent] = values.to(z)
        with torch.no_grad():
            return torch.sigmoid(self.model.decode(z))

    def view(self, rows: Tensor) -> Tensor:
        """Images of some rows as the model reads them, with nuisance noise of seed 0."""
        from unweave.engine.noise import draw

        parameter = next(self.model.parameters())
        seeds = torch.zeros(1, dtype=torch.int64, device=parameter.device)
        draws = {n: draw(seeds, 0, f"view {n}", what)[0] for n, what in self.images.noise(len(rows)).items()}
        return self.images.batch(rows.to(parameter.device), draws).to(parameter.dtype)

    def __repr__(self) -> str:
        e = self.experiment
        return f"Run({e.method!r} on {e.data.name}, step {self.step} of {e.steps}, seed {e.seed}, key {e.key})"


def fit(
    what: Experiment | Complete | Method | str,
    data: Dataset | str | None = None,
    *,
    device: str | torch.device | None = None,
    root: Path | str | None = None,
    out: Path | str | None = None,
    every: int | None = None,
    resume: bool = True,
    progress: Callable[[Snapshot], None] = lambda snapshot: None,
    **settings: Any,
) -> Run:
    """Train one model to the end.

    Args:
        what: an experiment, or a method (or its name) together with ``data``.
        data: a data set or its name.
        device: ``cpu`` or ``cuda``; a GPU where there is one.
        root: folder with data files.
        out: folder for run folders; nothing is written when None.
        every: steps between snapshots and checkpoints.
        resume: go on from a checkpoint in ``out``.
        progress: called with every snapshot.
        settings: other fields of ``Experiment``: steps, batch, latents, network, seed …

    Raises:
        UserError: anything that cannot be trained.

    >>> from unweave.networks import MLP
    >>> run = fit("beta-vae", "triangle", steps=2, batch=4, network=MLP((8,)))
    >>> run.step
    2
    """
    if isinstance(what, Experiment | Complete):
        if data is not None or settings:
            raise UserError("fit: an experiment is complete in itself; allowed: no data or settings beside it")
        experiment = what.complete()
    else:
        if data is None:
            raise UserError("fit: no data given; allowed: fit(method, data), such as fit('beta-vae', 'dsprites')")
        for name in settings:
            known(name, [one.name for one in fields(Experiment)][2:], "setting")
        experiment = Experiment(what, data, **settings).complete()
    last: Snapshot | None = None
    for last in train(experiment, every=every, device=device, root=root, out=out, resume=resume):
        progress(last)
    if last is None:
        return load(Path(out or "") / experiment.key, root=root, device=device)
    folder = RunFolder(Path(out) / experiment.key) if out is not None else None
    failure = last.failures[0]
    return Run(experiment, last.models[0], step=last.step, trace=last.trace(0), failure=failure, folder=folder, root=root)


def load(path: Path | str, *, root: Path | str | None = None, device: str | torch.device | None = None) -> Run:
    """A run from its folder: the model of its last checkpoint, its trace and scores.

    Raises:
        UserError: no run there, or a checkpoint that is damaged, from a newer version or of another experiment.
    """
    folder = RunFolder(path)
    described = folder.read("experiment")
    if not described:
        raise UserError(f"{path} holds no run; allowed: a folder that `unweave train` has written, such as runs/<key>")
    key = described.pop("key", "")
    described.pop("source", None)
    experiment = from_json(described)
    checkpoint = folder.load()
    if checkpoint is None:
        raise UserError(f"{path} has no checkpoint yet; train it further first")
    if checkpoint.key != key:
        raise UserError(f"{path} holds a checkpoint of experiment {checkpoint.key}, not of {key}")
    model = build(experiment, torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    restore_model(model, checkpoint.tensors)
    status = folder.read("status")
    failure = Failure(status["step"], status["term"]) if status.get("state") == "failed" else None
    kept = folder.read("scores")
    scores = {name: Score(s["value"], s["parts"], s["settings"]) for name, s in kept.get("scores", {}).items()}
    return Run(
        experiment,
        model,
        step=checkpoint.step,
        trace=folder.read_trace(),
        failure=failure,
        folder=folder,
        root=root,
        scores=scores if kept.get("step") == checkpoint.step else {},
    )


def keep_scores(folder: RunFolder, step: int, scores: Mapping[str, Score]) -> None:
    """Add scores to a run's folder; those of an earlier step are dropped."""
    before = folder.read("scores")
    kept = before.get("scores", {}) if before.get("step") == step else {}
    for name, score in scores.items():
        kept[name] = {"value": score.value, "parts": dict(score.parts), "settings": _jsonable(score.settings), "at": now()}
    folder.write("scores", {"step": step, "scores": kept})


def _jsonable(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(settings), default=str))

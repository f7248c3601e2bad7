"""What most people use: ``fit`` trains, ``load`` brings back, and a ``Run`` encodes, decodes and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.engine import Complete, Experiment, Failure, Snapshot, encode, from_json, train
from unweave.engine.codes import nuisance
from unweave.engine.place import check_precision, home, place
from unweave.engine.step import build
from unweave.engine.trace import recorded
from unweave.engine.train import restore_model
from unweave.kept import apart, asked, asked_limits, keep_score, kept_limits, kept_scores, write_run
from unweave.methods import METHODS, Method
from unweave.metrics import METRICS, Metric, applicable, ceiling, floor, quick
from unweave.names import known
from unweave.shared import SharedFolder, is_both, is_shared, unpack
from unweave.store import RunFolder, StoreError
from unweave.types import Adam, Codes, Score, UserError

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
    def root(self) -> Path | None:
        """The folder with data files that was named, if any."""
        return Path(self._root) if self._root else None

    @property
    def images(self) -> Images:
        """The data set's images, opened when first asked for."""
        if self._images is None:
            self._images = self.data.open(self.root, home(next(self.model.parameters()).device))
        return self._images

    def write(self, path: Path | str) -> Path:
        """Write the model as a folder that ``load`` reads, and return it. What only its training needs is not in it, so
        that no training goes on from there; ``unweave.save`` writes one to give away.

        Raises:
            StoreError: the disk refuses, or another process writes there.

        >>> import tempfile
        >>> from unweave.networks import MLP
        >>> run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
        >>> load(run.write(tempfile.mkdtemp() + "/model")).step
        2
        """
        if self.folder is None or self.folder.path.resolve() != Path(path).resolve():
            weights, trace = dict(self.model.named_parameters()), {"step": self.steps, **self.terms}
            write_run(self.experiment, self.step, weights, trace, Path(path), self.failure)
        return Path(path)

    def codes(self, count: int | None = IMAGES, *, seed: int = 0, space: int = 0) -> Codes:
        """The data set (or ``count`` images of it, drawn with ``seed``), encoded: what metrics read."""
        return encode(self.model, self.data, self.images, count=count, seed=seed, space=space)

    def score(
        self,
        metrics: Iterable[Metric | str] | Metric | str | None = None,
        *,
        count: int | None = IMAGES,
        seed: int = 0,
        space: int = 0,
        told: Callable[[str], None] = lambda name: None,
        codes: Codes | None = None,
    ) -> dict[str, Score]:
        """Score the model, and keep the scores with the run (those of space 0).

        Args:
            metrics: one or several, or their names; the quick ones that apply, DCI with its fast estimator, when None.
            count: how many images are read; None for all.
            seed: of the sample and of the metrics.
            space: the latent space.
            told: called with a metric's label before it is computed.
            codes: what ``self.codes(count, seed=seed, space=space)`` gave, where that is at hand.

        Raises:
            UserError: an unknown metric, one that the data cannot be scored by, or two that are kept under one label.

        >>> from unweave.networks import MLP
        >>> run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
        >>> 0 <= run.score(["mig"])["mig"].value <= 1
        True
        """
        if isinstance(metrics, str | Metric):
            metrics = [metrics]
        chosen = (
            quick()
            if metrics is None
            else [METRICS[known(m, METRICS, "metric")]() if isinstance(m, str) else m for m in metrics]
        )
        apart(chosen)
        codes = self.codes(count, seed=seed, space=space) if codes is None else codes
        found: dict[str, Score] = {}
        for metric in applicable(chosen, codes) if metrics is None else chosen:
            told(metric.label)
            score = found[metric.label] = metric(codes, seed=seed)
            if space:
                continue
            # Kept at once, so that none is lost should a later one fail.
            self.scores[metric.label] = score
            if self.folder is not None:
                how = asked(metric, count, seed)
                keep_score(self.folder, self.step, metric.label, score, how, len(codes.mean))
        return found

    def kept(self, metric: Metric, *, count: int | None = IMAGES, seed: int = 0) -> bool:
        """Whether the run's folder already holds this metric's score of this step, asked for in the same way."""
        kept = self.folder.read("scores") if self.folder is not None else {}
        entry = kept.get("scores", {}).get(metric.label, {})
        return kept.get("step") == self.step and entry.get("asked") == asked(metric, count, seed)

    def limits(
        self,
        metrics: Iterable[Metric],
        codes: Codes,
        *,
        seed: int = 0,
        told: Callable[[str], None] = lambda name: None,
    ) -> dict[str, tuple[float, float]]:
        """What noise and what the perfect code reach on the images of ``codes``: label -> (floor, ceiling).

        They belong to the data and the sample, not to the training (but for metrics that read how wide the posteriors
        are), and take as long as two scores: those that were asked for in the same way before are read back from the
        run's folder. Metrics without them are left out.

        >>> from unweave.metrics import MIG
        >>> from unweave.networks import MLP
        >>> run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
        >>> low, high = run.limits([MIG()], run.codes())["mig"]
        >>> 0 < low < high < 1
        True
        """
        kept = self.folder.read("ceilings") if self.folder is not None else {}
        found, fresh = {}, False
        for metric in metrics:
            how = asked_limits(metric, len(codes.mean), seed, self.step, codes.space)
            if kept.get(metric.label, {}).get("asked") != how:
                told(metric.label)
                low, high = floor(metric, codes, seed), ceiling(metric, codes, seed)
                if low is None or high is None:
                    continue
                kept[metric.label] = {"asked": how, "floor": low.value, "ceiling": high.value}
                fresh = True
            found[metric.label] = (kept[metric.label]["floor"], kept[metric.label]["ceiling"])
        if fresh and self.folder is not None:
            self.folder.write("ceilings", kept)
        return found

    def known_limits(self) -> dict[str, tuple[float, float]]:
        """The limits of the kept scores, where the run's folder holds those of the very images and settings that each
        was made with: label -> (floor, ceiling)."""
        return {} if self.folder is None else kept_limits(self.folder, self.step)

    @property
    def names(self) -> dict[str, str]:
        """Names that a person gave to latents: their numbers, joined by spaces -> name."""
        try:
            kept = self.folder.read("names") if self.folder is not None else {}
        except StoreError:
            return {}
        named = kept.get("names", {})
        return {k: v for k, v in named.items() if isinstance(v, str)} if isinstance(named, dict) else {}

    def reconstruct(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Images of some rows and what the model makes of their mean codes, both (N, C, H, W) in [0, 1]."""
        with torch.no_grad():
            x = self.view(rows)
            return x, torch.sigmoid(self.model.decode(self.model.encode(x).mean))

    def traverse(self, latent: int | Sequence[int], values: Tensor, base: Tensor) -> Tensor:
        """(V, C, H, W) images in [0, 1]: one or several latents of the code ``base`` (D,) set to each of ``values``.

        Args:
            latent: a number, or several, such as one of ``model.blocks``.
            values: (V,); several latents all take the same value and so move along the diagonal of their block. (V, k)
                for a value of each of k latents.
            base: the code that all others keep.

        Raises:
            UserError: a latent that the model does not have, or values that do not fit the latents.

        >>> from unweave.networks import MLP
        >>> run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
        >>> run.traverse((0, 1), torch.linspace(-3, 3, 5), torch.zeros(10)).shape
        torch.Size([5, 1, 64, 64])
        """
        moving = [latent] if isinstance(latent, int) else list(latent)
        for one in moving:
            if not 0 <= one < self.model.latents:
                raise UserError(f"latent {one}; this model has 0 to {self.model.latents - 1}")
        if not moving or values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != len(moving)):
            raise UserError(
                f"values of shape {tuple(values.shape)} for latents {moving}; allowed: one latent or more, and values "
                f"(V,) or (V, {len(moving)})"
            )
        z = base.repeat(len(values), 1)
        z[:, moving] = (values if values.ndim == 2 else values[:, None].expand(-1, len(moving))).to(z)
        with torch.no_grad():
            return torch.sigmoid(self.model.decode(z))

    def view(self, rows: Tensor) -> Tensor:
        """Images of some rows as the model reads them, with nuisance noise of seed 0."""
        parameter = next(self.model.parameters())
        rows = rows.to(home(parameter.device))
        return self.images.batch(rows, nuisance(self.images, rows, 0, "view")).to(parameter)

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
        device: ``cpu``, ``cuda`` or ``mps``; a GPU of NVIDIA's kind where there is one.
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
        for name, value in settings.items():
            _belonging(name, value, what)
            known(name, [one.name for one in fields(Experiment)][2:], "setting")
        experiment = Experiment(what, data, **settings).complete()
    last: Snapshot | None = None
    for last in train(experiment, every=every, device=device, root=root, out=out, resume=resume):
        progress(last)
    if last is None:
        return load(Path(out or "") / experiment.key, root=root, device=device)
    folder = RunFolder(Path(out) / experiment.key) if out is not None else None
    failure = last.failures[0]
    return Run(
        experiment, last.models[0], step=last.step, trace=last.trace(0), failure=failure, folder=folder, root=root
    )


def load(path: Path | str, *, root: Path | str | None = None, device: str | torch.device | None = None) -> Run:
    """A run from its folder: the model of its last checkpoint, its trace and scores; or a shared model from its own.

    Args:
        path: of a run, ``runs/<key>``, or of a shared model.
        root: folder with data files, for sets that need them.
        device: where the model goes; a GPU of NVIDIA's kind where there is one when None.

    Raises:
        UserError: neither there, or a checkpoint that is damaged, from a newer version or of another experiment.

    >>> import tempfile
    >>> from unweave.networks import MLP
    >>> out = Path(tempfile.mkdtemp())
    >>> run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)), out=out)
    >>> load(out / run.experiment.key).step
    2
    """
    folder = RunFolder(path)
    if is_both(path):
        raise UserError(f"{path} holds a run and a shared model; allowed: one of them, so move the other away")
    if is_shared(path):
        found = unpack(SharedFolder(path), place(device))
        scores = kept_scores(folder, found.step)
        return Run(found.experiment, found.model, step=found.step, trace={}, folder=folder, root=root, scores=scores)
    described = folder.read("experiment")
    if not described:
        raise UserError(
            f"{path} holds no run; allowed: a folder that `unweave train` has written, such as runs/<key>, or a shared "
            "model's"
        )
    key = described.pop("key", "")
    described.pop("source", None)
    experiment = from_json(described)
    checkpoint, status = folder.load(), folder.read("status")
    try:
        failure = Failure(status["step"], status["term"]) if status.get("state") == "failed" else None
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: status.json is damaged ({type(error).__name__}: {error})") from None
    if checkpoint is None and failure is not None:
        raise UserError(f"{path} failed at step {failure.step} ({failure.term}) before its first checkpoint: no model")
    if checkpoint is None:
        raise UserError(f"{path} has no checkpoint yet; train it further first")
    if checkpoint.key != key:
        raise UserError(f"{path} holds a checkpoint of experiment {checkpoint.key}, not of {key}")
    where = place(device)
    check_precision(where, experiment.precision)
    model = build(experiment, where)
    restore_model(model, checkpoint.tensors)
    trace = folder.read_trace()
    # A trace may be lost in a power cut; its rows lie in the checkpoint too.
    trace = trace or recorded(experiment.steps, checkpoint.terms, checkpoint.tensors, checkpoint.step)
    # Files are replaced one by one, so a trace may be a window ahead of its checkpoint; of a failed run it may stay so.
    end = checkpoint.step if failure is None else failure.step
    rows = sum(step <= end for step in trace.get("step", []))
    return Run(
        experiment,
        model,
        step=checkpoint.step,
        trace={name: values[:rows] for name, values in trace.items()},
        failure=failure,
        folder=folder,
        root=root,
        scores=kept_scores(folder, checkpoint.step),
    )


def _belonging(name: str, value: Any, what: Method | str) -> None:
    """Raises UserError that says where it goes for a setting of the method or of Adam, given as the experiment's."""
    kind = what if isinstance(what, Method) else METHODS.get(what)
    if kind is not None and name in {one.name for one in fields(kind)}:
        method = kind.__name__ if isinstance(kind, type) else type(kind).__name__
        raise UserError(f"{name} is a setting of the method: {method}({name}={value!r}) in place of its name")
    if name in {one.name for one in fields(Adam)}:
        raise UserError(f"{name} is a setting of Adam: optimiser=Adam({name}={value!r})")

"""The loop: an iterator that trains packs of experiments and hands out what there is to see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.engine.cpu import keep_memory
from unweave.engine.experiment import Complete, Experiment, to_json
from unweave.engine.pack import pack
from unweave.engine.step import Alone, Failure, Learner, Together, fitting
from unweave.engine.trace import Trace
from unweave.networks import Model
from unweave.store import Checkpoint, RunFolder, environment, now
from unweave.types import UserError

Told = Callable[[tuple[Complete, ...], int, Mapping[str, Tensor]], object]
"""Who is told of every step: the pack's members, the steps taken, name -> (S,) values."""


class Snapshot:
    """A pack at a step: what was trained since the last one, and all that is needed to go on.

    ``experiments``, ``models`` and ``failures`` have one entry a member. ``step`` counts the steps taken.
    """

    def __init__(self, step: int, learner: Learner, trace: Trace, new: int, source: str) -> None:
        self.step = step
        self.experiments: tuple[Complete, ...] = learner.experiments
        self.models: tuple[Model, ...] = learner.models
        self.failures: tuple[Failure | None, ...] = tuple(learner.failures)
        self.source = source
        """Where the pixels came from."""
        self._learner, self._trace, self._new = learner, trace, new

    @property
    def terms(self) -> dict[str, Tensor]:
        """name -> (S, rows): window means recorded since the last snapshot."""
        rows = self._trace.rows[self._new :]
        if not rows:
            return {name: torch.zeros(len(self.experiments), 0) for name in self._trace.names}
        values = torch.stack(rows, dim=2)
        return {name: values[:, place] for place, name in enumerate(self._trace.names)}

    @property
    def done(self) -> bool:
        """Whether this is the pack's last one."""
        return self.step >= self.experiments[0].steps or all(self.failures)

    def memory(self, member: int) -> dict[str, Tensor]:
        """Everything one member needs to go on exactly."""
        return self._learner.memory(member) | self._trace.memory(member)

    def trace(self, member: int) -> dict[str, list[float]]:
        """All that was recorded of a member so far: ``step`` and every term."""
        return self._trace.table(member)


def train(
    experiments: Iterable[Experiment | Complete] | Experiment | Complete,
    *,
    every: int | None = None,
    device: str | torch.device | None = None,
    root: Path | str | None = None,
    out: Path | str | None = None,
    resume: bool = True,
    lockstep: bool | None = None,
    stop: Callable[[], bool] = lambda: False,
    told: Told = lambda experiments, step, terms: None,
) -> Iterator[Snapshot]:
    """Train experiments, pack by pack, yielding a snapshot of the pack every so many steps and at its end.

    Args:
        experiments: one or many; repeated ones are trained once.
        every: steps between snapshots (and checkpoints); by default a fiftieth of the training, at most 1,000.
        device: ``cpu``, ``cuda`` …; a GPU where there is one by default.
        root: folder with data files.
        out: folder for run folders, ``out/<key>/``; nothing is written when None.
        resume: go on from a checkpoint in ``out``, and pass over what is done; else start afresh.
        lockstep: train packs under ``vmap`` (True), one model after the other (False), or choose: lockstep on a GPU.
        stop: asked between steps; True ends the training with a last snapshot.
        told: called after every step with the pack's members, the steps taken and name -> (S,) values of that step: for
            progress lines, so it must be quick.

    Raises:
        UserError: anything that cannot be trained, before the first step.
        StoreError: a folder that another process writes, a checkpoint of another experiment, a full disk.

    >>> from unweave.networks import MLP
    >>> e = Experiment("vae", "triangle", network=MLP((8,)), batch=4, steps=3)
    >>> [snapshot.step for snapshot in train(e, every=2)]
    [2, 3]
    """
    many = [experiments] if isinstance(experiments, Experiment | Complete) else list(experiments)
    packs = pack(many)
    if every is not None and every < 1:
        raise UserError(f"every = {every}; allowed: a whole number from 1")
    where = place(device)
    together = where.type == "cuda" if lockstep is None else lockstep
    keep_memory()
    opened: dict[Dataset, Images] = {}
    for members in packs:
        with ExitStack() as stack:
            folders = {}
            for one in members if out is not None else []:
                folder = RunFolder(Path(out or "") / one.key)
                stack.enter_context(folder.lock())
                folders[one.key] = folder
            for start, cohort in _cohorts(members, folders, resume):
                data = cohort[0].data
                if data not in opened:
                    opened[data] = data.open(Path(root) if root else None, where)
                groups = [list(cohort)] if together else [[one] for one in cohort]
                make = Together if together else None
                for group in groups:
                    learner = make(group, opened[data], where) if make else Alone(group[0], opened[data], where)
                    yield from _run(learner, start, folders, every, stop, told, opened[data].source)
                    if stop():
                        return


def place(device: str | torch.device | None) -> torch.device:
    """The device itself, a GPU where there is one for None. Raises UserError for one that is not here."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    allowed = ", ".join(["cpu", *(["cuda"] if gpus else []), *(f"cuda:{k}" for k in range(gpus))])
    try:
        where = torch.device(device or ("cuda" if gpus else "cpu"))
    except RuntimeError:
        raise UserError(f"device = {str(device)!r}; allowed: {allowed}") from None
    if where.type not in ("cpu", "cuda") or (where.type == "cuda" and (where.index or 0) >= gpus):
        missing = "this machine has no GPU that torch can use; " if where.type == "cuda" and not gpus else ""
        raise UserError(f"device = {str(device)!r}; {missing}allowed: {allowed}")
    return where


def restore_model(model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Give a freshly built model the parameters of a checkpoint. Raises UserError when they do not fit it."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(fitting(tensors, f"model/{name}", parameter.shape))


def _cohorts(
    members: list[Complete], folders: Mapping[str, RunFolder], resume: bool
) -> list[tuple[dict[str, Checkpoint], list[Complete]]]:
    """Members that start at the same step, with their checkpoints; those that are done are left out."""
    cohorts: dict[int, tuple[dict[str, Checkpoint], list[Complete]]] = {}
    for one in members:
        folder = folders.get(one.key)
        checkpoint = folder.load() if folder and resume else None
        if checkpoint and checkpoint.key != one.key:
            where = folder.checkpoint_path if folder else ""
            raise UserError(f"{where} belongs to experiment {checkpoint.key}, not to {one.key}; move it away or train elsewhere")
        if folder and resume and folder.read("status").get("state") in ("done", "failed"):
            continue
        step = checkpoint.step if checkpoint else 0
        found, cohort = cohorts.setdefault(step, ({}, []))
        cohort.append(one)
        if checkpoint:
            found[one.key] = checkpoint
    return [cohorts[step] for step in sorted(cohorts, reverse=True)]


def _run(
    learner: Learner,
    checkpoints: Mapping[str, Checkpoint],
    folders: Mapping[str, RunFolder],
    every: int | None,
    stop: Callable[[], bool],
    told: Told,
    source: str,
) -> Iterator[Snapshot]:
    first = learner.experiments[0]
    trace = Trace(first.steps, len(learner.experiments))
    step = 0
    if checkpoints:
        found = [checkpoints[one.key] for one in learner.experiments]
        step = found[0].step
        learner.restore([one.tensors for one in found])
        trace.restore(found[0].terms, [one.tensors for one in found], step)
    every = every or max(1, min(1000, first.steps // 50))
    for one in learner.experiments:
        if one.key in folders:
            _begin(folders[one.key], one, step, source)
    clock, since, new = time.perf_counter(), step, len(trace.rows)
    while step < first.steps:
        terms = learner.step(step)
        if not all(learner.failures):
            step += 1
            trace.add(terms)
        told(learner.experiments, step, terms)
        stopped = stop()
        ended = all(learner.failures) or stopped
        if ended or step % every == 0 or step == first.steps:
            _guard(learner, step)
            snapshot = Snapshot(step, learner, trace, new, source)
            elapsed = time.perf_counter() - clock
            for member, one in enumerate(learner.experiments):
                if one.key in folders:
                    _keep(folders[one.key], snapshot, member, elapsed / max(1, step - since), stopped)
            yield snapshot
            new = len(trace.rows)
            clock, since = time.perf_counter(), step
            if ended or all(learner.failures):
                return


def _guard(learner: Learner, step: int) -> None:
    """Mark members whose parameters are no longer finite, so that no checkpoint is overwritten with them."""
    for group in learner.groups:
        finite = torch.isfinite(group.flat).all(dim=1)
        for member, whole in enumerate(finite.tolist()):
            if not whole and learner.failures[member] is None:
                learner.failures[member] = Failure(step, "parameters")


def _begin(folder: RunFolder, one: Complete, step: int, source: str) -> None:
    folder.write("experiment", {"key": one.key, "source": source, **to_json(one)})
    folder.write("environment", environment())
    folder.write("status", {"state": "running", "step": step, "steps": one.steps, "since": now()})


def _keep(folder: RunFolder, snapshot: Snapshot, member: int, seconds: float, stopped: bool) -> None:
    one, failure = snapshot.experiments[member], snapshot.failures[member]
    status = {"step": snapshot.step, "steps": one.steps, "at": now(), "seconds_per_step": round(seconds, 6)}
    if failure is not None:
        kept = folder.load()
        why = {"state": "failed", "step": failure.step, "term": failure.term, "checkpoint": kept.step if kept else None}
        folder.write("status", status | why)
        return
    folder.write_trace(snapshot.trace(member))
    names = tuple(name for name in snapshot.trace(member) if name != "step")
    folder.save(Checkpoint(snapshot.step, snapshot.memory(member), names, one.key))
    state = "done" if snapshot.step >= one.steps else "stopped" if stopped else "running"
    folder.write("status", status | {"state": state})

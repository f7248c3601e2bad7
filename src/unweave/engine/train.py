"""The loop: an iterator that trains packs of experiments and hands out what there is to see."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from functools import partial
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.card import opened
from unweave.engine.beside import Beside
from unweave.engine.blocks import LENGTH, Blocks
from unweave.engine.cpu import keep_memory
from unweave.engine.experiment import Complete, Experiment
from unweave.engine.graph import Eager, Graphs, Runner, settings
from unweave.engine.pack import pack, sized
from unweave.engine.place import check_precision, home, place
from unweave.engine.records import Records
from unweave.engine.step import Alone, Failure, Learner, Together, fitting
from unweave.engine.trace import Trace
from unweave.engine.written import note_rewritten
from unweave.names import known
from unweave.networks import Model
from unweave.store import Checkpoint, RunFolder
from unweave.types import UserError

OFTEN = 1.0
"""Seconds between two checkpoints that nobody set the distance of: small trainings are over before the first."""

Told = Callable[[tuple[Complete, ...], int, Mapping[str, Tensor]], object]
"""Who is told of every step: the pack's members, the steps taken, name -> (S,) values."""

HELD = 200
"""Folders that are held at once where models train one after the other."""
LOCKSTEP = ("vmap", "products", "branches")
"""How a pack trains in lockstep: the loss under ``vmap``; that with convolutions as batched products of matrices; or
each model as its own module, side by side on the card."""
WAYS = ((2, "branches"),)
"""From which size of a pack on which way is taken where none is asked for. Not measured yet (``benchmarks/gpu.py``
does): branches, because in them what a model computes does not depend on the others of its pack."""


class Snapshot:
    """A pack at a step: what was trained since the last one, and all that is needed to go on.

    ``experiments``, ``models`` and ``failures`` have one entry a member. ``step`` counts the steps taken. The models
    are those that are being trained: take what you need of them before asking for the next snapshot.
    """

    def __init__(self, step: int, learner: Learner, trace: Trace, new: int, source: str) -> None:
        self.step = step
        self.experiments: tuple[Complete, ...] = learner.experiments
        self.models: tuple[Model, ...] = learner.models
        self.failures: tuple[Failure | None, ...] = tuple(learner.failures)
        self.source = source
        """Where the pixels came from."""
        self._learner, self._trace, self._rows = learner, trace, slice(new, len(trace.rows))

    @property
    def terms(self) -> dict[str, Tensor]:
        """name -> (S, rows): window means recorded since the last snapshot."""
        rows = self._trace.rows[self._rows]
        if not rows:
            return {name: torch.zeros(len(self.experiments), 0) for name in self._trace.names}
        values = torch.stack(rows, dim=2)
        return {name: values[:, place] for place, name in enumerate(self._trace.names)}

    @property
    def done(self) -> bool:
        """Whether this is the pack's last one."""
        return self.step >= self.experiments[0].steps or all(self.failures)

    def memory(self, member: int) -> dict[str, Tensor]:
        """Everything one member needs to go on exactly.

        Raises:
            UserError: the iterator was asked for the next snapshot, so that the models are no longer those of this one.
        """
        if self._trace.steps != self.step:
            raise UserError(f"the models of this snapshot of step {self.step} are at step {self._trace.steps} by now")
        return self._learner.memory(member) | self._trace.memory(member)

    def trace(self, member: int) -> dict[str, list[float]]:
        """All that was recorded of a member up to this step, or to its failure: ``step`` and every term."""
        failure = self.failures[member]
        return self._trace.table(member, self.step if failure is None else failure.step)


def train(
    experiments: Iterable[Experiment | Complete] | Experiment | Complete,
    *,
    every: int | Collection[int] | None = None,
    device: str | torch.device | None = None,
    root: Path | str | None = None,
    images: dict[Dataset, Images] | None = None,
    out: Path | str | None = None,
    resume: bool = True,
    lockstep: bool | str | None = None,
    blocks: bool | None = None,
    most: int | None = None,
    rest: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    told: Told = lambda experiments, step, terms: None,
) -> Iterator[Snapshot]:
    """Train experiments, pack by pack, yielding a snapshot of the pack every so many steps and at its end.

    Args:
        experiments: one or many; repeated ones are trained once.
        every: steps between snapshots, and between checkpoints, or the steps that have one besides the last; by default
            a fiftieth of the training, at most 1,000, and then a checkpoint is left out where the last one is less than
            ``OFTEN`` old.
        device: ``cpu``, ``cuda`` …, ``mps``; a GPU of NVIDIA's kind where there is one by default.
        root: folder with data files.
        images: data sets that are open on the device already, as a ``Plan`` holds them; others are opened and
            added.
        out: folder for run folders, ``out/<key>/``; nothing is written when None.
        resume: go on from a checkpoint in ``out``, and pass over what is done; else start afresh.
        lockstep: train packs in lockstep (True, or how: ``vmap``, ``products``, ``branches``), one model after the
            other (False), or choose: lockstep on a GPU. True is what a GPU chooses there, ``vmap`` elsewhere.
        blocks: take up to 128 steps without a look at the device in between (True; a GPU records them as a CUDA graph),
            look at each (False), or choose: blocks on a GPU.
        most: models that train in lockstep at most (``plan`` says how many fit); all of a pack when None.
        rest: seconds between two checkpoints at least, but for the last one: snapshots in between have none. None for 0
            where ``every`` says how far they are apart, and for ``OFTEN`` where it does not.
        stop: asked between steps, or blocks; True ends the training with a last snapshot.
        told: called after every step, or block, with the pack's members, the steps taken and name -> (S,) values of the
            last step: for progress lines, so it must be quick.

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
    every = int(every) if isinstance(every, Integral) else every
    several = isinstance(every, Collection) and not isinstance(every, str)
    if every is not None and not (every >= 1 if isinstance(every, int) else several):
        raise UserError(f"every = {every}; allowed: a whole number from 1, or several steps")
    if most is not None and most < 1:
        raise UserError(f"most = {most}; allowed: a whole number from 1")
    where = place(device)
    if isinstance(lockstep, str):
        known(lockstep, LOCKSTEP, "way of lockstep")
    together = where.type == "cuda" if lockstep is None else bool(lockstep)
    in_blocks = where.type == "cuda" if blocks is None else blocks
    if where.type == "mps" and (together or in_blocks):
        raise UserError("lockstep and blocks on mps; allowed: one model after the other there, or device cpu or cuda")
    for members in packs:
        check_precision(where, members[0].precision)
        if lockstep == "products" and members[0].precision == "tf32":
            raise UserError(
                "lockstep = products with precision = tf32, which is of convolutions; allowed: vmap, branches"
            )
    keep_memory()
    images = {} if images is None else images
    # One after the other few are held at once: every lock is an open file.
    for members in packs if together else [some for alike in packs for some in sized(alike, HELD)]:
        with ExitStack() as stack:
            folders = {}
            for one in members if out is not None else []:
                folder = RunFolder(Path(out or "") / one.key)
                stack.enter_context(folder.lock())
                folders[one.key] = folder
            note_rewritten((one, folders[one.key]) for one in members if resume and one.key in folders)
            for start, cohort in _cohorts(members, folders, resume):
                data = cohort[0].data
                if data not in images:
                    images[data] = opened(data, Path(root) if root else None, home(where))
                groups = list(sized(cohort, (most or len(cohort)) if together else 1))
                for group in groups:
                    learner = learner_of(group, images[data], where, lockstep if together else False)
                    source = images[data].source
                    if (yield from _run(learner, start, folders, every, rest, in_blocks, stop, told, source, resume)):
                        return


def learner_of(
    members: list[Complete], images: Images, device: torch.device, lockstep: bool | str | None = None
) -> Learner:
    """What trains some experiments that can run in lockstep, in the way that is asked for; see ``train``."""
    if len(members) == 1 and (lockstep is None or lockstep is False):
        return Alone(members[0], images, device)
    if lockstep is None or (lockstep is True and device.type == "cuda" and len(members) > 1):
        lockstep = [way for size, way in WAYS if size <= len(members)][-1]
    if lockstep == "branches":
        return Beside(members, images, device)
    return Together(members, images, device, products=lockstep == "products")


def runner_of(experiment: Complete, device: torch.device) -> Runner:
    """What takes an experiment's blocks of steps on a device."""
    return Graphs(device, experiment.precision) if device.type == "cuda" else Eager()


def restore_model(model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Give a freshly built model the parameters of a checkpoint. Raises UserError when they do not fit it."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(fitting(tensors, f"model/{name}", parameter.shape))


def _cohorts(
    members: list[Complete], folders: Mapping[str, RunFolder], resume: bool
) -> list[tuple[dict[str, Checkpoint], list[Complete]]]:
    """Members that start at the same step, with their checkpoints; those at their end are left out."""
    cohorts: dict[int, tuple[dict[str, Checkpoint], list[Complete]]] = {}
    for one in members:
        folder = folders.get(one.key)
        checkpoint = folder.load() if folder and resume else None
        if folder and checkpoint and checkpoint.key != one.key:
            where, other = folder.checkpoint_path, checkpoint.key
            raise UserError(f"{where} belongs to experiment {other}, not to {one.key}; move it away or train elsewhere")
        step = checkpoint.step if checkpoint else 0
        state = folder.read("status").get("state") if folder and resume else None
        # A status may be a moment behind its checkpoint, or have lost it: what is done is what has all its steps.
        if state == "failed" or (state == "done" and step >= one.steps):
            continue
        found, cohort = cohorts.setdefault(step, ({}, []))
        cohort.append(one)
        if checkpoint:
            found[one.key] = checkpoint
    return [cohorts[step] for step in sorted(cohorts, reverse=True)]


def _run(
    learner: Learner,
    checkpoints: Mapping[str, Checkpoint],
    folders: Mapping[str, RunFolder],
    every: int | Collection[int] | None,
    rest: float | None,
    in_blocks: bool,
    stop: Callable[[], bool],
    told: Told,
    source: str,
    resume: bool,
) -> Generator[Snapshot, None, bool]:
    """Train one learner to its end; returns whether it was stopped."""
    members = learner.experiments
    trace = Trace(members[0].steps, len(members))
    step = 0
    if checkpoints:
        found = [checkpoints[one.key] for one in members]
        step = found[0].step
        learner.restore([one.tensors for one in found])
        trace.restore(found[0].terms, [one.tensors for one in found], step)
    records = Records(members, folders, step)
    records.begin(source, afresh=not resume)
    try:
        return (yield from _steps(learner, trace, records, step, every, rest, in_blocks, stop, told, source))
    except BaseException:
        # Also where the reader of the iterator went away (GeneratorExit) or a person pressed Ctrl-C.
        records.interrupted()
        raise


def _steps(
    learner: Learner,
    trace: Trace,
    records: Records,
    step: int,
    every: int | Collection[int] | None,
    rest: float | None,
    in_blocks: bool,
    stop: Callable[[], bool],
    told: Told,
    source: str,
) -> Generator[Snapshot, None, bool]:
    steps = learner.experiments[0].steps
    if rest is None:
        rest = OFTEN if every is None else 0.0
    every = max(1, min(1000, steps // 50)) if every is None else every
    kept = time.perf_counter()
    clock, since, new = time.perf_counter(), step, len(trace.rows)
    stopped = False
    device = learner.groups[0].flat.device
    # What surrounds a block of steps on a card surrounds a single one too, so that both compute the same.
    around = partial(settings, learner.experiments[0].precision) if device.type == "cuda" else nullcontext
    blocks = None
    if in_blocks and step < steps:
        length = min(every, LENGTH) if isinstance(every, int) else LENGTH
        blocks = Blocks(learner, trace, step, length, runner_of(learner.experiments[0], device))
    while True:
        if step < steps:
            if blocks is not None:
                terms = blocks.run(min(blocks.length, _ahead(every, step, steps)))
                step = blocks.step
            else:
                with around():
                    terms = learner.step(step)
                if not all(learner.failures):
                    step += 1
                    trace.add(terms)
            told(learner.experiments, step, terms)
            stopped = stop()
        ended = stopped or step >= steps or all(learner.failures)
        if ended or (step % every == 0 if isinstance(every, int) else step in every):
            learner.guard(step)
            ended = ended or all(learner.failures)
            seconds = (time.perf_counter() - clock) / max(1, step - since)
            state = "done" if step >= steps else "stopped" if stopped else "running"
            due = ended or time.perf_counter() - kept >= rest
            for member, failure in enumerate(learner.failures):
                if failure is not None:
                    records.fail(member, failure, trace)
                elif due and records.folders[member] is not None:
                    memory = learner.memory(member) | trace.memory(member)
                    records.keep(member, step, memory, trace, state, seconds)
            kept = time.perf_counter() if due else kept
            yield Snapshot(step, learner, trace, new, source)
            if ended:
                return stopped
            clock, since, new = time.perf_counter(), step, len(trace.rows)


def _ahead(every: int | Collection[int], step: int, steps: int) -> int:
    """How many steps there are to the next snapshot."""
    if isinstance(every, int):
        return min(every - step % every, steps - step)
    return min([steps, *(one for one in every if one > step)]) - step

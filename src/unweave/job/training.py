"""Trainings as jobs: train, measure at the end and on the way, lose nothing when killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from unweave.analysis.cost import Cost, cost
from unweave.data.base import Dataset, Images
from unweave.data.card import opened as open_images
from unweave.engine import Complete, Experiment, encode, train
from unweave.engine.place import home, place
from unweave.engine.step import build
from unweave.engine.trace import recorded
from unweave.engine.train import restore_model
from unweave.job.base import Arrays, Job, Measure, Result, Told, Values, about, digest, keep, numbers, quiet
from unweave.job.measures import Scores
from unweave.networks import Model
from unweave.run import Run
from unweave.store import RunFolder, now
from unweave.types import Codes, UserError

OFTEN = 30.0
"""Seconds of work, as estimated, between two checkpoints."""
LARGEST_GAP = 1000
"""Steps between two checkpoints at most."""


@dataclass(frozen=True)
class Training(Job):
    """The usual job: train a model and measure it at the end, and at some steps on the way.

    Values are those of the end. With ``at`` there are also the arrays ``course.step`` (K,) and, for every value and
    every array that has one shape throughout, ``course.NAME`` (K, …). What another job has measured of the same
    training in the same way is read back, and a step that the training has passed already is reached once more.

    Args:
        experiment: what to train.
        measures: what to measure.
        at: steps on the way, 0 (the untrained model) to the last.
        count: images encoded, drawn with seed 0; None for all.

    >>> import tempfile
    >>> from unweave.networks import MLP
    >>> e = Experiment("vae", "triangle", steps=4, batch=8, network=MLP((8,)))
    >>> job = Training.of(e, measures=(Scores(("mig",)),), at=(2, 4), count=50)
    >>> result = job.run(Path(tempfile.mkdtemp()))
    >>> 0 <= result.values["mig"] <= 1, result.arrays["course.step"].tolist(), result.arrays["course.mig"].shape
    (True, [2, 4], (2,))
    """

    name: ClassVar[str] = "training"

    experiment: Complete
    measures: tuple[Measure, ...] = (Scores(),)
    at: tuple[int, ...] = ()
    count: int | None = 10_000

    @classmethod
    def of(cls, experiment: Experiment | Complete, **more: Any) -> Training:
        """A checked job of an experiment that may still be open.

        Raises:
            UserError: an experiment that cannot be trained, steps outside of it, fewer than 10 images, or what cannot
                be measured on it.
        """
        job = cls(experiment.complete(), **more)
        outside = [step for step in job.at if not 0 <= step <= job.experiment.steps]
        if outside:
            raise UserError(f"at = {outside[:4]}; allowed: steps from 0 to {job.experiment.steps:,}")
        if job.count is not None and job.count < 10:
            raise UserError(f"count = {job.count}; allowed: a whole number from 10, or None for all images")
        for measure in job.measures:
            measure.check(job.experiment)
        return job

    @property
    def home(self) -> str:
        """The run's folder."""
        return self.experiment.key

    @property
    def title(self) -> str:
        """Method, data and seed."""
        return f"{self.kind}, seed {self.experiment.seed}"

    @property
    def kind(self) -> str:
        """Method and data."""
        data, parts = self.experiment.data, ""
        while isinstance(inner := getattr(data, "of", None), Dataset):
            data, parts = inner, f":{data.name}{parts}"
        return f"{self.experiment.method.name} on {data.name}{parts}"

    @property
    def cost(self) -> Cost:
        """That of the training; measuring is not counted."""
        return cost(self.experiment)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Train and measure; a training whose loss is no longer finite gives a failed result."""
        return next(together([self], out, root=root, device=device, told=told))


def together(
    jobs: Sequence[Training],
    out: Path,
    *,
    root: Path | None = None,
    device: str | None = None,
    told: Told = quiet,
    lockstep: bool | None = None,
    opened: dict[Dataset, Images] | None = None,
) -> Iterator[Result]:
    """Results of trainings in the order in which they are finished; on a GPU those that fit train in lockstep.

    ``opened`` are data sets that are open already, on the device; those it opens itself are added.

    Raises:
        Held: another process trains one of them.
        UserError: one of them cannot be trained or measured.
    """
    works: dict[str, list[_Work]] = {}
    for job in dict.fromkeys(jobs):
        kept = job.kept(out)
        if kept is not None:
            yield kept
        else:
            works.setdefault(job.home, []).append(_Work(job, out, time.perf_counter()))
    if not works:
        return
    where = place(device)
    known_data: dict[Dataset, Images] = {} if opened is None else opened

    def images_of(one: Complete) -> Images:
        if one.data not in known_data:
            known_data[one.data] = open_images(one.data, root, home(where))
        return known_data[one.data]

    seen: dict[int, str] = {}

    def tell(members: tuple[Complete, ...], step: int, terms: object) -> None:
        one = members[0]
        if id(one) not in seen:
            many = f" and {len(members) - 1} more" if len(members) > 1 else ""
            seen[id(one)] = f"{works[one.key][0].job.title}{many}"
        told(step / one.steps, seen[id(one)])

    for group in works.values():
        _catch_up(group, images_of, where, root, tell)
    pending = [group[0].job.experiment for group in works.values()]
    every = {step for group in works.values() for work in group for step in work.job.at}
    every |= {step for one in pending for step in _cadence(one)}
    fresh: set[str] = set()
    for snapshot in train(
        pending,
        every=every,
        device=device,
        root=root,
        out=out,
        lockstep=lockstep,
        rest=OFTEN,
        told=tell,
        images=known_data,
    ):
        for member, one in enumerate(snapshot.experiments):
            if one.key not in works:
                continue
            if one.key not in fresh:
                fresh.add(one.key)
                _refresh(works[one.key])
            failure = snapshot.failures[member]
            if failure is None:
                at_end = snapshot.step >= one.steps
                due = [w for w in works[one.key] if w.missing(snapshot.step)]
                if due:
                    trace = snapshot.trace(member)
                    run = _view(one, snapshot.models[member], snapshot.step, trace, images_of(one), root)
                    run.folder = due[0].folder if at_end else None
                    _measure(due, run)
            left = any(work.missing(step) for work in works[one.key] for step in work.steps())
            if failure is not None or (snapshot.step >= one.steps and not left):
                yield from (work.finish() for work in works.pop(one.key))
    for group in works.values():
        # What was trained to its end, or had failed, before; or by another process past steps that are wanted here.
        one, folder = group[0].job.experiment, group[0].folder
        _catch_up(group, images_of, where, root, tell)
        with folder.lock():
            _refresh(group)
            if not group[0].failed():
                _measure(group, _restored(one, folder, images_of(one), where, root))
            yield from (work.finish() for work in group)


class _Work:
    """A training job at work: what its folder holds of it."""

    def __init__(self, job: Training, out: Path, began: float) -> None:
        self.job, self.folder, self.began = job, RunFolder(out / job.home), began
        self.asked = {digest({"measure": one, "count": job.count}): one for one in job.measures}
        self.ended = False
        self.read()

    def read(self) -> None:
        """See what the folder holds by now: another process may have measured until this one held the lock."""
        rows = self.folder.rows()
        self.found = {(row["asked"], row["step"]): row for row in rows if row.get("asked") in self.asked}
        self.ended = any(row.get("job") == self.job.key for row in rows)

    def steps(self) -> list[int]:
        """Every step that is measured at."""
        return sorted({*self.job.at, self.job.experiment.steps})

    def missing(self, step: int) -> list[str]:
        """What is to be measured at a step and has not been."""
        return [asked for asked in self.asked if (asked, step) not in self.found] if step in self.steps() else []

    def failed(self) -> str:
        """Where the training failed, in one line."""
        status = self.folder.read("status")
        if status.get("state") != "failed":
            return ""
        return f"{status.get('term')} was no longer finite at step {status.get('step')}"

    def add(self, asked: str, step: int, values: Values, arrays: Arrays, seconds: float) -> None:
        """Keep one measurement."""
        label = self.asked[asked].label
        row = {"asked": asked, "measure": label, "step": step, "values": numbers(values), "seconds": round(seconds, 3)}
        file = f"measured-{asked[:8]}-{step}"
        if arrays:
            self.folder.write_arrays(file, arrays)
            row["arrays"] = [file]
        row |= {"about": about(self.job), "at": now()}
        self.folder.append(row)
        self.found[(asked, step)] = row

    def finish(self) -> Result:
        """Put the result together and keep it; or read back what another process has kept meanwhile."""
        kept = self.job.kept(self.folder.path.parent) if self.ended else None
        if kept is not None:
            return kept
        end, failed = self.job.experiment.steps, self.failed()
        values: dict[str, float] = {}
        files: list[str] = []
        for asked in self.asked:
            row = self.found.get((asked, end))
            if row is None:
                continue
            twice = [name for name in row["values"] if name in values]
            if twice:
                raise UserError(f"two measures give {twice[0]!r}; allowed: names of their own")
            values |= row["values"]
            files += row.get("arrays", [])
        spent = sum(row.get("seconds", 0.0) for row in self.found.values())
        seconds = max(time.perf_counter() - self.began, spent)
        return keep(self.job, self.folder, values, files, self._course(), failed, seconds)

    def _course(self) -> dict[str, np.ndarray]:
        steps = [s for s in sorted(set(self.job.at)) if not self.missing(s)]
        if not steps:
            return {}
        table: dict[str, list[Any]] = {}
        for step in steps:
            for asked in self.asked:
                row = self.found[(asked, step)]
                for name, value in row["values"].items():
                    table.setdefault(name, []).append(float("nan") if value is None else value)
                for file in row.get("arrays", []):
                    for name, array in self.folder.read_arrays(file).items():
                        table.setdefault(name, []).append(array)
        whole = {n: v for n, v in table.items() if len(v) == len(steps) and len({np.shape(one) for one in v}) == 1}
        return {"course.step": np.array(steps), **{f"course.{name}": np.stack(v) for name, v in whole.items()}}


def _measure(works: Iterable[_Work], run: Run) -> None:
    """Measure what is missing at the run's step; codes are made once for every number of images."""
    codes: dict[int | None, Codes] = {}
    for work in works:
        for asked in work.missing(run.step):
            began, count = time.perf_counter(), work.job.count
            if count not in codes:
                codes[count] = encode(run.model, run.data, run.images, count=count)
            values, arrays = work.asked[asked](run, codes[count])
            work.add(asked, run.step, values, arrays, time.perf_counter() - began)


def _refresh(works: Iterable[_Work]) -> None:
    for work in works:
        work.read()


def _catch_up(
    works: Sequence[_Work],
    images_of: Callable[[Complete], Images],
    where: torch.device,
    root: Path | None,
    told: Callable[[tuple[Complete, ...], int, object], object],
) -> None:
    """Measure at steps that the training has passed already: at its checkpoint, or by training up to them again."""
    one, folder = works[0].job.experiment, works[0].folder
    left = sorted({step for work in works for step in work.steps() if work.missing(step)})
    checkpoint = folder.load() if left else None
    passed = [step for step in left if step < (checkpoint.step if checkpoint else 0) or step == 0]
    here = checkpoint is not None and checkpoint.step in left and checkpoint.step < one.steps
    if not passed and not here:
        return
    with folder.lock():
        _refresh(works)
        if here:
            _measure(works, _restored(one, folder, images_of(one), where, root))
        if 0 in passed:
            _measure(works, _view(one, build(one, where), 0, {}, images_of(one), root))
        again = [step for step in passed if step and any(work.missing(step) for work in works)]
        for snapshot in train(one, every=again, device=where, root=root, told=told) if again else ():
            if snapshot.step in again and snapshot.failures[0] is None:
                run = _view(one, snapshot.models[0], snapshot.step, snapshot.trace(0), images_of(one), root)
                _measure(works, run)
            if snapshot.step >= again[-1]:
                break


def _view(
    one: Complete, model: Model, step: int, trace: Mapping[str, list[float]], images: Images, root: Path | None
) -> Run:
    run = Run(one, model, step=step, trace=trace, root=root)
    run._images = images
    return run


def _restored(one: Complete, folder: RunFolder, images: Images, where: torch.device, root: Path | None) -> Run:
    """The run of a folder's checkpoint."""
    checkpoint = folder.load()
    if checkpoint is None or checkpoint.key != one.key:
        raise UserError(f"{folder.path} has no checkpoint of {one.key}; remove the folder to train it again")
    model = build(one, where)
    restore_model(model, checkpoint.tensors)
    # Not from trace.csv, which is rounded: a training that was killed before it was measured gives the same numbers.
    table = recorded(one.steps, checkpoint.terms, checkpoint.tensors, checkpoint.step)
    run = _view(one, model, checkpoint.step, table, images, root)
    run.folder = folder if checkpoint.step >= one.steps else None
    return run


def _cadence(one: Complete) -> Iterable[int]:
    """Steps of checkpoints: some ``OFTEN`` seconds apart."""
    each = cost(one).seconds / one.steps
    return range(0, one.steps, max(1, min(LARGEST_GAP, round(OFTEN / each))))

"""What a sweep would do, how long it would take and how much it would keep, before anything starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from unweave.engine.place import place
from unweave.job import Job, Training
from unweave.store import RunFolder
from unweave.sweep.local import crew
from unweave.sweep.units import seconds, trained, units
from unweave.types import UserError


class Group(NamedTuple):
    """Jobs of one kind: trainings of one method on one data set, or other work by its name."""

    what: str
    jobs: int
    steps: int
    """Of all of them."""
    seconds: float
    """On one thread, estimated."""


class Plan(NamedTuple):
    """A sweep before it starts."""

    jobs: int
    kept: int
    """How many of these are there already."""
    units: int
    """What is sent to a worker in one go: a folder's jobs, or a pack on a GPU."""
    largest: int
    """Jobs in the largest unit."""
    workers: int
    device: str
    seconds: float
    """On one thread, estimated, of what is not there yet; measuring is not counted."""
    disk: int
    """Bytes that will be kept, estimated."""
    free: int
    """Bytes that are free where they will be kept."""
    groups: tuple[Group, ...]

    @property
    def wall(self) -> float:
        """Seconds with all workers at work."""
        return self.seconds / max(1, self.workers)


def plan(jobs: Sequence[Job], out: Path, *, device: str | None = None, workers: int | None = None) -> Plan:
    """The plan of some jobs on this machine.

    Raises:
        UserError: a device that is not here.

    >>> from unweave.engine import Experiment
    >>> jobs = [Training.of(Experiment("vae", "triangle", steps=10, seed=seed)) for seed in (0, 1)]
    >>> found = plan(jobs, Path("nowhere"), device="cpu", workers=2)
    >>> found.jobs, found.kept, found.units, found.workers, found.groups[0].what
    (2, 0, 2, 2, 'vae on triangle')
    """
    where = str(place(device))
    every = list({job.key: job for job in jobs}.values())
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    todo = [job for job in every if job.home not in there or not _done(job, out)]
    found = units(todo, where)
    over = {job.key for job in todo if job.home in there and trained(job, out)}
    groups: dict[str, list[Job]] = {}
    for job in todo:
        groups.setdefault(job.kind if isinstance(job, Training) else job.name, []).append(job)
    homes = {job.home: job for job in todo}
    return Plan(
        len(every),
        len(every) - len(todo),
        len(found),
        max(map(len, found), default=0),
        len(crew(where, workers, len(found))) if workers != 0 else 1,
        where,
        sum(seconds(tuple(job for job in unit if job.key not in over)) for unit in found),
        sum(job.cost.disk for job in homes.values() if not RunFolder(out / job.home).checkpoint_path.exists()),
        free(out),
        tuple(
            Group(what, len(each), sum(one.cost.steps for one in left), sum(one.cost.seconds for one in left))
            for what, each in groups.items()
            for left in [[job for job in each if job.key not in over]]
        ),
    )


def _done(job: Job, out: Path) -> bool:
    """Whether a job's result is there; one that is damaged is for the sweep to name."""
    try:
        return job.done(out)
    except UserError:
        return False


def free(out: Path) -> int:
    """Bytes that are free where a folder is or would be."""
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free

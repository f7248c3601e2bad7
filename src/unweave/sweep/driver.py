"""Do many jobs: those that are done are read back, the others go to workers, and results come as they are finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from unweave.engine.place import place
from unweave.job import Job, Result
from unweave.sweep.units import broken, units
from unweave.types import UserError


class Standing(NamedTuple):
    """How far a sweep is."""

    done: int
    """Jobs that have a result, those read back among them."""
    failed: int
    """Of these, without numbers."""
    total: int
    """All of them."""
    lines: tuple[str, ...] = ()
    """What each worker is at."""
    left: float | None = None
    """Seconds that are left at the pace so far; None before there is one."""


Watcher = Callable[[Standing], object]


def unwatched(standing: Standing) -> None:
    """Nobody looks."""


def perform(
    jobs: Iterable[Job],
    out: Path | str,
    *,
    on: str | None = None,
    workers: int | None = None,
    device: str | None = None,
    root: Path | str | None = None,
    told: Watcher = unwatched,
) -> Iterator[Result]:
    """Results of jobs, as they are finished: first those that are in ``out`` already, which are never done again.

    Each worker is a process with one thread, so that a job gives the same bits wherever it is done. A job that fails
    gives a result whose ``failed`` says why, and stops no other; a worker that dies is replaced, and its jobs go on
    from their checkpoints. When the whole is killed, the same call goes on.

    Args:
        jobs: any; repeated ones are done once and give one result.
        out: folder of run folders, which several machines may share.
        on: None for this machine; ``ray`` for a Ray cluster that is started here, ``ray://HOST:PORT`` for another.
        workers: processes; as many as processors (on GPUs: as GPUs) when None; 0 for none: one job after the other in
            this process.
        device: ``cpu``, ``cuda`` …; a GPU where there is one when None. On a GPU, trainings go in packs.
        root: folder with data files.
        told: called with how far it is, often.

    Raises:
        UserError: workers or a device that cannot be.

    >>> import tempfile
    >>> from unweave.engine import Experiment
    >>> from unweave.job import Scores, Training
    >>> from unweave.networks import MLP
    >>> e = Experiment("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
    >>> jobs = [Training.of(e, measures=(Scores(("mig",)),), count=50)]
    >>> [result.failed for result in perform(jobs, tempfile.mkdtemp(), workers=0)]
    ['']
    """
    if workers is not None and workers < 0:
        raise UserError(f"workers = {workers}; allowed: a whole number from 0")
    if on is not None and on != "ray" and not on.startswith("ray://"):
        raise UserError(f"on = {on!r}; allowed: ray, ray://HOST:PORT, or nothing for this machine")
    where = device or "cpu" if on else str(place(device))
    asked = {job.key: job for job in jobs}
    place_out, place_root = Path(out), Path(root) if root else None
    return _perform(asked, place_out, place_root, on, workers, where, told)


def _perform(
    asked: dict[str, Job],
    out: Path,
    root: Path | None,
    on: str | None,
    workers: int | None,
    device: str,
    told: Watcher,
) -> Iterator[Result]:
    progress = Progress(asked, told)
    todo: list[Job] = []
    for key, job in asked.items():
        kept: Result | None
        try:
            kept = job.kept(out)
        except UserError as error:
            kept = broken(job, error)
        if kept is None:
            todo.append(job)
        else:
            progress.finish(key, bool(kept.failed), read=True)
            yield kept
    if not todo:
        return
    if on:
        from unweave.sweep.ray import on_ray

        results = on_ray(units(todo, device), out, root, device, on, workers, progress)
    elif workers == 0:
        from unweave.sweep.local import here

        results = here(units(todo, device), out, root, device, progress)
    else:
        from unweave.sweep.local import crew, local

        hands = len(crew(device, workers, len(todo)))
        results = local(units(todo, device, hands), out, root, device, workers, progress)
    for result in results:
        progress.finish(result.key, bool(result.failed))
        yield result


class Progress:
    """What is done and how long the rest takes, from the share of the estimated work that was done so far."""

    def __init__(self, asked: dict[str, Job], told: Watcher, clock: Callable[[], float] = time.monotonic) -> None:
        self.asked, self.told, self.clock = asked, told, clock
        self.left = {key: job.cost.seconds for key, job in asked.items()}
        self.done = self.failed = 0
        self.worked = self.given = 0.0
        """Estimated seconds of what is finished, and of what was there already when a worker took it up."""
        self.began: float | None = None
        self.lines: dict[int, tuple[float, str, float]] = {}
        """Worker -> share, line, the estimated seconds of its unit."""

    def begin(self) -> None:
        """The first worker is ready: the clock for the pace starts here, since starting up says nothing about it."""
        self.began = self.began or self.clock()

    def at(self, worker: int, share: float, line: str, cost: float) -> None:
        """A worker is that far with what it does; its first word, after one step, says where it went on from."""
        if share > 0 and self.lines.get(worker, (0.0,))[0] == 0:
            self.given += share * cost
        self.lines[worker] = (share, line, cost)
        self.tell()

    def idle(self, worker: int) -> None:
        """A worker has nothing at hand."""
        self.lines.pop(worker, None)

    def finish(self, key: str, failed: bool, read: bool = False) -> None:
        """A job has its result."""
        self.done += 1
        self.failed += failed
        cost = self.left.pop(key, 0.0)
        self.worked += 0.0 if read else cost
        self.tell()

    def tell(self) -> None:
        """Tell where everything stands."""
        self.told(self.standing())

    def standing(self) -> Standing:
        """Where everything stands."""
        lines = tuple(f"{line}, {share:.0%}" if cost else line for _, (share, line, cost) in sorted(self.lines.items()))
        running = sum(share * cost for share, _, cost in self.lines.values())
        spent = self.clock() - self.began if self.began is not None else 0.0
        worked = self.worked + running - self.given
        left = None
        if worked > 0 and spent > 0:
            left = max(0.0, sum(self.left.values()) - running) * spent / worked
        return Standing(self.done, self.failed, len(self.asked), lines, left)

"""Do many jobs: those that are done are read back, the others go to workers, and results come as they are finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from unweave.engine.place import place
from unweave.engine.written import note_rewritten
from unweave.job import Job, Result, Training
from unweave.store import RunFolder
from unweave.sweep.units import Unit, broken, seconds, trained, units
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
    where = check_place(on, workers, device)
    asked = {job.key: job for job in jobs}
    place_out, place_root = Path(out), Path(root) if root else None
    trainings = [job for job in asked.values() if isinstance(job, Training)]
    note_rewritten((job.experiment, RunFolder(place_out / job.home)) for job in trainings)
    return _perform(asked, place_out, place_root, on, workers, where, told)


def check_place(on: str | None, workers: int | None, device: str | None) -> str:
    """The device that jobs are for. Raises UserError for workers, a cluster or a device that cannot be."""
    if workers is not None and workers < 0:
        raise UserError(f"workers = {workers}; allowed: a whole number from 0")
    if on is not None and on != "ray" and not on.startswith("ray://"):
        raise UserError(f"on = {on!r}; allowed: ray, ray://HOST:PORT, or nothing for this machine")
    return device or "cpu" if on else str(place(device))


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
            if trained(job, out):
                progress.spare(key)
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
        self.spared: set[str] = set()
        """Jobs that are trained already."""
        self.rest = sum(self.left.values())
        """Estimated seconds of what has no result yet."""
        self.done = self.failed = 0
        self.worked = self.given = 0.0
        """Estimated seconds of what was done, and of what was there already when a worker took it up."""
        self.began: float | None = None
        self.workers: dict[int, _Worker] = {}
        self.held: dict[str, str] = {}
        """Job -> who writes its folder."""

    def spare(self, key: str) -> None:
        """A job is trained already: measuring it takes next to nothing, and says nothing about the pace."""
        self.rest -= self.left[key]
        self.left[key] = 0.0
        self.spared.add(key)

    def cost(self, unit: Unit) -> float:
        """Estimated seconds of what is to be trained of a unit."""
        return seconds(tuple(job for job in unit if job.key not in self.spared))

    def begin(self) -> None:
        """The first worker is ready: the clock for the pace starts here, since starting up says nothing about it."""
        self.began = self.began or self.clock()

    def at(self, worker: int, share: float, line: str, cost: float) -> None:
        """A worker is that far with its unit; its first word, after one step, says where it went on from."""
        before = self.workers.get(worker, _Worker())
        given = share * cost if share > 0 and before.share == 0 else 0.0
        self.given += given
        self.workers[worker] = before._replace(share=share, line=line, cost=cost, given=before.given + given)
        self.tell()

    def ended(self, worker: int, key: str, failed: bool) -> None:
        """A job of a worker's unit has ended, and the unit goes on: its part is no longer counted as under way."""
        before = self.workers.get(worker)
        if before is None:
            return
        cost = self.left.get(key, 0.0)
        if failed and before.cost:
            # What was there of it is not counted as done, so it is not to be taken off either.
            back = before.given * min(1.0, cost / before.cost)
            self.given -= back
            before = before._replace(given=before.given - back)
        self.workers[worker] = before._replace(finished=before.finished + cost)

    def idle(self, worker: int) -> None:
        """A worker has nothing at hand."""
        self.workers.pop(worker, None)

    def hold(self, key: str, line: str) -> None:
        """A job waits for another process, which writes its folder."""
        self.held[key] = line
        self.tell()

    def release(self, key: str) -> None:
        """A job waits no more."""
        self.held.pop(key, None)

    def finish(self, key: str, failed: bool, read: bool = False) -> None:
        """A job has its result."""
        self.done += 1
        self.failed += failed
        cost = self.left.pop(key, 0.0)
        self.rest -= cost
        # A failure says little about the pace: most come at once.
        self.worked += 0.0 if read or failed else cost
        self.release(key)
        self.tell()

    def tell(self) -> None:
        """Tell where everything stands."""
        self.told(self.standing())

    def standing(self) -> Standing:
        """Where everything stands."""
        lines = [f"{w.line}, {w.share:.0%}" if w.cost else w.line for _, w in sorted(self.workers.items())]
        if self.held:
            many = f" (and {len(self.held) - 1:,} more)" if len(self.held) > 1 else ""
            lines.append(f"waiting: {next(iter(self.held.values()))}{many}")
        running = sum(max(0.0, w.share * w.cost - w.finished) for w in self.workers.values())
        spent = self.clock() - self.began if self.began is not None else 0.0
        worked = self.worked + running - self.given
        left = None
        if worked > 0 and spent > 0:
            left = max(0.0, self.rest - running) * spent / worked
        return Standing(self.done, self.failed, len(self.asked), tuple(lines), left)


class _Worker(NamedTuple):
    """What a worker is at."""

    share: float = 0.0
    """Of its unit."""
    line: str = ""
    cost: float = 0.0
    """The estimated seconds of its unit."""
    finished: float = 0.0
    """Of these, those of jobs that have ended."""
    given: float = 0.0
    """Of these, those that were there already."""

"""The jobs of a sweep on the machines of a Ray cluster; the only file that knows Ray."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unweave.data.base import Dataset, Images
from unweave.engine.experiment import NUMBERS
from unweave.job import Job, Result
from unweave.store import Held
from unweave.sweep.driver import Progress
from unweave.sweep.units import Lost, Unit, broken, work
from unweave.sweep.worker import SINGLE, one_thread
from unweave.types import UserError

TRIES = 5
"""How often Ray gives a unit to another worker when one is lost."""
AHEAD = 2
"""Units that are handed out for every processor: enough that none waits, few enough that Ray's books stay small."""
PATIENCE = 1.0
"""Seconds until a folder that another process writes is looked at again."""
LATENCY = 90.0
"""Seconds in which a folder that one machine has made is seen by another on shared storage: NFS keeps for up to 60 what
it found before."""


def on_ray(
    units: Sequence[Unit], out: Path, root: Path | None, device: str, on: str, workers: int | None, progress: Progress
) -> Iterator[Result]:
    """Units as Ray tasks of one processor (or one GPU) each; results as they come, from whatever machine.

    Ray gives the units of a machine that is lost to others, where they go on from their last checkpoints; so ``out``
    has to be one folder for all machines.

    Raises:
        UserError: Ray is not installed, the cluster does not answer, or ``out`` is not shared.
    """
    try:
        import ray
    except ImportError:
        raise UserError("a cluster needs Ray, which is not installed: pip install ray") from None
    began = not ray.is_initialized()
    if began:
        try:
            ray.init(address=None if on == "ray" else on, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(f"no Ray cluster answers at {on}: {' '.join(str(error).split())[:200]}") from None
    fleet = _Fleet(ray, units, out.resolve(), root and root.resolve(), device, workers, progress)
    try:
        yield from fleet.results()
    finally:
        for task in fleet.running:
            ray.cancel(task, force=True)
        if began:
            ray.shutdown()


def do(content: bytes, out: str, root: str | None, device: str, numbers: int) -> tuple[list[Result], str]:
    """What a task does, on some machine: the results of a unit, and which other process was at what is missing."""
    if numbers != NUMBERS:
        raise UserError(
            f"this machine has numbers of version {NUMBERS}, the driver {numbers}; install one unweave on all of them"
        )
    os.environ.update(SINGLE)
    unit: Unit = pickle.loads(content)
    found: list[Result] = []
    try:
        with one_thread():
            for result in work(unit, Path(out), Path(root) if root else None, device, _quiet, _OPENED):
                found.append(result)
    except Held as error:
        return found, str(error)
    except Lost:
        # Ray starts the task again, in another process, up to TRIES times.
        os._exit(1)
    return found, ""


_OPENED: dict[Dataset, Images] = {}
"""The data set that this worker process used last: the next unit most often wants the same."""


def _quiet(share: float, line: str) -> None:
    """Ray tells the driver when a unit is finished; on the way it is not asked."""


class _Fleet:
    """Tasks at work on a cluster that may grow and shrink meanwhile."""

    def __init__(
        self,
        ray: Any,
        units: Sequence[Unit],
        out: Path,
        root: Path | None,
        device: str,
        workers: int | None,
        progress: Progress,
    ) -> None:
        self.ray, self.out, self.workers, self.progress = ray, out, workers, progress
        self.waiting = deque(units)
        self.held: deque[tuple[float, Unit]] = deque()
        self.running: dict[Any, dict[str, Job]] = {}
        self.resource = "GPU" if device.startswith("cuda") else "CPU"
        needs = {"num_gpus": 1, "num_cpus": 1} if self.resource == "GPU" else {"num_cpus": 1}
        self.task = ray.remote(do).options(max_retries=TRIES, **needs)
        self.given = (str(out), str(root) if root else None, device.partition(":")[0], NUMBERS)
        self.shared = False

    def results(self) -> Iterator[Result]:
        """All results, as they come."""
        self.progress.begin()
        while self.waiting or self.held or self.running:
            now = time.monotonic()
            while self.held and self.held[0][0] <= now:
                self.waiting.append(self.held.popleft()[1])
            yield from self._hand_out()
            ended, _ = self.ray.wait(list(self.running), timeout=PATIENCE) if self.running else ([], [])
            if not ended and not self.running:
                time.sleep(PATIENCE)
            for task in ended:
                yield from self._collect(task)
            self._tell()

    def _hand_out(self) -> Iterator[Result]:
        room = self.workers or AHEAD * max(1, int(self.ray.cluster_resources().get(self.resource, 1)))
        while self.waiting and len(self.running) < room:
            unit = self.waiting.popleft()
            try:
                # Ray's own pickler also takes classes of the script that runs, which other machines do not have.
                content = self.ray.cloudpickle.dumps(unit)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                yield from (broken(job, f"cannot be sent to a worker: {error}") for job in unit)
                continue
            self.running[self.task.remote(content, *self.given)] = {job.key: job for job in unit}

    def _collect(self, task: Any) -> Iterator[Result]:
        left = self.running.pop(task)
        try:
            found, held = self.ray.get(task)
        except Exception as error:
            # What Ray raises is of the cause's class too, with the whole traceback of the worker as its text.
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, UserError):
                raise cause from None
            why = f"its worker was lost {TRIES + 1} times or failed: {' '.join(str(error).split())[:200]}"
            yield from (broken(job, why) for job in left.values())
            return
        for result in found:
            job = left.pop(result.key)
            if not result.failed and not self.shared:
                self._look(job)
            yield result
        if held and left:
            self.progress.hold(next(iter(left)), held)
            self.held.append((time.monotonic() + PATIENCE, tuple(left.values())))

    def _look(self, job: Job) -> None:
        """Whether what a worker has written is here too."""
        end = time.monotonic() + LATENCY
        while not (self.out / job.home).is_dir():
            if time.monotonic() > end:
                raise UserError(f"{self.out} is not one folder on all machines; name one on shared storage with --out")
            time.sleep(0.2)
        self.shared = True

    def _tell(self) -> None:
        machines = sum(bool(node.get("Alive")) for node in self.ray.nodes())
        line = f"{len(self.running):,} units on {machines} {'machine' if machines == 1 else 'machines'}"
        self.progress.at(0, 0.0, line, 0.0)

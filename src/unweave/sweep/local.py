"""The jobs of a sweep on this machine: in worker processes, or one after the other in this one."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from unweave.data.base import Dataset, Images
from unweave.job import Job, Result
from unweave.store import Held
from unweave.sweep.driver import Progress
from unweave.sweep.units import Unit, broken, work
from unweave.sweep.worker import one_thread, seldom, serve, single

TRIES = 3
"""How often a unit is given to a worker whose process then dies."""
WINDOWS = 61
"""Processes that Windows can wait for at a time."""
PATIENCE = 1.0
"""Seconds until a folder that another process writes is looked at again."""


def here(units: Sequence[Unit], out: Path, root: Path | None, device: str, progress: Progress) -> Iterator[Result]:
    """One unit after the other, in this process."""
    opened: dict[Dataset, Images] = {}
    waiting = deque(units)
    while waiting:
        unit = waiting.popleft()
        cost = progress.cost(unit)
        progress.begin()

        left = {job.key: job for job in unit}

        def tell(message: tuple[Any, ...], cost: float = cost, left: dict[str, Job] = left) -> None:
            progress.release(next(iter(left), ""))
            progress.at(0, message[1], message[2], cost)

        try:
            with one_thread():
                found = work(unit, out, root, device, seldom(tell), opened)
                for result in found:
                    del left[result.key]
                    progress.ended(0, result.key, bool(result.failed))
                    yield result
        except Held as error:
            waiting.append(tuple(left.values()))
            progress.hold(next(iter(left)), str(error))
            time.sleep(PATIENCE)
        progress.idle(0)


def local(
    units: Sequence[Unit], out: Path, root: Path | None, device: str, workers: int | None, progress: Progress
) -> Iterator[Result]:
    """Units in worker processes, as many at a time as there are workers."""
    crew = Crew(units, out, root, device, workers, progress)
    try:
        yield from crew.results()
    finally:
        crew.dismiss()


class Crew:
    """Worker processes and what each of them is at."""

    def __init__(
        self, units: Sequence[Unit], out: Path, root: Path | None, device: str, workers: int | None, progress: Progress
    ) -> None:
        self.waiting = deque(units)
        self.held: deque[tuple[float, Unit]] = deque()
        self.tries: dict[str, int] = {}
        self.given = (out, root)
        self.devices = crew(device, workers, len(units))
        self.progress = progress
        self.members: dict[Any, _Member] = {}
        self.stillborn = 0

    def results(self) -> Iterator[Result]:
        """All results, as they come."""
        for number in range(len(self.devices)):
            self._start(number)
        while self.waiting or self.held or any(one.unit for one in self.members.values()):
            now = time.monotonic()
            while self.held and self.held[0][0] <= now:
                self.waiting.append(self.held.popleft()[1])
            for one in self.members.values():
                while one.ready and not one.unit and self.waiting:
                    yield from self._give(one)
            for connection in wait(list(self.members), timeout=PATIENCE):
                yield from self._hear(connection)

    def dismiss(self) -> None:
        """Close the lines: workers that are idle end at once, others when they next tell how far they are."""
        for connection in self.members:
            connection.close()
        end = time.monotonic() + 5
        for one in self.members.values():
            one.process.join(max(0.0, end - time.monotonic()))
            if one.process.is_alive():
                one.process.kill()
                one.process.join()

    def _start(self, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, *self.given, self.devices[number]), daemon=True)
        with single():
            process.start()
        theirs.close()
        self.members[ours] = _Member(number, process)

    def _give(self, one: _Member) -> Iterator[Result]:
        unit = self.waiting.popleft()
        try:
            content = pickle.dumps(unit)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            yield from (broken(job, f"cannot be sent to a worker: {error}") for job in unit)
            return
        one.unit, one.cost, one.left = unit, self.progress.cost(unit), {job.key: job for job in unit}
        self.progress.at(one.number, 0.0, unit[0].title, one.cost)
        connection = next(line for line, member in self.members.items() if member is one)
        try:
            connection.send_bytes(content)
        except OSError:
            # It has died; that is noticed when its line is next looked at.
            return

    def _hear(self, connection: Any) -> Iterator[Result]:
        one = self.members[connection]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            yield from self._replace(connection)
            return
        if message[0] == "ready":
            one.ready = True
            self.stillborn = 0
            self.progress.begin()
        elif message[0] == "told":
            self.progress.release(next(iter(one.left), ""))
            self.progress.at(one.number, message[1], message[2], one.cost)
        elif message[0] == "result":
            result: Result = message[1]
            del one.left[result.key]
            self.progress.ended(one.number, result.key, bool(result.failed))
            yield result
        elif message[0] == "held":
            self.progress.hold(next(iter(one.left)), message[1])
            self.held.append((time.monotonic() + PATIENCE, tuple(one.left.values())))
            one.left = {}
        else:
            one.unit = ()
            self.progress.idle(one.number)

    def _replace(self, connection: Any) -> Iterator[Result]:
        """A worker has died: give what it was at to another, unless that has happened too often."""
        one = self.members.pop(connection)
        connection.close()
        one.process.join()
        self.progress.idle(one.number)
        code = one.process.exitcode or 0
        why = f"its worker ended {TRIES} times with {f'signal {-code}' if code < 0 else f'exit code {code}'}"
        if not one.ready:
            self.stillborn += 1
            why = (
                "no worker could be started; a script that sweeps needs its calls below `if __name__ == '__main__':`, "
                "and the reason stands above"
            )
        lost = tuple(one.left.values())
        if lost:
            key = lost[0].key
            self.tries[key] = self.tries.get(key, 0) + 1
            if self.tries[key] < TRIES:
                self.waiting.appendleft(lost)
            else:
                yield from (broken(job, why) for job in lost)
        if self.stillborn >= TRIES * len(self.devices):
            every = [unit for _, unit in self.held] + list(self.waiting)
            self.waiting.clear()
            self.held.clear()
            yield from (broken(job, why) for unit in every for job in unit)
        elif self.waiting or self.held:
            self._start(one.number)


class _Member:
    """One worker process."""

    def __init__(self, number: int, process: Any) -> None:
        self.number, self.process = number, process
        self.ready = False
        self.unit: Unit = ()
        self.cost = 0.0
        self.left: dict[str, Any] = {}


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def crew(device: str, workers: int | None, count: int) -> list[str]:
    """The device of each worker: GPUs in turn."""
    if device == "cuda":
        gpus = torch.cuda.device_count()
        return [f"cuda:{place % gpus}" for place in range(min(workers or gpus, count))]
    most = WINDOWS if os.name == "nt" else count
    return [device] * min(workers or (processors() if device == "cpu" else 1), count, most)

"""Following a training: the line of progress, how long is left, and a stop that loses nothing."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from torch import Tensor

from unweave.cli.console import Console, clock
from unweave.engine import Complete
from unweave.store import RunFolder

RECENT = 60.0
"""Seconds over which the pace is measured that the time left is told from."""


class Job(NamedTuple):
    """One model to train: its folder and where it stands there."""

    experiment: Complete
    folder: RunFolder
    state: str
    """``new``, ``stopped`` (with a checkpoint), ``done`` or ``failed``."""
    step: int


class Watch:
    """Follows a training: the line of progress, how long is left, and whether somebody asked to stop."""

    def __init__(self, console: Console, jobs: Sequence[Job]) -> None:
        self.console = console
        self.order = {job.experiment.key: place_ + 1 for place_, job in enumerate(jobs)}
        self.at = {job.experiment.key: job.step for job in jobs}
        self.left = {
            job.experiment.key: 0 if job.state in ("done", "failed") else job.experiment.steps - job.step
            for job in jobs
        }
        self.start = time.monotonic()
        self.taken = 0
        self.pace = 0.0
        """Seconds a step as expected before the first one: all there is to tell the time left from at the start."""
        self.marks: deque[tuple[float, int]] = deque()
        self.begun = self.asked = False
        self.keys: dict[int, tuple[Complete, str]] = {}
        self.said = False

    def __call__(self, experiments: tuple[Complete, ...], step: int, terms: Mapping[str, Tensor]) -> None:
        if not self.begun:
            self.begun, self.start = True, time.monotonic()
        for one in experiments:
            key = self.key(one)
            self.taken += max(0, step - self.at[key])
            self.at[key], self.left[key] = step, one.steps - step
        if not self.marks:
            # From here on: what opening the data and the first step took says nothing about the others.
            self.marks.append((self.start, self.taken))
        self.console.progress(lambda: self.line(experiments, step, terms))

    def expect(self, seconds: float) -> None:
        """Take notice of how long all of it should be."""
        self.pace = seconds / max(1, sum(self.left.values()))

    def line(self, experiments: tuple[Complete, ...], step: int, terms: Mapping[str, Tensor]) -> str:
        """Where the training is, in one line."""
        one = experiments[0]
        now = time.monotonic()
        while len(self.marks) > 1 and now - self.marks[1][0] > RECENT:
            self.marks.popleft()
        then, taken = self.marks[0]
        pace = (now - then) / (self.taken - taken) if self.taken > taken else self.pace
        left = f"{clock(pace * sum(self.left.values()))} left  " if pace else ""
        self.marks.append((now, self.taken))
        many, key = len(self.order), self.key(one)
        who = (
            "" if many == 1 else f"models {many}  " if len(experiments) > 1 else f"model {self.order[key]} of {many}  "
        )
        shown = "  ".join(f"{name} {_mean(terms[name])}" for name in ("total", "recon", "kl") if name in terms)
        return f"{who}step {step:,} of {one.steps:,}  {100 * step // one.steps} %  {left}{shown}"

    def look(self, experiments: Sequence[Complete], failures: Sequence[object]) -> None:
        """Take notice of members that have failed: nothing is left to do for them."""
        for one, failure in zip(experiments, failures, strict=True):
            if failure is not None:
                self.left[self.key(one)] = 0

    def key(self, one: Complete) -> str:
        """The key of an experiment, hashed once: that is far too much work for every step."""
        if id(one) not in self.keys:
            self.keys[id(one)] = (one, one.key)
        return self.keys[id(one)][1]

    def stop(self) -> bool:
        """Whether somebody asked to stop."""
        if self.asked and not self.said:
            # Said here and not by the signal handler, which may have come in the middle of another line.
            self.said = True
            self.console.say("stopping")
        return self.asked


@contextmanager
def signals(watch: Watch) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for a stop after the step at hand; the second time they end the process at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        if watch.asked:
            raise KeyboardInterrupt
        watch.asked = True

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, ask)
    except ValueError:  # not in the main thread, where no signals arrive
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _mean(values: Tensor) -> str:
    return f"{float(values.double().nanmean()):.4g}"

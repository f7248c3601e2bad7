"""A few steps to time, taken by every worker at once: what they cost each other is part of what a step takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar

from unweave.analysis.cost import Cost
from unweave.engine import Complete, vary
from unweave.engine.cpu import keep_memory
from unweave.engine.place import home, place
from unweave.engine.plan import plan
from unweave.engine.step import Alone
from unweave.job import Job, Result, Told, once, quiet
from unweave.job.base import Values
from unweave.sweep import perform
from unweave.sweep.local import crew, processors

SECONDS = 4.0
"""How long a trial lasts: workers do not begin at the very same moment."""
FEW = 4
"""Steps that it has at least; the first half is not counted."""


@dataclass(frozen=True)
class Trial(Job):
    """Seconds that a step takes while other workers are at theirs.

    Args:
        experiment: whose steps.
        number: of the worker.
        seconds: how long to try.
    """

    name: ClassVar[str] = "trial"

    experiment: Complete
    number: int = 0
    seconds: float = SECONDS

    @property
    def title(self) -> str:
        """What it is."""
        return "timing a few steps"

    @property
    def cost(self) -> Cost:
        """As long as it lasts."""
        return Cost(self.seconds)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Take the steps with a model that is thrown away."""
        return once(self, out, lambda folder: (self._timed(root, device), {}))

    def _timed(self, root: Path | None, device: str | None) -> Values:
        where = place(device)
        keep_memory()
        learner = Alone(self.experiment, self.experiment.data.open(root, home(where)), where)
        end = time.perf_counter() + self.seconds
        found: list[float] = []
        while time.perf_counter() < end or len(found) < FEW:
            begin = time.perf_counter()
            learner.step(len(found))
            found.append(time.perf_counter() - begin)
        return {"seconds": median(found[len(found) // 2 :])}


def pace(
    experiment: Complete,
    out: Path,
    *,
    workers: int | None = None,
    device: str | None = None,
    root: Path | None = None,
    models: int = 1,
) -> tuple[float, int]:
    """Seconds a step, and how many models train at the same time.

    On a GPU all ``models`` train in lockstep, so theirs is one step.

    Raises:
        UserError: a device that is not here, or what the experiment refuses.
    """
    where = str(place(device))
    if where.startswith("cuda"):
        some = [vary(experiment, seed=experiment.seed + place_) for place_ in range(models)]
        group = plan(some, device=where, root=root).groups[0]
        return group.cost.seconds, len(group.experiments)
    at_once = len(crew(where, workers, processors())) if workers != 0 else 1
    trials = [Trial(experiment, number) for number in range(at_once)]
    found = [one for one in perform(trials, out, workers=workers, device=where, root=root) if not one.failed]
    # Where no worker could be started, the training will say so.
    return max((one.values["seconds"] for one in found), default=1.0), at_once

"""Jobs and measures small enough for tests."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from engine.tiny import tiny
from unweave.job import Arrays, Cost, Job, Measure, Result, Told, Training, Values, once, quiet
from unweave.run import Run
from unweave.sweep.units import Lost
from unweave.sweep.worker import serve
from unweave.types import Codes, UserError


@dataclass(frozen=True)
class Spread(Measure):
    """The mean variance of the codes, times a factor; and the means themselves."""

    times: float = 1.0

    @property
    def label(self) -> str:
        return f"spread {self.times:g}"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        made = {f"spread{self.times:g}": self.times * float(codes.mean.var(0).mean())}
        return made, {f"codes{self.times:g}": codes.mean.double().numpy()}


@dataclass(frozen=True)
class Area(Job):
    """No training: the square of a number, noted in a file whenever it is really worked out."""

    side: float
    refuse: str = ""

    name: ClassVar[str] = "area"

    @property
    def title(self) -> str:
        return f"square of {self.side:g}"

    @property
    def cost(self) -> Cost:
        return Cost(0.01)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        def work(folder: Any) -> tuple[Values, Arrays]:
            with (out / "worked").open("a") as file:
                file.write(f"{self.side:g}\n")
            if self.refuse == "UserError":
                raise UserError("no such square; allowed: others")
            if self.refuse:
                raise ZeroDivisionError("by nothing\nat all")
            told(0.5, "squaring")
            return {"area": self.side**2, "nothing": float("nan")}, {"ramp": np.arange(3) * self.side}

        return once(self, out, work)


def worked(out: Path) -> list[str]:
    """What was really worked out, in order."""
    note = out / "worked"
    return note.read_text().splitlines() if note.exists() else []


def training(at: tuple[int, ...] = (), measures: tuple[Measure, ...] = (Spread(),), **settings: Any) -> Training:
    return Training.of(tiny(**settings), measures=measures, at=at, count=20)


def serve_on_paper(connection: Any, out: Path, root: Path | None, device: str) -> None:
    """A worker of a machine with GPUs that are not there: it notes its own and works on the CPU."""
    with (out / "devices").open("a") as file:
        file.write(f"{device}\n")
    serve(connection, out, root, "cpu")


@dataclass(frozen=True)
class Deadly(Job):
    """Kills its process the first ``times`` times, then gives the number of its process."""

    times: int

    name: ClassVar[str] = "deadly"

    @property
    def title(self) -> str:
        return f"deadly {self.times}"

    @property
    def cost(self) -> Cost:
        return Cost(0.01)

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        def work(folder: Any) -> tuple[Values, Arrays]:
            note = folder.path / "deaths"
            deaths = len(note.read_text()) if note.exists() else 0
            if deaths < self.times:
                note.write_text("x" * (deaths + 1))
                self.die()
            return {"process": os.getpid(), "deaths": deaths}, {}

        return once(self, out, work)


@dataclass(frozen=True)
class Gone(Deadly):
    """Finds the first ``times`` times that the card answers its process no more."""

    name: ClassVar[str] = "gone"

    def die(self) -> None:
        raise Lost("the card no longer answers")

"""What a job is: one unit of work that is never done twice, and what it leaves."""

from __future__ import annotations

import hashlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from unweave.analysis.cost import Cost
from unweave.engine import Complete
from unweave.engine.experiment import NUMBERS
from unweave.engine.plain import settled
from unweave.metrics import Metric
from unweave.run import Run
from unweave.store import RunFolder, machine, now
from unweave.store.environment import commit
from unweave.types import Codes, UserError

Told = Callable[[float, str], object]
"""Who is told how far a job is: the share that is done, 0 to 1, and what it is at."""
Values = Mapping[str, float]
Arrays = Mapping[str, np.ndarray]


class Result(NamedTuple):
    """What one job gave."""

    key: str
    """The job's."""
    values: Values
    """Named numbers: ``mig``, ``dci-fast.completeness`` …; NaN for one that could not be told."""
    arrays: Arrays
    """What figures need: traversals, matrices, curves."""
    failed: str = ""
    """Empty when whole, else one line."""
    seconds: float = 0.0
    """Of the process that finished it, and of whatever was measured before."""
    about: Mapping[str, str | int] = {}
    """Where the numbers were made: version of the numbers, machine, commit, threads, device."""


def quiet(share: float, line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Measure(ABC):
    """Something measured on a trained model: the same model, settings and images give the same numbers."""

    @property
    @abstractmethod
    def label(self) -> str:
        """A few words for people, and for messages."""

    def check(self, experiment: Complete) -> None:
        """Raises UserError for what cannot be measured on this training, as far as it shows before anything starts."""
        return

    @abstractmethod
    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        """Named numbers and named arrays of a run, whose data set is encoded in ``codes``."""


@dataclass(frozen=True)
class Job(ABC):
    """A frozen description of one unit of work, and the verb that does it.

    Doing it is resumable and leaves files that are whole; a finished one is read back. Subclasses of other kinds than
    ``Training`` write their ``run`` with ``once``.
    """

    name: ClassVar[str]
    """The kind of work, part of the key."""

    @cached_property
    def key(self) -> str:
        """A short hash of everything asked for and of the version of the numbers."""
        return digest({"job": self.name, **{one.name: getattr(self, one.name) for one in fields(self)}})

    @property
    def home(self) -> str:
        """The name of its folder; that of the run for jobs that train one."""
        return self.key

    @property
    @abstractmethod
    def title(self) -> str:
        """A line for people."""

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """What it takes, roughly."""

    @abstractmethod
    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Do it, or read back what was done.

        Args:
            out: folder of folders: it keeps everything in ``out/home``.
            root: folder with data files.
            device: ``cpu``, ``cuda`` …; a GPU where there is one when None.
            told: called as it goes on.

        Raises:
            Held: another process is at it.
            UserError: it cannot be done.
        """

    def kept(self, out: Path) -> Result | None:
        """The result if it is there already. Raises StoreError when it is damaged."""
        folder = RunFolder(out / self.home)
        row = self._row(folder)
        return None if row is None else _result(folder, row)

    def done(self, out: Path) -> bool:
        """Whether there is a result already, without reading its arrays. Raises StoreError when its row is damaged."""
        return self._row(RunFolder(out / self.home)) is not None

    def _row(self, folder: RunFolder) -> dict[str, Any] | None:
        return next((one for one in reversed(folder.rows()) if one.get("job") == self.key), None)


def once(job: Job, out: Path, work: Callable[[RunFolder], tuple[Values, Arrays]]) -> Result:
    """Do a job's work in its locked folder and keep what it gave, or read back what was kept.

    ``work`` may keep what it needs to go on after a kill in the folder it is given.

    >>> import tempfile
    >>> @dataclass(frozen=True)
    ... class Square(Job):
    ...     name = "square"
    ...     side: float
    ...     title = property(lambda self: f"square of {self.side}")
    ...     cost = property(lambda self: Cost(0.0))
    ...     def run(self, out, *, root=None, device=None, told=quiet):
    ...         return once(self, out, lambda folder: ({"area": self.side**2}, {}))
    >>> folder = Path(tempfile.mkdtemp())
    >>> Square(3.0).run(folder).values, Square(3.0).kept(folder).values, Square(4.0).kept(folder)
    ({'area': 9.0}, {'area': 9.0}, None)
    """
    kept = job.kept(out)
    if kept is not None:
        return kept
    folder = RunFolder(out / job.home)
    with folder.lock():
        kept = job.kept(out)
        if kept is not None:
            return kept
        began = time.perf_counter()
        values, arrays = work(folder)
        return keep(job, folder, values, [], arrays, "", time.perf_counter() - began)


def keep(
    job: Job, folder: RunFolder, values: Values, files: Sequence[str], arrays: Arrays, failed: str, seconds: float
) -> Result:
    """Keep a result: its arrays first, then the row that says it is whole."""
    row: dict[str, Any] = {"job": job.key, "kind": job.name, "title": job.title, "values": numbers(values)}
    row |= {"failed": failed, "seconds": round(seconds, 3), "about": about(job), "at": now(), "arrays": list(files)}
    if arrays:
        name = f"result-{job.key}"
        folder.write_arrays(name, arrays)
        row["arrays"] = [*files, name]
    folder.append(row)
    return _result(folder, row)


def _result(folder: RunFolder, row: Mapping[str, Any]) -> Result:
    try:
        arrays: dict[str, np.ndarray] = {}
        for name in row["arrays"]:
            arrays |= folder.read_arrays(name)
        values = {str(n): float("nan") if v is None else float(v) for n, v in row["values"].items()}
        return Result(
            str(row["job"]), values, arrays, str(row["failed"]), float(row["seconds"]), dict(row.get("about", {}))
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder.rows_path}: a damaged result ({type(error).__name__}: {error})") from None


def about(job: Job) -> dict[str, str | int]:
    """Where a number is made, and in which precision where the job trains."""
    experiment = getattr(job, "experiment", None)
    return {
        **({} if experiment is None else {"precision": experiment.precision}),
        "numbers": NUMBERS,
        "machine": machine(),
        "commit": commit(),
        "threads": torch.get_num_threads(),
    }


def numbers(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Values as JSON knows them: what is not finite becomes null."""
    return {str(name): float(v) if math.isfinite(v) else None for name, v in values.items()}


def digest(values: Any) -> str:
    """Sixteen letters that stand for a description and for the version of the numbers."""
    text = json.dumps([NUMBERS, described(values)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def described(value: Any) -> Any:
    """A description as plain JSON values, every dataclass with its name; ``n_jobs`` never changes a number.

    Raises:
        UserError: anything that no description can hold.

    >>> described(("mig", {"at": (1, 2)}))
    ['mig', {'at': [1, 2]}]
    """
    if isinstance(value, Complete):
        return value.key
    if is_dataclass(value) and not isinstance(value, type):
        whole = settled(value) if isinstance(value, Metric) else value
        name = getattr(value, "name", type(value).__name__)
        return {"is": name} | {
            one.name: described(getattr(whole, one.name)) for one in fields(whole) if one.name != "n_jobs"
        }
    if isinstance(value, Mapping):
        return {str(name): described(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [described(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise UserError(f"{value!r} cannot be part of a job; allowed: numbers, texts, tuples, dataclasses")

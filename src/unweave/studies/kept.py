"""What lies on the disk of a study: results in a folder of runs, its CSV, and how far it has come."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from unweave.job import Job, Result, Training
from unweave.studies.base import SCALES, Entry, Labels, Row, Study
from unweave.types import UserError

ABOUT = ("numbers", "precision", "machine", "commit", "threads")
FIXED = ("study", "scale", "key", "seconds", "failed", "steps", "batch", *ABOUT, "command")
"""Columns of a study's CSV that are neither labels nor values."""


class Standing(NamedTuple):
    """How far a study has come."""

    scale: str
    """The scale; empty when it was never run."""
    done: int
    """Its jobs that have one."""
    total: int
    """Its jobs."""
    results: tuple[Row, ...] = ()
    damaged: tuple[str, ...] = ()
    """CSVs that cannot be read."""

    @property
    def words(self) -> str:
        """Such as ``small`` or ``small, 5 of 14 jobs``."""
        told = self.scale or "never run"
        told += f", {self.done} of {self.total} jobs" if self.done < self.total else ""
        return "; ".join([told, *(f"{name} is damaged" for name in self.damaged)])


def kept(entries: Iterable[Entry], out: Path) -> list[Row]:
    """Results of those jobs that have been done, in the order of the study; without those that are damaged."""
    found: dict[str, Result | None] = {}
    for _, job in entries:
        if job.key not in found:
            found[job.key] = None
            with suppress(UserError):
                found[job.key] = job.kept(out) if (out / job.home).is_dir() else None
    return [(labels, result) for labels, job in entries if (result := found[job.key]) is not None]


def standing(
    study: Study, out: Path, results: Iterable[Path] = (), entries: Mapping[str, Sequence[Entry]] | None = None
) -> Standing:
    """The scale at which a study has results: in a folder of runs, or in a CSV that was kept of it.

    The largest one that is complete; where none is, the one of which the largest share is done.

    Args:
        study: the study.
        out: folder of run folders.
        results: folders of CSVs.
        entries: scale -> the jobs of the study, where they are at hand.
    """
    best = Standing("", 0, 0)
    damaged: list[str] = []
    for scale in SCALES:
        jobs = study.jobs(scale) if entries is None else entries[scale]
        rows = kept(jobs, out) if out.is_dir() else []
        for file in [folder / f"{study.name}-{scale}.csv" for folder in results]:
            try:
                stored = read(file) if file.is_file() else []
            except UserError:
                damaged.append(file.name)
                continue
            # What was kept by an older version of the numbers has other keys and still is a result.
            rows = stored if len(stored) > len(rows) else rows
        if not rows:
            continue
        total = len({job.key for _, job in jobs})
        done = min(len({result.key for _, result in rows}), total)
        if done and (done == total or done * max(best.total, 1) > best.done * total):
            best = Standing(scale, done, total, tuple(rows))
    return best._replace(damaged=tuple(damaged))


def table_csv(study: Study, scale: str, results: Sequence[Row], entries: Sequence[Entry], command: str) -> str:
    """One line a job: its labels, every value, steps, batch, key, machine, commit and the command.

    >>> from unweave.studies import STUDIES
    >>> table_csv(STUDIES["devae-table1"](), "smoke", [], [], "").splitlines()[0].split(",")[:4]
    ['study', 'scale', 'key', 'seconds']
    """
    labels = list(dict.fromkeys(name for own, _ in results for name in own))
    values = list(dict.fromkeys(name for _, result in results for name in result.values))
    jobs = {job.key: job for _, job in entries}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = [f"label.{name}" for name in labels]
    writer.writerow([*FIXED[:5], *head, *values, *FIXED[5:]])
    for own, result in results:
        training = experiment_of(jobs.get(result.key))
        about = [result.about.get(name, "") for name in ABOUT]
        writer.writerow(
            [
                *(study.name, scale, result.key, f"{result.seconds:.1f}", result.failed),
                *(own.get(name, "") for name in labels),
                *(f"{result.values[name]:.6g}" if name in result.values else "" for name in values),
                *training,
                *about,
                command,
            ]
        )
    return out.getvalue()


def experiment_of(job: Job | None) -> tuple[Any, Any]:
    """Steps and batch of a training; of other jobs whatever they call so."""
    one: Any = job.experiment if isinstance(job, Training) else job
    return getattr(one, "steps", ""), getattr(one, "batch", "")


def read(path: Path) -> list[Row]:
    """The rows of a CSV that ``table_csv`` wrote; arrays are not in it.

    Raises:
        UserError: another file, or a damaged one.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        return [_row(line) for line in rows]
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise UserError(f"{path} is no CSV of a study ({type(error).__name__}: {error})") from None


def _row(line: dict[str, str]) -> Row:
    labels: Labels = {
        name.removeprefix("label."): _label(value)
        for name, value in line.items()
        if name.startswith("label.") and value != ""
    }
    values = {
        name: float(value)
        for name, value in line.items()
        if name not in FIXED and not name.startswith("label.") and value != ""
    }
    about = {name: line[name] for name in ABOUT if line.get(name)}
    return labels, Result(line["key"], values, {}, line["failed"], float(line["seconds"]), about)


def _label(value: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value

"""``unweave sweep``: every experiment of a grid, on this machine or on many."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console, clock, one_line
from unweave.cli.options import parse
from unweave.job import Job, Result, Training
from unweave.report.text import table
from unweave.results import logger
from unweave.sweep import Plan, Standing, perform, plan, read
from unweave.sweep.driver import check_place
from unweave.types import UserError

SHOWN = 10
"""Failures that are named one by one."""


@dataclass(frozen=True)
class Options:
    """Train and measure every experiment of a grid; what is done already is never done again.

    The file is TOML: [experiment] holds what all have in common, [product] lists of values that are combined, [zip]
    lists that go in step, [[chain]] several such grids one after the other, [measure] what is measured
    (docs/sweeps.md). Interrupted or killed, the same command goes on.

    Args:
        file: the grid, such as grid.toml.
        on: ray://HOST:PORT for a Ray cluster, ray for the one of this machine; this machine's processors when None.
        dry: show the plan and stop.
        workers: processes; one a processor (on GPUs: one a GPU) when None, 0 for none besides this one.
        device: cpu, cuda …; a GPU where there is one when None.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        out: folder for run folders; for a cluster on storage that all machines share.
        log: tensorboard or wandb: also write what was recorded of each run for these, when it is finished.
        json: print one JSON document at the end, and nothing else.
    """

    file: Annotated[Path, tyro.conf.Positional]
    on: str | None = None
    dry: bool = False
    workers: int | None = None
    device: str | None = None
    data_root: Path | None = None
    out: Path = Path("runs")
    log: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Read the grid, show the plan, do it."""
    if not argv:
        raise UserError("no file given; allowed: unweave sweep FILE.toml (docs/sweeps.md shows one)")
    options = parse(Options, argv, "sweep")
    console = Console(options.json)
    log = logger(options.log)
    with console.busy("reading the grid"):
        jobs = read(options.file).jobs()
    return carry_out(jobs, options, console, shlex.join(["unweave", "sweep", *argv]), log)


def carry_out(
    jobs: Sequence[Job],
    options: Any,
    console: Console,
    again: str,
    log: Callable[[Path], object] = lambda path: None,
) -> int:
    """Show the plan of some jobs and, unless ``options.dry``, do them.

    Args:
        jobs: what to do.
        options: with the fields ``out``, ``on``, ``dry``, ``workers``, ``device`` and ``data_root``.
        console: who is told.
        again: the command that goes on after an interruption.
        log: called with the folder of every job that has trained and not failed.
    """
    check_place(options.on, options.workers, options.device)
    with console.busy("planning"):
        found = plan(jobs, options.out, device="cpu" if options.on else options.device, workers=options.workers)
    console.say(told(found, options.out, options.on))
    if options.dry:
        console.result({"plan": summary(found, options.on)})
        return 0
    if found.disk > found.free:
        raise UserError(
            f"{options.out} has {size(found.free)} free and about {size(found.disk)} are needed; allowed: another --out"
        )
    results, named = [], {job.key: job for job in jobs}
    for one in shown(jobs, options, console, again):
        results.append(one._replace(arrays={}))
        if not one.failed and isinstance(named[one.key], Training):
            _logged(log, options.out / named[one.key].home)
    failed = [one for one in results if one.failed]
    titles = {job.key: job.title for job in jobs}
    for one in failed[:SHOWN]:
        console.say(f"  failed  {titles[one.key]}: {one.failed}")
    if len(failed) > SHOWN:
        console.say(f"  failed  and {len(failed) - SHOWN:,} more")
    console.say(f"{len(results) - len(failed):,} of {found.jobs:,} done, {len(failed):,} failed")
    console.say(f"next: unweave results --out {shlex.quote(str(options.out))}")
    homes = {job.key: str(options.out / job.home) for job in jobs}
    rows = [
        {"key": one.key, "folder": homes[one.key], "failed": one.failed, "seconds": one.seconds, "values": one.values}
        for one in results
    ]
    console.result({"plan": summary(found, options.on), "results": rows})
    return 1 if failed else 0


def _logged(log: Callable[[Path], object], folder: Path) -> None:
    """Log a run; whatever goes wrong there costs this run's record elsewhere, and not the sweep."""
    try:
        log(folder)
    except Exception as error:
        print(one_line(f"unweave sweep: note: {folder} was not logged: {error}"), file=sys.stderr)


def shown(jobs: Iterable[Job], options: Any, console: Console, again: str) -> Iterator[Result]:
    """Results as they come, with a line of progress; an interruption says how to go on."""

    def look(standing: Standing) -> None:
        console.progress(lambda: line(standing))

    with going_on(console, again):
        yield from perform(
            jobs,
            options.out,
            on=options.on,
            workers=options.workers,
            device=options.device,
            root=options.data_root,
            told=look,
        )
    console.clear()


@contextmanager
def going_on(console: Console, again: str) -> Iterator[None]:
    """Says how to go on when somebody interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        console.say(f"stopped; everything is kept. To go on: {again}")
        raise


def line(standing: Standing) -> str:
    """How far it is, in one line.

    >>> line(Standing(3, 1, 8, ("vae on triangle, seed 3, 50%",), 61.0))
    '3 of 8 done  1 failed  1:01 left  vae on triangle, seed 3, 50%'
    """
    failed = f"  {standing.failed:,} failed" if standing.failed else ""
    left = f"  {clock(standing.left)} left" if standing.left is not None else ""
    what = "".join(f"  {one}" for one in standing.lines)
    return f"{standing.done:,} of {standing.total:,} done{failed}{left}{what}"


def told(found: Plan, out: Path, on: str | None) -> str:
    """The plan for people."""
    rows = [
        {"what": g.what, "jobs": f"{g.jobs:,}", "steps": f"{g.steps:,}", "one thread": clock(g.seconds)}
        for g in found.groups
    ]
    each = f", up to {found.largest} jobs each" if found.largest > 1 else ""
    kept = f", {found.kept:,} of them done already" if found.kept else ""
    # The estimate is of one thread; what a card takes shows once it is at work.
    long = f", about {clock(found.wall)}" if found.device == "cpu" else ""
    where = f"on {on}" if on else f"{found.workers} at a time on {found.device}{long}"
    lines = [
        f"sweep: {found.jobs:,} {'job' if found.jobs == 1 else 'jobs'}{kept}",
        *([table(rows)] if rows else []),
        f"  units   {found.units:,}{each}, {where}, measuring not counted",
        f"  disk    about {size(found.disk)} in {out}, {size(found.free)} free",
    ]
    return "\n".join(lines)


def summary(found: Plan, on: str | None) -> dict[str, Any]:
    """The plan for programs."""
    values = found._asdict() | {"groups": [group._asdict() for group in found.groups]}
    return values | {"wall_seconds": found.wall if found.device == "cpu" and not on else None}


def size(count: int) -> str:
    """Bytes for people.

    >>> size(1500), size(3_200_000_000)
    ('1.5 kB', '3.2 GB')
    """
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"

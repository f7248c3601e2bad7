"""``unweave study``: run a paper's table or figure, and put it beside what was printed."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from unweave.cli.console import Console, clock, one_line
from unweave.cli.options import parse
from unweave.names import known
from unweave.report.study import Told, links, rounded, study_page
from unweave.report.text import table as text_table
from unweave.store import StoreError, write_text
from unweave.store.files import read_text
from unweave.studies import SCALES, STUDIES, Study, Table
from unweave.studies.base import Entry, Row
from unweave.studies.kept import kept, read, table_csv
from unweave.sweep import Standing, perform
from unweave.sweep.driver import check_place
from unweave.sweep.local import processors
from unweave.types import UserError

OFTEN = 120.0
"""Seconds between two writings of a study's page while its jobs are run."""


@dataclass(frozen=True)
class Options:
    """Run a study, or what is missing of it, and write its CSV and its page.

    Args:
        name: of the study (see unweave list studies).
        scale: smoke (seconds), small (planned for an hour of two cores) or paper (as published).
        full: the whole published grid, of studies whose paper scale is a part of it.
        dry: say what would be run, and stop.
        on: ray or ray://HOST:PORT for a cluster; this machine when None.
        workers: processes; as many as processors when None, 0 for none.
        out: folder of run folders, shared by all studies.
        results: folder of the CSV and the page; studies in the folder of runs when None.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda …; a GPU where there is one when None.
        json: print one JSON document, and nothing else.
    """

    name: Annotated[str, tyro.conf.Positional] = ""
    scale: str = "smoke"
    full: bool = False
    dry: bool = False
    on: str | None = None
    workers: int | None = None
    out: Path = Path("runs")
    results: Path | None = None
    data_root: Path | None = None
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Run the study."""
    options = parse(Options, argv, "study")
    if not options.name:
        raise UserError(f"no study named; allowed: {', '.join(STUDIES)}")
    kind = STUDIES[known(options.name, STUDIES, "study")]
    known(options.scale, SCALES, "scale")
    check_place(options.on, options.workers, options.device)
    study = _whole(kind, options) if options.full else kind(root=options.data_root)
    target = options.results or options.out / "studies"
    if target.exists() and not (target.is_dir() and os.access(target, os.W_OK)):
        raise UserError(f"cannot write in {target}; allowed: a folder that can be written")
    console = Console(options.json)
    entries = study.jobs(options.scale)
    jobs = {job.key: job for _, job in entries}
    there = {result.key for _, result in kept(entries, options.out)}
    count, cost = study.cost(entries)
    console.say(f"{study.name}: {study.title} ({study.where})")
    console.say(f"{options.scale}: {study.told(options.scale)}")
    for name in dict.fromkeys(str(labels["data"]) for labels, _ in entries if "data" in labels):
        console.say(f"{name}: {pixels(study, name)}")
    cores = 1 if options.workers == 0 else options.workers or processors()
    console.say(
        f"{count} jobs, {len(there)} of them done before; all of them about {clock(cost.seconds / cores)} on {cores} "
        f"workers, {cost.disk / 1e6:.0f} MB"
    )
    if options.dry:
        plan = [
            {**labels, "title": job.title, "key": job.key, "seconds": round(job.cost.seconds), "done": job.key in there}
            for labels, job in entries
        ]
        console.say(text_table([{k: v for k, v in row.items() if k != "key"} for row in plan]))
        console.result({"study": study.name, "scale": options.scale, "jobs": plan, "seconds": cost.seconds})
        return 0

    written, new = time.monotonic(), False

    def part() -> int:
        """Write what there is so far, unless that would take the place of more; how many results were written."""
        try:
            some = kept(entries, options.out)
            if len(some) <= _rows(files.sheet):
                return 0
            _write(study, options, entries, some, command, files)
        except Exception as error:  # whatever a part of the results does to a figure or a disk: the jobs go on
            print(one_line(f"unweave study: note: no page of what there is so far ({error})"), file=sys.stderr)
            return 0
        return len(some)

    def on_the_way() -> None:
        nonlocal written, new
        if new and time.monotonic() - written > OFTEN:
            written, new = time.monotonic(), False
            part()

    def told(standing: Standing) -> None:
        on_the_way()
        left = "" if standing.left is None else f", {clock(standing.left)} left"
        at = standing.lines[0] if standing.lines else ""
        console.progress(lambda: f"{standing.done} of {standing.total} jobs{left}  {at}")

    command, files = shlex.join(["unweave", "study", *argv]), Files.of(target, study, options.scale)
    _reading(files)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {target} ({error.strerror}); allowed: one that can be made") from None
    broken: dict[str, str] = {}
    missing = [job for key, job in jobs.items() if key not in there]
    try:
        for result in perform(
            missing,
            options.out,
            on=options.on,
            workers=options.workers,
            device=options.device,
            root=options.data_root,
            told=told,
        ):
            if result.failed:
                broken[result.key] = result.failed
            new = True
            on_the_way()
    except KeyboardInterrupt:
        if some := part():
            console.say(f"wrote {files.sheet} and {files.page}: {some} of {len(entries)} results")
        console.say(f"to go on: {command}")
        raise
    results = kept(entries, options.out)
    _write(study, options, entries, results, command, files)
    # What failed when it was done before is a failure still.
    broken |= {result.key: result.failed for _, result in results if result.failed}
    failed = [(jobs[key].title, why) for key, why in broken.items()]
    for title, why in failed:
        console.say(f"{title}: {why}")
    found = study.table(results)
    if found.columns:
        console.say(text_table(lines(found)))
    console.say(summary(study, found))
    console.say(f"wrote {files.sheet} and {files.page}")
    console.result(
        {
            "study": study.name,
            "scale": options.scale,
            "jobs": count,
            "failed": [{"title": title, "why": why} for title, why in failed],
            "table": lines(found),
            "compared": len(found.compared),
            "within two standard errors": found.agreeing,
            "csv": str(files.sheet),
            "page": str(files.page),
        }
    )
    return 1 if failed else 0


class Files(NamedTuple):
    """Where a study is written to, and what a person has said of it."""

    sheet: Path
    page: Path
    notes: Path

    @classmethod
    def of(cls, target: Path, study: Study, scale: str) -> Files:
        """Those in a folder."""
        return cls(*(target / f"{study.name}-{scale}.{ending}" for ending in ("csv", "html", "md")))


def _write(
    study: Study, options: Options, entries: Sequence[Entry], results: Sequence[Row], command: str, files: Files
) -> None:
    """The CSV and the page of these results."""
    reading = _reading(files)
    homes = {job.key: job.home for _, job in entries}
    found = links(results, homes, options.out.resolve(), files.page.resolve())
    write_text(files.sheet, table_csv(study, options.scale, results, entries, command))
    write_text(files.page, study_page(Told(study, options.scale, results, len(homes), command, reading, found)))


def _reading(files: Files) -> str:
    """What a person has said of it; nothing where there is no such file. Raises UserError where it is no text."""
    try:
        return read_text(files.notes) if files.notes.is_file() else ""
    except StoreError as error:
        raise UserError(f"{error}; allowed: Markdown in UTF-8") from None


def _rows(sheet: Path) -> int:
    """Results in a CSV; 0 where there is none, or none of ours."""
    try:
        return len(read(sheet)) if sheet.is_file() else 0
    except UserError:
        return 0


def _whole(kind: type[Study], options: Options) -> Study:
    """A study with its whole published grid. Raises UserError where there is none, or at another scale."""
    able = [name for name, one in STUDIES.items() if "full" in {each.name for each in fields(one)}]
    if kind.name not in able or options.scale != "paper":
        raise UserError(f"--full with {kind.name} at scale {options.scale}; allowed: {', '.join(able)} at scale paper")
    return kind(root=options.data_root, full=True)  # type: ignore[call-arg]


def lines(found: Table) -> list[dict[str, Any]]:
    """The table for a terminal: a line a row, in each cell ours, what was printed and how far apart."""
    return [
        {"data": data, "row": row}
        | {
            column.name: _cell(found, data, row, column.name)
            for column in found.columns
            if any((name, other, column.name) in found.cells for name, other in found.lines)
        }
        for data, row in found.lines
    ]


def summary(study: Study, found: Table) -> str:
    """What there is to say in a line."""
    if not found.printed:
        return "no number is printed to compare with"
    orders = found.orderings(study.repeats)
    holds = f"; {sum(one.holds for one in orders)} of {len(orders)} orders of print hold" if orders else ""
    if not found.compared:
        return f"none of the numbers that are printed ({found.printed}) can be compared{holds}"
    return f"{found.agreeing} of {len(found.compared)} compared cells lie within two standard errors{holds}"


def pixels(study: Study, name: str) -> str:
    """Where a study's pixels come from; studies without images say so."""
    try:
        return study.pixels(name)
    except UserError:
        return "no images"


def _cell(found: Table, data: str, row: str, column: str) -> str:
    cell = found.cells.get((data, row, column))
    if cell is None:
        return ""
    ours = "–" if cell.ours is None else rounded(cell.ours)
    printed = f" | {cell.printed}" if cell.printed else ""
    apart = "" if cell.difference is None else f" | {cell.difference:+.1f}".replace("-", "−")
    return f"{ours}{printed}{apart}"

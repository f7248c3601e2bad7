"""``unweave results``: a table of all runs, or SQL over them."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console, one_line
from unweave.cli.options import parse
from unweave.names import known
from unweave.report.text import table
from unweave.results import brief, export, query, rows
from unweave.results.sql import FORMS
from unweave.types import UserError

FORMATS = ("table", "csv", "json")


@dataclass(frozen=True)
class Options:
    """One row a run: what was trained, where it stands, its scores. SQL reads the tables runs, trace and measured.

    ``runs`` has every score and part of a score (mig, dci_fast, dci_fast_completeness …) and every hyperparameter
    (method_beta …) as a column; ``trace`` has key, step, term and value; ``measured`` has key, step, measure, name and
    value of all that sweeps and studies measured. SQL needs DuckDB, an extra (results).

    Args:
        sql: such as "select method, avg(mig) from runs group by method".
        out: folder of run folders.
        format: table, csv or json; csv and json have every column.
        to: write the answer, with every column, to this .csv or .parquet file instead.
        json: the same as --format json.
    """

    sql: Annotated[str, tyro.conf.Positional] = ""
    out: Path = Path("runs")
    format: str = "table"
    to: Path | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Print the table."""
    options = parse(Options, argv, "results")
    form = "json" if options.json else known(options.format, FORMATS, "format")
    if not options.out.is_dir():
        raise UserError(f"there is no folder {options.out}; allowed: the folder that `unweave train --out` names")
    if options.to is not None and options.to.suffix not in FORMS:
        raise UserError(f"{options.to} ends in {options.to.suffix!r}; allowed: {', '.join(FORMS)}")
    # The answer is all that goes to the standard output, whatever its form.
    with Console(True).busy(f"reading {options.out}"):
        if options.sql:
            answer, skipped = query(options.sql, options.out)
        else:
            found, skipped = rows(options.out)
            brief_only = form == "table" and options.to is None
            answer = brief(found) if brief_only else [one.flat() for one in found]
    for folder, why in skipped.items():
        print(one_line(f"unweave results: note: passed over {folder}: {why}"), file=sys.stderr)
    if options.to is not None:
        export(answer, options.to)
        Console(form == "json").say(f"{len(answer):,} rows in {options.to}")
    else:
        _print(answer, form)
    return 0


def _print(found: Sequence[dict[str, Any]], form: str) -> None:
    columns = list(dict.fromkeys(name for row in found for name in row))
    if form == "json":
        Console(True).result([{name: _plain(row.get(name)) for name in columns} for row in found])
    elif form == "csv":
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(columns)
        lines.writerows([row.get(name) for name in columns] for row in found)
        print(text.getvalue(), end="")
    else:
        print(table(found) if found else "no rows")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)

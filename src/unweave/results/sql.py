"""SQL over all runs of a folder, answered by DuckDB."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from unweave.results.cache import connect, fill, insert
from unweave.results.table import free
from unweave.store import RunFolder
from unweave.types import UserError

FORMS = (".csv", ".parquet")
MEASURED = {"key": "VARCHAR", "step": "BIGINT", "measure": "VARCHAR", "name": "VARCHAR", "value": "DOUBLE"}
"""The columns of the table ``measured``, and their types in SQL."""
TOGETHER = 500_000
"""Values of terms that are put into the database at a time."""

Runs = Sequence[tuple[str, RunFolder]]
"""Keys and folders."""


def query(sql: str, out: Path) -> tuple[list[dict[str, Any]], dict[Path, str]]:
    """What a query answers, in a database that exists only in memory and can neither read nor write a file.

    Args:
        sql: may read the tables ``runs`` (the columns of ``Row``), ``trace`` (key, step, term, value) and ``measured``
            (key, step, measure, name, value: all that jobs have measured, on the way as well).
        out: folder of run folders.

    Returns:
        The lines of the answer, and folder -> reason for those that could not be read.

    Raises:
        UserError: DuckDB is not installed, or the query cannot be answered.
    """
    with connect() as database:
        skipped = fill(database, out)
        _long(database, out, sql, skipped)
        return _answer(database, sql), skipped


def frame(sql: str = "select * from runs", out: Path | str = "runs") -> Any:
    """The answer to a query as a pandas DataFrame.

    Raises:
        UserError: as ``query``, or pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("a DataFrame needs pandas, which is not installed: pip install pandas") from None
    return pandas.DataFrame(query(sql, Path(out))[0])


def export(lines: list[dict[str, Any]], file: Path) -> None:
    """Write lines of an answer to a .csv or .parquet file.

    Raises:
        UserError: a name that ends otherwise, a disk that refuses; for Parquet, without DuckDB.
    """
    if file.suffix not in FORMS:
        raise UserError(f"{file.name} ends in {file.suffix!r}; allowed: {', '.join(FORMS)}")
    part = file.with_name(f".{file.name}.part")
    try:
        if file.suffix == ".csv":
            with part.open("w", newline="", encoding="utf-8") as text:
                columns = list(dict.fromkeys(name for one in lines for name in one))
                rows = csv.writer(text, lineterminator="\n")
                rows.writerow(columns)
                rows.writerows([one.get(name) for name in columns] for one in lines)
        else:
            part.touch()
            with connect() as database:
                # A file of no columns is none, so an answer without lines has one.
                insert(database, "answer", lines, {} if lines else {"nothing": "BIGINT"})
                _copy(database, part, file)
        part.replace(file)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _copy(database: Any, part: Path, file: Path) -> None:
    import duckdb

    path = str(part).replace("'", "''")
    try:
        database.execute(f"copy answer to '{path}' (format parquet)")
    except duckdb.Error as error:
        raise UserError(f"cannot write {file}: {' '.join(str(error).split())}") from None


def _answer(database: Any, sql: str) -> list[dict[str, Any]]:
    import duckdb

    # From here on the query of somebody else runs: no files, no extensions, and no way to allow them again.
    database.execute("set enable_external_access = false")
    database.execute("set lock_configuration = true")
    try:
        answer = database.execute(sql)
        columns = [name for name, *_ in answer.description or []]
        lines = answer.fetchall()
    except AttributeError:  # DuckDB's answer to no statement at all
        raise UserError("the query is empty; allowed: such as select * from runs") from None
    except duckdb.Error as error:
        raise UserError(str(error).split("\n\nLINE")[0]) from None
    named: dict[str, int] = {}
    for place, name in enumerate(columns):
        named[free(name, named)] = place
    return [{name: _number(line[place]) for name, place in named.items()} for line in lines]


def _number(value: Any) -> Any:
    """A decimal as the float that it is everywhere else; in lists and structures too."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_number(one) for one in value]
    return {name: _number(one) for name, one in value.items()} if isinstance(value, dict) else value


def _long(database: Any, out: Path, sql: str, skipped: dict[Path, str]) -> None:
    """Make the tables ``trace`` and ``measured``, each filled only where the query speaks of it."""
    spoken = [name for name in ("trace", "measured") if re.search(rf"\b{name}\b", sql, re.IGNORECASE)]
    found = database.execute("select key, _folder from _runs").fetchall() if spoken else []
    runs = [(key, RunFolder(out / folder)) for key, folder in found]
    insert(database, "measured", _measured(runs if "measured" in spoken else [], skipped), MEASURED)
    database.execute("create table trace (key varchar, step bigint, term varchar, value double)")
    if "trace" in spoken:
        _trace(database, runs, skipped)


def _trace(database: Any, runs: Runs, skipped: dict[Path, str]) -> None:
    parts: list[tuple[str, list[float], str, list[float]]] = []
    held = 0
    for place, (key, folder) in enumerate(runs, 1):
        with _passing_over(folder, skipped):
            table = folder.read_trace()
            steps = table.pop("step", [])
            parts += [(key, steps, term, values) for term, values in table.items()]
            held += len(steps) * len(table)
        if parts and (held >= TOGETHER or place == len(runs)):
            lengths = [len(values) for _, _, _, values in parts]
            keys, terms = (np.array([part[one] for part in parts], object) for one in (0, 2))
            columns = {"key": np.repeat(keys, lengths), "term": np.repeat(terms, lengths)}
            columns["step"] = np.concatenate([part[1] for part in parts]).astype(np.int64)
            columns["value"] = np.concatenate([part[3] for part in parts]).astype(np.float64)
            database.register("some_terms", columns)
            database.execute("insert into trace select key, step, term, value from some_terms")
            database.unregister("some_terms")
            parts, held = [], 0


def _measured(runs: Runs, skipped: dict[Path, str]) -> Iterator[dict[str, Any]]:
    for key, folder in runs:
        lines: list[dict[str, Any]] = []
        with _passing_over(folder, skipped):
            lines = [
                {"key": key, "step": row["step"], "measure": row["measure"], "name": name, "value": value}
                for row in folder.rows()
                if "asked" in row
                for name, value in row["values"].items()
            ]
        yield from lines


@contextmanager
def _passing_over(folder: RunFolder, skipped: dict[Path, str]) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        skipped[folder.path] = str(error)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        skipped[folder.path] = f"damaged ({type(error).__name__}: {error})"

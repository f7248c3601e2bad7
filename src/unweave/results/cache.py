"""The table of all runs inside DuckDB, kept beside the runs as one Parquet file so that only what changed is read."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from unweave.results.reader import Kinds, Lines, read, write_lines
from unweave.results.table import FIRST
from unweave.types import UserError

LAYOUT = 2
"""Raised by every change of what ``row`` makes of an unchanged folder, so that no older version's rows are taken."""
FILE = f".results-{LAYOUT}.parquet"
FEWEST = 500
"""A folder with fewer runs is read in a moment, and is left without such a file."""
TEXTS = ("failed_term", "source")
"""Columns of texts, also where no run has one so far."""
LEFT = 3600.0
"""Seconds after which a half-written file is nobody's any more."""
PLACE = {"_folder": "VARCHAR", "_changed": "BIGINT"}
"""Columns of the cache that tell which folder a row is from, and when that was last written to."""
RUNS = "select * exclude (_folder, _changed) from _runs"


def connect() -> Any:
    """An empty database in memory. Raises UserError without DuckDB."""
    try:
        import duckdb
    except ImportError:
        raise UserError("SQL needs DuckDB, which is not installed: pip install duckdb") from None
    return duckdb.connect(":memory:", config={"python_enable_replacements": "false"})


def fill(database: Any, out: Path) -> dict[Path, str]:
    """Make the table ``runs`` of a folder, and return folder -> reason for those that could not be read.

    A run's folder is read again when anything was created, replaced or removed in it since, as every writer does, and
    as long as its run is under way.
    """
    names, changed = _listed(out)
    file = out / FILE
    known, when = _known(database, file)
    if len(known) and np.array_equal(known, names) and np.array_equal(when, changed):
        # Nothing to do but to let queries read the columns that they need, out of this one file and no other.
        database.execute(f"create view _runs as select * from read_parquet({_text(file)})")
        database.execute(f"set allowed_paths = [{_text(file)}]")
        database.execute(f"create view runs as {RUNS}")
        return {}
    there, kept = dict(zip(names, changed.tolist(), strict=True)), dict(zip(known, when.tolist(), strict=True))
    stale = [(name, time) for name, time in there.items() if kept.get(name) != time]
    gone = [name for name, time in kept.items() if there.get(name) != time]
    skipped: dict[Path, str] = {}
    with tempfile.TemporaryDirectory(prefix="unweave-") as room:
        table(database, "fresh", read(out, stale, Path(room), skipped), {**PLACE, **FIRST})
    (count,) = database.execute("select count(*) from fresh").fetchone()
    both = "select * from fresh"
    if len(known):
        insert(database, "gone", ({"_folder": name} for name in gone), {"_folder": "VARCHAR"})
        # Another process may have written the file anew meanwhile, with folders that were read here too.
        others = "select _folder from gone union all select _folder from fresh"
        old = f"select * from read_parquet({_text(file)}) where _folder not in ({others})"
        both = f"{old} union all by name {both}"
    database.execute(f"create table _runs as from ({both}) order by _folder")
    for name in ("fresh", "gone"):
        database.execute(f"drop table if exists {name}")
    if len(names) >= FEWEST and (count or gone):
        _save(database, file)
    database.execute(f"create view runs as {RUNS}")
    return skipped


def insert(database: Any, name: str, rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> None:
    """Make a table of rows, through a file of JSON lines: the fastest way in. ``types``: see ``table``."""
    with tempfile.TemporaryDirectory(prefix="unweave-") as room:
        table(database, name, [write_lines(Path(room) / "rows.jsonl", rows)], types)


def table(database: Any, name: str, parts: Sequence[Lines], types: Mapping[str, str]) -> None:
    """Make a table of lines.

    Args:
        types: column -> type in SQL, of the first columns; other columns follow, of the types that their values need.
    """
    kinds: Kinds = {}
    for part in parts:
        for column, found in part.kinds.items():
            kinds.setdefault(column, set()).update(found)
    more = {one: "VARCHAR" if one in TEXTS else _type(found) for one, found in kinds.items() if one not in types}
    types = {**types, **more}
    database.execute(f"create table {name} ({', '.join(f'{_quoted(one)} {kind}' for one, kind in types.items())})")
    files = [str(part.file) for part in parts if part.rows]
    if files:
        struct = ", ".join(f"{_quoted(one)}: '{kind}'" for one, kind in types.items())
        how = f"format = 'newline_delimited', columns = {{{struct}}}, maximum_object_size = 33554432"
        database.execute(f"insert into {name} select * from read_json(?, {how})", [files])


def _listed(out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Names of all folders, sorted, and the times of their last change."""
    with os.scandir(out) as entries:
        found = sorted(
            (one.name, one.stat().st_mtime_ns) for one in entries if not one.name.startswith(".") and one.is_dir()
        )
    return np.array([name for name, _ in found], object), np.array([time for _, time in found], np.int64)


def _known(database: Any, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The folders that the file holds and when they had changed; none without a file or with a damaged one."""
    import duckdb

    nothing = np.array([], object), np.array([], np.int64)
    if not file.is_file():
        return nothing
    with suppress(duckdb.Error):
        found = database.execute(f"select _folder, _changed from read_parquet({_text(file)})").fetchnumpy()
        names = np.asarray(found["_folder"], object)
        if len(set(names)) == len(names):
            return names, np.asarray(found["_changed"], np.int64)
    return nothing


def _save(database: Any, file: Path) -> None:
    """Write the file whole; a folder that cannot be written to is left without."""
    import duckdb

    part = file.with_name(f"{FILE}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with suppress(duckdb.Error, OSError):
        database.execute(f"copy _runs to {_text(part)} (format parquet)")
        part.replace(file)
    with suppress(OSError):
        part.unlink(missing_ok=True)
        for layout in range(1, LAYOUT):
            file.with_name(f".results-{layout}.parquet").unlink(missing_ok=True)
        for left in file.parent.glob(".results*.part"):
            if time.time() - left.stat().st_mtime > LEFT:
                left.unlink(missing_ok=True)


def _type(kinds: set[str]) -> str:
    kinds = kinds - {"NoneType"}
    if kinds == {"bool"}:
        return "BOOLEAN"
    # A column that is empty so far must not keep numbers from it later.
    if kinds <= {"int"}:
        return "BIGINT"
    return "DOUBLE" if kinds <= {"int", "float"} else "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(path: Path) -> str:
    return "'" + str(path.absolute()).replace("'", "''") + "'"

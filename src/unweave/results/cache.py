"""The table of all runs inside DuckDB, kept beside the runs as one Parquet file so that only what changed is read."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unweave.results.table import FIRST, row
from unweave.types import UserError

FILE = ".results.parquet"
FEWEST = 500
"""A folder with fewer runs is read in a moment, and is left without such a file."""
PLACE = {"_folder": "VARCHAR", "_changed": "BIGINT"}
"""Columns of the cache that tell which folder a row is from, and when that was last written to."""


def connect() -> Any:
    """An empty database in memory. Raises UserError without DuckDB."""
    try:
        import duckdb
    except ImportError:
        raise UserError("SQL needs DuckDB, which is not installed: pip install 'unweave[results]'") from None
    return duckdb.connect(":memory:", config={"python_enable_replacements": "false"})


def fill(database: Any, out: Path) -> dict[Path, str]:
    """Make the table ``runs`` of a folder, and return folder -> reason for those that could not be read.

    A run's folder is read again when anything was created, replaced or removed in it since, as every writer does, and
    as long as its run is under way.
    """
    there = dict(_listed(out))
    known = _load(database, out / FILE)
    stale = [name for name, changed in there.items() if known.get(name) != changed]
    gone = [name for name in known if name not in there or known[name] != there[name]]
    skipped: dict[Path, str] = {}
    if gone:
        insert(database, "gone", ({"_folder": name} for name in gone), {"_folder": "VARCHAR"})
        database.execute("delete from cached where _folder in (select _folder from gone)")
        database.execute("drop table gone")
    count = insert(database, "fresh", _rows(out, stale, there, skipped), {**PLACE, **FIRST})
    if count:
        both = "select * from cached union all by name select * from fresh"
        database.execute(f"create table _runs as from ({both}) order by _folder")
        database.execute("drop table cached")
    else:
        database.execute("alter table cached rename to _runs")
    database.execute("drop table fresh")
    if len(there) >= FEWEST and (count or gone):
        _save(database, out / FILE)
    database.execute("create view runs as select * exclude (_folder, _changed) from _runs")
    return skipped


def insert(database: Any, table: str, rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> int:
    """Make a table of rows, through a file of JSON lines: the fastest way in; returns how many there are.

    Args:
        types: column -> type in SQL, of the first columns; other columns follow, of the types that their values need.
    """
    kinds: dict[str, set[type]] = {}
    shapes: set[tuple[Any, ...]] = set()
    count = 0
    with tempfile.TemporaryDirectory(prefix="unweave-") as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for one in rows:
                count += 1
                shape = (tuple(one), tuple(map(type, one.values())))
                if shape not in shapes:
                    shapes.add(shape)
                    for name, kind in zip(*shape, strict=True):
                        kinds.setdefault(name, set()).add(kind)
                try:
                    text = json.dumps(one, allow_nan=False)
                except ValueError:
                    # JSON has no NaN; as text DuckDB reads it into a number's column as what it is.
                    text = json.dumps({n: str(v) if isinstance(v, float) else v for n, v in one.items()})
                file.write(text + "\n")
        types = {**types, **{name: _type(found) for name, found in kinds.items() if name not in types}}
        columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in types.items())
        database.execute(f"create table {table} ({columns})")
        if count:
            struct = ", ".join(f"{_quoted(name)}: '{kind}'" for name, kind in types.items())
            source = (
                f"read_json(?, format = 'newline_delimited', columns = {{{struct}}}, maximum_object_size = 33554432)"
            )
            database.execute(f"insert into {table} select * from {source}", [str(path)])
    return count


def _listed(out: Path) -> Iterator[tuple[str, int]]:
    """Name and time of the last change of every folder."""
    with os.scandir(out) as entries:
        for one in entries:
            if not one.name.startswith(".") and one.is_dir():
                yield one.name, one.stat().st_mtime_ns


def _rows(
    out: Path, names: Sequence[str], there: Mapping[str, int], skipped: dict[Path, str]
) -> Iterator[dict[str, Any]]:
    for name in names:
        path = out / name
        try:
            found = row(path)
        except UserError as error:
            skipped[path] = str(error)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if (path / "experiment.json").exists():
                skipped[path] = f"damaged ({type(error).__name__}: {error})"
        else:
            # What is under way is read anew every time.
            changed = -1 if found.head["state"] == "running" else there[name]
            yield {"_folder": name, "_changed": changed, **found.flat()}


def _load(database: Any, file: Path) -> dict[str, int]:
    """Make the table ``cached`` of the file, empty without one or with a damaged one; folder -> last change."""
    import duckdb

    if file.is_file():
        with suppress(duckdb.Error):
            database.execute("create table cached as select * from read_parquet(?)", [str(file)])
            return dict(database.execute("select _folder, _changed from cached").fetchall())
    database.execute("drop table if exists cached")
    columns = ", ".join(f"{name} {kind}" for name, kind in {**PLACE, **FIRST}.items())
    database.execute(f"create table cached ({columns})")
    return {}


def _save(database: Any, file: Path) -> None:
    """Write the file whole; a folder that cannot be written to is left without."""
    import duckdb

    part = file.with_name(f"{FILE}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with suppress(duckdb.Error, OSError):
        database.execute(f"copy _runs to '{str(part).replace(chr(39), chr(39) * 2)}' (format parquet)")
        part.replace(file)
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _type(kinds: set[type]) -> str:
    kinds = kinds - {type(None)}
    if kinds == {bool}:
        return "BOOLEAN"
    # A column that is empty so far must not keep numbers from it later.
    if kinds <= {int}:
        return "BIGINT"
    return "DOUBLE" if kinds <= {int, float} else "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

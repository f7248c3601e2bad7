"""All runs of a folder as one table, and SQL over it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unweave.store import RunFolder
from unweave.types import UserError

FIRST = {"key": "VARCHAR", "method": "VARCHAR", "data": "VARCHAR", "seed": "BIGINT", "state": "VARCHAR"} | {
    "step": "BIGINT",
    "steps": "BIGINT",
}
"""The first columns, which every table has, and their types in SQL."""


class Row(NamedTuple):
    """One run: where it is, and four groups of columns, whose names are letters, digits and underscores."""

    folder: Path
    head: Mapping[str, Any]
    """``FIRST``."""
    scores: Mapping[str, Any]
    """``mig``, ``dci_fast`` …, of the step that the checkpoint has."""
    parts: Mapping[str, Any]
    """``dci_fast_completeness`` …"""
    settings: Mapping[str, Any]
    """``method_beta``, ``lr``, ``batch`` …, and where and when the run was made."""

    def flat(self) -> dict[str, Any]:
        """All columns."""
        return {**self.head, **self.scores, **self.parts, **self.settings}


def folders(out: Path) -> list[Path]:
    """The run folders in ``out``, by name; none when it does not exist."""
    return sorted(path.parent for path in out.glob("*/experiment.json"))


def rows(out: Path) -> tuple[list[Row], dict[Path, str]]:
    """One row a run, and folder -> reason for those that could not be read."""
    found, skipped = [], {}
    for path in folders(out):
        try:
            found.append(row(path))
        except UserError as error:
            skipped[path] = str(error)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            skipped[path] = f"damaged ({type(error).__name__}: {error})"
    return found, skipped


def row(path: Path) -> Row:
    """One run as a row of the table. Raises StoreError for a damaged file."""
    folder = RunFolder(path)
    described, status, kept = folder.read("experiment"), folder.read("status"), folder.read("scores")
    step = int(status.get("step", 0))
    head = {
        "key": described["key"],
        "method": described["method"]["name"],
        "data": described["data"]["name"],
        "seed": described["seed"],
        "state": state(folder, status),
        "step": step,
        "steps": described["steps"],
    }
    current = step if status.get("state") != "failed" else status.get("checkpoint")
    scores = kept.get("scores", {}) if kept.get("step") == current else {}
    network = described["network"] or {"name": "own"}
    settings = {
        **_prefixed("method", described["method"]),
        **_prefixed("data", described["data"]),
        "network": network["name"],
        **_prefixed("network", network),
        **{name: described[name] for name in ("likelihood", "latents", "batch", "precision")},
        **{name if name == "lr" else f"adam_{name}": value for name, value in described["optimiser"].items()},
        "failed_term": status.get("term"),
        "seconds_per_step": status.get("seconds_per_step"),
        "source": described.get("source"),
        "written": status.get("at"),
    }
    taken = set(head)
    return Row(
        path,
        head,
        _columns({label: score["value"] for label, score in scores.items()}, taken),
        _columns(
            {f"{label}_{part}": v for label, score in scores.items() for part, v in score["parts"].items()}, taken
        ),
        _columns(settings, taken),
    )


def state(folder: RunFolder, status: Mapping[str, Any]) -> str:
    """``done``, ``failed``, ``running`` or ``stopped``: a run whose process is gone has stopped, whatever it wrote."""
    said = str(status.get("state", "stopped"))
    return "stopped" if said == "running" and not folder.held() else said


def brief(found: Sequence[Row]) -> list[dict[str, Any]]:
    """The table for people: what differs between the runs, and every score without its parts."""
    unlike = [
        name
        for name in dict.fromkeys(name for one in found for name in one.settings)
        if name not in ("seconds_per_step", "written") and len({repr(one.settings.get(name)) for one in found}) > 1
    ]
    scores = list(dict.fromkeys(name for one in found for name in one.scores))
    return [
        {**one.head, **{n: one.settings.get(n) for n in unlike}, **{n: one.scores.get(n) for n in scores}}
        for one in found
    ]


def query(sql: str, found: Sequence[Row]) -> list[dict[str, Any]]:
    """What a query answers, in a database that exists only in memory and can neither read nor write a file.

    Args:
        sql: may read the tables ``runs`` (the columns of ``Row``) and ``trace`` (key, step, term, value).
        found: the rows of ``runs``.

    Raises:
        UserError: DuckDB is not installed, or the query cannot be answered.
    """
    try:
        import duckdb
    except ImportError:
        raise UserError("SQL needs DuckDB, which is not installed: pip install 'unweave[results]'") from None
    flat = [one.flat() for one in found]
    with duckdb.connect(":memory:", config={"python_enable_replacements": "false"}) as database:
        types = FIRST | {
            name: _type(one.get(name) for one in flat) for one in flat for name in one if name not in FIRST
        }
        database.execute(f"create table runs ({', '.join(f'{name} {kind}' for name, kind in types.items())})")
        if flat:
            places = ", ".join("?" for _ in types)
            database.executemany(
                f"insert into runs values ({places})", [[one.get(name) for name in types] for one in flat]
            )
        database.execute("create table trace (key varchar, step bigint, term varchar, value double)")
        if "trace" in sql.lower():
            for one in found:
                _insert_trace(database, one)
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
        named[_free(name, named)] = place
    return [{name: line[place] for name, place in named.items()} for line in lines]


def safe(name: str) -> str:
    """A column name of letters, digits and underscores.

    >>> safe("dci-fast"), safe("gap.pos x"), safe("2nd")
    ('dci_fast', 'gap_pos_x', '_2nd')
    """
    text = re.sub(r"[^a-z0-9]+", "_", name.lower())
    return f"_{text}" if text[:1].isdigit() else text or "_"


def _insert_trace(database: Any, one: Row) -> None:
    try:
        table = RunFolder(one.folder).read_trace()
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"cannot read {one.folder / 'trace.csv'}: damaged ({error})") from None
    steps = np.array(table.pop("step", []), np.int64)
    for term, values in table.items() if len(steps) else ():
        database.register("one_term", {"step": steps, "value": np.array(values, np.float64)})
        database.execute("insert into trace select ?, step, ?, value from one_term", [one.head["key"], term])
        database.unregister("one_term")


def _type(values: Iterable[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "BOOLEAN"
    if kinds == {int}:
        return "BIGINT"
    return "DOUBLE" if kinds and kinds <= {int, float} else "VARCHAR"


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in values.items() if name != "name"}


def _columns(values: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """The values under safe names that nothing has yet, which ``taken`` remembers."""
    found = {}
    for name, value in values.items():
        column = _free(safe(name), taken)
        taken.add(column)
        found[column] = _cell(value)
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

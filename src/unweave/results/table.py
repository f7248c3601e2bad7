"""All runs of a folder as one table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from unweave.store import RunFolder
from unweave.types import UserError

FIRST = {"key": "VARCHAR", "method": "VARCHAR", "data": "VARCHAR", "seed": "BIGINT", "state": "VARCHAR"} | {
    "step": "BIGINT",
    "steps": "BIGINT",
}
"""The first columns, which every table has, and their types in SQL."""


LARGEST = 1 << 20
"""Bytes of a file that are read in one go; a larger one is read with more care."""
MEASURED = b'{"asked"'
"""How a row that holds a measurement begins."""


class Row(NamedTuple):
    """One run: where it is, and four groups of columns, whose names are letters, digits and underscores."""

    folder: Path
    head: Mapping[str, Any]
    """``FIRST``."""
    scores: Mapping[str, Any]
    """``mig``, ``dci_fast`` …, of the step that the checkpoint has."""
    parts: Mapping[str, Any]
    """``dci_fast_completeness`` …"""
    measured: Mapping[str, Any]
    """What else jobs have measured at the last step: ``elbo``, ``loss_kl`` …"""
    settings: Mapping[str, Any]
    """``method_beta``, ``lr``, ``batch`` …, and where and when the run was made."""

    def flat(self) -> dict[str, Any]:
        """All columns."""
        return {**self.head, **self.scores, **self.parts, **self.measured, **self.settings}


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
    described, status, kept = (_object(folder, name) for name in ("experiment", "status", "scores"))
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
    found = {label: score["value"] for label, score in scores.items()}
    parts = {f"{label}_{part}": v for label, score in scores.items() for part, v in score["parts"].items()}
    measured = _measured(folder, current) if current else {}
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
    groups = (found, parts, measured, settings)
    columns = _columns(tuple(head), *map(tuple, groups))
    cells = [
        {column: _cell(value) for column, value in zip(names, group.values(), strict=True) if column}
        for names, group in zip(columns, groups, strict=True)
    ]
    return Row(path, head, *cells)


def _object(folder: RunFolder, name: str) -> Any:
    """What ``folder.read`` gives, in a third of the time: there may be a hundred thousand."""
    try:
        with open(f"{folder.path}/{name}.json", "rb") as file:  # noqa: PTH123
            found = json.loads(file.read(LARGEST))
        return found if isinstance(found, dict) else folder.read(name)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return folder.read(name)  # says what is wrong


def _measured(folder: RunFolder, step: int) -> dict[str, Any]:
    """Named numbers that jobs have added to a run's rows, those of one step."""
    try:
        with open(f"{folder.path}/rows.jsonl", "rb") as file:  # noqa: PTH123
            content = file.read(LARGEST)
        lines = content.split(b"\n")[:-1]
        found = [json.loads(line) for line in lines if line.startswith(MEASURED)]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        content = b""
    if not 0 < len(content) < LARGEST:
        found = folder.rows()
    values: dict[str, Any] = {}
    for one in found:
        if one.get("step") == step:
            values |= one.get("values", {})
    return values


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


@lru_cache(10_000)
def safe(name: str) -> str:
    """A column name of letters, digits and underscores.

    >>> safe("dci-fast"), safe("gap.pos x"), safe("2nd")
    ('dci_fast', 'gap_pos_x', '_2nd')
    """
    text = re.sub(r"[^a-z0-9]+", "_", name.lower())
    return f"_{text}" if text[:1].isdigit() else text or "_"


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in values.items() if name != "name"}


@lru_cache(1000)
def _columns(head: tuple[str, ...], *groups: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The names of four groups of values (scores, their parts, what was measured, settings) as safe column names that
    no other has; empty for what was measured under a name that is there already: scores are measured too."""
    taken, settings = set(head), {safe(name) for name in groups[3]}
    found = []
    for place, names in enumerate(groups):
        columns = []
        reserved = settings if place < 3 else set()  # a setting's column is the same in every run
        for name in names:
            there = safe(name) in taken and safe(name) not in head
            column = "" if place == 2 and there else free(safe(name), taken | reserved)
            taken |= {column}
            columns.append(column)
        found.append(tuple(columns))
    return tuple(found)


def free(name: str, taken: Iterable[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _cell(value: Any) -> Any:
    if type(value) in (float, int, str, bool, type(None)):
        return None if value != value else value  # NaN would be the largest number of a column
    if isinstance(value, list | tuple):
        return " ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return str(value)

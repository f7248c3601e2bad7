"""``unweave data``: data sets, where their pixels come from, and whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console
from unweave.cli.lists import data
from unweave.cli.options import parse
from unweave.data import DATASETS
from unweave.names import known
from unweave.report.text import table
from unweave.types import UserError


@dataclass(frozen=True)
class Options:
    """List data sets, or check one: read or draw every image and compare it with all that is known.

    Args:
        what: list, or check and a name.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        json: print one JSON document, and nothing else.
    """

    what: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    data_root: Path | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """List or check."""
    options = parse(Options, argv, "data")
    if not options.what:
        raise UserError("nothing asked for; allowed: data list, data check NAME")
    task, rest = known(options.what[0], ["list", "check"], "task"), options.what[1:]
    console = Console(options.json)
    if task == "list":
        if rest:
            raise UserError(f"{rest[0]!r} after list; allowed: nothing")
        full = data(options.data_root)
        shown = ("name", "images", "size", "factors", "pixels", "licence")
        console.say(table([{key: _text(row[key]) for key in shown} for row in full]))
        console.result({"data": full})
        return 0
    if len(rest) != 1:
        raise UserError(f"{len(rest)} data sets to check; allowed: one of {', '.join(DATASETS)}")
    chosen = DATASETS[known(rest[0], DATASETS, "data set")]()
    source = chosen.find(options.data_root)
    console.say(f"check {chosen.name}: all {chosen.rows:,} images, {source or 'drawn, no files found'}")
    with console.busy("checking"):
        lines = chosen.check(options.data_root)
    for line in lines:
        console.say(f"  {line}")
    console.result({"name": chosen.name, "images": chosen.rows, "file": source and str(source), "found": lines})
    return 0


def _text(value: Any) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name} {size}" for name, size in value.items()) or "none"
    return value

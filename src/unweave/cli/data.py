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
from unweave.data import DATASETS, Dataset, dataset
from unweave.data.cache import cache_root
from unweave.data.stored import missing
from unweave.names import known
from unweave.report.text import table
from unweave.types import UserError

MOST = 8
"""Factors that are all shown; of more, as CelebA's forty, the first ones."""


@dataclass(frozen=True)
class Options:
    """List data sets; check one: read or draw every image and compare it with all that is known; or get one ready:
    decode its files once into a cache, so that every training starts at once.

    Args:
        what: list, check and a name, or get and a name.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        json: print one JSON document, and nothing else.
    """

    what: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    data_root: Path | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """List, check or get."""
    options = parse(Options, argv, "data")
    if not options.what:
        raise UserError("nothing asked for; allowed: data list, data check NAME, data get NAME")
    task, rest = known(options.what[0], ["list", "check", "get"], "task"), options.what[1:]
    console = Console(options.json)
    if task == "list":
        if rest:
            raise UserError(f"{rest[0]!r} after list; allowed: nothing")
        _list(console, data(options.data_root))
        return 0
    if len(rest) != 1:
        raise UserError(f"{len(rest)} data sets to {task}; allowed: one of {', '.join(DATASETS)}")
    chosen = dataset(rest[0])
    (_check if task == "check" else _get)(console, chosen, options.data_root)
    return 0


def _list(console: Console, full: list[dict[str, Any]]) -> None:
    shown = ("name", "images", "size", "factors", "likelihood", "pixels")
    console.say(table([{key: _text(row[key]) for key in shown} for row in full]))
    for row in full:
        files = f"files: {', '.join(row['files'])}; " if row["files"] else ""
        console.say(f"\n{row['name']}\n  {files}{row['published']}\n  licence: {row['licence']}")
    console.result({"data": full})


def _check(console: Console, chosen: Dataset, root: Path | None) -> None:
    source = chosen.find(root)
    if source is None and chosen.needs_files:
        raise missing(chosen, root)
    console.say(f"check {chosen.name}: all {chosen.rows:,} images, {source or 'drawn, no files found'}")
    with console.busy("checking"):
        lines = chosen.check(root)
    for line in lines:
        console.say(f"  {line}")
    console.result({"name": chosen.name, "images": chosen.rows, "file": source and str(source), "found": lines})


def _get(console: Console, chosen: Dataset, root: Path | None) -> None:
    source = chosen.find(root)
    if source is None and chosen.needs_files:
        raise missing(chosen, root)
    if not chosen.needs_files:
        _ = chosen.rows  # a rule that cannot be followed is refused here, not when somebody trains
    console.say(f"get {chosen.name}: {source or 'drawn, no files needed'}; caches lie in {cache_root()}")
    folder = chosen.prepare(root, lambda line: console.progress(lambda: line))
    size = 0 if folder is None else sum(one.stat().st_size for one in folder.iterdir())
    console.say(
        f"  nothing to prepare: it is {'drawn' if source is None else 'read as it is'}"
        if folder is None
        else f"  ready: {folder}, {size / 1e6:,.1f} MB"
    )
    console.result(
        {"name": chosen.name, "file": source and str(source), "cache": folder and str(folder), "bytes": size}
    )


def _text(value: Any) -> object:
    if not isinstance(value, dict):
        return value
    words = [f"{name} {size}" for name, size in value.items()]
    if len(words) > MOST:
        return f"{', '.join(words[:2])} and {len(words) - 2} more"
    return ", ".join(words) or "none"

"""From run folders to lines of JSON that DuckDB takes in; by several processes when there are very many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unweave.results.table import row
from unweave.types import UserError

MANY = 20_000
"""Folders from which on several processes read them: each takes seconds to start."""
READERS = 8
"""Processes at most."""

Kinds = dict[str, set[str]]
"""Column -> names of the types of its values."""


class Lines(NamedTuple):
    """Rows as lines in a file."""

    file: Path
    rows: int
    kinds: Kinds


def write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> Lines:
    """Rows as lines of JSON. JSON has no NaN: as text DuckDB reads it into a number's column as what it is. Times and
    whatever else JSON does not know are text too."""
    kinds: Kinds = {}
    shapes: set[tuple[Any, ...]] = set()
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        for one in rows:
            count += 1
            shape = (tuple(one), tuple(map(type, one.values())))
            if shape not in shapes:
                shapes.add(shape)
                for name, kind in zip(*shape, strict=True):
                    kinds.setdefault(name, set()).add(kind.__name__)
            try:
                text = json.dumps(one, allow_nan=False, default=str)
            except ValueError:
                text = json.dumps({n: str(v) if isinstance(v, float) else v for n, v in one.items()}, default=str)
            lines.write(text + "\n")
    return Lines(file, count, kinds)


def read(out: Path, names: Sequence[tuple[str, int]], room: Path, skipped: dict[Path, str]) -> list[Lines]:
    """The rows of run folders as files of lines in the folder ``room``.

    Args:
        out: the folder of run folders.
        names: folders and the time of their last change.
        room: an empty folder.
        skipped: takes folder -> reason for those that could not be read.
    """
    readers = min(READERS, os.cpu_count() or 1)
    if len(names) < MANY or readers < 2:
        return [write_lines(room / "rows.jsonl", _rows(out, names, skipped))]
    children = []
    for place in range(readers):
        share = names[place::readers]
        task, file = room / f"{place}.task.json", room / f"{place}.jsonl"
        task.write_text(json.dumps({"out": str(out), "names": share, "file": str(file)}), encoding="utf-8")
        children.append((share, file, _start(task)))
    found = []
    for share, file, child in children:
        told, _ = child.communicate()
        if child.returncode:
            found.append(write_lines(file, _rows(out, share, skipped)))
            continue
        answer = json.loads(told)
        skipped |= {Path(path): why for path, why in answer["skipped"].items()}
        found.append(Lines(file, answer["count"], {name: set(kinds) for name, kinds in answer["kinds"].items()}))
    return found


def child(task: str) -> None:
    """What a process that reads a share does: see ``read``."""
    asked = json.loads(Path(task).read_text(encoding="utf-8"))
    skipped: dict[Path, str] = {}
    found = write_lines(Path(asked["file"]), _rows(Path(asked["out"]), asked["names"], skipped))
    kinds = {name: sorted(one) for name, one in found.kinds.items()}
    answer = {"count": found.rows, "kinds": kinds, "skipped": {str(path): why for path, why in skipped.items()}}
    print(json.dumps(answer))


def _start(task: Path) -> subprocess.Popen[str]:
    # Not by multiprocessing, which would run a person's script again in each process.
    words = [
        sys.executable,
        "-c",
        "import sys; from unweave.results.reader import child; child(sys.argv[1])",
        str(task),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _rows(out: Path, names: Sequence[tuple[str, int]], skipped: dict[Path, str]) -> Iterator[dict[str, Any]]:
    for name, changed in names:
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
            when = -1 if found.head["state"] == "running" else changed
            yield {"_folder": name, "_changed": when, **found.flat()}

"""Which run a word means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from unweave.names import hint
from unweave.results import folders
from unweave.shared import is_shared
from unweave.types import UserError


def find(word: str, out: Path, option: str = "--runs") -> Path:
    """The folder of a run from its path, the first letters of its key, or ``last``: the one written to last; or the
    path of a shared model, or of what ``unweave fit`` has written, which is its model.

    Args:
        word: what somebody typed.
        out: the folder of run folders.
        option: what names another such folder.

    Raises:
        UserError: no such run, or several keys that begin like this.
    """
    for place in (Path(word), Path(word) / "model") if word != "last" else ():
        if (place / "experiment.json").is_file() or is_shared(place):
            return place
    there = folders(out)
    if not there:
        what = f"{word!r} is no run and " if word != "last" else ""
        raise UserError(f"{what}{out} holds no runs; train one first, or name another folder with {option}")
    if word == "last":
        return max(there, key=_written)
    found = [folder for folder in there if folder.name.startswith(word)]
    if len(found) == 1:
        return found[0]
    names = [folder.name for folder in there]
    if found:
        raise UserError(f"{word!r} begins several keys; allowed: {', '.join(folder.name for folder in found)}")
    shown = ", ".join(names[:6]) + (" …" if len(names) > 6 else "")
    meant = hint(Path(word).name, names)
    raise UserError(f"no run {word!r}{meant} (allowed: a run's folder, last, or the first letters of {shown})")


def find_all(given: Sequence[str], out: Path, option: str = "--runs") -> list[Path]:
    """The folders of several runs, each once. Raises UserError when none are named."""
    if not given:
        raise UserError("no run named; allowed: a run's folder, the first letters of its key, or last")
    return list(dict.fromkeys(find(word, out, option) for word in given))


def images(given: str) -> int | None:
    """How many images ``--images`` asks for; None for ``all``."""
    if given == "all":
        return None
    if not given.isdecimal() or int(given) < 10:
        raise UserError(f"images = {given}; allowed: a whole number from 10, or all")
    return int(given)


def _written(folder: Path) -> float:
    status = folder / "status.json"
    return status.stat().st_mtime if status.exists() else 0.0


def runs_folder(out: Path, example: str) -> None:
    """Raises UserError where ``--out``, which is the folder of runs here, looks like the file that --to names."""
    if out.suffix in (".html", ".csv", ".parquet", ".json"):
        raise UserError(f"--out {out}: that is the folder of runs here; allowed for the file: --to {example}")


def writable(given: Path | None, example: str) -> Path:
    """The file that ``--out`` names. Raises UserError where there is none, or none can be written."""
    if given is None:
        raise UserError(f"no --out given; allowed: a file to write, such as --out {example}")
    if given.is_dir() or not given.parent.is_dir() or not os.access(given.parent, os.W_OK):
        raise UserError(f"cannot write {given}; allowed: a file in a folder that exists and can be written")
    return given

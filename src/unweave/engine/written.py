"""Code that is not the library's, and whether a kept training was made with another text of it than there is now."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from unweave.engine.experiment import Complete
from unweave.store import RunFolder, StoreError

OTHERS = ("unweave", "builtins", "abc", "typing", "torch")
"""Packages whose code a run's versions name."""


class Rewritten(UserWarning):
    """A kept training was made with other code than there is now."""


def written(experiment: Complete) -> dict[str, str]:
    """Name -> a short hash of the code of each method, network and data set that is somebody's own; {} for ours.

    The hash is of the whole file, where there is one, without comments and layout: a loss may stand in a function
    beside the class. In a program that is run itself, and in a notebook, it is of the class alone.

    >>> from unweave.engine import Experiment
    >>> written(Experiment("vae", "triangle").complete())
    {}
    """
    found: dict[str, str] = {}
    for one in _parts(experiment):
        kind: Any = type(one)
        text = _hash(kind)
        if text:
            found[str(getattr(one, "name", type(one).__name__))] = text
    return found


def note_rewritten(folders: Iterable[tuple[Complete, RunFolder]]) -> None:
    """One warning about all trainings that were made, as far as they are, with other code than there is now."""
    names: dict[str, None] = {}
    where: list[Path] = []
    for one, folder in folders:
        changed = _changed(written(one), folder)
        names |= dict.fromkeys(changed)
        where += [folder.path] * bool(changed)
    if where:
        many = f"{where[0]} was" if len(where) == 1 else f"{len(where):,} runs in {where[0].parent} were"
        warnings.warn(
            f"{many} trained with another text of {' and '.join(names)} than there is now, and what is there counts as "
            f"done: give it another name, or train into another folder, to train anew",
            Rewritten,
        )


def _changed(now: Mapping[str, str], folder: RunFolder) -> list[str]:
    """Names whose code a folder's record has with another text; a damaged record, or none, says nothing."""
    kept = None
    if now:
        with suppress(StoreError):
            kept = folder.read("environment").get("code")
    return [name for name, text in now.items() if isinstance(kept, dict) and kept.get(name, text) != text]


def _parts(experiment: Complete) -> list[Any]:
    """Everything in an experiment that may be of one's own."""
    parts: list[Any] = [experiment.method, experiment.network, experiment.data]
    while hasattr(parts[-1], "of"):
        parts.append(parts[-1].of)
    return [one for one in parts if one is not None]


@cache
def _hash(kind: type) -> str:
    """Of a class and all that it inherits from, but for the library's; empty where nothing is left."""
    texts = [_text(one) for one in kind.__mro__ if one.__module__.partition(".")[0] not in OTHERS]
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:12] if any(texts) else ""


def _text(kind: type) -> str:
    """Hash of a class's file, or of the class; empty where its text cannot be had. Read once: what changes later in the
    file is not what runs, and code that is loaded anew is another class."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    try:
        if file and kind.__module__ != "__main__":
            source = Path(file).read_text(encoding="utf-8")
        else:
            source = textwrap.dedent(inspect.getsource(kind))
        return hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()
    except (OSError, TypeError, ValueError, SyntaxError, RecursionError):
        return ""

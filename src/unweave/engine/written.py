"""Code that is not the library's, and whether a kept training was made with another text of it than there is now."""

from __future__ import annotations

import ast
import hashlib
import inspect
import platform
import sys
import textwrap
import warnings
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from unweave.engine.experiment import Complete
from unweave.store import RunFolder, StoreError, environment

OTHERS = ("unweave", "builtins", "abc", "typing", "torch")
"""Packages whose code a run's versions name."""
DESCRIBED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
"""What may begin with a description."""
_told: set[tuple[Path, str, str]] = set()
"""Folders, names and texts that this process has spoken of."""


class Rewritten(UserWarning):
    """A kept training was made with other code than there is now."""


def surroundings(experiment: Complete, folder: RunFolder | None = None) -> dict[str, Any]:
    """What a run's folder tells of where it was made: ``environment`` and the code of one's own.

    Args:
        experiment: what is trained.
        folder: where a training goes on: if what is there was made with another text, both stand there.
    """
    now = written(experiment)
    before = _kept(folder) if folder is not None and now else {}
    code = {name: text if before.get(name, text) == text else f"{before[name]}+{text}" for name, text in now.items()}
    return environment() | ({"code": code} if code else {})


def written(experiment: Complete) -> dict[str, str]:
    """Name -> a short hash of the code of each method, network and data set that is somebody's own; {} for ours.

    The hash is of the whole file, where there is one, without comments, layout and descriptions: a loss may stand in a
    function beside the class. In a program that is run itself, and in a notebook, it is of the class alone.

    >>> from unweave.engine import Experiment
    >>> written(Experiment("vae", "triangle").complete())
    {}
    """
    found: dict[str, str] = {}
    for one in _parts(experiment):
        kind: Any = type(one)
        text = _hash(kind)
        if text:
            name = str(getattr(one, "name", type(one).__name__))
            found[name] = _short(f"{found[name]} {text}") if name in found else text
    return found


def note_rewritten(folders: Iterable[tuple[Complete, RunFolder]]) -> None:
    """One warning about all trainings that were made, as far as they are, with other code than there is now."""
    names: dict[str, None] = {}
    where: list[Path] = []
    for one, folder in folders:
        now = written(one)
        before = _kept(folder) if now else {}
        changed = {name: (folder.path, name, text) for name, text in now.items() if before.get(name, text) != text}
        if changed and not _told.issuperset(changed.values()):
            _told.update(changed.values())
            names |= dict.fromkeys(changed)
            where.append(folder.path)
    if where:
        many = f"{where[0]} was" if len(where) == 1 else f"{len(where):,} runs in {where[0].parent} were"
        warnings.warn(
            f"{many} trained with another text of {' and '.join(names)} than there is now, and what is there counts as "
            f"done: give it another name, or train into another folder, to train anew",
            Rewritten,
        )


def _kept(folder: RunFolder) -> dict[str, Any]:
    """Name -> hash as a folder's record has them; {} where that is damaged, not there, or of another version of Python,
    which takes code apart in another way."""
    with suppress(StoreError, KeyError, TypeError, AttributeError, ValueError):
        record = folder.read("environment")
        version = str(record["versions"]["python"]).split(".")
        if version[:2] == platform.python_version().split(".")[:2]:
            return dict(record["code"])
    return {}


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
    return _short(" ".join(texts)) if any(texts) else ""


def _text(kind: type) -> str:
    """What a class's file says, or the class; empty where its text cannot be had. Read once: what changes later in the
    file is not what runs, and code that is loaded anew is another class."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    try:
        # The processes that a program starts know it under the second name.
        if file and kind.__module__ not in ("__main__", "__mp_main__"):
            source = Path(file).read_text(encoding="utf-8")
        else:
            source = textwrap.dedent(inspect.getsource(kind))
        tree = ast.parse(source)
    except (OSError, TypeError, ValueError, SyntaxError, RecursionError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, DESCRIBED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

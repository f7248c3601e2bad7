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

from unweave.data.base import Dataset
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
    code = {name: f"{before[name]}+{text}" if _differ(before.get(name), text) else text for name, text in now.items()}
    return environment() | ({"code": code} if code else {})


def written(experiment: Complete) -> dict[str, str]:
    """Name -> a short hash of the code of each method, network and data set that is somebody's own; {} for ours.

    The hash is of the class and, behind a point, of its whole file: a loss may stand in a function beside the class.
    Comments, layout and descriptions do not count. In a program that is run itself, and in a notebook, it is of the
    class alone, in which much else may change.

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
    """One warning about those trainings that were made, as far as they are, with other code than there is now."""
    names: dict[str, None] = {}
    where: list[Path] = []
    for one, folder in folders:
        now = written(one)
        before = _kept(folder) if now else {}
        changed = {name: (folder.path, name, text) for name, text in now.items() if _differ(before.get(name), text)}
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


def _differ(before: str | None, now: str) -> bool:
    """Whether two hashes are of two texts; what one of them does not tell is not compared."""
    if before is None:
        return False
    a, b = before.split("."), now.split(".")
    return "+" in before or (a != b if len(a) == len(b) else a[0] != b[0])


def _parts(experiment: Complete) -> list[Any]:
    """Everything in an experiment that may be of one's own."""
    parts: list[Any] = [experiment.method, experiment.network, experiment.data]
    while isinstance(inner := getattr(parts[-1], "of", None), Dataset):
        parts.append(inner)
    return [one for one in parts if one is not None]


@cache
def _hash(kind: type) -> str:
    """Of a class and all that it inherits from, but for the library's; empty where nothing is left. Read once: what
    changes later in the file is not what runs, and code that is loaded anew is another class."""
    own = [one for one in kind.__mro__ if one.__module__.partition(".")[0] not in OTHERS]
    classes, files = ["".join(map(read, own)) for read in (_class, _file)]
    return ".".join(_short(text) for text in (classes, files) if text)


def _class(kind: type) -> str:
    """What a class says; of one in a notebook, what its functions say, which is all that Python finds."""
    try:
        return _code(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        texts = []
        for one in vars(kind).values():
            function = getattr(one, "__func__", getattr(one, "fget", one))
            with suppress(OSError, TypeError):
                texts.append(_code(textwrap.dedent(inspect.getsource(function))))
        return "".join(texts)


def _file(kind: type) -> str:
    """What a class's file says. A program that is run itself has much else in it: its processes know it under two
    names."""
    if kind.__module__ in ("__main__", "__mp_main__"):
        return ""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    try:
        return _code(Path(file).read_text(encoding="utf-8")) if file else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _code(source: str) -> str:
    """Source without comments, layout and descriptions; as it is where it cannot be read."""
    try:
        tree = ast.parse(source)
    except (ValueError, SyntaxError, RecursionError):
        return source
    for node in ast.walk(tree):
        if isinstance(node, DESCRIBED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

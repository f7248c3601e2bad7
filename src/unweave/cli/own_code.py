"""Code of one's own for the command line: files named by an environment variable, imported before a verb begins."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from unweave.cli.console import debugging
from unweave.errors import UserError

VARIABLE = "UNWEAVE_IMPORT"
"""Python files or modules, several as in PATH; methods, metrics and data sets in them have a name for every verb."""


def import_own() -> None:
    """Import what the environment variable names.

    A file's folder is put at the end of the path, so that worker processes find its classes under the same names.

    Raises:
        UserError: a file that is not there or is called like a module that is, or code that fails.
    """
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        path = Path(name).absolute()
        file = path.suffix == ".py" or path.is_file()
        if file:
            _findable(path, name)
        try:
            _named(importlib.import_module(path.stem if file else name))
        except (Exception, SystemExit) as error:
            if debugging():
                raise
            if isinstance(error, UserError):
                raise UserError(f"{VARIABLE}={name}: {error}") from error
            raise UserError(
                f"{VARIABLE}={name} cannot be imported: {type(error).__name__}: {error} (UNWEAVE_DEBUG=1 shows where)"
            ) from error


def _named(module: ModuleType) -> None:
    """Give the module's methods, metrics and data sets their names, unless it has done so itself.

    Raises:
        UserError: a name that unweave has given already.
    """
    from unweave.data import DATASETS, Dataset
    from unweave.methods import METHODS, Method
    from unweave.metrics import METRICS, Metric

    tables: tuple[tuple[type, Any], ...] = ((Method, METHODS), (Metric, METRICS), (Dataset, DATASETS))
    for one in list(vars(module).values()):
        for kind, table in tables:
            if not (isinstance(one, type) and issubclass(one, kind) and one.__module__ == module.__name__):
                continue
            name = vars(one).get("name")
            if isinstance(name, str) and table.setdefault(name, one) is not one:
                raise UserError(
                    f"{one.__name__} is called {name!r}, as {table[name].__name__} is; allowed: another name"
                )


def _findable(path: Path, name: str) -> None:
    if not path.is_file():
        raise UserError(f"{VARIABLE} names {name}, which is no file; allowed: Python files and modules")
    if not (path.suffix == ".py" and path.stem.isidentifier()) or path.stem == "__main__":
        raise UserError(f"{VARIABLE} names {name}; allowed: files called like a module, as my_vae.py")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
        importlib.invalidate_caches()
    found = importlib.util.find_spec(path.stem)
    origin = found.origin if found else None
    if origin is None or not Path(origin).exists() or not Path(origin).samefile(path):
        raise UserError(
            f"{VARIABLE} names {name}, but {path.stem} is another module ({origin}); give the file a new name"
        )

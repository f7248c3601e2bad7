"""Files that are whole or not there: every write goes to a temporary neighbour first and is then moved into place."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unweave.types import UserError

LARGEST_JSON = 64 * 1024 * 1024


class StoreError(UserError):
    """A file that could not be written or read; the message says which and why, and what is still whole."""


def write(path: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a temporary file beside ``path``, flush it to the disk, then move it into place.

    A reader sees the old file or the new one, never a part. Raises StoreError when the disk is full or refuses.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        fill(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error} (what was there before is untouched)") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8") and None)


def write_json(path: Path, values: Any) -> None:
    """Write JSON whole, with sorted keys where order says nothing."""
    write_text(path, json.dumps(values, indent=1, allow_nan=True) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON of a bounded size. Raises StoreError when it is missing, too large or damaged."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise StoreError(f"cannot read {path}: larger than {LARGEST_JSON >> 20} MiB, which none of our files is")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise StoreError(f"cannot read {path}: damaged ({error})") from None


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left half-written; only for who holds the folder's lock."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

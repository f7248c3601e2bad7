"""A run's folder: what is kept of one experiment, and who may write it."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from unweave.store.files import (
    StoreError,
    append_line,
    as_json,
    read_json,
    read_lines,
    read_text,
    sweep,
    write,
    write_all,
    write_json,
)
from unweave.types import UserError

FORMAT = 1
"""Version of the checkpoint's layout; every older one can still be read."""
LARGEST = 16 * 1024**3
"""No checkpoint of ours is larger, in bytes."""
LARGEST_ARRAYS = 2 * 1024**3
"""Nor are the arrays that one job gives, in bytes."""

LOCK, HOLDER = ".lock", ".holder.json"
"""Files of whoever writes a folder: what is locked, and who says so."""
FOUND = ("scores", "ceilings", "names", "explorer")
"""JSON files about a trained model, beside those that say what it is."""


class Held(StoreError):
    """A folder that another process writes; later it may be free."""


class Checkpoint(NamedTuple):
    """A training at a step: named tensors, the names of the recorded terms, and the key of the experiment."""

    step: int
    tensors: Mapping[str, Tensor]
    terms: tuple[str, ...]
    key: str


class RunFolder:
    """``runs/<key>/``: experiment.json, checkpoint.safetensors, trace.csv, status.json, environment.json, scores.json,
    and rows.jsonl, to which whatever is measured is added, one line each.

    >>> import tempfile, torch
    >>> folder = RunFolder(Path(tempfile.mkdtemp()) / "abc")
    >>> with folder.lock():
    ...     folder.save(Checkpoint(3, {"w": torch.ones(2)}, ("total",), "abc"))
    >>> folder.load().step
    3
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Be the only writer. Raises Held saying who holds the folder; a dead process holds nothing.

        Args:
            wait: seconds to wait for another writer to finish.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Not tied to a thread: an iterator that trains may be driven, and closed, from several.
            lock = FileLock(self.path / LOCK, thread_local=False)
            lock.acquire(timeout=wait)
        except Timeout:
            raise Held(f"{self.path} is being written by {self.holder()}; wait for it or stop it") from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"cannot write in {self.path}: {reason}") from None
        note = self.path / HOLDER
        try:
            try:
                sweep(self.path)
            except OSError as error:
                raise StoreError(f"cannot write in {self.path}: {error.strerror or error}") from None
            who = {"process": os.getpid(), "host": socket.gethostname(), "since": now()}
            write_all({note: as_json(who)})
            yield
        finally:
            with suppress(OSError):
                note.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def changing(self, name: str, wait: float = 20.0) -> Iterator[None]:
        """Be the only one who reads one of the folder's JSON files in order to write it again, for a moment; whoever
        trains here meanwhile is not in the way. Raises Held when another process keeps it for ``wait`` seconds."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / f".{name}.lock", timeout=wait)
            lock.acquire()
        except Timeout:
            raise Held(f"{self.path / name}.json is being written by another process; try again") from None
        except (OSError, NotImplementedError) as error:
            raise StoreError(f"cannot write in {self.path}: {getattr(error, 'strerror', None) or error}") from None
        try:
            yield
        finally:
            lock.release()

    def held(self) -> bool:
        """Whether a living process writes here, as far as its note says; asked without touching the lock."""
        try:
            who = read_json(self.path / HOLDER)
            if who["host"] != socket.gethostname() or os.name != "posix":
                return True
            os.kill(int(who["process"]), 0)  # signal 0 only asks
        except PermissionError:
            return True
        except (StoreError, KeyError, TypeError, ValueError, OSError):
            return False
        return True

    def holder(self) -> str:
        """Who writes here, in words."""
        try:
            who = read_json(self.path / HOLDER)
            return f"process {who['process']} on {who['host']} since {who['since']}"
        except (StoreError, KeyError, TypeError):
            return "another process"

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint whole, in place of the one before."""
        self.put(checkpoint=checkpoint)

    def put(
        self,
        *,
        trace: Mapping[str, Sequence[float]] | None = None,
        checkpoint: Checkpoint | None = None,
        **documents: Any,
    ) -> None:
        """Replace several of the folder's files at once, each whole: the trace, then the checkpoint, then the JSON
        files in the order given. Only the checkpoint waits for the disk: the others can be made from it again."""
        contents: dict[Path, bytes] = {}
        if trace is not None:
            contents[self.path / "trace.csv"] = _trace(trace)
        if checkpoint is not None:
            contents[self.checkpoint_path] = _checkpoint(checkpoint)
        contents |= {self.path / f"{name}.json": as_json(values) for name, values in documents.items()}
        write_all(contents, flush=[self.checkpoint_path] if checkpoint is not None else [])

    def load(self) -> Checkpoint | None:
        """The checkpoint, None when there is none yet. Raises StoreError when it is damaged or from a newer version."""
        path = self.checkpoint_path
        try:
            # One open handle, read once: a library that opens the path a second time for the tensors would read another
            # file's when a writer replaces it in between.
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > LARGEST:
                    raise StoreError(f"cannot read {path}: larger than {LARGEST >> 30} GiB, which none of our files is")
                content = file.read()
            tensors = load(content)
            meta = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
            version = int(meta["format"])
            if version > FORMAT:
                raise StoreError(
                    f"{path} has checkpoint format {version}; this unweave reads up to {FORMAT}: install a newer one"
                )
            step, terms = int(meta["step"]), json.loads(meta["terms"])
            if version < 1 or step < 0 or not isinstance(terms, list) or not all(isinstance(t, str) for t in terms):
                raise StoreError(f"{path} is no checkpoint of unweave (format {version}, step {step}, terms {terms!r})")
            return Checkpoint(step, tensors, tuple(terms), meta["key"])
        except StoreError:
            raise
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError) as error:
            raise StoreError(f"cannot read {path}: {error}") from None
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise StoreError(f"{path} is no checkpoint of unweave ({type(error).__name__}: {error})") from None

    @property
    def checkpoint_path(self) -> Path:
        """Where the checkpoint lies."""
        return self.path / "checkpoint.safetensors"

    def read(self, name: str) -> Any:
        """One of the folder's JSON files (experiment, status, scores …) as a dictionary; {} when not there, or empty as
        a power cut may leave it.

        Raises StoreError when it is damaged.
        """
        path = self.path / f"{name}.json"
        found = read_json(path) if path.exists() and path.stat().st_size else {}
        if not isinstance(found, dict):
            raise StoreError(f"cannot read {path}: damaged (it holds a {type(found).__name__}, not an object)")
        return found

    def write(self, name: str, values: Any) -> None:
        """Write one of the folder's JSON files whole."""
        write_json(self.path / f"{name}.json", values)

    def forget(self) -> None:
        """Remove what was found out about the model that was here: its scores and their limits, its latents' ranges and
        names, and the rows measured; for who holds the lock."""
        for path in (*(self.path / f"{name}.json" for name in FOUND), self.rows_path):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row to those measured, for good; for who holds the lock."""
        append_line(self.rows_path, dict(row))

    def rows(self) -> list[dict[str, Any]]:
        """All rows added so far, oldest first. Raises StoreError when they are damaged."""
        return read_lines(self.rows_path)

    @property
    def rows_path(self) -> Path:
        """Where the rows lie."""
        return self.path / "rows.jsonl"

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write arrays of numbers whole, as ``name``.npz. Raises UserError for arrays of anything else."""
        for key, value in arrays.items():
            if value.dtype.kind not in "biufc":
                raise UserError(f"array {key!r} has dtype {value.dtype}; allowed: numbers")
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **{key: np.asarray(value) for key, value in arrays.items()})
        write(self.path / f"{name}.npz", content.getvalue())

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of ``name``.npz. Raises StoreError when they are missing, too large or damaged."""
        path = self.path / f"{name}.npz"
        try:
            with zipfile.ZipFile(path) as packed:
                size = sum(one.file_size for one in packed.infolist())
            if size > LARGEST_ARRAYS:
                raise StoreError(
                    f"cannot read {path}: larger than {LARGEST_ARRAYS >> 30} GiB, which none of our files is"
                )
            with np.load(path, allow_pickle=False) as found:
                return {key: found[key] for key in found.files}
        except StoreError:
            raise
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            raise StoreError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None

    def write_trace(self, table: Mapping[str, Sequence[float]]) -> None:
        """Write the recorded terms as CSV: one row a window of steps."""
        self.put(trace=table)

    def read_trace(self) -> dict[str, list[float]]:
        """The recorded terms, column by column; {} when there are none, or the file is empty as a power cut may leave
        it. Raises StoreError when they are damaged."""
        path = self.path / "trace.csv"
        if not path.exists() or not path.stat().st_size:
            return {}
        try:
            names, *rows = csv.reader(io.StringIO(read_text(path), newline=""))
            numbers = [[float(value) for value in row] for row in rows]
            if any(len(row) != len(names) for row in numbers):
                raise ValueError("a row of another length than the names")
        except StoreError:
            raise
        except (ValueError, csv.Error) as error:
            raise StoreError(f"cannot read {path}: damaged ({error})") from None
        return {name: [row[place] for row in numbers] for place, name in enumerate(names)}


def now() -> str:
    """The time as text, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _checkpoint(checkpoint: Checkpoint) -> bytes:
    meta = {
        "format": str(FORMAT),
        "key": checkpoint.key,
        "step": str(checkpoint.step),
        "terms": json.dumps(list(checkpoint.terms)),
    }
    return save(dict(checkpoint.tensors), metadata=meta)


def _trace(table: Mapping[str, Sequence[float]]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(table)
    rows.writerows(zip(*([f"{value:.9g}" for value in column] for column in table.values()), strict=True))
    return text.getvalue().encode()

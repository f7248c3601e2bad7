"""Bytes of a file, plain or packed by gzip, never more of them than was asked for."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from unweave.data.files import BLOCK, one_line
from unweave.types import UserError


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if its name ends in ``.gz``.

    Raises:
        UserError: one line that names the file, for whatever a missing or damaged file makes a reader raise.
    """
    with one_line(path), path.open("rb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield unpacked  # type: ignore[misc]


def exactly(file: IO[bytes], count: int, path: Path, what: str) -> bytes:
    """So many bytes. Raises UserError when fewer are left."""
    data = file.read(count)
    if len(data) != count:
        raise UserError(f"{path}: {what} ends after {len(data):,} of {count:,} bytes; truncated, fetch it again")
    return data


def fill(file: IO[bytes], array: np.ndarray[Any, Any], path: Path, what: str) -> None:
    """Read a contiguous array's worth of bytes into it. Raises UserError when fewer are left."""
    view, done = array.data.cast("B"), 0
    while done < len(view):
        data = file.read(min(BLOCK, len(view) - done))
        if not data:
            raise UserError(f"{path}: {what} end after {done:,} of {len(view):,} bytes; truncated, fetch it again")
        view[done : done + len(data)] = data
        done += len(data)


def finished(file: IO[bytes], path: Path, what: str) -> None:
    """Raises UserError unless the file ends here (which also has a packed file's checksum compared)."""
    if file.read(1):
        raise UserError(f"{path}: more bytes follow {what}; expected nothing")

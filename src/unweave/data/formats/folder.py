"""Many picture files in a folder, or in a zip archive of one: what is there, and the bytes of each."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from unweave.data.files import one_line
from unweave.types import UserError

DEEPEST = 4
"""Folders inside folders that are looked into."""

Listing = Mapping[str, tuple[int, int]]
"""Name, with / between folders, to size in bytes and time of change (or checksum, in an archive)."""


def listing(path: Path, inside: str = "") -> Listing:
    """The files of a folder and of the folders in it, or of a zip archive; hidden ones are passed over.

    Args:
        path: folder or archive.
        inside: the folder of the archive that is meant; names are relative to it.

    Raises:
        UserError: one line, for an archive or a folder that cannot be read.
    """
    with one_line(path):
        if path.is_dir():
            return dict(_walk(path, "", DEEPEST))
        with zipfile.ZipFile(path) as archive:
            found = {}
            for info in archive.infolist():
                name = info.filename.removeprefix(f"{inside}/") if inside else info.filename
                if not info.is_dir() and not Path(name).name.startswith("."):
                    found[name] = (info.file_size, info.CRC)
            return found


@contextmanager
def reader(path: Path, largest: int, inside: str = "") -> Iterator[Callable[[str], bytes]]:
    """A function from a file's name to its bytes, which many threads may call.

    Args:
        path: folder or archive.
        largest: most bytes a file may have.
        inside: as for ``listing``.
    """
    if path.is_dir():

        def from_folder(name: str) -> bytes:
            with one_line(path / name), (path / name).open("rb") as file:
                return _bounded(file.read(largest + 1), largest, path / name)

        yield from_folder
        return
    with one_line(path), zipfile.ZipFile(path) as archive:

        def from_archive(name: str) -> bytes:
            with one_line(path / name), archive.open(f"{inside}/{name}" if inside else name) as file:
                return _bounded(file.read(largest + 1), largest, path / name)

        yield from_archive


def fingerprint(held: Listing, names: Sequence[str]) -> str:
    """SHA-256 of names, sizes and times of these files: another one when any of them changes."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name} {held[name]}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, tuple[int, int]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if depth:
                    yield from _walk(folder / entry.name, f"{prefix}{entry.name}/", depth - 1)
            elif entry.is_file():
                state = entry.stat()
                yield f"{prefix}{entry.name}", (state.st_size, state.st_mtime_ns)


def _bounded(data: bytes, largest: int, path: Path) -> bytes:
    if len(data) > largest:
        raise UserError(f"{path}: more than {largest:,} bytes; no picture of this set")
    return data

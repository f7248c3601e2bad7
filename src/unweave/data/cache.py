"""Decoded images kept on disk: one memory-mapped table of bytes, whole or not there.

Decoding a large set takes minutes, so it is done once. What is being made lies in a folder that ends in ``.part`` with
a journal of what is done: a process that is killed leaves it, the next one goes on from there. Only a whole table is
moved into place. One process makes it at a time; others wait and then use it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.types import UserError

CACHE_VARIABLE = "UNWEAVE_CACHE"
"""Environment variable that names the folder of caches."""
VERSION = 3
"""Part of every key: raised when what is stored, or the way images are decoded, changes."""
HEADER = 128
"""Bytes of the ``.npy`` header, whatever the number of images: they are not known before the end."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SPARE = 1 << 24
"""Bytes left free on the disk."""
LONGEST_TEXT = 1 << 28
WAIT = 0.5
"""Seconds between two attempts to be the one who makes it."""

Tell = Callable[[str], None]
"""Called now and then with a line that says how far a preparation is."""


class Piece(NamedTuple):
    """Some images, in order."""

    images: NDArray[np.uint8]
    """(n, H, W, C); fewer than the sources they were made from where some were left out."""
    done: int
    """Sources dealt with, these included."""
    notes: tuple[str, ...] = ()
    """What there is to say of them, a line each: files left out and why."""


class Recipe(NamedTuple):
    """What a cache is made of and how."""

    name: str
    """The data set, for the name of the folder and for messages."""
    identity: Mapping[str, Any]
    """All that the pixels depend on, as JSON values: settings, and names, sizes and times of the files."""
    sources: int
    """How many pictures there are to decode."""
    shape: tuple[int, int, int]
    """H, W, C."""
    pieces: Callable[[int], Iterable[Piece]]
    """All pieces from the given source on (not 0 where an earlier process was killed)."""

    @property
    def size(self) -> int:
        """Bytes on the disk when nothing is left out."""
        return HEADER + self.sources * int(np.prod(self.shape))

    @property
    def folder(self) -> Path:
        """Where the finished cache lies."""
        text = json.dumps([VERSION, self.name, self.sources, self.shape, self.identity], sort_keys=True)
        return cache_root() / f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Cache(NamedTuple):
    """A finished cache."""

    folder: Path
    images: NDArray[np.uint8]
    """(N, H, W, C), mapped from the file: only what is asked for is read."""
    notes: tuple[str, ...]
    """What was said while it was made."""
    pieces: tuple[tuple[int, str], ...]
    """Images and SHA-256 of each piece, in order."""


def cache_root() -> Path:
    """The folder of caches: ``UNWEAVE_CACHE``, else ``unweave`` in the user's own folder of caches."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "unweave"


def prepared(recipe: Recipe) -> Cache | None:
    """The finished cache, if there is one. A damaged one counts as none."""
    folder = recipe.folder
    try:
        about = _read(folder / "about.json")
        pieces = tuple((int(rows), str(digest)) for rows, digest in about["pieces"])
        rows = sum(count for count, _ in pieces)
        images = folder / "images.npy"
        with images.open("rb") as file:
            if file.read(HEADER) != header((rows, *recipe.shape)):
                return None
        if images.stat().st_size != HEADER + rows * int(np.prod(recipe.shape)) or not rows:
            return None
        table = np.memmap(images, np.uint8, "r", HEADER, (rows, *recipe.shape))
        return Cache(folder, table, tuple(map(str, about["notes"])), pieces)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prepare(recipe: Recipe, tell: Tell | None = None) -> Cache:
    """The cache, made now unless it is there: resumed where an earlier process was killed, waited for where another
    one is at it.

    Raises:
        UserError: one line: the disk is full or refuses (nothing is left behind), or what the pieces raise.
    """
    from filelock import FileLock, Timeout

    found = prepared(recipe)
    if found is not None:
        return found
    folder = recipe.folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        while True:
            try:
                lock.acquire(timeout=WAIT)
                break
            except Timeout:
                if tell is not None:
                    tell(f"{recipe.name}: another process is preparing it, waiting")
    except OSError as error:
        raise _refused(recipe, error, "nothing was written") from None
    try:
        found = prepared(recipe)
        if found is None:
            _make(recipe, tell)
            found = prepared(recipe)
        if found is None:
            raise UserError(f"{recipe.name}: {folder} was prepared and cannot be read back; is the disk sound?")
        return found
    finally:
        lock.release()


def verify(cache: Cache) -> None:
    """Read the whole table and compare it with the checksums taken when it was made.

    Raises:
        UserError: one line that says from which image on it differs.
    """
    start = 0
    for rows, digest in cache.pieces:
        if _digest(cache.images[start : start + rows]) != digest:
            raise UserError(
                f"{cache.folder}: images {start} to {start + rows - 1} are not what was written; delete this folder"
            )
        start += rows


def compare(recipe: Recipe, cache: Cache) -> None:
    """Make every piece again, without keeping it, and compare it with the cache.

    Raises:
        UserError: one line that says where they differ, or what the pieces raise.
    """
    start = 0
    for piece in recipe.pieces(0):
        if not np.array_equal(piece.images, cache.images[start : start + len(piece.images)]):
            raise UserError(
                f"{cache.folder}: images {start} to {start + len(piece.images) - 1} are not what the files give now; "
                "delete this folder"
            )
        start += len(piece.images)


def header(shape: tuple[int, ...]) -> bytes:
    """An ``.npy`` header of bytes of this shape, 128 bytes long, so that NumPy alone can open the table too."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11) + b"\n"


def _make(recipe: Recipe, tell: Tell | None) -> None:
    part = recipe.folder.with_name(f"{recipe.folder.name}.part")
    try:
        part.mkdir(exist_ok=True)
        done, notes, pieces = _resume(part, recipe)
        row = int(np.prod(recipe.shape))
        rows = sum(count for count, _ in pieces)
        needed, free = (recipe.sources - done) * row + SPARE, shutil.disk_usage(part).free
        if needed > free:
            shutil.rmtree(part, ignore_errors=True)
            raise UserError(
                f"{recipe.name}: preparing it takes {needed / 1e9:.2f} GB in {part.parent} and {free / 1e9:.2f} GB are "
                f"free; nothing was kept there (the environment variable {CACHE_VARIABLE} names another folder)"
            )
        with (part / "images.npy").open("r+b" if rows else "wb") as file:
            file.truncate(HEADER + rows * row)
            file.seek(HEADER + rows * row)
            for piece in recipe.pieces(done):
                images = np.ascontiguousarray(piece.images, np.uint8)
                if images.shape[1:] != recipe.shape:
                    raise ValueError(f"{recipe.name}: images of shape {images.shape[1:]}; promised {recipe.shape}")
                if len(images):
                    file.write(images.data.cast("B"))
                    file.flush()
                    os.fsync(file.fileno())
                    pieces.append((len(images), _digest(images)))
                done, notes = piece.done, [*notes, *piece.notes]
                _write(part / "journal.json", {"done": done, "notes": notes, "pieces": pieces})
                if tell is not None:
                    tell(f"{recipe.name}: {done:,} of {recipe.sources:,} images")
            if done != recipe.sources:
                raise ValueError(f"{recipe.name}: {done} of {recipe.sources} sources were dealt with")
            rows = sum(count for count, _ in pieces)
            if not rows:
                raise UserError(f"{recipe.name}: none of {recipe.sources} images could be used")
            file.seek(0)
            file.write(header((rows, *recipe.shape)))
            file.flush()
            os.fsync(file.fileno())
        _write(part / "about.json", {"name": recipe.name, "notes": notes, "pieces": pieces})
        (part / "journal.json").unlink()
        if recipe.folder.exists():
            shutil.rmtree(recipe.folder)
        part.replace(recipe.folder)
    except OSError as error:
        if error.errno in FULL:
            shutil.rmtree(part, ignore_errors=True)
            raise _refused(recipe, error, "what was written has been removed") from None
        raise _refused(recipe, error, "what was done so far is kept") from None
    except (UserError, ValueError):
        shutil.rmtree(part, ignore_errors=True)
        raise


def _resume(part: Path, recipe: Recipe) -> tuple[int, list[str], list[tuple[int, str]]]:
    """What an earlier process had done when it was killed; nothing where that is not certain."""
    row = int(np.prod(recipe.shape))
    try:
        journal = _read(part / "journal.json")
        pieces = [(int(rows), str(digest)) for rows, digest in journal["pieces"]]
        rows, done = sum(count for count, _ in pieces), int(journal["done"])
        if pieces and 0 < done <= recipe.sources:
            with (part / "images.npy").open("rb") as file:
                file.seek(HEADER + (rows - pieces[-1][0]) * row)
                if hashlib.sha256(file.read(pieces[-1][0] * row)).hexdigest() == pieces[-1][1]:
                    return done, [str(note) for note in journal["notes"]], pieces
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, [], []


def _digest(images: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).data.cast("B")).hexdigest()


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        return json.loads(file.read(LONGEST_TEXT))


def _write(path: Path, values: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _refused(recipe: Recipe, error: OSError, then: str) -> UserError:
    return UserError(
        f"{recipe.name}: cannot prepare it in {cache_root()}: {error.strerror or error}; {then} "
        f"(the environment variable {CACHE_VARIABLE} names another folder)"
    )

"""Files that are whole or not there: every write goes to a temporary neighbour first and is then moved into place."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from unweave.types import UserError

LARGEST_TEXT = 64 * 1024 * 1024
LOOSE = (".scores.", ".names.", ".ceilings.", ".explorer.")
"""How half-written files begin that their writers do not hold the folder's lock for."""
LEFT = 3600.0
"""Seconds after which such a file is nobody's any more."""
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between attempts to replace a file that is being read, on Windows."""


class StoreError(UserError):
    """A file that could not be written or read; the message says which and why, and what is still whole."""


def write(path: Path, content: bytes) -> None:
    """Write a temporary file beside ``path``, flush it to the disk, then move it into place.

    A reader sees the old file or the new one, never a part. Raises StoreError when the disk is full or refuses.
    """
    write_all({path: content}, flush=[path])


def write_all(contents: Mapping[Path, bytes], *, flush: Collection[Path] = ()) -> None:
    """Write several files, then move them into place in the order given.

    Each is whole or as it was, and when one cannot be written all stay as they were. Waiting for the disk takes far
    longer than writing, so only what must outlast a power cut is waited for; other files may be empty after one.

    Args:
        contents: path -> bytes.
        flush: which of them wait for the disk, before they are moved and after.

    Raises:
        StoreError: the disk is full or refuses.
    """
    mark = f"{os.getpid()}-{secrets.token_hex(4)}.part"
    parts = {path: path.with_name(f".{path.name}.{mark}") for path in contents}
    path = next(iter(contents))
    try:
        for folder in {path.parent for path in contents}:
            folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            for path, content in contents.items():
                file = opened.enter_context(parts[path].open("xb"))
                file.write(content)
                file.flush()
                if path in flush:
                    os.fsync(file.fileno())
        for path, part in parts.items():
            _move(part, path)
        for folder in {path.parent for path in flush}:
            _sync_folder(folder)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error} (what was there is untouched)") from None
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write(path, text.encode())


def write_json(path: Path, values: Any) -> None:
    """Write JSON whole."""
    write(path, as_json(values))


def as_json(values: Any) -> bytes:
    """What ``write_json`` writes."""
    return (json.dumps(values, indent=1, allow_nan=True) + "\n").encode()


def append_line(path: Path, values: Any) -> None:
    """Add one line of JSON to a file of such lines, and flush it to the disk; only for the file's one writer.

    What a writer that was killed left half-written is cut off first. Raises StoreError when the disk refuses.
    """
    line = json.dumps(values, allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            whole = file.seek(0, os.SEEK_END)
            file.seek(max(0, whole - 1))
            if file.read(1) not in (b"", b"\n"):
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error} (what was there is untouched)") from None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON objects, [] when there is none; one that is still being written is left out.

    Raises StoreError when the file is too large or a line is damaged.
    """
    if not path.exists():
        return []
    whole, newline, _ = read_text(path).rpartition("\n")
    try:
        found = [json.loads(line) for line in (whole + newline).splitlines()]
    except (ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {path}: damaged ({error})") from None
    if not all(isinstance(one, dict) for one in found):
        raise StoreError(f"cannot read {path}: damaged (a line is no object)")
    return found


def read_json(path: Path) -> Any:
    """Read JSON of a bounded size. Raises StoreError when it is missing, too large or damaged."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {path}: damaged ({error})") from None


def read_text(path: Path) -> str:
    """Read a text file of a bounded size. Raises StoreError when it is missing, too large or no text."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise StoreError(f"cannot read {path}: larger than {LARGEST_TEXT >> 20} MiB, which none of our files is")
        return content.decode()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise StoreError(f"cannot read {path}: damaged ({error})") from None


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left half-written; only for who holds the folder's lock.

    Scores and names are written without it: theirs go once they are old.
    """
    for part in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            if not part.name.startswith(LOOSE) or time.time() - part.stat().st_mtime > LEFT:
                part.unlink()


def _move(part: Path, path: Path) -> None:
    """Windows lets nobody replace a file that somebody else is reading just then: there it is tried for a while."""
    for pause in PAUSES if os.name == "nt" else ():
        try:
            part.replace(path)
            return
        except PermissionError:
            time.sleep(pause)
    part.replace(path)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

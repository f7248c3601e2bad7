"""A tar archive read once from front to back; nothing is unpacked to the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from unweave.data.files import BLOCK
from unweave.data.formats.stream import exactly
from unweave.types import UserError

UNIT = 512
MEMBERS = 1 << 20
"""More members than this no published archive has."""


def members(file: IO[bytes], path: Path, wanted: tuple[str, ...], most: int, total: int) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the regular files whose name ends in one of ``wanted``, in the order in which they are stored.

    Args:
        file: the unpacked archive.
        path: for messages.
        wanted: endings of names; all other members are passed over.
        most: largest size of a wanted file.
        total: largest size of the whole archive.

    Raises:
        UserError: one line, for a damaged header, a file or an archive that is too large, or a truncated one.
    """
    done = 0
    for _ in range(MEMBERS):
        head = exactly(file, UNIT, path, "the archive")
        if not head.strip(b"\0"):
            return
        name, size = _header(head, path)
        padded = -(-size // UNIT) * UNIT
        done += UNIT + padded
        if done > total:
            raise UserError(f"{path}: {name!r} makes the archive larger than {total:,} bytes; no archive as published")
        if head[156:157] not in (b"0", b"\0") or not name.endswith(wanted):
            for start in range(0, padded, BLOCK):
                exactly(file, min(BLOCK, padded - start), path, f"{name!r}")
            continue
        if size > most:
            raise UserError(f"{path}: {name!r} has {size:,} bytes; expected at most {most:,}")
        yield name, exactly(file, padded, path, f"{name!r}")[:size]
    raise UserError(f"{path}: more than {MEMBERS:,} files; no archive as published")


def _header(head: bytes, path: Path) -> tuple[str, int]:
    try:
        said = int(head[148:156].strip(b" \0") or b"0", 8)
        size = int(head[124:136].strip(b" \0") or b"0", 8)
    except ValueError:
        said, size = -1, 0
    # The sum counts its own eight bytes as blanks.
    if size < 0 or sum(head) - sum(head[148:156]) + 8 * 32 != said:
        raise UserError(f"{path}: a file's header in the archive is damaged; fetch it again")
    parts = [head[:100].split(b"\0")[0]]
    if head[257:262] == b"ustar":
        parts.insert(0, head[345:500].split(b"\0")[0])
    return "/".join(part.decode("utf-8", "replace") for part in parts if part), size

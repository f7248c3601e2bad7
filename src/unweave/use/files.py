"""What decoded pictures are called: names that every system takes and that stay in their folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from unweave.report.pictures import png
from unweave.store.files import write_all
from unweave.types import UserError

FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
"""What Windows takes in no name."""
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
"""What Windows takes for a device, with any ending."""
LONGEST = 200
"""Letters of a part of a path."""


def picture_names(names: Sequence[str], files: bool) -> list[PurePosixPath]:
    """The name of each image's picture: that of its file with the ending .png, or its number with leading zeros.

    Raises:
        UserError: a name that leads out of the folder, or two that would be one file.

    >>> [str(name) for name in picture_names(["a/cat.jpg", "a/cat.webp", "dog?.png"], True)]
    ['a/cat.jpg.png', 'a/cat.webp.png', 'dog_.png']
    >>> [str(name) for name in picture_names(["7", "10"], False)]
    ['07.png', '10.png']
    """
    if not files and all(name.isascii() and name.isdecimal() for name in names):
        wide = max(map(len, names), default=1)
        found = [PurePosixPath(f"{name:0>{wide}}.png") for name in names]
    else:
        clean = [_clean(name) for name in names]
        short = [one.with_suffix(".png") for one in clean]
        count = Counter(str(one).casefold() for one in short)
        found = [
            one if count[str(one).casefold()] == 1 else whole.with_name(f"{whole.name}.png")
            for one, whole in zip(short, clean, strict=True)
        ]
    twice = Counter(str(one).casefold() for one in found)
    for name, one in zip(names, found, strict=True):
        if twice[str(one).casefold()] > 1:
            raise UserError(f"{name!r} and another row would both be written to {one}; allowed: a name for each row")
    return found


def write_pictures(folder: Path, names: Sequence[PurePosixPath], images: NDArray[np.uint8]) -> None:
    """Write images as PNG files, each whole; folders are made where they are not. Raises StoreError for a full disk."""
    write_all({folder / name: png(image) for name, image in zip(names, images, strict=True)})


def _clean(name: str) -> PurePosixPath:
    parts = name.replace("\\", "/").split("/")
    if not name or "" in parts or ".." in parts or "." in parts or re.match(r"^[A-Za-z]:[\\/]", name):
        raise UserError(f"the name {name[:80]!r} leads out of the folder; allowed: names below it, such as a/b.png")
    return PurePosixPath(*map(_part, parts))


def _part(part: str) -> str:
    clean = FORBIDDEN.sub("_", part).rstrip(". ")[:LONGEST] or "_"
    return f"_{clean}" if clean.split(".")[0].casefold() in DEVICES else clean

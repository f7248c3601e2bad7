"""The binary-matrix format of NORB: a magic number, the number of dimensions, at least three sizes, the numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unweave.data.formats.stream import exactly, fill, finished, opened
from unweave.types import UserError

MAGIC = {0x1E3D4C55: "uint8", 0x1E3D4C54: "int32"}
"""Number types that the published files use, by the magic number they start with (little-endian)."""
OTHERS = {0x1E3D4C51: "float32", 0x1E3D4C52: "packed", 0x1E3D4C53: "float64", 0x1E3D4C56: "int16"}
ROWS = 512
"""Rows read at a time."""


def blocks(path: Path, shape: tuple[int, ...], dtype: str) -> Iterator[NDArray[Any]]:
    """A binary matrix, packed by gzip if its name ends so, verified, as consecutive blocks of its rows.

    Args:
        path: the file.
        shape: what its header must say (matrices of one or two dimensions have ones, or anything, up to the third).
        dtype: ``uint8`` or ``int32``.

    Raises:
        UserError: one line, for another number type or shape, too few or too many bytes, or damage.
    """
    with opened(path) as file:
        magic, count = struct.unpack("<Ii", exactly(file, 8, path, "the header"))
        if MAGIC.get(magic) != dtype:
            told = {**MAGIC, **OTHERS}.get(magic, "no binary matrix")
            expected = next(number for number, name in MAGIC.items() if name == dtype)
            raise UserError(f"{path}: magic number {magic:#010x} ({told}); expected {expected:#010x} ({dtype})")
        if count != len(shape):
            raise UserError(f"{path}: a matrix of {count} dimensions; expected {len(shape)}")
        slots = max(3, count)
        sizes = struct.unpack(f"<{slots}i", exactly(file, 4 * slots, path, "the header"))[:count]
        if sizes != shape:
            raise UserError(f"{path}: holds a matrix of shape {sizes}; expected {shape}")
        wide = np.dtype(dtype).newbyteorder("<")
        for start in range(0, shape[0], ROWS):
            block = np.empty((min(ROWS, shape[0] - start), *shape[1:]), wide)
            fill(file, block, path, "the numbers")
            yield block.astype(dtype, copy=False)
        finished(file, path, "the numbers")


def read(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """All of ``blocks`` in one array.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cat.mat"
    >>> _ = path.write_bytes(struct.pack("<Ii3i2i", 0x1E3D4C54, 1, 2, 1, 1, 4, 0))
    >>> read(path, (2,), "int32").tolist()
    [4, 0]
    """
    array = np.empty(shape, dtype)
    step = math.prod(shape[1:])
    flat, done = array.reshape(-1), 0
    for block in blocks(path, shape, dtype):
        flat[done : done + len(block) * step] = block.reshape(-1)
        done += len(block) * step
    return array

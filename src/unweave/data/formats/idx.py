"""The idx format of MNIST: two zero bytes, the number type, the number of dimensions, their sizes, the numbers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unweave.data.formats.stream import exactly, fill, finished, opened
from unweave.types import UserError

BYTES = 8
"""Number type of unsigned bytes, the only one that the published files use."""


def read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An idx file of bytes, packed by gzip if its name ends so, verified.

    Args:
        path: the file.
        shape: what its header must say.

    Raises:
        UserError: one line, for another number type or shape, too few or too many bytes, or damage.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read(path, (3,)).tolist()
    [7, 2, 1]
    """
    with opened(path) as file:
        wanted = bytes([0, 0, BYTES, len(shape)])
        magic = exactly(file, 4, path, "the header")
        if magic != wanted:
            raise UserError(f"{path}: starts with {magic.hex(' ')}; expected {wanted.hex(' ')}, an idx file of bytes")
        found = struct.unpack(f">{len(shape)}I", exactly(file, 4 * len(shape), path, "the header"))
        if found != shape:
            raise UserError(f"{path}: holds an array of shape {found}; expected {shape}")
        array = np.empty(shape, np.uint8)
        fill(file, array, path, "the numbers")
        finished(file, path, "the numbers")
    return array

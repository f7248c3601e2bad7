"""Arrays of the user's own in ``.npy`` and ``.npz`` files: what a header claims is compared with the file first."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.data.files import BLOCK, Array, as_numpy_packs, npz_blocks, one_line
from unweave.types import UserError

SUFFIXES = (".npy", ".npz")
TYPES = ("uint8", "uint16", "bool", "float16", "float32", "float64")
"""What pixels may be: bytes, 16 bits, black and white, or real numbers from 0 to 1."""


class Claim(NamedTuple):
    """What a file says of one of its arrays."""

    key: str
    """Its name in an ``.npz``; empty in an ``.npy``."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    """Where in an ``.npy`` its numbers begin."""


def claims(path: Path) -> list[Claim]:
    """Every array of a file, by its header alone.

    Raises:
        UserError: one line: no such file, not as NumPy writes it, or damaged.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: unknown kind of file; allowed: {' or '.join(SUFFIXES)}")
    with one_line(path):
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                shape, dtype = _header(path, file)
                start, size = file.tell(), path.stat().st_size
            if dtype.hasobject or size - start != math.prod(shape) * dtype.itemsize:
                raise UserError(f"{path}: {dtype.name} numbers of shape {shape} do not take {size - start:,} bytes")
            return [Claim("", shape, dtype, start)]
        found = []
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".npy") and as_numpy_packs(info):
                    with archive.open(info) as member:
                        shape, dtype = _header(path, member)
                    found.append(Claim(info.filename.removesuffix(".npy"), shape, dtype, 0))
        return found


def mapped(path: Path, claim: Claim) -> NDArray[Any]:
    """The array of an ``.npy``, mapped where it lies: only what is asked for is read."""
    return np.memmap(path, claim.dtype, "r", claim.start, claim.shape)


def blocks(path: Path, claim: Claim) -> Iterator[NDArray[Any]]:
    """An array as consecutive blocks of its rows.

    Raises:
        UserError: one line, for a damaged archive.
    """
    if claim.key:
        yield from npz_blocks(path, Array(claim.key, claim.shape, (claim.dtype.newbyteorder("=").name,)))
        return
    whole = mapped(path, claim)
    step = max(1, BLOCK // max(1, whole[:1].nbytes))
    for start in range(0, len(whole), step):
        yield np.array(whole[start : start + step])


def pixels(who: str, block: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers of one of ``TYPES`` as bytes: 16 bits are divided by 257, real numbers multiplied by 255, and rounded.

    Raises:
        UserError: a real number outside [0, 1], or none at all; ``who`` begins the line.

    >>> pixels("x", np.array([0.0, 0.5, 1.0])).tolist(), pixels("x", np.array([True, False])).tolist()
    ([0, 128, 255], [255, 0])
    """
    if block.dtype == np.uint8:
        return block
    if block.dtype == np.bool_:
        return block.astype(np.uint8) * np.uint8(255)
    if block.dtype.kind == "u":
        return ((block.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not bool(((block >= 0) & (block <= 1)).all()):
        low, high = float(block.min()), float(block.max())
        raise UserError(f"{who}: pixels from {low:g} to {high:g}; allowed: real numbers from 0 to 1, or 8 or 16 bits")
    return np.floor(block.astype(np.float64) * 255 + 0.5).astype(np.uint8)


def _header(path: Path, file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if np.lib.format.read_magic(file) != (1, 0):  # later versions allow headers of gigabytes, for long names of fields
        raise UserError(f"{path}: an unknown version of NumPy's format; allowed is 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=10_000)
    if fortran and len(shape) > 1:
        raise UserError(f"{path}: stored column by column; expected row by row, as np.ascontiguousarray makes it")
    return shape, dtype

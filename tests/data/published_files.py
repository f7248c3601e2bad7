"""Files written byte by byte as the authors of the data sets publish them, and ways to spoil them."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from unweave.types import UserError


def idx(array: np.ndarray) -> bytes:
    """Zero, zero, 8 for bytes, the number of dimensions, sizes in big-endian, the numbers."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def norb(array: np.ndarray) -> bytes:
    """A magic number for the type, the number of dimensions, at least three sizes, the numbers, all little-endian."""
    magic = {np.dtype(np.uint8): 0x1E3D4C55, np.dtype(np.int32): 0x1E3D4C54}[array.dtype]
    sizes = (*array.shape, 1, 1)[: max(3, array.ndim)]
    return (
        struct.pack(f"<Ii{len(sizes)}i", magic, array.ndim, *sizes)
        + array.astype(array.dtype.newbyteorder("<")).tobytes()
    )


def mat5(arrays: dict[str, np.ndarray], packed: bool = True, order: str = "<") -> bytes:
    """A MAT-file of level 5: 128 bytes of header, then every array, deflated or not."""
    text = b"MATLAB 5.0 MAT-file, Platform: GLNXA64, Created on: Mon Jun  8 12:00:00 2015".ljust(124)
    out = [text, struct.pack(f"{order}H", 0x0100), b"IM" if order == "<" else b"MI"]
    for name, array in arrays.items():
        body = struct.pack(f"{order}IIII", 6, 8, 9, 0)
        body += element(5, struct.pack(f"{order}{array.ndim}i", *array.shape), order)
        body += element(1, name.encode(), order)
        body += element(2, array.astype(np.uint8).tobytes(order="F"), order)
        whole = struct.pack(f"{order}II", 14, len(body)) + body
        if packed:
            deflated = zlib.compress(whole)
            whole = struct.pack(f"{order}II", 15, len(deflated)) + deflated
        out.append(whole)
    return b"".join(out)


def element(kind: int, data: bytes, order: str) -> bytes:
    """Type and size and data up to a multiple of eight; up to four bytes of data all within eight."""
    if len(data) <= 4:
        return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def tar(files: dict[str, bytes]) -> bytes:
    """A ustar archive: for each file a header of 512 bytes with its sum in octal, then its bytes in units of 512."""
    out = []
    for name, data in files.items():
        kind = b"5" if name.endswith("/") else b"0"
        head = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0001750\0" * 2
        head += b"%011o\0" % len(data) + b"12553321000\0"
        rest = kind + bytes(100) + b"ustar\00000" + bytes(247)
        total = sum(head) + 8 * 32 + sum(rest)
        out.append(head + b"%06o\0 " % total + rest + data + bytes(-len(data) % 512))
    return b"".join(out) + bytes(1024)


def npy(array: np.ndarray) -> bytes:
    """An array as ``numpy.save`` writes it."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """The files in a folder; those that end in .gz packed."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, 1) if name.endswith(".gz") and not data.startswith(b"\x1f\x8b") else data)
    return folder


def spoiled(honest: bytes, rng: np.random.Generator, head: int = 512) -> bytes:
    """The bytes with something wrong, most often near the beginning."""
    data = bytearray(honest)
    place = int(rng.integers(min(head, len(data)) if rng.random() < 0.7 else len(data)))
    what = rng.integers(6)
    if what == 0:
        for _ in range(rng.integers(1, 4)):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif what == 1:
        data[place] = int(rng.integers(256))
    elif what == 2:
        extreme = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 1 << 24, int(rng.integers(1 << 32)))
        data[place : place + 4] = int(rng.choice(extreme)).to_bytes(4, ("little", "big")[int(rng.integers(2))])
    elif what == 3:
        del data[place:]
    elif what == 4:
        del data[place : place + int(rng.integers(1, 64))]
    else:
        data[place:place] = rng.bytes(int(rng.integers(1, 64)))
    return bytes(data)


def fuzz(honest: bytes, read: Callable[[bytes], Any], most: int, count: int = 2000, head: int = 512) -> int:
    """Read so many spoiled files; how many were refused. All others must have been read.

    Args:
        honest: a file as published.
        read: reads one; whatever but a UserError of one line is a failure of the test.
        most: bytes that reading may have in use at a time.
        count: spoiled files.
        head: where most of them are spoiled.
    """
    rng, refused = np.random.default_rng(0), 0
    read(honest)
    tracemalloc.start()
    try:
        for _ in range(count):
            data = spoiled(honest, rng, head)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                read(data)
            except UserError as error:
                refused += 1
                assert "\n" not in str(error), str(error)
            used = tracemalloc.get_traced_memory()[1] - before
            assert used <= most, f"{used:,} bytes in use"
    finally:
        tracemalloc.stop()
    return refused

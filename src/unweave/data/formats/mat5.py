"""MATLAB's MAT-file, level 5: one named array of bytes out of it. Everything else is passed over unread."""

from __future__ import annotations

import math
import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.types import UserError

HEADER = 128
"""Bytes of text and version before the first element."""
INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 2, 5, 6, 14, 15
"""Types of elements that occur around an array of bytes."""
UINT8_CLASS = 9
CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8"}
LONGEST = 64
"""Longest name of an array, and most of its dimensions: MATLAB allows 63 letters."""


class _Bytes:
    """What is left of an element, plain or deflated; ``take`` unpacks as many bytes as it gives."""

    def __init__(self, data: memoryview, packed: bool) -> None:
        self.data = data
        self.zlib = zlib.decompressobj() if packed else None

    def take(self, count: int) -> bytes:
        if self.zlib is None:
            found, self.data = bytes(self.data[:count]), self.data[count:]
        else:
            found = self.zlib.decompress(self.data, count) if count else b""
            self.data = memoryview(self.zlib.unconsumed_tail)
        if len(found) != count:
            raise UserError(f"an array ends after {len(found):,} of {count:,} bytes; truncated, fetch it again")
        return found

    def close(self) -> None:
        """Raises UserError unless all was taken (which also has the checksum of packed bytes compared)."""
        if self.zlib is None:
            left = len(self.data)
        else:
            left = len(self.zlib.decompress(self.data, 1)) or len(self.zlib.unconsumed_tail) or not self.zlib.eof
        if left:
            raise UserError("an array has more or fewer bytes than it says; damaged, fetch it again")


class _Part(NamedTuple):
    kind: int
    data: bytes


def read(data: bytes | memoryview, key: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array ``key`` of a MAT-file of level 5 (MATLAB 5 to 7.2), which must hold bytes in just this shape.

    Nothing is executed or interpreted but numbers; no more bytes are unpacked than the array has.

    Args:
        data: the whole file.
        key: the array's name.
        shape: the shape it must have.

    Raises:
        UserError: one line, without the file's name, for anything else than that array, or damage.
    """
    view = memoryview(data)
    if len(view) < HEADER or bytes(view[126:128]) not in (b"IM", b"MI"):
        raise UserError("no MAT-file of level 5 (files of MATLAB 7.3 are HDF5 and are not read)")
    order = "<" if bytes(view[126:128]) == b"IM" else ">"
    version = struct.unpack_from(f"{order}H", view, 124)[0]
    if version != 0x0100:
        raise UserError(f"a MAT-file of version {version:#06x}; expected 0x0100, level 5")
    place, names = HEADER, []
    while place + 8 <= len(view):
        kind, size = struct.unpack_from(f"{order}II", view, place)
        body = view[place + 8 : place + 8 + size]
        if len(body) != size:
            raise UserError(f"an element claims {size:,} bytes and {len(body):,} are left; truncated, fetch it again")
        if kind in (MATRIX, COMPRESSED):
            try:
                inner = _Bytes(body, kind == COMPRESSED)
                name, found = _matrix(inner, size if kind == MATRIX else None, order, key, shape)
            except zlib.error as error:
                raise UserError(f"damaged ({error}), fetch it again") from None
            if found is not None:
                return found
            names.append(name)
        place += 8 + size
    raise UserError(f"no array {key!r}; it holds {', '.join(repr(one) for one in names[:6]) or 'nothing'}")


def _matrix(
    inner: _Bytes, size: int | None, order: str, key: str, shape: tuple[int, ...]
) -> tuple[str, NDArray[np.uint8] | None]:
    """Name of one array element and, if it is the one looked for, its numbers."""
    if size is None:
        kind, size = struct.unpack(f"{order}II", inner.take(8))
        if kind != MATRIX:
            return "", None
    flags = _part(inner, order, 8)
    dims = _part(inner, order, 4 * LONGEST)
    name = _part(inner, order, LONGEST)
    if (flags.kind, len(flags.data), dims.kind, len(dims.data) % 4, name.kind) != (UINT32, 8, INT32, 0, INT8):
        raise UserError("an array without flags, sizes and name; damaged, fetch it again")
    called = name.data.decode("ascii", "replace")
    if called != key:
        return called, None
    word = struct.unpack(f"{order}I", flags.data[:4])[0]
    if word & 0xFF != UINT8_CLASS or word & 0x0800:
        told = CLASSES.get(word & 0xFF, f"class {word & 0xFF}")
        raise UserError(f"{key!r} holds {'complex ' if word & 0x0800 else ''}{told}; expected uint8")
    sizes = struct.unpack(f"{order}{len(dims.data) // 4}i", dims.data)
    if sizes != shape:
        raise UserError(f"{key!r} has shape {sizes}; expected {shape}")
    count = math.prod(shape)
    numbers = _part(inner, order, count)
    if numbers.kind != UINT8 or len(numbers.data) != count:
        raise UserError(f"{key!r} has {len(numbers.data):,} numbers of type {numbers.kind}; expected {count:,} bytes")
    inner.close()
    return called, np.frombuffer(numbers.data, np.uint8).reshape(shape, order="F")


def _part(inner: _Bytes, order: str, most: int) -> _Part:
    """One element inside an array: long (type, size, data up to a multiple of 8) or short (all in 8 bytes)."""
    tag = inner.take(8)
    first, second = struct.unpack(f"{order}II", tag)
    if first >> 16:
        size = first >> 16
        if size > 4:
            raise UserError(f"a short element of {size} bytes; damaged, fetch it again")
        return _Part(first & 0xFFFF, tag[4 : 4 + size])
    if second > most:
        raise UserError(f"an element of {second:,} bytes where {most:,} are expected; damaged, fetch it again")
    data = inner.take(second)
    inner.take(-second % 8)
    return _Part(first, data)

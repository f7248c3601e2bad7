"""TIFFs of kinds that Pillow writes none of, byte by byte."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

TYPES = {"H": 3, "I": 4}
SIGNS = {"u": 1, "i": 2, "f": 3}


def tiff(pixels: NDArray[np.generic], meaning: int = 1, planes: int = 1, pages: int = 1) -> bytes:
    """A file of one strip (one for each colour with ``planes`` 2), its page repeated.

    Args:
        pixels: (H, W) or (H, W, C), of any kind of numbers.
        meaning: 0 where the largest is black, 1 where it is white, 2 for colours.
        planes: 1 for colours pixel by pixel, 2 for one after the other.
        pages: how many.
    """
    height, width, colours = *pixels.shape[:2], 1 if pixels.ndim == 2 else pixels.shape[2]
    little = pixels.astype(pixels.dtype.newbyteorder("<"))
    strips = [little.tobytes()] if planes == 1 else [little[..., k].tobytes() for k in range(colours)]
    body, places = bytearray(b"II*\0\0\0\0\0"), []
    for strip in strips:
        places.append(len(body))
        body += strip + b"\0" * (len(strip) % 2)
    tags: list[tuple[int, str, list[int]]] = [
        (256, "H", [width]),
        (257, "H", [height]),
        (258, "H", [8 * pixels.dtype.itemsize] * colours),
        (259, "H", [1]),
        (262, "H", [meaning]),
        (273, "I", places),
        (277, "H", [colours]),
        (278, "H", [height]),
        (279, "I", [len(strip) for strip in strips]),
        (284, "H", [planes]),
        (339, "H", [SIGNS[pixels.dtype.kind]] * colours),
    ]
    entries = b""
    for tag, kind, values in tags:
        held = struct.pack(f"<{len(values)}{kind}", *values)
        if len(held) > 4:
            place = len(body)
            body += held
            held = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, TYPES[kind], len(values)) + held.ljust(4, b"\0")
    body[4:8] = struct.pack("<I", len(body))
    for page in range(pages):
        body += struct.pack("<H", len(tags)) + entries
        body += struct.pack("<I", len(body) + 4 if page < pages - 1 else 0)
    return bytes(body)

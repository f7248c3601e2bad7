"""Philox4x32-10 once more, in Python's integers and from the paper's description, sharing nothing with the package."""

from __future__ import annotations

import math


def block(counter: list[int], key: list[int]) -> list[int]:
    """Salmon et al. 2011, section 3.3: ten rounds of two multiplications, the key raised by the Weyl constants."""
    c, k = list(counter), list(key)
    for turn in range(10):
        if turn:
            k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
    return c


def words(seed: int, step: int, name: int, count: int) -> list[int]:
    """The words of a stream: counter (block, stream, step low, step high), key (seed low, seed high)."""
    found: list[int] = []
    for place in range(-(-count // 4)):
        found += block([place, name, step % 2**32, step // 2**32], [seed % 2**32, seed // 2**32])
    return found[:count]


def normals(values: list[int]) -> list[float]:
    """Box and Muller's transform of pairs of words."""
    found = []
    for a, b in zip(values[0::2], values[1::2], strict=True):
        radius, angle = math.sqrt(-2 * math.log((a + 0.5) / 2**32)), 2 * math.pi * b / 2**32
        found += [radius * math.cos(angle), radius * math.sin(angle)]
    return found

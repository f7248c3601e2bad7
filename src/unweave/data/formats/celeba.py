"""CelebA's two text files: forty attributes of every picture, and which part it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unweave.data.formats.stream import opened
from unweave.types import UserError

LONGEST = 512
"""Bytes a line of either file may have on average."""
PARTS = ("train", "valid", "test")


def read_attributes(path: Path, names: Sequence[str], files: Sequence[str]) -> NDArray[np.uint8]:
    """(N, attributes) zeros and ones from ``list_attr_celeba.txt``.

    Args:
        path: its first line is the number of pictures, its second the names, the others a file name and −1 or 1 for
            each.
        names: what the second line must say.
        files: names of the pictures, in order.

    Raises:
        UserError: one line that names the line.
    """
    lines = _lines(path, len(files) + 2)
    if lines[0].strip() != str(len(files)).encode():
        raise UserError(f"{path}: line 1 is {_short(lines[0])}; expected the number of pictures, {len(files)}")
    held = lines[1].decode("utf-8", "replace").split()
    if held != list(names):
        wrong = [*(one[:40] for one in held if one not in names), *(one for one in names if one not in held)]
        told = f"among them {wrong[0]!r}" if wrong else "in another order"
        raise UserError(f"{path}: line 2 holds {len(held)} names, {told}; expected the {len(names)} published ones")
    signs = []
    for place, (line, name) in enumerate(zip(lines[2:], files, strict=True), 3):
        first, _, rest = line.partition(b" ")
        sign = rest.replace(b"-1", b"0").translate(None, b" \r\t")
        if first != name.encode() or len(sign) != len(names) or sign.strip(b"01"):
            raise UserError(f"{path}: line {place} is {_short(line)}; expected {name} and {len(names)} times -1 or 1")
        signs.append(sign)
    return np.frombuffer(b"".join(signs), np.uint8).reshape(len(files), len(names)) - ord("0")


def read_parts(path: Path, files: Sequence[str]) -> NDArray[np.uint8]:
    """(N,) part of every picture from ``list_eval_partition.txt``: 0 training, 1 validation, 2 test.

    Raises:
        UserError: one line that names the line.
    """
    found = bytearray()
    for place, (line, name) in enumerate(zip(_lines(path, len(files)), files, strict=True), 1):
        words = line.split()
        if len(words) != 2 or words[0] != name.encode() or words[1] not in (b"0", b"1", b"2"):
            raise UserError(f"{path}: line {place} is {_short(line)}; expected {name} and 0, 1 or 2")
        found += words[1]
    return np.frombuffer(bytes(found), np.uint8) - ord("0")


def _lines(path: Path, count: int) -> list[bytes]:
    with opened(path) as file:
        data = file.read(count * LONGEST + 1)
    if len(data) > count * LONGEST:
        raise UserError(f"{path}: more than {count * LONGEST:,} bytes; no file of {count:,} lines as published")
    lines = data.split(b"\n")
    if lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != count:
        raise UserError(f"{path}: {len(lines):,} lines; expected {count:,}")
    return lines


def _short(line: bytes) -> str:
    return repr(line[:40].decode("utf-8", "replace"))

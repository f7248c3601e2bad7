"""Known factors of the user's own images, from a table (CSV)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unweave.data.factors import Factors
from unweave.names import hint
from unweave.types import UserError

LARGEST = 1 << 27
"""Bytes of the largest table that is read."""
MOST = 64
"""Factors in a table."""
FEW = 20
"""Different values that a factor may have whatever the number of pictures."""
LONGEST = 200
"""Letters of a factor's name."""
FILE = "file"
"""Name of the column that says which picture a line is about."""


def read_labels(
    path: Path, names: Sequence[str], without: Sequence[str] = (), column: str = FILE
) -> tuple[Factors, NDArray[np.int64]]:
    """Factors and levels (N, F) of pictures, from a CSV file with a column ``file`` and one column a factor.

    A factor's levels are its different values, in the order of numbers where all are numbers, else in that of texts. Up
    to 20, or half as many as pictures: of a number that is new for every picture, no two could be compared.

    Args:
        path: the table, UTF-8, separated by commas (or semicolons or tabs, if its first line is).
        names: of the pictures, in order; each must be in the table.
        without: names that may be in the table and are passed over.
        column: what the column of names is called.

    Raises:
        UserError: one line that names the table and what is wrong with it.
    """
    header, lines = _table(path)
    if column not in header or len(set(header)) < len(header) or not 2 <= len(header) <= MOST + 1 or "" in header:
        raise UserError(
            f"{path}: columns {', '.join(map(repr, header[:8]))}; "
            f"allowed: {column!r} and 1 to {MOST} factors, each once"
        )
    at = header.index(column)
    wanted = {name: place for place, name in enumerate(names)}
    passed = set(without)
    found: list[list[str] | None] = [None] * len(names)
    for number, line in enumerate(lines, 2):
        if not any(line):
            continue
        if len(line) != len(header):
            raise UserError(
                f"{path}: line {number} has {len(line)} columns; expected {len(header)}, as in the first line"
            )
        name = line[at].strip().replace("\\", "/").removeprefix("./")
        place = wanted.get(name)
        if place is None and name not in passed:
            near = hint(name[:80], names[:2000])
            raise UserError(f"{path}: line {number}: no picture {name[:80]!r} here{near}")
        if place is None:
            continue
        if found[place] is not None:
            raise UserError(f"{path}: line {number}: picture {name[:80]!r} a second time")
        found[place] = [value.strip() for place, value in enumerate(line) if place != at]
    missing = [name for name, values in zip(names, found, strict=True) if values is None]
    if missing:
        raise UserError(f"{path}: no line for {len(missing):,} pictures, {missing[0]!r} among them; expected all")
    columns = list(zip(*(values for values in found if values is not None), strict=True))
    factors = [name for name in header if name != column]
    sizes, levels = [], []
    for name, values in zip(factors, columns, strict=True):
        size, one = ranked(f"{path}: factor {name!r}", values)
        if size < 2:
            raise UserError(f"{path}: factor {name!r} is the same for all pictures; expected two values or more")
        sizes.append(size)
        levels.append(one)
    return Factors(tuple(factors), tuple(sizes)), np.stack(levels, axis=1)


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(f"{path}: larger than {LARGEST >> 20} MiB; allowed: a table of factors")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); expected a table of factors") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no text in UTF-8; expected a table of factors (CSV)") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    except (csv.Error, ValueError) as error:
        raise UserError(f"{path}: no table of factors ({error})") from None
    return [heading(str(path), name) for name in header], lines


def heading(who: str, name: str) -> str:
    """A column's name, its spaces made plain ones. Raises UserError for one that cannot be shown."""
    plain = " ".join(name.split())
    if len(plain) > LONGEST or not plain.isprintable():
        raise UserError(
            f"{who}: column {plain[:40]!r} has {len(plain)} letters; allowed: up to {LONGEST}, all that can be shown"
        )
    return plain


def ranked(who: str, column: Sequence[str]) -> tuple[int, NDArray[np.int64]]:
    """How many different values a column has, and each one's place among them.

    Raises:
        UserError: an empty value, or so many different ones that hardly two agree; ``who`` begins the line.
    """
    different = set(column)
    if len(different) > max(FEW, len(column) // 2):
        raise UserError(
            f"{who} has {len(different):,} different values for {len(column):,} pictures, so hardly two that agree; "
            f"allowed: {max(FEW, len(column) // 2):,} or fewer, so round its numbers or leave it out"
        )
    if "" in different:
        raise UserError(f"{who} is empty for some pictures; expected a value for each")
    numbers = {value: _number(value) for value in different}
    if all(number is not None for number in numbers.values()):
        order = sorted({number for number in numbers.values() if number is not None})
        place = {number: level for level, number in enumerate(order)}
        levels = [place[number] for value in column if (number := numbers[value]) is not None]
        return len(order), np.array(levels, np.int64)
    known = {value: level for level, value in enumerate(sorted(different))}
    return len(known), np.array([known[value] for value in column], np.int64)


def _number(text: str) -> float | None:
    if "_" in text:
        return None  # Python reads 1_0 as 10
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

"""Plain-text tables for the terminal."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


SETTINGS = ("method_", "data_", "network_", "adam_")
"""How columns of settings begin in the table of runs; ``lr`` is one, too."""


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    """An aligned table: a heading, a rule, one line a row; numbers to the right, in the same decimals down a column.

    Settings, which are typed and not measured, keep their own digits: those of 5e-4 and 1e-3 would round to one number.

    Args:
        rows: one mapping a line; a missing key or None is shown as –.
        columns: keys to show, in order, which are also the headings; all keys in order of appearance when None.

    Returns:
        The lines joined by newlines, without a last newline and without trailing spaces.

    >>> print(table([{"metric": "MIG", "value": 0.41239, "ceiling": 1}, {"metric": "DCI", "value": 0.5}]))
    metric  value  ceiling
    ──────  ─────  ───────
    MIG     0.412        1
    DCI     0.500        –
    >>> print(table([{"lr": 0.0005, "mig": 0.41}, {"lr": 0.001, "mig": 0.52}]))
        lr    mig
    ──────  ─────
    0.0005  0.410
     0.001  0.520
    """
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    texts = [
        [_setting(row.get(key)) for row in rows] if _is_setting(key) else _column([row.get(key) for row in rows])
        for key in columns
    ]
    right = [any(map(_is_number, cells)) and not any(map(_is_word, cells)) for cells in _cells(rows, columns)]
    heads = [_clean(key) for key in columns]
    widths = [max(width(text) for text in [head, *column]) for head, column in zip(heads, texts, strict=True)]
    lines = [heads, ["─" * size for size in widths], *zip(*texts, strict=True)] if columns else []
    return "\n".join("  ".join(map(_pad, line, widths, right)).rstrip() for line in lines)


def width(text: str) -> int:
    """Columns that a text takes in a terminal: 2 for wide East Asian characters, 0 for combining marks.

    >>> width("β-VAE"), width("日本"), width("e\\u0301")
    (5, 4, 1)
    """
    total = 0
    for letter in text:
        if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
            continue
        total += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
    return total


def _cells(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> list[list[object]]:
    return [[row.get(key) for row in rows] for key in columns]


def _column(cells: Sequence[object]) -> list[str]:
    """The texts of one column; its decimals give the largest number four significant digits, three decimals at most."""
    reals = [abs(float(cell)) for cell in cells if _is_real(cell)]  # type: ignore[arg-type]
    largest = max((size for size in reals if math.isfinite(size)), default=0.0)
    places = 3 if largest < 10 else max(0, 3 - math.floor(math.log10(largest)))
    return [_text(cell, places) for cell in cells]


def _is_setting(column: str) -> bool:
    return column == "lr" or column.startswith(SETTINGS)


def _setting(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else _text(cell, 3)


def _text(cell: object, places: int) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if _is_real(cell):
        value = float(cell)  # type: ignore[arg-type]
        if not math.isfinite(value):
            return f"{value}"
        # A number that the shared decimals would show as zero, or that is too long to read, keeps its own digits.
        if (value and abs(value) < 0.5 * 10.0**-places) or abs(value) >= 1e9:
            return f"{value:.3g}"
        return f"{value:,.{places}f}"
    if _is_number(cell):
        return f"{cell:,}"
    return _clean(cell)


def _clean(cell: object) -> str:
    """One line of text that cannot move the cursor or change a terminal's colours."""
    return _CONTROL.sub("\ufffd", str(cell))


def _is_number(cell: object) -> bool:
    return not isinstance(cell, bool) and hasattr(cell, "__float__") and not isinstance(cell, str)


def _is_real(cell: object) -> bool:
    return _is_number(cell) and not hasattr(cell, "__index__")


def _is_word(cell: object) -> bool:
    return cell is not None and not _is_number(cell)


def _pad(text: str, size: int, right: bool) -> str:
    space = " " * (size - width(text))
    return space + text if right else text + space

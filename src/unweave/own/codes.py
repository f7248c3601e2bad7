"""Codes as a table for other programs: one row an image, as CSV or as Parquet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unweave.data import Dataset, Folder
from unweave.data.part import Part, chosen
from unweave.results.cache import connect
from unweave.types import UserError

FORMS = (".csv", ".parquet")
ROWS = 10_000
"""Rows written at a time."""


def check_form(file: Path) -> None:
    """Raises UserError for a file that is neither .csv nor .parquet, or Parquet without what writes it."""
    if file.suffix.lower() not in FORMS:
        raise UserError(f"{file.name} ends in {file.suffix!r}; allowed: {', '.join(FORMS)}")
    if file.suffix.lower() == ".parquet":
        connect().close()


def names_of(data: Dataset) -> tuple[str, Sequence[str]]:
    """What the images of a data set are called, and what such a name is: a ``path`` in a folder, else a ``row``.

    >>> from unweave.data import Triangle
    >>> names_of(Triangle())[1][2]
    '2'
    """
    if isinstance(data, Folder):
        return "path", data.names
    if isinstance(data, Part):
        kind, names = names_of(data.of)
        return kind, [names[row] for row in chosen(data)]
    return "row", [str(row) for row in range(data.rows)]


def write_codes(file: Path, kind: str, names: Sequence[str], codes: NDArray[np.float32]) -> None:
    """Write (N, D) codes beside the names of their images, whole or not at all: columns ``kind``, z0, z1 …

    Raises:
        UserError: a name that ends otherwise, a disk that refuses; for Parquet, without DuckDB.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "codes.csv"
    >>> write_codes(place, "path", ["a.png"], np.array([[0.5, -1]], np.float32))
    >>> place.read_text()
    'path,z0,z1\\na.png,0.5,-1\\n'
    """
    check_form(file)
    part = file.with_name(f".{file.name}.part")
    columns = [f"z{place}" for place in range(codes.shape[1])]
    try:
        if file.suffix.lower() == ".csv":
            with part.open("w", newline="", encoding="utf-8") as text:
                rows = csv.writer(text, lineterminator="\n")
                rows.writerow([kind, *columns])
                for start in range(0, len(names), ROWS):
                    numbers = codes[start : start + ROWS].tolist()
                    pairs = zip(names[start : start + ROWS], numbers, strict=True)
                    rows.writerows([name, *(f"{value:.7g}" for value in line)] for name, line in pairs)
        else:
            table = {kind: np.array(names, dtype=object)}
            table |= {column: np.ascontiguousarray(codes[:, place]) for place, column in enumerate(columns)}
            with connect() as database:
                database.register("codes", table)
                path = str(part).replace("'", "''")
                database.execute(f"copy (select * from codes) to '{path}' (format parquet)")
        part.replace(file)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)

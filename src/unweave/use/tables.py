"""Codes as a file that other programs read: CSV, Parquet or NumPy's .npz, one row an image."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.data.tables import CODES, read_arrays, read_codes
from unweave.names import hint
from unweave.results.cache import connect
from unweave.store.files import write, write_text
from unweave.types import UserError
from unweave.use.pictures import Encoded

FORMS = (".parquet", ".csv", ".npz")
LARGEST = 1 << 30
"""Bytes of a file of codes."""
NAMES = ("path", "row")
"""What the first column may be called: files of a folder, or rows of a data set."""


class Table(NamedTuple):
    """What a file of codes holds."""

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    """(N, D)."""
    files: bool
    """Whether the names are those of files."""


def write_codes(file: Path, encoded: Encoded, logvar: bool = False) -> None:
    """Write codes, whole or not at all: the columns ``path`` (or ``row``), ``z0`` …, and ``z0_logvar`` … if asked for.

    An .npz holds ``path``, ``mean`` and ``logvar``, so that ``unweave score --codes`` reads it.

    Raises:
        UserError: another ending, no log-variances to write, a disk that refuses; for Parquet, without DuckDB.
    """
    check_form(file)
    codes = encoded.codes
    if logvar and codes.logvar is None:
        raise UserError("these codes are points: there are no log-variances; allowed: without --logvar")
    mean = codes.mean.numpy()
    spread = codes.logvar.numpy() if logvar and codes.logvar is not None else np.empty((len(mean), 0), mean.dtype)
    latents = mean.shape[1]
    columns = [f"z{j}" for j in range(latents)] + [f"z{j}_logvar" for j in range(spread.shape[1])]
    values = np.concatenate([mean, spread], axis=1)
    first = NAMES[0] if encoded.files else NAMES[1]
    if file.suffix == ".csv":
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([first, *columns])
        rows.writerows([name, *map(str, row)] for name, row in zip(encoded.names, values, strict=True))
        write_text(file, text.getvalue())
    elif file.suffix == ".npz":
        content = io.BytesIO()
        more = {"logvar": spread} if logvar else {}
        np.savez(content, allow_pickle=False, path=np.array(encoded.names), mean=mean, **more)
        write(file, content.getvalue())
    else:
        write(file, _parquet(first, encoded.names, columns, values))


def read_table(file: Path, latents: int) -> Table:
    """The codes in a file that ``write_codes``, or anybody else, wrote; columns of other names are passed over.

    Raises:
        UserError: no such file, another form, columns that lack, numbers that are none.
    """
    check_form(file)
    if not file.is_file():
        raise UserError(f"{file}: no such file; allowed: a file of codes ({', '.join(FORMS)})")
    if file.stat().st_size > LARGEST:
        raise UserError(f"{file}: {file.stat().st_size:,} bytes; allowed: {LARGEST:,}")
    if file.suffix == ".npz":
        mean = read_codes(file).mean.double().numpy()
        names = read_arrays(file, CODES).get("path")
        if mean.shape[1] != latents:
            raise UserError(f"{file}: codes of {mean.shape[1]} latents; this model has {latents}")
        given = range(len(mean)) if names is None else names
        files = names is not None and not all(str(one).isdecimal() for one in names)
        return Table(tuple(map(str, given)), mean, files)
    columns, values = _from_csv(file) if file.suffix == ".csv" else _from_parquet(file)
    wanted = [f"z{j}" for j in range(latents)]
    missing = [name for name in wanted if name not in columns]
    if missing or f"z{latents}" in columns:
        extra = f", and has z{latents}" if f"z{latents}" in columns else ""
        lacks = f"lacks {', '.join(missing[:4])}{extra}" if missing else f"has z{latents}"
        raise UserError(f"{file} {lacks}; this model has {latents} latents, z0 to z{latents - 1}")
    mean = np.empty((len(values[wanted[0]]), latents))
    for place, name in enumerate(wanted):
        mean[:, place] = _numbers(file, name, values[name])
    named = next((name for name in NAMES if name in columns), None)
    names = tuple(map(str, values[named] if named else range(len(mean))))
    return Table(names, mean, named == NAMES[0])


def check_form(file: Path) -> None:
    """Raises UserError unless a file's name ends as one of ``FORMS`` does, and for Parquet without what reads it."""
    if file.suffix not in FORMS:
        raise UserError(f"{file.name} ends in {file.suffix!r}{hint(file.suffix, FORMS)} (allowed: {', '.join(FORMS)})")
    if file.suffix == ".parquet":
        connect().close()


def _parquet(first: str, names: Sequence[str], columns: Sequence[str], values: NDArray[Any]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="unweave-") as room, connect() as database:
        table: dict[str, Any] = {
            first: np.array(names, dtype=object) if first == NAMES[0] else np.array(names, np.int64)
        }
        table |= {name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(columns)}
        database.register("codes", table)
        path = Path(room) / "codes.parquet"
        database.execute(f"copy (select * from codes) to '{str(path).replace(chr(39), chr(39) * 2)}' (format parquet)")
        return path.read_bytes()


def _from_csv(file: Path) -> tuple[list[str], dict[str, Any]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:  # spreadsheets begin theirs with a mark
            rows = list(csv.reader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read ({' '.join(str(error).split())[:120]})") from None
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise UserError(
            f"{file}: no table of codes; allowed: a first line of names, then one line an image, all as long"
        )
    return rows[0], {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}


def _from_parquet(file: Path) -> tuple[list[str], dict[str, Any]]:
    import duckdb

    with connect() as database:
        try:
            found = database.execute("select * from read_parquet(?)", [str(file)]).fetchnumpy()
        except duckdb.Error as error:
            raise UserError(f"{file}: no Parquet file that can be read ({str(error).splitlines()[0][:120]})") from None
    return list(found), dict(found)


def _numbers(file: Path, name: str, values: Any) -> NDArray[np.float64]:
    try:
        found = np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan))
    except (TypeError, ValueError):
        found = np.array([np.nan])
    if not np.isfinite(found).all():
        raise UserError(f"{file}: column {name} holds something that is no finite number")
    return found

"""Ours beside what was printed: means, spreads, and how far apart they are in standard errors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from unweave.job import Result

FAILED = 0.1
"""A model whose score lies below has failed to disentangle (Wu et al., 2022)."""
APART = 2.0
"""Standard errors within which two numbers agree."""


class Published(NamedTuple):
    """One printed number."""

    study: str
    table_or_figure: str
    page: str
    data: str
    row: str
    column: str
    value: str
    """Exactly as printed."""
    spread: str
    """What stands behind ±, as printed."""
    note: str

    @property
    def number(self) -> float | None:
        """The value as a number; None where none was printed."""
        return numeric(self.value)

    @property
    def deviation(self) -> float | None:
        """The spread as a number; None where none was printed."""
        return numeric(self.spread)


class Column(NamedTuple):
    """A column of a table: what it is called in print, and which of a job's numbers it shows."""

    name: str
    values: tuple[str, ...]
    """Names under which a job's result may have it, the first that is there counts; ``seconds`` is how long it took."""
    better: str = "higher"
    """``higher``, ``lower``, or empty where neither is better."""
    pooled: str = "mean"
    """``mean`` over the jobs of a row; ``failures``: percent of them below 0.1; ``shown``: the mean, not compared with
    what was printed, such as a duration on another machine."""
    factor: float = 1.0
    """What ours is multiplied by, to be in the unit of print."""
    data: str = ""
    """The only data set that has this column; all when empty."""


class Cell(NamedTuple):
    """Ours and theirs for one row and column."""

    data: str
    row: str
    column: str
    values: tuple[float, ...]
    """Ours, one a job."""
    ours: float | None
    sd: float | None
    """Standard deviation over our jobs (n − 1); None for fewer than 2."""
    printed: str
    published: float | None
    spread: float | None
    difference: float | None
    """Ours − theirs in standard errors of the difference; None where there is no spread to judge by."""
    note: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether they lie within two standard errors; None where that cannot be said."""
        return None if self.difference is None else abs(self.difference) <= APART


class Ordering(NamedTuple):
    """Two rows that print puts in an order, and ours."""

    data: str
    column: str
    high: str
    """The row with the larger printed number."""
    low: str
    holds: bool
    """Whether it is the larger one in ours."""
    sure: bool
    """Whether ours are more than two standard errors apart."""


class Table(NamedTuple):
    """Lines (data, row) by columns."""

    lines: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, str, str], Cell]
    apart: tuple[str, ...] = ()
    """Data sets whose pixels are not those that print is about: their numbers stand beside it and are not compared."""

    @property
    def compared(self) -> list[Cell]:
        """Cells in which a difference can be stated."""
        return [cell for cell in self.cells.values() if cell.difference is not None]

    @property
    def agreeing(self) -> int:
        """How many cells lie within two standard errors of what was printed."""
        return sum(bool(cell.agrees) for cell in self.compared)

    @property
    def printed(self) -> int:
        """How many cells have a printed number."""
        return sum(cell.published is not None for cell in self.cells.values())

    def orderings(self, repeats: int = 0) -> list[Ordering]:
        """Every pair of rows that print puts in an order, by data set and column, and whether ours agree.

        Pairs whose printed numbers are not two standard errors apart, where print says so much, are in no order; nor
        are pairs that ours have alike, columns that are only shown, and data sets that are not those of print.

        Args:
            repeats: seeds behind each printed number; 0 when not stated.
        """
        found = []
        for name in dict.fromkeys(data for data, _ in self.lines if data not in self.apart):
            for column in [one for one in self.columns if one.pooled != "shown"]:
                cells = [self.cells.get((name, row, column.name)) for data, row in self.lines if data == name]
                both = [cell for cell in cells if cell is not None and _both(cell)]
                for one, other in combinations(both, 2):
                    high, low = (one, other) if (one.published or 0) > (other.published or 0) else (other, one)
                    assert high.ours is not None and low.ours is not None
                    shares = column.pooled == "failures"
                    if high.ours != low.ours and _printed_apart(high, low, repeats, shares):
                        n, m = len(high.values), len(low.values)
                        if shares:
                            sure = abs(shares_apart(high.ours, n, low.ours, m)) > APART
                        else:
                            far = _error(high.sd, n, low.sd, m)
                            sure = far is not None and abs(high.ours - low.ours) > APART * far
                        found.append(Ordering(name, column.name, high.row, low.row, high.ours > low.ours, sure))
        return found


def tabulate(
    columns: Sequence[Column],
    results: Iterable[tuple[Mapping[str, str | int | float], Result]],
    printed: Sequence[Published],
    repeats: int = 0,
    apart: Collection[str] = (),
) -> Table:
    """Lay results out beside printed numbers.

    The difference is (ours − theirs) / √(s²/n + p²/m), with s and n our standard deviation and number of jobs, p and m
    the printed spread and its number of seeds. Where one of the spreads is missing the other stands for it: one run of
    ours is taken to scatter as theirs did. Where the number of printed seeds is not stated, it is taken as ours. Rates
    of failure are compared by Fisher's exact test (``shares_apart``).

    Args:
        columns: of the table.
        results: labels with ``data`` and ``row``, and what the job gave; failed ones count in failure rates alone.
        printed: numbers to stand beside.
        repeats: seeds behind each of them.
        apart: data sets whose numbers are not to be compared.
    """
    values: dict[tuple[str, str], list[Result]] = {}
    diverged: dict[tuple[str, str], int] = {}
    for labels, result in results:
        if "data" in labels and "row" in labels:
            place = str(labels["data"]), str(labels["row"])
            line = values.setdefault(place, [])
            if result.failed:
                diverged[place] = diverged.get(place, 0) + 1
            else:
                line.append(result)
    theirs = {(one.data, one.row, one.column): one for one in printed}
    lines = tuple(dict.fromkeys([*values, *((one.data, one.row) for one in printed)]))
    cells = {}
    for data, row in lines:
        for column in columns:
            beside = theirs.get((data, row, column.name))
            ours = _numbers(values.get((data, row), []), column)
            if column.pooled == "failures":
                # A model that diverged has failed to disentangle.
                ours += (0.0,) * diverged.get((data, row), 0)
            if (beside is None and not ours) or (column.data and column.data != data):
                continue
            cell = _cell(data, row, column, ours, beside, repeats)
            cells[data, row, column.name] = cell._replace(difference=None) if data in apart else cell
    return Table(lines, tuple(columns), cells, tuple(apart))


def numeric(text: str) -> float | None:
    """A printed number; None for a dash or nothing.

    >>> numeric("0.34"), numeric("±.02"), numeric("-"), numeric("")
    (0.34, 0.02, None, None)
    """
    try:
        return float(text.strip().lstrip("±").strip().rstrip("%").replace(",", "").replace("−", "-"))
    except ValueError:
        return None


def _numbers(results: Iterable[Result], column: Column) -> tuple[float, ...]:
    found = []
    for result in results:
        known = {**result.values, "seconds": result.seconds}
        name = next((one for one in column.values if one in known), None)
        if name is not None and math.isfinite(known[name]):
            found.append(column.factor * float(known[name]))
    return tuple(found)


def _cell(
    data: str, row: str, column: Column, values: tuple[float, ...], beside: Published | None, repeats: int
) -> Cell:
    if column.pooled == "failures":
        values = tuple(100.0 * (value < FAILED) for value in values)
    ours = statistics.fmean(values) if values else None
    sd = statistics.stdev(values) if len(values) > 1 else None
    number = beside.number if beside else None
    spread = beside.deviation if beside else None
    difference = None
    if ours is not None and number is not None and column.pooled != "shown":
        if column.pooled == "failures":
            difference, sd = shares_apart(ours, len(values), number, repeats or len(values)), None
        else:
            far = _error(sd, len(values), spread, repeats or len(values))
            difference = (ours - number) / far if far else 0.0 if ours == number and far is not None else None
    note = beside.note if beside else ""
    shown = "" if beside is None else beside.value + (f" ± {beside.spread.lstrip('±')}" if beside.spread else "")
    return Cell(data, row, column.name, values, ours, sd, shown, number, spread, difference, note)


def _error(s: float | None, n: int, p: float | None, m: int) -> float | None:
    """√(s²/n + p²/m), a missing spread taken from the other side; None where both are missing."""
    s, p = s if s is not None else p, p if p is not None else s
    if s is None or p is None or not n or not m:
        return None
    return math.sqrt(s**2 / n + p**2 / m)


def shares_apart(ours: float, n: int, theirs: float, m: int) -> float:
    """How far two percentages of n and of m jobs lie apart, in standard errors, with the sign of ours − theirs.

    It is the standard normal quantile that leaves half of the p-value of Fisher's exact test above it. The usual error
    of two shares is far too small for one or two jobs: one of one beside 2 % of 50 would be 5 of them.

    >>> round(shares_apart(100, 1, 2, 50), 2), round(shares_apart(100, 10, 2, 50), 2), shares_apart(0, 2, 0, 50)
    (2.06, 6.41, 0.0)
    """
    from scipy.stats import fisher_exact, norm

    some, others = round(n * ours / 100), round(m * theirs / 100)
    p = float(fisher_exact([[some, n - some], [others, m - others]]).pvalue)
    return math.copysign(float(norm.isf(min(p, 1.0) / 2)), ours - theirs) if p < 1 else 0.0


def _printed_apart(high: Cell, low: Cell, repeats: int, shares: bool) -> bool:
    assert high.published is not None and low.published is not None
    if shares and repeats:
        return shares_apart(high.published, repeats, low.published, repeats) > APART
    if high.spread is None or low.spread is None or not repeats:
        return high.published != low.published
    return high.published - low.published > APART * math.hypot(high.spread, low.spread) / math.sqrt(repeats)


def _both(cell: Cell) -> bool:
    return cell.ours is not None and cell.published is not None

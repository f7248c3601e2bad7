"""Ours beside what was printed, against the formulas written out."""

from __future__ import annotations

import math
import statistics

import pytest

from unweave.job import Result
from unweave.studies.table import Column, Published, numeric, tabulate


def result(**values: float) -> Result:
    return Result("k", values, {}, seconds=60.0)


def printed(row: str, column: str, value: str, spread: str = "", data: str = "d") -> Published:
    return Published("s", "Table 1", "1", data, row, column, value, spread, "")


def row(name: str, values: list[float], column: str = "mig") -> list[tuple[dict[str, str | int], Result]]:
    return [({"data": "d", "row": name, "seed": k}, result(**{column: value})) for k, value in enumerate(values)]


MIG = Column("MIG", ("mig",))


def test_difference_in_standard_errors() -> None:
    values = [0.2, 0.3, 0.4]
    table = tabulate([MIG], row("a", values), [printed("a", "MIG", "0.34", "0.02")], repeats=10)
    cell = table.cells["d", "a", "MIG"]
    mean = sum(values) / 3
    variance = sum((value - mean) ** 2 for value in values) / 2
    expected = (mean - 0.34) / math.sqrt(variance / 3 + 0.02**2 / 10)
    assert cell.difference == pytest.approx(expected, abs=1e-12)
    assert cell.ours == pytest.approx(0.3) and cell.sd == pytest.approx(math.sqrt(variance))
    assert cell.agrees is True and table.agreeing == 1 and table.printed == 1
    assert cell.printed == "0.34 ± 0.02"


def test_a_missing_spread_is_taken_from_the_other_side() -> None:
    one = tabulate([MIG], row("a", [0.5]), [printed("a", "MIG", "0.3", "0.1")], repeats=4).cells["d", "a", "MIG"]
    assert one.difference == pytest.approx(0.2 / math.sqrt(0.01 / 1 + 0.01 / 4)) and one.sd is None
    bare = tabulate([MIG], row("a", [0.5, 0.7]), [printed("a", "MIG", "0.3")], repeats=0).cells["d", "a", "MIG"]
    assert bare.difference == pytest.approx(0.3 / math.sqrt(0.02 / 2 + 0.02 / 2))
    neither = tabulate([MIG], row("a", [0.5]), [printed("a", "MIG", "0.3")]).cells["d", "a", "MIG"]
    assert neither.difference is None and neither.agrees is None


def test_rates_of_failure() -> None:
    column = Column("failure rate (%)", ("mig",), "lower", pooled="failures")
    table = tabulate([column], row("a", [0.05, 0.3, 0.1, 0.2]), [printed("a", column.name, "8")], repeats=50)
    cell = table.cells["d", "a", column.name]
    assert cell.ours == 25.0
    # One of 4 and 4 of 50: every split of the 5 failures that is no likelier, by the hypergeometric law.
    chances = [math.comb(4, k) * math.comb(50, 5 - k) / math.comb(54, 5) for k in range(5)]
    p = sum(chance for chance in chances if chance <= chances[1] * (1 + 1e-7))
    assert cell.difference == pytest.approx(statistics.NormalDist().inv_cdf(1 - p / 2))
    same = tabulate([column], row("a", [0.5, 0.3]), [printed("a", column.name, "0")], repeats=50)
    assert same.cells["d", "a", column.name].difference == 0.0 and same.agreeing == 1


def test_shown_columns_are_never_compared() -> None:
    column = Column("Runtime (min)", ("seconds",), pooled="shown", factor=1 / 60)
    cell = tabulate([column], row("a", [0.5, 0.7]), [printed("a", column.name, "134")]).cells["d", "a", column.name]
    assert cell.ours == pytest.approx(1.0) and cell.published == 134 and cell.difference is None


def test_the_first_name_that_is_there_counts_and_failures_are_left_out() -> None:
    column = Column("DCI", ("dci", "dci-fast"))
    rows = [({"data": "d", "row": "a"}, Result("k", {"dci-fast": 0.5, "dci": 0.25}, {}))]
    rows += [({"data": "d", "row": "a"}, Result("k", {"dci-fast": 0.75}, {}))]
    rows += [({"data": "d", "row": "a"}, Result("k", {"dci": 9.0}, {}, failed="recon was no longer finite"))]
    rows += [({"data": "d", "row": "a"}, Result("k", {"dci": math.nan}, {}))]
    rows += [({"data": "d", "followed": "a"}, Result("k", {"dci": 7.0}, {}))]
    assert tabulate([column], rows, []).cells["d", "a", "DCI"].values == (0.25, 0.75)


def test_rows_without_jobs_and_jobs_without_print_are_lines() -> None:
    table = tabulate([MIG], row("ours", [0.5]), [printed("theirs", "MIG", "0.3")])
    assert table.lines == (("d", "ours"), ("d", "theirs"))
    assert table.cells["d", "theirs", "MIG"].ours is None and table.cells["d", "ours", "MIG"].published is None


def test_orderings() -> None:
    ours = row("a", [0.50, 0.52]) + row("b", [0.10, 0.12]) + row("c", [0.30, 0.90])
    print_ = [printed("a", "MIG", "0.2", "0.1"), printed("b", "MIG", "0.4", "0.1"), printed("c", "MIG", "0.41", "0.1")]
    found = tabulate([MIG], ours, print_, repeats=10).orderings(10)
    # b and c are not two standard errors apart in print.
    assert [(one.high, one.low, one.holds, one.sure) for one in found] == [
        ("b", "a", False, True),
        ("c", "a", True, False),
    ]
    assert len(tabulate([MIG], ours, print_).orderings()) == 3


@pytest.mark.parametrize(
    "text, value", [("0.34", 0.34), ("±.02", 0.02), ("02.35", 2.35), ("-", None), ("", None), ("−3", -3.0), ("8%", 8.0)]
)
def test_printed_numbers(text: str, value: float | None) -> None:
    assert numeric(text) == value


def test_orders_of_shares_ties_and_what_is_only_shown() -> None:
    failures = Column("failures", ("mig",), "lower", pooled="failures")
    both = [printed("a", "failures", "0"), printed("b", "failures", "2"), printed("c", "failures", "24")]
    ours = [*row("a", [0.05, 0.2]), *row("b", [0.3, 0.2]), *row("c", [0.05, 0.2])]
    (one,) = tabulate([failures], ours, both, repeats=50).orderings(50)
    # 0 and 2 per cent of 50 seeds are no order, and a and c are alike in ours.
    assert (one.high, one.low, one.holds, one.sure) == ("c", "b", True, False)
    shown = Column("minutes", ("mig",), "lower", pooled="shown")
    assert not tabulate([shown], ours, [printed("a", "minutes", "1"), printed("b", "minutes", "2")]).orderings()


def test_a_stand_in_is_shown_and_not_compared() -> None:
    both = [printed("a", "MIG", "0.3", "0.1"), printed("b", "MIG", "0.5", "0.1")]
    table = tabulate([MIG], [*row("a", [0.1, 0.2]), *row("b", [0.3, 0.4])], both, repeats=5, apart=["d"])
    assert table.printed == 2 and not table.compared and not table.orderings(5)
    assert table.cells["d", "a", "MIG"].ours == pytest.approx(0.15)


def test_models_that_diverged_are_in_the_failure_rate() -> None:
    rate = Column("failure rate (%)", ("mig",), "lower", pooled="failures")
    gone = [({"data": "d", "row": "a", "seed": k}, result()._replace(failed="kl at step 3")) for k in (2, 3)]
    cells = tabulate([MIG, rate], [*row("a", [0.3, 0.4]), *gone], []).cells
    assert cells["d", "a", "failure rate (%)"].ours == 50.0
    assert cells["d", "a", "MIG"].ours == pytest.approx(0.35) and len(cells["d", "a", "MIG"].values) == 2

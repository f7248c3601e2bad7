"""What every study keeps: valid jobs at every scale, labels that say which is which, printed rows that meet ours."""

from __future__ import annotations

import json
import pickle
from functools import cache

import pytest

from unweave.job import Job, Training
from unweave.names import hint
from unweave.studies import SCALES, STUDIES, Entry, Study
from unweave.studies.papers import PAPERS
from unweave.types import UserError

CORES = 2
LARGEST = 3600.0
"""Seconds that a study may take at small scale, on two cores."""
each = pytest.mark.parametrize("name", STUDIES)
# Hundreds of published models take seconds to describe.
scaled = pytest.mark.parametrize("scale", ["smoke", "small", pytest.param("paper", marks=pytest.mark.slow)])


@cache
def entries(name: str, scale: str) -> list[Entry]:
    return STUDIES[name]().jobs(scale)


@each
def test_it_says_what_it_is(name: str) -> None:
    kind = STUDIES[name]
    assert kind.name == name and issubclass(kind, Study)
    assert kind.paper in PAPERS and kind.where and 10 < len(kind.title) < 130
    assert set(kind.scales) == set(SCALES)
    assert all(len(one) > 20 and one[-1] in ".:" for one in kind.decided), "a decision is a sentence"
    assert (kind.__doc__ or "").splitlines()[0].endswith((".", "?"))
    told = [kind().told(scale) for scale in SCALES]
    assert all(told)


@each
@scaled
def test_its_jobs_can_be_done(name: str, scale: str) -> None:
    found = entries(name, scale)
    assert found
    for labels, job in found:
        assert isinstance(job, Job) and job.title and job.cost.seconds >= 0
        assert all(isinstance(key, str) and isinstance(value, str | int | float) for key, value in labels.items())
        json.dumps(dict(labels))
        if isinstance(job, Training):
            job.experiment.check()
            assert all(0 <= step <= job.experiment.steps for step in job.at)
    first = found[0][1]
    assert pickle.loads(pickle.dumps(first)).key == first.key
    again = STUDIES[name]().jobs(scale)
    assert [job.key for _, job in again] == [job.key for _, job in found]


@each
@scaled
def test_no_two_jobs_have_the_same_labels(name: str, scale: str) -> None:
    labels = [json.dumps(dict(own), sort_keys=True) for own, _ in entries(name, scale)]
    assert len(set(labels)) == len(labels)


@each
@scaled
def test_printed_rows_meet_ours(name: str, scale: str) -> None:
    study = STUDIES[name]()
    printed = {(one.data, one.row) for one in study.expected()}
    if not printed:
        return
    ours = {(str(own["data"]), str(own["row"])) for own, _ in entries(name, scale) if "row" in own}
    if scale == "paper":
        unmade = {line for line in printed if not {line[1], "/".join(line)} & set(study.absent)} - ours
        assert not unmade, "no job makes these printed rows; list them in absent"
    strange = {line for line in ours if not {line[1], "/".join(line)} & set(study.alone)} - printed
    rows = {row for _, row in printed}
    assert not strange, f"not printed; list in alone: {[(line, hint(line[1], rows)) for line in strange]}"


@each
def test_printed_columns_are_the_tables(name: str) -> None:
    study = STUDIES[name]()
    assert {one.column for one in study.expected()} <= {column.name for column in study.columns}
    assert len({column.name for column in study.columns}) == len(study.columns)


@each
def test_small_is_an_hour_of_two_cores_at_most(name: str) -> None:
    study = STUDIES[name]()
    count, cost = study.cost(study.jobs("small"))
    assert count == len({job.key for _, job in entries(name, "small")})
    assert cost.seconds <= CORES * LARGEST
    assert study.cost(study.jobs("smoke"))[1].seconds <= 60


@each
def test_without_results_the_table_holds_what_was_printed(name: str) -> None:
    study = STUDIES[name]()
    table = study.table([])
    assert table.printed == sum(one.number is not None for one in study.expected())
    assert not table.compared and not table.orderings()
    assert study.figures([]) == []


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(UserError, match="smoke, small, paper"):
        STUDIES["devae-table1"]().jobs("large")


def test_a_long_value_in_a_words_place_is_cut_short() -> None:
    with pytest.raises(UserError) as told:
        STUDIES["devae-table1"]().scale("x" * 10_000)
    assert len(str(told.value)) < 300 and str(told.value).endswith("(allowed: smoke, small, paper)")


def test_a_part_of_a_published_grid_says_so_and_the_whole_is_at_hand() -> None:
    kind = STUDIES["stcvae-fig2"]
    assert "3 seeds (20)" in kind().told("paper") and "2,880 of the 124,000 models" in kind().told("paper")
    whole = kind(full=True)  # type: ignore[call-arg]
    assert "124,000" in whole.told("paper") and ", 20 seeds, " in whole.told("paper")
    assert len(whole.jobs("paper")) == 1 + 124_000


def test_studies_share_their_models() -> None:
    homes = {name: {job.home for _, job in entries(name, "small")} for name in STUDIES}
    assert homes["devae-fig2"] <= homes["devae-table1"]
    assert homes["devae-fig3"] <= homes["devae-table1"]
    assert homes["deft-fig12"] <= homes["deft-fig10"] == homes["deft-table4"]
    assert homes["deft-fig15"] == homes["deft-fig14"]
    assert homes["devae-table1"] & homes["devae-table2"]

"""The CSV of a study, and how far a study has come."""

from __future__ import annotations

from pathlib import Path

import pytest

from unweave.job import Result
from unweave.studies import STUDIES
from unweave.studies.base import Row
from unweave.studies.kept import kept, read, standing, table_csv
from unweave.types import UserError

ROWS: list[Row] = [
    ({"data": "dsprites", "row": "DeVAE [1, 40]", "seed": 0}, Result("a", {"mig": 0.25, "recon": 50.0}, {}, "", 3.0)),
    ({"data": "dsprites", "row": "DynamicVAE", "x": 0.5}, Result("b", {"mig": 0.5}, {}, "", 4.0, {"commit": "c"})),
    ({"data": "dsprites", "row": "β-VAE β = 6"}, Result("c", {}, {}, "recon was no longer finite at step 3", 1.0)),
]


def test_a_csv_comes_back(tmp_path: Path) -> None:
    study = STUDIES["devae-table1"]()
    path = tmp_path / "x.csv"
    path.write_text(table_csv(study, "small", ROWS, [], "unweave study …"), encoding="utf-8")
    back = read(path)
    assert [dict(labels) for labels, _ in back] == [dict(labels) for labels, _ in ROWS]
    for (_, ours), (_, theirs) in zip(ROWS, back, strict=True):
        assert (ours.key, dict(ours.values), ours.failed, ours.seconds) == (
            theirs.key,
            dict(theirs.values),
            theirs.failed,
            theirs.seconds,
        )
    assert back[1][1].about["commit"] == "c"
    assert study.table(back) == study.table(ROWS)


def test_another_csv_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="no CSV of a study") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_standing(tmp_path: Path) -> None:
    study = STUDIES["deft-fig8"]()
    assert standing(study, tmp_path / "nothing").words == "never run"
    entries = study.jobs("smoke")
    entries[0][1].run(tmp_path)
    assert standing(study, tmp_path).words == "smoke, 1 of 4 jobs"
    assert [labels["data"] for labels, _ in kept(entries, tmp_path)] == ["dsprites"]
    for _, job in entries[1:]:
        job.run(tmp_path)
    # Numbers of a training say in which precision they were made.
    training = STUDIES["devae-table1"]().jobs("smoke")[0][1]
    assert training.run(tmp_path).about["precision"] == training.experiment.precision  # type: ignore[attr-defined]
    # These jobs are the same at every scale.
    assert standing(study, tmp_path).words == "paper"
    table = STUDIES["devae-table1"]()
    (tmp_path / "devae-table1-small.csv").write_text(table_csv(table, "small", ROWS, [], ""), encoding="utf-8")
    found = standing(table, tmp_path, [tmp_path / "nowhere", tmp_path])
    assert found.words == "small, 3 of 14 jobs" and table.table(found.results).printed == 32


def test_a_damaged_csv_is_named_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "deft-fig8-smoke.csv").write_text("study,scale\ndeft-fig8,smo", encoding="utf-8")
    assert standing(STUDIES["deft-fig8"](), tmp_path / "no", [tmp_path]).words == (
        "never run; deft-fig8-smoke.csv is damaged"
    )


def test_a_table_that_needs_arrays_comes_from_a_csv_too(tmp_path: Path) -> None:
    study = STUDIES["recurd-table10"]()
    values = {"macs": 2e6, "macs.critics": 1e6, "parameters": 5.0, "parameters.critics": 2.0}
    rows: list[Row] = [
        ({"data": "celeba", "row": row, "seed": 0}, Result(row, values, {}, "", 1.0)) for row in ("β-VAE", "RecurD 2")
    ]
    path = tmp_path / "recurd-table10-small.csv"
    path.write_text(table_csv(study, "small", rows, [], ""), encoding="utf-8")
    assert ("celeba", "RecurD 2 without critics") in study.table(standing(study, tmp_path, [tmp_path]).results).lines

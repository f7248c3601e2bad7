"""SQL over runs: only what changed is read again, and what comes out is what the folders hold."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from job.kinds import Area, Spread, training
from unweave.job import Scores, Terms
from unweave.results import cache as module
from unweave.results import export, frame, query, reader, rows
from unweave.results import sql as sql_module
from unweave.results import table as table_module
from unweave.results.table import _columns
from unweave.store import RunFolder
from unweave.types import Adam, UserError

pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    measures = (Scores(("mig",)), Terms(), Spread())
    for seed in (0, 1):
        training((10,), measures, method="beta-vae", data="triangle", seed=seed).run(out)
        training((), measures, method="vae", data="triangle", seed=seed).run(out)
    Area(2.0).run(out)
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs of the triangle, measured, and a folder of another kind of job; cached however few they are."""
    monkeypatch.setattr(module, "FEWEST", 1)
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are really read."""
    seen: list[str] = []
    before = reader.row

    def read(path: Path) -> Any:
        seen.append(path.name)
        return before(path)

    monkeypatch.setattr(reader, "row", read)
    return seen


def ask(sql: str, out: Path) -> list[dict[str, Any]]:
    answer, skipped = query(sql, out)
    assert skipped == {}
    return answer


def test_sql_holds_what_the_folders_hold(out: Path) -> None:
    plain = {one.head["key"]: one.flat() for one in rows(out)[0]}
    for _ in range(2):
        found = ask("select * from runs", out)
        assert [one["key"] for one in found] == sorted(plain)
        for one in found:
            assert {name: value for name, value in one.items() if value is not None} == {
                name: value for name, value in plain[one["key"]].items() if value is not None
            }
            assert {"mig", "mig_gap_pos_x", "spread1", "loss_kl", "method_beta", "lr"} <= set(one)
            assert "_folder" not in one and "_changed" not in one
            assert not [name for name in one if name.endswith("_2")], "scores stand once, though they are measured too"


def test_only_what_changed_is_read_again(out: Path, reads: list[str]) -> None:
    count = "select count(*) as n, sum(seed) as s from runs where state = 'done'"
    assert ask(count, out) == [{"n": 4, "s": 2}] and len(reads) == 5
    reads.clear()
    other = Area(2.0).home
    assert ask(count, out) == [{"n": 4, "s": 2}] and reads == [other], "no run, so nothing is kept of it"
    first, *rest = sorted(path.name for path in out.iterdir() if path.name not in (other, module.FILE))
    RunFolder(out / first).write("status", {**RunFolder(out / first).read("status"), "state": "stopped"})
    reads.clear()
    assert ask(count, out)[0]["n"] == 3 and sorted(reads) == sorted([first, other])
    for file in (out / rest[0]).iterdir():
        file.unlink()
    (out / rest[0]).rmdir()
    training(measures=(Terms(),), data="triangle", seed=5).run(out)
    reads.clear()
    assert ask(count, out)[0]["n"] == 3 and len(reads) == 2
    assert ask("select count(*) as n from runs", out) == [{"n": 4}]


def test_a_run_under_way_is_read_every_time(out: Path, reads: list[str]) -> None:
    name = training(data="triangle", method="vae").home
    folder = RunFolder(out / name)
    with folder.lock():
        status = folder.read("status")
        folder.write("status", {**status, "state": "running", "step": 7})
        sql = f"select state, step from runs where key = '{name}'"
        assert ask(sql, out) == [{"state": "running", "step": 7}]
        (folder.path / "status.json").write_text(json.dumps({**status, "state": "running", "step": 8}))
        assert ask(sql, out) == [{"state": "running", "step": 8}]
    assert ask(sql, out) == [{"state": "stopped", "step": 8}]


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing PAR1", b"x" * 1000])
def test_a_damaged_cache_is_made_again(content: bytes, out: Path, reads: list[str]) -> None:
    ask("select 1", out)
    good = (out / module.FILE).read_bytes()
    (out / module.FILE).write_bytes(content)
    reads.clear()
    assert ask("select count(*) as n from runs", out) == [{"n": 4}] and len(reads) == 5
    assert len((out / module.FILE).read_bytes()) == pytest.approx(len(good), rel=0.2)
    assert not list(out.glob("*.part"))


def test_a_row_has_the_columns_of_its_layout(out: Path) -> None:
    """Unchanged folders keep the rows that were cached: who changes these columns raises ``LAYOUT``."""
    found = {one.head["method"]: one for one in rows(out)[0]}["vae"]
    columns = (
        "key method data seed state step steps mig mig_gap_orientation mig_gap_pos_x mig_gap_pos_y mig_nmi1 mig_nmi2 "
        "loss_total loss_recon loss_kl spread1 data_author_labels data_angle_noise network network_hidden "
        "network_activation likelihood latents batch precision lr adam_betas adam_eps adam_weight_decay adam_clip "
        "failed_term seconds_per_step source written"
    )
    assert (module.LAYOUT, " ".join(found.flat())) == (2, columns)


def test_what_a_kill_left_half_written_is_swept(out: Path) -> None:
    old, new = out / f"{module.FILE}.1-ab.part", out / f"{module.FILE}.2-cd.part"
    for part in (old, new):
        part.write_bytes(b"PAR1")
    os.utime(old, (1, 1))
    ask("select 1", out)
    assert not old.exists() and new.exists(), "another process may be writing the new one"


def test_a_cache_of_other_columns_is_made_again(out: Path) -> None:
    with module.connect() as database:
        database.execute(f"copy (select 1 as a) to '{out / module.FILE}' (format parquet)")
    assert ask("select count(*) as n from runs", out) == [{"n": 4}]


def test_very_many_are_read_by_several_processes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ask("select * from runs", out)
    (out / module.FILE).unlink()
    (out / wanted[2]["key"] / "status.json").write_text("{")
    monkeypatch.setattr(reader, "MANY", 3)
    monkeypatch.setattr(reader, "READERS", 2)
    monkeypatch.setattr(reader.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(reader, "row", None)
    found, skipped = query("select * from runs", out)
    assert found == [*wanted[:2], wanted[3]]
    assert list(skipped) == [out / wanted[2]["key"]] and "damaged" in skipped[out / wanted[2]["key"]]


def test_a_reader_that_dies_is_stood_in_for(out: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]) -> None:
    monkeypatch.setattr(reader, "MANY", 3)
    monkeypatch.setattr(reader.sys, "executable", "false")
    assert ask("select count(*) as n from runs", out) == [{"n": 4}] and len(reads) == 5


def test_the_kept_file_is_the_only_one_that_a_query_can_read(out: Path, tmp_path: Path) -> None:
    ask("select 1", out)
    for job in (Area(2.0),):
        shutil.rmtree(out / job.home)
    ask("select 1", out)
    assert ask("select count(*) as n from runs", out) == [{"n": 4}]
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (f"select * from read_csv('{tmp_path / 'secret.csv'}')", f"copy runs to '{tmp_path / 'stolen.csv'}'"):
        with pytest.raises(UserError, match="Permission Error"):
            query(sql, out)
    assert not (tmp_path / "stolen.csv").exists()
    with pytest.raises(UserError):
        query(f"copy (select 1) to '{out / module.FILE}' (format parquet)", out)
    assert ask("select count(*) as n from runs", out) == [{"n": 4}]


def test_few_runs_leave_no_file(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST", 6)
    assert ask("select count(*) as n from runs", out) == [{"n": 4}]
    assert not (out / module.FILE).exists()


def test_columns_come_and_change_their_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST", 1)
    training(data="triangle").run(tmp_path)
    assert ask("select adam_clip from runs", tmp_path) == [{"adam_clip": None}]
    training(data="triangle", optimiser=Adam(clip=1.5)).run(tmp_path)
    training(data="triangle", method="beta-vae", seed=1).run(tmp_path)
    found = ask("select method_beta, adam_clip from runs order by all", tmp_path)
    assert found == [
        {"method_beta": 4.0, "adam_clip": None},
        {"method_beta": None, "adam_clip": 1.5},
        {"method_beta": None, "adam_clip": None},
    ]


def test_two_that_ask_at_once_make_one_table(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process wrote into the kept file, while folders were read here, is not there twice."""
    ask("select 1", out)
    training(data="triangle", seed=5).run(out)
    before = module.read

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(module, "read", before)
        found = before(*given)
        ask("select 1", out)
        return found

    monkeypatch.setattr(module, "read", meanwhile)
    for _ in range(2):
        assert ask("select count(*) as n, count(distinct key) as keys from runs", out) == [{"n": 5, "keys": 5}]
        (out / module.FILE).touch()


def test_a_file_in_which_a_run_stands_twice_is_made_again(out: Path, reads: list[str]) -> None:
    import duckdb

    ask("select 1", out)
    file = out / module.FILE
    database = duckdb.connect()
    database.execute(f"create table twice as (select * from '{file}' union all select * from '{file}')")
    database.execute(f"copy twice to '{file}' (format parquet)")
    reads.clear()
    assert ask("select count(*) as n from runs", out) == [{"n": 4}] and len(reads) == 5


def test_texts_that_no_run_has_yet_can_be_asked_for(out: Path) -> None:
    assert ask("select count(*) as n from runs where failed_term = 'kl' or source like '%x'", out) == [{"n": 0}]


def test_no_number_is_none_and_not_the_largest(out: Path) -> None:
    folder = next(RunFolder(path) for path in sorted(out.iterdir()) if (path / "scores.json").is_file())
    scores = folder.read("scores")
    scores["scores"]["mig"]["value"] = float("nan")
    folder.write("scores", scores)
    (found,) = ask("select count(mig) as n, avg(mig) as mean from runs", out)
    assert found["n"] == 3 and 0 <= found["mean"] <= 1


def test_a_measured_name_moves_no_setting() -> None:
    """In other runs, which have not measured it, the setting has the same column."""
    plain = _columns(("key", "seed"), ("mig",), (), (), ("latents", "lr"))
    more = _columns(("key", "seed"), ("mig",), (), ("mig", "latents", "seed"), ("latents", "lr"))
    assert plain[3] == more[3] == ("latents", "lr") and more[2] == ("", "latents_2", "seed_2")


def test_what_was_measured_on_the_way(out: Path) -> None:
    key = training((10,), data="triangle", method="beta-vae").home
    sql = f"select step, value from measured where key = '{key}' and name = 'spread1' order by step"
    found = ask(sql, out)
    result = training((10,), (Scores(("mig",)), Terms(), Spread()), data="triangle", method="beta-vae").kept(out)
    assert result is not None
    assert [one["step"] for one in found] == [10, 20]
    assert [one["value"] for one in found][1] == result.values["spread1"]


@pytest.mark.parametrize("together", [1, 30, 10**6])
def test_terms_of_all_runs(together: int, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_module, "TOGETHER", together)
    wanted = [
        {"key": one.head["key"], "step": step, "term": term, "value": value}
        for one in rows(out)[0]
        for table in [RunFolder(one.folder).read_trace()]
        for term, values in table.items()
        if term != "step"
        for step, value in zip(table["step"], values, strict=True)
    ]
    assert ask("select * from trace order by key, term, step", out) == sorted(
        wanted, key=lambda line: (line["key"], line["term"], line["step"])
    )


def test_folders_with_damaged_measurements_or_terms_are_passed_over(out: Path) -> None:
    first, second, third, _ = sorted(one.folder for one in rows(out)[0])
    ask("select 1", out)
    with (second / "trace.csv").open("a") as file:
        file.write("x\n")
    with (first / "rows.jsonl").open("a") as file:
        file.write('{"asked": "a", "step": 20}\n')
    (third / "trace.csv").write_bytes(b"")
    answer, skipped = query("select count(distinct key) as n from trace", out)
    assert answer == [{"n": 2}] and list(skipped) == [second] and "trace.csv: damaged" in skipped[second]
    answer, skipped = query("select count(distinct key) as n from measured", out)
    assert answer == [{"n": 3}] and skipped == {first: "damaged (KeyError: 'values')"}
    answer, skipped = query("select count(*) as traced, 1 as measured_too from runs", out)
    assert answer == [{"traced": 4, "measured_too": 1}] and skipped == {}


def test_large_files_are_read_too(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [one.flat() for one in rows(out)[0]]
    monkeypatch.setattr(table_module, "LARGEST", 100)
    assert [one.flat() for one in rows(out)[0]] == wanted


def test_exports(out: Path, tmp_path: Path) -> None:
    lines = ask("select key, mig, seed, state, null as nothing from runs", out)
    lines[0]["mig"] = float("nan")
    export(lines, tmp_path / "a.csv")
    export(lines, tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [row["key"] for row in csv.DictReader(file)] == [one["key"] for one in lines]
    with module.connect() as database:
        back = database.execute(f"select * from read_parquet('{tmp_path / 'a.parquet'}')").fetchall()
        kinds = database.execute(f"describe select * from read_parquet('{tmp_path / 'a.parquet'}')").fetchall()
    assert math.isnan(back[0][1]) and back[1:] == [tuple(one.values()) for one in lines[1:]]
    assert [kind for _, kind, *_ in kinds[:4]] == ["VARCHAR", "DOUBLE", "BIGINT", "VARCHAR"]
    export([], tmp_path / "none.parquet")
    with pytest.raises(UserError, match=r"a\.xlsx ends in '\.xlsx'; allowed: \.csv, \.parquet"):
        export(lines, tmp_path / "a.xlsx")
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(UserError, match=rf"cannot write .*{name}: No such file"):
            export(lines, tmp_path / "nowhere" / name)


def test_decimals_times_and_lists(out: Path, tmp_path: Path) -> None:
    sql = "select 1.5 as n, [0.5] as l, {'a': 0.25} as s, date '2020-02-01' as d, uuid() as u, time '10:00' as t"
    (line,) = ask(sql, out)
    assert (line["n"], line["l"], line["s"]) == (1.5, [0.5], {"a": 0.25}) and isinstance(line["n"], float)
    export([line], tmp_path / "a.parquet")
    with module.connect() as database:
        back = database.execute(f"select * from read_parquet('{tmp_path / 'a.parquet'}')").fetchall()
    assert back == [(1.5, "[0.5]", '{"a":0.25}', "2020-02-01", str(line["u"]), "10:00:00")]


def test_a_data_frame(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda lines: ("frame", lines)))
    assert frame("select count(*) as n from runs", out) == ("frame", [{"n": 4}])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="needs pandas, which is not installed"):
        frame("select 1", out)

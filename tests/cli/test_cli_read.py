"""The verbs that read: score, report, results, list, data, cite."""

from __future__ import annotations

import builtins
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unweave.cli.entry import _unbroken
from unweave.data import DATASETS
from unweave.methods import METHODS
from unweave.metrics import METRICS, quick
from unweave.networks.conv import LAYOUTS
from unweave.run import load
from unweave.store import RunFolder

from .conftest import Call

MIG = ("--metrics", "mig", "reconstruction", "--images", "200")


def _first(runs: Path) -> Path:
    return min(runs.iterdir())


def test_score_prints_value_floor_ceiling_and_keeps_them(call: Call, runs: Path) -> None:
    folder = _first(runs)
    done = call("score", folder.name[:6], *MIG)
    assert (done.code, done.err) == (0, "")
    heading = next(line for line in done.out.splitlines() if line.startswith("metric"))
    assert heading.split() == ["metric", "value", "floor", "ceiling", "parts"]
    kept = RunFolder(folder).read("scores")["scores"]
    limits = RunFolder(folder).read("ceilings")
    assert set(kept) == {"mig", "reconstruction"}
    assert limits["mig"]["floor"] < limits["mig"]["ceiling"]
    assert f"{limits['mig']['ceiling']:.3f}" in done.out
    assert kept["mig"]["settings"]["images"] == 200


def test_score_again_computes_nothing_and_says_so(call: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = json.loads(call("score", str(_first(runs)), *MIG, "--json").out)
    monkeypatch.setattr("unweave.run.Run.codes", lambda *_, **__: pytest.fail("encoded again"))
    again = call("score", str(_first(runs)), *MIG, "--json")
    assert again.code == 0
    assert json.loads(again.out) == first
    assert "nothing to compute" in call("score", str(_first(runs)), *MIG).out


def test_other_images_or_seeds_are_other_scores(call: Call, runs: Path) -> None:
    def ask(*words: str) -> Any:
        return json.loads(call("score", str(_first(runs)), "--metrics", "mig", *words, "--json").out)["runs"][0][
            "scores"
        ]

    few, many = ask("--images", "200"), ask("--images", "all")
    assert few["mig"]["settings"]["images"] == 200
    assert many["mig"]["settings"]["images"] == 1024
    assert many["mig"]["value"] != few["mig"]["value"]
    assert ask("--images", "200", "--seed", "1")["mig"]["value"] != few["mig"]["value"]


def test_score_of_several_runs_and_the_quick_set(call: Call, runs: Path) -> None:
    names = [path.name for path in sorted(runs.iterdir())]
    document = json.loads(call("score", *names, names[0], "--images", "60", "--json").out)
    assert [run["key"] for run in document["runs"]] == names
    labels = list(document["runs"][0]["scores"])
    assert labels == [metric.label for metric in quick()] and {"mig", "dci-fast", "sap"} < set(labels)
    assert {"key", "method", "data", "seed", "step"} < set(document["runs"][0])


def test_full_asks_for_published_settings(call: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unweave.metrics import DCI
    from unweave.metrics import MIG as Gap

    # Scikit-learn's boosting takes minutes: here the list alone is of interest, with the two metrics that are quick.
    monkeypatch.setattr("unweave.cli.score.full", lambda: [Gap(), DCI(estimator="fast", train=50, test=50)])
    document = json.loads(call("score", "last", "--full", "--metrics", "sap", "mig", "--images", "150", "--json").out)
    assert list(document["runs"][0]["scores"]) == ["mig", "dci-fast", "sap"]


def test_the_label_of_a_table_asks_for_its_metric(call: Call, runs: Path) -> None:
    scores = json.loads(call("score", "last", "--metrics", "dci-fast", "--images", "150", "--json").out)["runs"][0][
        "scores"
    ]
    assert list(scores) == ["dci-fast"] and scores["dci-fast"]["settings"]["estimator"] == "fast"


def test_a_slow_metric_is_named_while_it_is_computed(call: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.cli.console.PATIENCE", 0.0)
    out = call("score", "last", *MIG).out
    assert "encoding 200 images …" in out
    assert "computing mig …" in out
    assert "computing limits of mig …" in out


def test_report_scores_first_and_writes_one_page(call: Call, runs: Path) -> None:
    folder = _first(runs)
    done = call("report", folder.name, "--images", "150")
    assert (done.code, done.err) == (0, "")
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "dci-fast" in text
    assert "--beta 2" in text
    assert set(RunFolder(folder).read("scores")["scores"]) >= {"mig", "sap"}
    limits = RunFolder(folder).read("ceilings")
    assert set(limits) == {metric.label for metric in quick() if metric.reads == "factors"}
    other = json.loads(call("report", folder.name, "--images", "150", "--out", "page.html", "--json").out)
    assert other["page"] == "page.html"
    assert Path("page.html").read_text(encoding="utf-8") == text


def test_report_keeps_limits_of_the_images_that_were_scored(call: Call, runs: Path) -> None:
    folder = _first(runs)
    call("score", folder.name, *MIG)
    before = RunFolder(folder).read("ceilings")
    (folder / "ceilings.json").unlink()
    assert call("report", folder.name).code == 0
    assert RunFolder(folder).read("ceilings") == before
    assert set(RunFolder(folder).read("scores")["scores"]) == {"mig", "reconstruction"}


def test_results_is_a_row_a_run_without_duckdb(call: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("score", _first(runs).name, *MIG)
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = call("results")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == [
        "key",
        *["method", "data", "seed", "state", "step", "steps", "mig", "reconstruction"],
    ]
    rows = json.loads(call("results", "--format", "json").out)
    assert [row["key"] for row in rows] == sorted(path.name for path in runs.iterdir())
    assert rows[0]["method_beta"] == 2.0
    assert (rows[0]["state"], rows[0]["step"], rows[0]["steps"]) == ("done", 20, 20)
    assert {"mig_nmi1", "mig_gap_pos_x", "lr", "network_hidden"} < set(rows[0])
    assert rows[1]["mig"] is None
    table = list(csv.DictReader(io.StringIO(call("results", "--format", "csv").out)))
    assert float(table[0]["mig"]) == pytest.approx(rows[0]["mig"])
    refused = call("results", "select 1")
    assert refused.code == 2
    assert "pip install duckdb" in refused.line


def test_sql_over_runs_and_trace(call: Call, runs: Path) -> None:
    pytest.importorskip("duckdb")
    call("score", _first(runs).name, *MIG)
    counted = call("results", "select method, count(*) as n, count(mig) as scored from runs group by method", "--json")
    assert json.loads(counted.out) == [{"method": "beta-vae", "n": 2, "scored": 1}]
    sql = (
        "select r.seed, t.value from runs r join trace t using (key) where term = 'total' and t.step = 20 order by seed"
    )
    found = json.loads(call("results", sql, "--json").out)
    folders = {load(path).experiment.seed: load(path) for path in runs.iterdir()}
    assert [row["value"] for row in found] == pytest.approx([folders[seed].terms["total"][-1] for seed in (0, 1)])
    assert call("results", "select * from runs where false").out.strip() == "no rows"


REFUSED = {
    "files": ("select * from read_csv('secret.csv')", "disabled"),
    "files by name": ("select * from 'secret.csv'", "secret.csv"),
    "writing": ("copy runs to 'stolen.csv'", "disabled"),
    "another database": ("attach 'other.db'", "disabled"),
    "unlocking": ("set enable_external_access = true", "locked"),
    "variables of the process": ("select * from flat", "does not exist"),
    "columns": ("select migg from runs", "migg"),
    "syntax": ("selec 1", "syntax error"),
    "nothing": ("  ", "empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sql_is_refused_in_one_line(case: str, call: Call, runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    sql, told = REFUSED[case]
    done = call("results", sql)
    assert (done.code, done.out) == (2, "")
    assert told in done.line
    assert not (tmp_path / "stolen.csv").exists()


def test_a_damaged_folder_is_passed_over_and_named(call: Call, runs: Path) -> None:
    first, second = sorted(runs.iterdir())
    (first / "status.json").write_text("{")
    done = call("results", "--json")
    assert done.code == 0
    assert [row["key"] for row in json.loads(done.out)] == [second.name]
    assert first.name in done.line


def test_a_run_whose_process_is_gone_has_stopped(call: Call, runs: Path) -> None:
    folder = RunFolder(_first(runs))
    folder.write("status", {"state": "running", "step": 3})
    assert json.loads(call("results", "--json").out)[0]["state"] == "stopped"
    with folder.lock():
        assert json.loads(call("results", "--json").out)[0]["state"] == "running"


def test_lists_hold_everything(call: Call) -> None:
    scores = [*METRICS, "udr", "failure-rate"]
    tables = {"methods": METHODS, "metrics": scores, "data": DATASETS, "networks": {**LAYOUTS, "mlp": None}}
    for what, things in tables.items():
        done = call("list", what)
        assert (done.code, done.err) == (0, "")
        assert [line.split()[0] for line in done.out.splitlines()[2:]] == list(things)
        rows = json.loads(call("list", what, "--json").out)[what]
        assert [row["name"] for row in rows] == list(things)
    assert json.loads(call("list", "methods", "--json").out)["methods"][1]["settings"]["beta"] == 4.0


def test_metrics_are_listed_with_definition_range_cost_and_paper(call: Call) -> None:
    rows = {row["name"]: row for row in json.loads(call("list", "metrics", "--json").out)["metrics"]}
    for row in rows.values():
        assert all(row[key] for key in ("what", "range", "better", "reads", "cost", "paper")), row
    assert rows["gaussian-tc"]["range"] == "0 … ∞"
    assert (rows["mig"]["range"], rows["mig"]["paper"]) == ("0 … 1", "Chen et al. 2018")


def test_the_cost_of_a_metric_is_what_was_measured() -> None:
    with (Path(__file__).parents[2] / "results/metric_time.csv").open(encoding="utf-8") as file:
        measured = {row["what"]: float(row["seconds"]) for row in csv.DictReader(file)}
    for name, kind in METRICS.items():
        wanted = [measured["dci-fast"], measured["dci"]] if name == "dci" else [measured[name]]
        told = [float(number) for number in re.findall(r"[\d.]+", kind.cost)]
        for one, seconds in zip(told, wanted, strict=True):
            assert one / 2 <= max(seconds, 0.04) <= one * 2, f"{name}: {one} s told, {seconds} s measured"


def test_data_list_and_check(call: Call) -> None:
    listed = call("data", "list")
    assert "orientation 32" in listed.out
    assert json.loads(call("data", "list", "--json").out)["data"][0]["images"] == 737280
    checked = call("data", "check", "triangle")
    assert (checked.code, checked.err) == (0, "")
    assert "as expected" in checked.out
    assert len(json.loads(call("data", "check", "triangle", "--json").out)["found"]) == 3


def test_cite_gives_each_entry_once(call: Call) -> None:
    done = call("cite", "devae", "dci", "mig", "triangle")
    assert done.out.count("@article{locatello2019challenging") == 1
    for key in ("wu2023devae", "eastwood2018framework", "chen2018isolating", "wu2022deft"):
        assert key in done.out
    assert "duan" in call("cite", "udr").out and "wu" in call("cite", "failure-rate").out
    keys = [one["key"] for one in json.loads(call("cite", "devae", "--json").out)["references"]]
    assert keys == ["wu2023devae"]


def test_help_and_version(call: Call) -> None:
    for words in ([], ["--help"], ["help"]):
        assert "unweave VERB" in call(*words).out
    for verb in ("train", "sweep", "score", "report", "results", "select", "list", "data", "cite"):
        done = call(verb, "--help")
        assert (done.code, done.err) == (0, "")
        assert "--json" in done.out or verb == "train"
    assert call("--version").out.startswith("unweave 0.")


def test_help_that_nobody_reads_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "unweave", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 1 and done.stderr == ""


def test_ctrl_c_waits_until_libraries_are_loaded() -> None:
    loaded = False
    with pytest.raises(KeyboardInterrupt), _unbroken():
        signal.raise_signal(signal.SIGINT)
        loaded = True
    assert loaded


def test_the_data_root_also_reaches_rules_that_read_labels(call: Call, tmp_path: Path) -> None:
    before = os.environ.get("UNWEAVE_DATA")
    asked = call("data", "check", "mnist:only=digit=3", "--data-root", str(tmp_path))
    assert asked.code == 2 and str(tmp_path) in asked.line
    assert os.environ.get("UNWEAVE_DATA") == before

"""``unweave sweep`` and ``unweave select``: a grid from a file to the best run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unweave.cli import study
from unweave.cli import sweep as module
from unweave.store import RunFolder
from unweave.sweep import planning

from .conftest import Call

GRID = """
[experiment]
method = "beta-vae"
data = "triangle:train"
steps = 20
batch = 8
latents = 3
network = {{ name = "mlp", hidden = [8] }}

[product]
method__beta = {betas}
seed = {{ count = 3 }}

[measure]
metrics = ["mig"]
images = 100
elbo = true
"""


@pytest.fixture
def grid(tmp_path: Path) -> str:
    (tmp_path / "grid.toml").write_text(GRID.format(betas="[1, 4]"))
    return "grid.toml"


def test_a_grid_is_planned_done_and_never_done_again(call: Call, grid: str, tmp_path: Path) -> None:
    dry = call("sweep", grid, "--dry", "--workers", "2")
    assert (dry.code, dry.err) == (0, "") and not (tmp_path / "runs").exists()
    lines = dry.out.splitlines()
    assert lines[0] == "sweep: 6 jobs" and lines[3].split() == ["beta-vae", "on", "triangle:split", "6", "120", "0:00"]
    assert "units   6, 2 at a time on cpu, about 0:00" in dry.out and "free" in lines[-1]
    done = json.loads(call("sweep", grid, "--workers", "0", "--json").out)
    assert done["plan"]["jobs"] == 6 and done["plan"]["kept"] == 0 and len(done["results"]) == 6
    assert all(one["failed"] == "" and 0 <= one["values"]["mig"] <= 1 for one in done["results"])
    assert {one["folder"] for one in done["results"]} == {f"runs/{path.name}" for path in Path("runs").iterdir()}
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    again = call("sweep", grid, "--workers", "0")
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[0] == "sweep: 6 jobs, 6 of them done already"
    assert "6 of 6 done, 0 failed" in again.out
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == before
    Path(grid).write_text(GRID.format(betas="[4, 9]"))
    assert call("sweep", grid, "--dry").out.startswith("sweep: 6 jobs, 3 of them done already")


def test_select_finds_the_best(call: Call, grid: str) -> None:
    done = json.loads(call("sweep", grid, "--workers", "0", "--json").out)
    values = {one["key"]: one["values"]["elbo"] for one in done["results"]}
    shown = call("select", "elbo")
    assert (shown.code, shown.err) == (0, "")
    assert "two-sided Mann-Whitney U, Holm" in shown.out and "best run" in shown.out
    found = json.loads(call("select", "elbo", "--threshold=-1e9", "--correlate", "mig", "--json").out)
    best = found["settings"][0]
    assert best["interval"]["runs"] == 3 and best["failures"]["rate"] == 0
    folder = next(one["folder"] for one in done["results"] if values[one["key"]] == max(values.values()))
    assert Path(folder).name in {one["best"] for one in found["settings"]}
    assert len(found["differences"]) == 1 and found["correlations"]["columns"] == ["elbo", "mig"]
    udr = json.loads(call("select", "udr", "--json").out)
    assert all(0 <= one["interval"]["mean"] <= 1 for one in udr["settings"])
    assert "udr" in json.loads(call("results", "--json").out)[0]


def test_select_notes_scores_that_were_made_in_several_ways(call: Call, grid: str) -> None:
    call("sweep", grid, "--workers", "0")
    assert call("select", "mig").err == ""
    call("score", str(next(Path("runs").iterdir())), "--metrics", "mig", "--images", "60", "--seed", "3")
    done = call("select", "mig")
    assert done.code == 0 and "note: mig was not made in one way: " in done.err
    assert " images, seed 0 " in done.err and "60 images, seed 3 " in done.err and done.err.count("\n") == 1


def test_udr_is_that_of_the_settings_asked_for(call: Call, grid: str) -> None:
    """The scores that were kept last may be of another grouping."""
    call("sweep", grid, "--workers", "0")
    first = call("select", "udr", "--json").out
    other = json.loads(call("select", "udr", "--by", "method", "--json").out)
    assert [one["interval"]["runs"] for one in other["settings"]] == [6]
    assert call("select", "udr", "--json").out == first
    folder = RunFolder(next(Path("runs").iterdir()))
    folder.write("status", {**folder.read("status"), "state": "stopped"})
    left = json.loads(call("select", "udr", "--json").out)["settings"]
    assert sorted((one["interval"]["runs"], one["broken"]) for one in left) == [(2, 1), (3, 0)]


def test_select_says_what_it_passed_over(call: Call, grid: str) -> None:
    call("sweep", grid, "--workers", "0")
    first, *rest = sorted(Path("runs").iterdir())
    (first / "status.json").write_text("{")
    done = call("select", "mig", "--json")
    assert done.code == 0 and f"note: passed over runs/{first.name}: " in done.line and "damaged" in done.line
    assert sum(one["interval"]["runs"] for one in json.loads(done.out)["settings"]) == 5
    for folder in rest:
        (folder / "status.json").write_text("{")
    assert "none of the 6 runs of runs can be read; runs/" in call("select", "mig").line


@pytest.mark.parametrize(
    "words, told",
    [
        (["sweep"], "no file given; allowed: unweave sweep FILE.toml"),
        (["sweep", "nowhere.toml"], "cannot read nowhere.toml: No such file"),
        (["sweep", "grid.toml", "--wrokers", "2"], "unknown option --wrokers — did you mean --workers?"),
        (["sweep", "grid.toml", "--workers", "-3"], "workers = -3; allowed: a whole number from 0"),
        (["sweep", "grid.toml", "--on", "slurm"], "on = 'slurm'; allowed: ray"),
        (["sweep", "grid.toml", "--device", "tpu"], "device = 'tpu'"),
        (["sweep", "grid.toml", "--dry", "--workers", "-3"], "workers = -3; allowed: a whole number from 0"),
        (["sweep", "grid.toml", "--dry", "--on", "slurm"], "on = 'slurm'; allowed: ray"),
        (["study", "devae-table1", "--dry", "--device", "tpu"], "device = 'tpu'"),
        (["study", "devae-table1", "--dry", "--workers", "-1"], "workers = -1"),
        (["select", "--out", "nowhere"], "there is no folder nowhere"),
        (["select", "mig", "--confidence", "95"], "confidence = 95.0; allowed: above 0 and below 1"),
        (["select", "mig", "--out", "."], ". holds no runs"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(words: list[str], told: str, call: Call, grid: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    done = call(*words)
    assert done.code == 2 and told in done.line


@pytest.mark.parametrize(
    "betas, told",
    [
        ("[]", "grid.toml: method__beta has no values, so the grid is empty"),
        ('["x"]', "beta = 'x'; allowed: a finite number (experiment 1 of 3"),
        ("{ count = 1_000_000_000 }", "this grid has 3,000,000,000 experiments; allowed: at most 1,000,000"),
    ],
)
def test_a_mistyped_grid_starts_nothing(betas: str, told: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.format(betas=betas))
    done = call("sweep", "grid.toml")
    assert done.code == 2 and told in done.line and not (tmp_path / "runs").exists()


def test_what_cannot_be_measured_is_said_before_anything_is_trained(call: Call, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.format(betas="[1]").replace('"triangle:train"', '"triangle"'))
    done = call("sweep", "grid.toml", "--workers", "0")
    assert done.code == 2 and not (tmp_path / "runs").exists()
    assert "triangle was trained on whole; allowed: training on a part, such as triangle:train" in done.line


def test_a_studys_notes_that_are_no_text_are_said_before_it_begins(call: Call, tmp_path: Path) -> None:
    notes = tmp_path / "runs" / "studies" / "deft-fig8-smoke.md"
    notes.parent.mkdir(parents=True)
    notes.write_bytes(b"caf\xe9")
    done = call("study", "deft-fig8", "--workers", "0")
    assert done.code == 2 and "deft-fig8-smoke.md: damaged" in done.line and "Markdown in UTF-8" in done.line
    assert list(notes.parent.iterdir()) == [notes]


def test_a_study_says_how_many_workers_it_has(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "processors", lambda: 3)
    for words, workers in ((), 3), (("--workers", "0"), 1), (("--workers", "5"), 5):
        assert f" on {workers} workers" in call("study", "devae-table1", "--dry", *words).out


def test_failures_are_named_and_counted(call: Call, tmp_path: Path) -> None:
    text = GRID.format(betas="[1]").replace('"beta-vae"', '"infogan"').replace("method__beta = [1]\n", "")
    (tmp_path / "grid.toml").write_text(text)
    done = call("sweep", "grid.toml", "--workers", "0")
    assert done.code == 1
    assert done.out.count("\n  failed  infogan on triangle:split, seed") == 3 and "0 of 3 done, 3 failed" in done.out
    assert "held-out ELBO: the codes of infogan have no widths, so no KL" in done.out


def test_a_full_disk_is_said_before_anything_starts(call: Call, grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "free", lambda out: 1000)
    done = call("sweep", grid)
    assert done.code == 2 and "runs has 1 kB free and about" in done.line and not Path("runs").exists()


def test_a_run_that_cannot_be_logged_is_named(call: Call, grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Path] = []

    def log(folder: Path) -> None:
        logged.append(folder)
        if len(logged) == 2:
            raise ConnectionError("nobody\nanswers")

    monkeypatch.setattr(module, "logger", lambda name: log)
    done = call("sweep", grid, "--workers", "0", "--log", "wandb")
    assert done.code == 0 and len(logged) == 6 and "6 of 6 done, 0 failed" in done.out
    assert done.line == f"unweave sweep: note: {logged[1]} was not logged: nobody answers"


def test_an_interruption_says_how_to_go_on(call: Call, grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object, **more: object) -> object:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(module, "perform", interrupted)
    done = call("sweep", grid, "--workers", "0")
    assert done.code == 1 and "everything is kept. To go on: unweave sweep grid.toml --workers 0" in done.out


@pytest.mark.skipif(os.name != "posix", reason="folders are locked")
def test_what_another_process_trains_is_read_back(call: Call, grid: str) -> None:
    json.loads(call("sweep", grid, "--workers", "0", "--json").out)
    with RunFolder(next(Path("runs").iterdir())).lock():
        assert call("sweep", grid, "--workers", "0").code == 0

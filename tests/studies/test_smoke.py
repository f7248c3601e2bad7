"""Studies from the command line to the page, at smoke scale."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from unweave.cli import main
from unweave.job import Job, Result
from unweave.studies import STUDIES

ROOT = Path(__file__).parents[2]

QUICK = ("deft-fig14",)
LONGEST = 120.0
"""Seconds on one thread of a machine that does other things; half a minute on two cores that do not."""


def ran(name: str, out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["study", name, "--scale", "smoke", "--out", str(out), "--workers", "0", "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", QUICK)
def test_a_study_from_the_command_to_the_page(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran(name, tmp_path, capsys)
    entries = STUDIES[name]().jobs("smoke")
    assert found["failed"] == [] and found["jobs"] == len({job.key for _, job in entries})
    lines = list(csv.DictReader(Path(str(found["csv"])).read_text(encoding="utf-8").splitlines()))
    assert [line["key"] for line in lines] == [job.key for _, job in entries]
    assert all(line["command"].startswith(f"unweave study {name} --scale smoke") for line in lines)
    page = Path(str(found["page"])).read_text(encoding="utf-8")
    assert STUDIES[name].title in page and page.count("<svg") > 3 and "http-equiv" in page
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/rows.jsonl")}
    assert ran(name, tmp_path, capsys)["csv"] == found["csv"]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/rows.jsonl")}, "nothing is done twice"


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in STUDIES if one not in QUICK])
def test_every_study_at_smoke_scale(
    name: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.process_time()
    found = ran(name, tmp_path_factory.mktemp("study"), capsys)
    assert found["failed"] == []
    assert time.process_time() - began < LONGEST


def test_an_interrupted_study_leaves_a_page_of_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(jobs: Sequence[Job], out: Path, **how: object) -> Iterator[Result]:
        yield from (job.run(out) for job in jobs[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr("unweave.cli.study.perform", some)
    words = [
        "study",
        "deft-fig8",
        "--scale",
        "smoke",
        "--out",
        str(tmp_path / "runs"),
        "--results",
        str(tmp_path / "a/b"),
    ]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "2 of 4 results\nto go on: unweave study deft-fig8" in said.out and "interrupted" in said.err
    lines = list(csv.DictReader((tmp_path / "a/b/deft-fig8-smoke.csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == 2 and "2 of 4 jobs" in (tmp_path / "a/b/deft-fig8-smoke.html").read_text(encoding="utf-8")
    monkeypatch.undo()
    assert main(words) == 0
    # A whole one from elsewhere is not replaced by less: here the runs are gone.
    before = {path: path.read_bytes() for path in (tmp_path / "a/b").iterdir()}
    monkeypatch.setattr("unweave.cli.study.perform", some)
    assert main([*words, "--out", str(tmp_path / "others")]) == 1
    assert {path: path.read_bytes() for path in (tmp_path / "a/b").iterdir()} == before
    monkeypatch.undo()
    assert len((tmp_path / "a/b/deft-fig8-smoke.csv").read_text(encoding="utf-8").splitlines()) == 5


def test_the_page_is_written_on_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(jobs: Sequence[Job], out: Path, **how: object) -> Iterator[Result]:
        for job in jobs:
            yield job.run(out)
            seen.append(len((out / "studies/deft-fig8-smoke.csv").read_text(encoding="utf-8").splitlines()) - 1)

    monkeypatch.setattr("unweave.cli.study.perform", watched)
    monkeypatch.setattr("unweave.cli.study.OFTEN", 0.0)
    assert main(["study", "deft-fig8", "--scale", "smoke", "--out", str(tmp_path)]) == 0
    assert seen == [1, 2, 3, 4]


def test_a_part_that_cannot_be_drawn_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([ValueError("too few"), None, None, None, None])

    def figures(study: object, results: object) -> list[object]:
        error = next(drawn)
        if error is not None:
            raise error
        return []

    monkeypatch.setattr(STUDIES["deft-fig8"], "figures", figures)
    monkeypatch.setattr("unweave.cli.study.OFTEN", 0.0)
    assert main(["study", "deft-fig8", "--scale", "smoke", "--out", str(tmp_path), "--workers", "0"]) == 0
    assert "note: no page of what there is so far (too few)" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    words = ["study", "deft-fig8", "--out", str(tmp_path / "runs"), "--results", str(tmp_path / "file" / "results")]
    assert main(words) == 2
    assert "cannot make the folder" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_dry_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs"
    assert main(["study", "devae-table1", "--scale", "small", "--dry", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "14 jobs, 0 of them done before" in said and "dynamic-vae on shapes3d, seed 0" in said
    assert not out.exists()


@pytest.mark.parametrize(
    "words, said",
    [
        (["devae-tabel1"], "did you mean 'devae-table1'"),
        (["devae-table1", "--scale", "tiny"], "allowed: smoke, small, paper"),
        ([], "no study named"),
        (["devae-table1", "--results", "a-file"], "cannot write in a-file"),
        (["devae-table1", "--scale", "paper", "--full"], "allowed: stcvae-fig2, stcvae-fig3 at scale paper"),
        (["stcvae-fig2", "--full"], "--full with stcvae-fig2 at scale smoke"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").write_text("x")
    assert main(["study", *words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_list_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["list", "studies", "--json", "--out", str(tmp_path)]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["studies"]}
    assert list(rows) == list(STUDIES)
    # What was kept of studies in the repository is found without being told of.
    known = {name for name in STUDIES if (ROOT / "results" / f"{name}-small.csv").is_file()}
    assert known >= {"deft-fig14", "bhivae-table1"}
    assert {name: row["status"] for name, row in rows.items()} == {
        name: "small" if name in known else "never run" for name in STUDIES
    }
    assert rows["devae-table1"]["printed"] == 32 and rows["bhivae-table1"]["within 2 s.e."]

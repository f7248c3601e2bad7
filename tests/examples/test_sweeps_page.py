"""docs/sweeps.md does what it says: its grid is planned, done, selected from and queried; its Python runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from unweave.cli import main
from unweave.sweep import local

PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_worked_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    (grid,) = blocks("toml")
    Path("grid.toml").write_text(grid)
    said = {}
    commands = [shlex.split(line, comments=True)[1:] for line in blocks("sh")[0].splitlines()]
    for words in commands:
        # In this process: starting workers is tested elsewhere.
        more = ["--workers", "0"] if words[0] == "sweep" else []
        assert main([*words, *more]) == 0
        said[" ".join(words)] = capsys.readouterr().out
    # On a busy machine a line that says "planning" comes first.
    assert "sweep: 15 jobs\n" in said["sweep grid.toml --dry"]
    assert "15 of 15 done, 0 failed" in said["sweep grid.toml"] and "15 trainings" in PAGE
    assert said["select mig"].count("\n") > 6 and "udr" in said["select udr"]
    assert main([*commands[-1], "--json"]) == 0
    assert [line["step"] for line in json.loads(capsys.readouterr().out)] == [20, 40, 60]


def test_the_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    assert code.count('perform(jobs, "runs")') == 1
    exec(compile(code.replace('"runs")', '"runs", workers=0)'), "sweeps.md", "exec"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and all(0 <= float(line.split()[0]) <= 1 for line in lines)
    assert local.processors() >= 1


def test_the_mistake_is_quoted_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "grid.toml").write_text(blocks("toml")[0].replace("product.method__beta", "product.beta"))
    assert main(["sweep", str(tmp_path / "grid.toml"), "--dry"]) == 2
    told = capsys.readouterr().err
    quoted = blocks("text")[0].split(": ", 2)[2]
    assert quoted.strip().removesuffix("? …") in told

"""docs/first-hour.md, as a new user would: every command and every block of Python in order, from an empty folder."""

from __future__ import annotations

import re
import shlex
import threading
import tomllib
import urllib.request
from pathlib import Path

import pytest

from unweave.cli import main
from unweave.explorer import Server
from unweave.metrics import MIG, Reconstruction

from .pages import DOCS, REPOSITORY, blocks
from .small import execute

PAGE = DOCS / "first-hour.md"
STEPS = 6


def shorter(text: str) -> str:
    """The same with few steps and images; the explorer's page and scores read as many as they need to."""
    text = re.sub(r"--steps \d+", f"--steps {STEPS}", text)
    text = re.sub(r"\bsteps( ?)=\1\d+", rf"steps\1=\g<1>{STEPS}", text)
    text = re.sub(r"^(unweave sweep .*)$", r"\1 --workers 0", text, flags=re.MULTILINE)
    text = re.sub(r"--minutes \d+", f"--seeds 2 --steps {STEPS} --workers 0", text)
    text = re.sub(r"^(unweave (?:score|export) .*)$", r"\1 --images 200", text, flags=re.MULTILINE)
    return re.sub(r"^(unweave explore .*)$", r"\1 --images 200", text, flags=re.MULTILINE)


def test_every_command_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    # The metrics that take seconds on any number of images have tests of their own.
    monkeypatch.setattr("unweave.cli.score.quick", lambda: [MIG(), Reconstruction()])
    monkeypatch.setattr("unweave.report.from_run.quick", lambda: [MIG(), Reconstruction()], raising=False)
    visited: list[str] = []
    serve = Server.serve_forever

    def visit(server: Server, *given: float) -> None:
        """Open the page that the command serves, as a browser would, then end it with Ctrl-C."""
        thread = threading.Thread(target=serve, args=(server, 0.02))
        thread.start()
        with urllib.request.urlopen(server.address, timeout=20) as answer:
            visited.append(answer.read().decode())
        server.shutdown()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", visit)
    given: dict[str, object] = {"__name__": "__main__"}
    said: dict[str, str] = {}
    for block in blocks(PAGE, "sh", "python", "toml"):
        if block.language == "toml":
            Path("compare.toml").write_text(shorter(block.text), encoding="utf-8")
            continue
        if block.language == "python":
            execute(shorter(block.text), "docs/first-hour.md", block.line, given)
            continue
        for command in shorter(block.text).splitlines():
            assert main(shlex.split(command)[1:]) == 0, f"{command}: {capsys.readouterr().err}"
            out = capsys.readouterr().out
            again = command in said and command.startswith("unweave train")
            assert ("all is done already" in out) == again, "the second time, and only then, there is nothing to do"
            said[command] = out
    assert len(visited) == 2 and all("<title>" in page for page in visited)
    assert len(list(Path("runs").glob("*/report.html"))) == 2 and list(Path("runs").glob("*/explorer.html"))
    own = [one for one in Path("runs").glob("*/experiment.json") if '"folder"' in one.read_text(encoding="utf-8")]
    assert len(own) == 1, "the training in Python is the one of the command before it"
    (compared,) = (out for command, out in said.items() if command.startswith("unweave results"))
    rows = [line.split() for line in compared.splitlines() if re.match(r"\s*\d", line)]
    assert [tuple(row[:2]) for row in rows] == [(str(beta), str(seed)) for beta in (1, 8, 30) for seed in range(3)]
    assert all(0 <= float(row[2]) <= 1 for row in rows)
    assert len(Path("more.csv").read_text(encoding="utf-8").splitlines()) == 401
    assert Path("pictures-unweave/report.html").is_file()
    assert given["run"].step == STEPS  # type: ignore[attr-defined]


def test_how_to_install() -> None:
    """The commands that install cannot be typed in a test; what they name is there."""
    (install,) = blocks(PAGE, "text")
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)", install.text, re.MULTILINE)) <= set(targets)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = PAGE.read_text(encoding="utf-8")
    assert "all" in project["optional-dependencies"] and "'.[all]'" in text
    assert "torch>=2.11,<2.14" in project["dependencies"] and "2.11 to 2.13" in text
    assert project["requires-python"] == ">=3.11,<3.13" and "Python 3.11 or 3.12" in text


def test_it_leads_to_a_method_of_ones_own() -> None:
    assert "(extending.md)" in PAGE.read_text(encoding="utf-8").split("## Your own method")[1]

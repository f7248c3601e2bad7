"""The verbs explore and export."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from unweave.cli.console import Console
from unweave.cli.explore import Options, serve
from unweave.explorer import Request

from .conftest import Call

SOURCE = Path(__file__).parents[2] / "src"


def test_export_writes_one_page(call: Call, runs: Path) -> None:
    folder = min(runs.iterdir())
    done = call("export", folder.name[:6], "--html", "--images", "100")
    assert (done.code, done.err) == (0, "")
    page = folder / "explorer.html"
    assert "loads nothing from elsewhere" in done.out and page.read_text(encoding="utf-8").startswith("<!doctype html>")
    told = json.loads(call("export", str(folder), "--html", "--images", "100", "--to", "a.html", "--json").out)
    assert told["bytes"] == Path("a.html").stat().st_size


@pytest.mark.parametrize(
    "words, answer",
    [
        (["export", "last"], "export to what? allowed: --html"),
        (["export", "last", "--html", "--to", "no/such/place.html"], "cannot write"),
        (
            ["export", "last", "--html", "--out", "page.html"],
            "folder of runs here; allowed for the file: --to page.html",
        ),
        (["export", "last", "--html", "--images", "some"], "images = some; allowed: a whole number from 10, or all"),
        (["export", "last", "--html", "--seed", "-1"], "seed = -1"),
        (["export", "--html"], "no run named"),
        (["export", "last", "--model", "m", "--to", "a.html"], "--to goes with --html, which is not asked for"),
        (["export", "last", "--html", "--licence", "mit"], "--licence goes with --model FOLDER"),
        (["export", "last", "--html", "--space", "1"], "--space goes with --onnx FOLDER"),
        (["explore"], "no run named; allowed: a run's folder, the first letters of its key, last, or --demo"),
        (["explore", "nothing"], "no run 'nothing'"),
        (["explore", "last", "--port", "70000"], "port = 70000"),
        (["explore", "last", "--images", "5"], "images = 5"),
        (["explore", "last", "--host", "256.1.1.1", "--images", "100"], "cannot listen on 256.1.1.1"),
    ],
)
def test_mistakes_are_told_in_one_line(call: Call, runs: Path, words: list[str], answer: str) -> None:
    done = call(*words)
    assert done.code == 2 and answer in done.line


def test_explore_serves_runs_and_the_demo(runs: Path, tmp_path: Path) -> None:
    folders = tuple(map(str, sorted(runs.iterdir())))
    with serve(Console(json=True), Options(runs=folders, demo=True, images=100)) as server:
        about = json.loads(server.app.answer(Request("GET", "/about", {})).body)["runs"]
        assert [one["keeps"] for one in about] == [True, True, False]
        assert about[2]["title"] == "ada-gvae on dsprites"
        assert server.address.startswith("http://127.0.0.1:")


def test_explore_answers_until_it_is_told_to_stop(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "error", "-m", "unweave", "explore", "--demo", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    environment.pop("PYTHONUNBUFFERED", None)  # a pipe gets the address all the same
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("}"):
                break
        address = json.loads("".join(lines))["address"]
        with urllib.request.urlopen(address + "about", timeout=60) as reply:
            assert json.load(reply)["runs"][0]["title"] == "ada-gvae on dsprites"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0

"""docs/extending.md does what it says, in a copy of the repository, and touches the files it names and no other."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import unweave

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
OUTSIDE, INSIDE = PAGE.split("## In the library")
STEP = re.compile(r"^\*\*\d\.\*\* .*?`([\w/.-]+)`:\n\n```(\w+)\n(.*?)```", re.MULTILINE | re.DOTALL)


def test_a_method_in_ones_own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unweave.METHODS", dict(unweave.METHODS))
    monkeypatch.syspath_prepend(tmp_path)
    method, script = re.findall(r"```python\n(.*?)```", OUTSIDE, re.DOTALL)
    (tmp_path / "my_vae.py").write_text(method, encoding="utf-8")
    assert "steps=2000" in script and "run.score()" in script
    script = script.replace("steps=2000", "steps=2, batch=8").replace("run.score()", 'run.score(["mig"], count=100)')
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    try:
        given = runpy.run_path(str(tmp_path / "script.py"), run_name="script")
        assert unweave.METHODS["my-vae"] is given["MyVAE"]
    finally:
        sys.modules.pop("my_vae", None)


def test_it_is_known_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "my_vae.py").write_text(re.findall(r"```python\n(.*?)```", OUTSIDE, re.DOTALL)[0], encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", OUTSIDE, re.DOTALL)
    assert block is not None
    first, *commands, explore = block[1].splitlines()
    setting = first.removeprefix("export ").partition("=")
    environment = {**os.environ, setting[0]: setting[2], "PYTHONPATH": str(REPOSITORY / "src")}
    assert explore == "unweave explore last" and len(commands) == 3
    for command in [*commands, "unweave export last --html"]:
        words = command.replace("--steps 2000", "--steps 2 --batch 8").split()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "unweave", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    assert list(tmp_path.glob("runs/*/report.html")) and list(tmp_path.glob("runs/*/explorer.html"))


def contents(folder: Path) -> dict[str, bytes]:
    places = [path for top in ("src", "tests", "docs") for path in (folder / top).rglob("*")]
    kept = [path for path in places if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def changed(old: str, diff: str) -> str:
    """A file after a diff: a line with - gives way to those with + below it; + on top goes among the imports."""
    top, *rest = re.split(r"^-(.*\n)", diff, flags=re.MULTILINE)
    old = old.replace("\nfrom ", "\n" + top.replace("+", "", 1) + "from ", 1)
    for gone, new in zip(rest[::2], rest[1::2], strict=True):
        assert gone in old, f"the page replaces {gone!r}, which the file does not hold"
        old = old.replace(gone, re.sub(r"^\+", "", new, flags=re.MULTILINE), 1)
    return old


def test_a_method_in_the_library(tmp_path: Path) -> None:
    for top in ("src", "tests", "docs"):
        shutil.copytree(REPOSITORY / top, tmp_path / top, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    before = contents(tmp_path)
    steps = STEP.findall(INSIDE)
    assert len(steps) == 6
    for name, kind, text in steps:
        path = tmp_path / name
        path.write_text(changed(path.read_text(encoding="utf-8"), text) if kind == "diff" else text, encoding="utf-8")
    named = {name for name, _, _ in steps}
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    found = python("-c", "import unweave; print(unweave.__file__)").strip()
    assert Path(found).is_relative_to(tmp_path), "the copy is what runs"
    tests = ["tests/architecture", "tests/contract/test_methods.py", "tests/methods", "tests/reference/methods"]
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "ordered or every_method_is_tried", *tests)
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules", "src/unweave/methods/ordered_vae.py")
    words = re.search(r"```sh\nunweave (.*?)\n```", INSIDE, re.DOTALL)
    assert words is not None
    python("-m", "unweave", *words[1].split(), "--out", "runs")
    assert "ordered-vae" in python("-m", "unweave", "list", "methods")
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == named

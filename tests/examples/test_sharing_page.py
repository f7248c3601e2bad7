"""docs/sharing.md does what it says: its commands run in order, and its Python after them."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unweave
from unweave.cli import main
from unweave.store import RunFolder
from use.made import photographs, small

PAGE = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_and_the_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photographs(Path("photos"), 3)
    for name in ("cat", "0"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(f"photos/{name}.png")
    run = small(out="runs")
    assert run.folder is not None
    RunFolder(run.folder.path).write("names", {"names": {"2": "smile"}})
    here = [line for block in blocks("sh")[:2] for line in block.splitlines()]
    assert len(here) == 6
    for line in here:
        words = shlex.split(line.replace("dsprites:test", "triangle:test=0.99").replace("z3", "z1"), comments=True)
        assert main(words[1:]) == 0, capsys.readouterr().err
    assert len(list(Path("made").rglob("*.png"))) == 5 and Path("before-after.png").is_file()
    shutil.rmtree("runs")
    given = {"unweave": unweave}
    for code in blocks("python"):
        exec(compile(code, "sharing.md", "exec"), given)
    assert unweave.load("copy").step == unweave.load("model").step == 4


def test_the_tables_name_what_is_written() -> None:
    from unweave.shared import FILES
    from unweave.use.onnx import ABOUT, DECODER, ENCODER, OUTPUTS

    for name in (*FILES, ENCODER, DECODER, ABOUT, *OUTPUTS):
        assert f"`{name}`" in PAGE, name


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target

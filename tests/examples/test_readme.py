"""What the README shows runs, with fewer steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import unweave

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_python_blocks_run(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "unweave": unweave,
        "dataclass": dataclass,
        "x": torch.rand(2, 1, 64, 64),
        "images": torch.rand(20, 1, 16, 16).numpy(),
        "my_codes": torch.randn(200, 3).tolist(),
        "my_levels": [[k % 2, k % 5] for k in range(200)],
    }
    code = BLOCKS[block].replace("steps=2000", "steps=2, batch=8")
    assert code != BLOCKS[block] or "steps" not in code, "the example trains longer than a test should"
    code = code.replace("run.score()", 'run.score(["mig"], count=100)').replace("codes(15_000)", "codes(150)")
    exec(compile(code, "README.md", "exec"), given)


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (REPOSITORY / target).exists(), f"README links to {target}"

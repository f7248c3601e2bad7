"""What the page about one's own images shows runs, with fewer steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unweave.cli.fit import Options
from unweave.cli.options import names

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "own-images.md").read_text(encoding="utf-8")


def test_python_blocks_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    given: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace("steps=200", "steps=3"), "own-images.md", "exec"), given)
    assert Path("my-model/checkpoint.safetensors").is_file()


def test_links_and_options_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert target.startswith("https://") or (DOCS / target).exists(), f"own-images.md links to {target}"
    options = re.findall(r"^\| `(--.*?)` \|", PAGE, re.MULTILINE)
    assert options
    for option in re.findall(r"--([a-z-]+)", " ".join(options)):
        assert option in names(Options), f"own-images.md speaks of --{option}"

"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def modules() -> Iterator[str]:
    for path in sorted((SOURCE / "unweave").rglob("*.py")):
        words = path.relative_to(SOURCE).with_suffix("").parts
        if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE) and words[-1] != "__main__":
            yield ".".join(words[:-1] if words[-1] == "__init__" else words)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples run in a folder in which they may leave what they like."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name: str) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    tried = 0
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)):
        tried += runner.run(test, out=said.append).attempted
    assert not said, "".join(said)
    assert tried

"""The command line called in this process, and one trained run that many tests look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from unweave.cli import main

TINY = ("--network", "mlp", "--hidden", "8", "--batch", "8", "--precision", "float64")


class Called(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on the standard error output."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n"), self.err
        return self.err.strip()


Call = Callable[..., Called]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run one command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Called:
        capsys.readouterr()
        code = main(words)
        return Called(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "runs"
    words = ["beta-vae", "--beta", "2", "--data", "triangle", "--steps", "20", "--lr", "1e-3", *TINY]
    assert main(["train", *words, "--latents", "3", "--seeds", "2", "--out", str(out), "--json"]) == 0
    return out


@pytest.fixture
def runs(_trained: Path, tmp_path: Path) -> Path:
    """``runs`` of the working folder: two finished runs of β-VAE on the triangle, without scores."""
    return Path(shutil.copytree(_trained, tmp_path / "runs"))

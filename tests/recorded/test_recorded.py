"""What an earlier version wrote can still be read, gives the same numbers, and goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from unweave.data import DATASETS
from unweave.run import load
from unweave.testing import Dots

from .record import KEPT, finished, measured

FORMATS = sorted((Path(__file__).parent / "checkpoints").iterdir())


@pytest.fixture(autouse=True)
def _dots(monkeypatch: pytest.MonkeyPatch) -> None:
    """People add a data set of their own in the same way."""
    monkeypatch.setitem(DATASETS, "dots", Dots)  # type: ignore[arg-type]


def test_format_1_is_among_them() -> None:
    assert FORMATS[0].name == "format-1"


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_recorded_run_loads_with_its_numbers(folder: Path) -> None:
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    wanted = json.loads((folder / "numbers.json").read_text())
    found = measured(load(run))
    assert found["step"] == wanted["step"] == 12
    for name in ("mean", "logvar", "bce"):
        torch.testing.assert_close(torch.tensor(found[name]), torch.tensor(wanted[name]), rtol=1e-6, atol=1e-6)
    assert found["terms"] == pytest.approx(wanted["terms"], rel=1e-6)


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_recorded_run_goes_on(folder: Path, tmp_path: Path) -> None:
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    (tmp_path / run.name).mkdir()
    for name in KEPT:
        shutil.copyfile(run / name, tmp_path / run.name / name)
    assert finished(tmp_path) == pytest.approx(json.loads((folder / "numbers.json").read_text())["finished"], rel=1e-6)

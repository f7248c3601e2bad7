"""The model that comes with the package: small, whole, made by the script that says so, and never written to."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unweave
from unweave.engine.experiment import vary
from unweave.explorer import Exhibit, demo
from unweave.explorer.demo import FOLDER
from unweave.types import UserError

SCRIPT = Path(__file__).parents[2] / "examples" / "train_demo.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("train_demo", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_small_and_cannot_execute_anything() -> None:
    files = [file for file in FOLDER.iterdir() if file.is_file() and file.suffix != ".py"]
    assert {file.suffix for file in files} == {".json", ".csv", ".safetensors"}
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_it_is_what_the_script_trains(script: Any) -> None:
    run = demo("cpu")
    assert run.experiment == script.experiment().complete()
    assert run.step == script.STEPS


def test_it_keeps_position_and_scale_apart() -> None:
    one = Exhibit(demo("cpu"), keeps=False)
    nmi, names = np.array(one.summary(0).nmi), list(one.factors)
    for factor in ("pos_x", "pos_y", "scale"):
        column, row = nmi[:, names.index(factor)], int(nmi[:, names.index(factor)].argmax())
        assert column[row] > 0.4, factor
        assert column[row] - np.sort(column)[-2] > 0.15, f"one latent tells {factor}"
        others = [names.index(one) for one in ("pos_x", "pos_y", "scale") if one != factor]
        assert nmi[row, others].max() < 0.1, f"and it tells {factor} only"


def test_what_it_says_of_itself_is_true() -> None:
    run = demo("cpu")
    kept = Exhibit(run, keeps=False)
    codes = run.codes(2000)
    mean, unit = codes.mean.double(), kept.units(0)[0]
    column = mean[:, unit.latents[0]]
    inside = ((column > unit.low) & (column < unit.high)).double().mean()
    assert inside > 0.97
    level = codes.levels[:, codes.names.index(unit.factor)].double()
    assert abs(torch.corrcoef(torch.stack([column, level]))[0, 1]) > 0.9


def test_it_is_not_written_to() -> None:
    before = {file.name: file.stat().st_mtime_ns for file in FOLDER.iterdir() if file.is_file()}
    one = Exhibit(demo("cpu"), keeps=False)
    one.space(0)
    with pytest.raises(UserError, match="this page only"):
        one.name([0], "mine")
    assert {file.name: file.stat().st_mtime_ns for file in FOLDER.iterdir() if file.is_file()} == before


def test_the_script_makes_such_a_folder(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = script.pack
    monkeypatch.setattr(script, "pack", lambda trained, target: pack(trained, target, images=150))
    small = vary(script.experiment(2), network=unweave.MLP((4,)), batch=4)
    monkeypatch.setattr(script, "experiment", lambda steps: small)
    run = script.main(tmp_path / "demo", steps=2)
    assert run.step == 2 and set(run.scores) == {"mig", "reconstruction"}
    names = {file.name for file in (tmp_path / "demo").iterdir()}
    assert names == {f"{name}.json" for name in ("experiment", "status", "scores", "ceilings", "explorer")} | {
        "checkpoint.safetensors",
        "trace.csv",
    }
    assert {tensor.dtype for tensor in run.folder.load().tensors.values()} == {torch.float16}

"""Writes what the tests beside it compare with; README.md says when that is right."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from engine.named import named_experiments
from engine.tiny import tiny
from unweave.data import DATASETS
from unweave.engine import train
from unweave.engine.experiment import NUMBERS, Complete
from unweave.methods import ControlVAE
from unweave.run import Run, load
from unweave.store.folder import FORMAT
from unweave.testing import Dots

HERE = Path(__file__).parent
KEPT = ("experiment.json", "status.json", "trace.csv", "checkpoint.safetensors")
STOP = 12


def experiment() -> Complete:
    """What was trained."""
    return tiny(ControlVAE(c_every=7), seed=5)


def measured(run: Run) -> dict[str, Any]:
    """Numbers that only this model has."""
    codes = run.codes(None)
    assert codes.logvar is not None
    return {
        "step": run.step,
        "mean": codes.mean.tolist(),
        "logvar": codes.logvar.tolist(),
        "bce": codes.distortion["bce"].tolist(),
        "terms": {name: values[-1] for name, values in run.terms.items()},
    }


def finished(out: Path) -> dict[str, float]:
    """The terms at the last step, once the run in ``out`` has gone on to its end."""
    *_, last = train(experiment(), out=out)
    return {name: values[-1] for name, values in last.trace(0).items()}


def record_keys() -> None:
    keys = {name: one.key for name, one in named_experiments().items()}
    (HERE / "keys.json").write_text(json.dumps({"numbers": NUMBERS, "keys": keys}, indent=1) + "\n")


def record_checkpoint() -> None:
    folder = HERE / "checkpoints" / f"format-{FORMAT}"
    if folder.exists():
        sys.exit(f"{folder} is there already; a recorded checkpoint is never replaced")
    one, steps = experiment(), iter(range(1, 100))
    with tempfile.TemporaryDirectory() as name:
        list(train(one, out=name, stop=lambda: next(steps) == STOP))
        target = folder / one.key
        target.mkdir(parents=True)
        for file in KEPT:
            shutil.copyfile(Path(name) / one.key / file, target / file)
        numbers = {**measured(load(target)), "finished": finished(Path(name))}
    (folder / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    DATASETS["dots"] = Dots  # type: ignore[index]
    {"keys": record_keys, "checkpoint": record_checkpoint}[sys.argv[1]]()

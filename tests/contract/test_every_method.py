"""Every method from the shell: 300 steps as published on two sets, interrupted, gone on with, scored."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unweave import METHODS, load
from unweave.metrics import quick

STEPS = 300


def unweave(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "unweave", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def checkpoint(folder: Path) -> Path | None:
    found = list(folder.glob("runs/*/checkpoint.safetensors"))
    return found[0] if found else None


@pytest.mark.slow
@pytest.mark.parametrize("data", ("dsprites", "triangle"))
@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_stops_goes_on_and_is_scored(name: str, data: str, tmp_path: Path) -> None:
    words = ("train", name, "--data", data, "--steps", str(STEPS))
    first = unweave(tmp_path, *words)
    while first.poll() is None and checkpoint(tmp_path) is None:
        time.sleep(0.05)
    assert first.poll() is None, first.communicate()
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=120)
    assert first.returncode == 1, told
    assert "Traceback" not in told
    kept = checkpoint(tmp_path)
    assert kept is not None
    assert 0 < load(kept.parent).step < STEPS

    second = unweave(tmp_path, *words)
    out, told = second.communicate(timeout=1000)
    assert second.returncode == 0, told
    run = load(kept.parent)
    assert (run.step, run.failure) == (STEPS, None)
    assert len(run.terms["recon"]) == STEPS
    assert run.terms["recon"][-1] < run.terms["recon"][0]

    # 800 latents take a quarter of an hour on 15,000 images.
    few = ("--images", "1000") if name == "nvae" else ()
    scored = unweave(tmp_path, "score", "last", "--json", *few)
    out, told = scored.communicate(timeout=1000)
    assert scored.returncode == 0, told
    scores = json.loads(out)["runs"][0]["scores"]
    assert {metric.label for metric in quick()} <= set(scores)

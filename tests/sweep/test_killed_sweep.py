"""A driver that is killed loses nothing, and what it did is not done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unweave.engine import Experiment
from unweave.job import Scores, Terms, Training
from unweave.networks import MLP
from unweave.store import RunFolder
from unweave.sweep import perform

COUNT = 40
SOURCE = str(Path(__file__).parents[2] / "src")
GRID = f"""
[experiment]
method = "vae"
data = "triangle"
steps = 12
batch = 4
latents = 2
precision = "float32"
network = {{ name = "mlp", hidden = [4] }}
[product]
seed = {{ count = {COUNT} }}
[measure]
metrics = ["mig"]
images = 50
terms = true
"""


def jobs() -> list[Training]:
    return [
        Training.of(
            Experiment(
                "vae", "triangle", MLP((4,)), latents=2, steps=12, batch=4, precision="float32", seed=seed
            ),
            measures=(Scores(("mig",)), Terms()),
            count=50,
        )
        for seed in range(COUNT)
    ]  # fmt: skip


def rows(out: Path) -> dict[str, list[str]]:
    """Run -> its rows, whole lines only."""
    found = {path.parent.name: path.read_text().splitlines() for path in out.glob("*/rows.jsonl")}
    return {name: [line for line in lines if line.endswith("}")] for name, lines in found.items()}


def finished(out: Path) -> set[str]:
    return {name for name, lines in rows(out).items() if any('"job"' in line for line in lines)}


@pytest.mark.skipif(os.name != "posix", reason="a driver is killed by a signal")
def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    out = tmp_path / "runs"
    words = [sys.executable, "-m", "unweave", "sweep", "grid.toml", "--workers", "1", "--json"]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    driver = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while len(finished(out)) < 0.3 * COUNT and driver.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL, "it was alive when it was killed"
    # The worker notices that nobody listens, and leaves its folder whole and free.
    while any((path / ".holder.json").exists() for path in out.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    before = finished(out)
    assert 0.3 * COUNT <= len(before) < COUNT
    kept = {name: (out / name / "rows.jsonl").read_bytes() for name in before}
    times = {name: (out / name / "checkpoint.safetensors").stat().st_mtime_ns for name in before}
    found = {one.key: one for one in perform(jobs(), out, workers=0)}
    assert found.keys() == {job.key for job in jobs()} and not any(one.failed for one in found.values())
    assert {name: (out / name / "rows.jsonl").read_bytes() for name in before} == kept, "nothing was done twice"
    assert {name: (out / name / "checkpoint.safetensors").stat().st_mtime_ns for name in before} == times
    for name, lines in rows(out).items():
        asked = [(row.get("asked"), row.get("job")) for row in map(json.loads, lines)]
        assert len(asked) == len(set(asked)) == 3, name
    for job in jobs()[:: COUNT // 4]:
        alone = job.run(tmp_path / "alone")
        assert found[job.key].values == alone.values
        a, b = (RunFolder(folder / job.home).load() for folder in (out, tmp_path / "alone"))
        assert a is not None and b is not None
        assert all(bool((a.tensors[name] == value).all()) for name, value in b.tensors.items())

"""A training that is killed ten times ends with the same weights, and nobody ever reads half a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from unweave.store import Checkpoint, RunFolder
from unweave.store.files import read_text

STEPS = 400
KILLS = 10
TRAINER = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from unweave.engine import train
from unweave.engine.experiment import Experiment
from unweave.methods import ControlVAE
from unweave.networks import MLP
from unweave.store import RunFolder

steps, kills, out = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
method = ControlVAE(c_every=50)
one = Experiment(method, "triangle", MLP((1,)), None, 2, steps, 2, precision="float32").complete()

def child(folder):
    pid = os.fork()
    if pid:
        return pid
    try:
        for _ in train(one, out=folder, every=2):
            pass
        os._exit(0)
    finally:
        os._exit(1)

def place():
    checkpoint = RunFolder(out / "killed" / one.key).checkpoint_path
    return checkpoint.stat().st_ino if checkpoint.exists() else 0

chance = random.Random(5)
killed, places = 0, []
for turn in range(kills):
    pid = child(out / "killed")
    for _ in range(chance.randrange(5)):
        before = place()
        while place() == before and os.waitpid(pid, os.WNOHANG) == (0, 0):
            time.sleep(0.0005)
    time.sleep(chance.random() * 0.02)
    os.kill(pid, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    found = RunFolder(out / "killed" / one.key).load()
    places.append(found.step if found else 0)
codes = [os.waitpid(child(out / name), 0)[1] for name in ("killed", "whole")]
print(json.dumps({"key": one.key, "killed": killed, "places": places, "codes": codes}))
"""
"""Loads torch once and trains in processes forked from it, one after the other: each a process of its own, killed with
SIGKILL at a moment drawn at random, up to four checkpoints and 20 ms after it began."""


class Reader(threading.Thread):
    """Opens every file of a run over and over, as a page that shows the training would, and notes what is not whole."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.out, self.end = out, threading.Event()
        self.wrong: list[str] = []
        self.reads: dict[str, int] = {}
        self.last = 0

    def run(self) -> None:
        while not self.end.is_set():
            for path in self.out.glob("killed/*"):
                try:
                    self.look(RunFolder(path))
                except Exception as error:
                    self.wrong.append(f"{type(error).__name__}: {error}")
                    return

    def look(self, folder: RunFolder) -> None:
        status = folder.read("status")
        found = folder.load()
        described = folder.read("experiment")
        if status:
            self.count("status")
            assert status["state"] in ("running", "done") and 0 <= status["step"] <= STEPS
            assert status["step"] <= (found.step if found else 0), "the status is ahead of the checkpoint"
        if described:
            self.count("experiment")
            assert described["steps"] == STEPS and described["key"] == folder.path.name
        if found is not None:
            self.count("checkpoint")
            self.whole(found)
        trace = folder.path / "trace.csv"
        if trace.exists():
            self.count("trace")
            assert read_text(trace).endswith("\n")
            table = folder.read_trace()
            assert table["step"] == [float(step) for step in range(1, len(table["step"]) + 1)]

    def whole(self, found: Checkpoint) -> None:
        assert self.last <= found.step <= STEPS and found.step % 2 == 0, f"step {found.step} after {self.last}"
        self.last = found.step
        assert found.tensors["trace/rows"].shape == (found.step, len(found.terms))
        assert float(found.tensors["adam count/all"]) == found.step
        assert all(bool(torch.isfinite(value).all()) for value in found.tensors.values())

    def count(self, name: str) -> None:
        self.reads[name] = self.reads.get(name, 0) + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_ten_times_and_read_all_the_while(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.start()
    words = [sys.executable, "-c", TRAINER, str(STEPS), str(KILLS), str(tmp_path)]
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source}
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    finally:
        reader.end.set()
        reader.join()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["killed"] == KILLS, "every process was alive when it was killed"
    assert told["codes"] == [0, 0]
    assert told["places"] == sorted(told["places"]) and 0 < told["places"][-1] < STEPS
    assert reader.wrong == []
    assert min(reader.reads[name] for name in ("status", "experiment", "checkpoint", "trace")) > 20
    killed, whole = (RunFolder(tmp_path / name / told["key"]) for name in ("killed", "whole"))
    found, wanted = killed.load(), whole.load()
    assert found is not None and wanted is not None and found.step == wanted.step == STEPS
    assert found.tensors.keys() == wanted.tensors.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in wanted.tensors.items())
    assert (killed.path / "trace.csv").read_bytes() == (whole.path / "trace.csv").read_bytes()
    assert killed.read("status")["state"] == "done" and not list(killed.path.glob(".*.part"))

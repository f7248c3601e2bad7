"""``unweave train``: what it says, what it keeps, how it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from unweave.cli import main, watch
from unweave.engine.plan import Cost
from unweave.methods import METHODS
from unweave.networks import rounding
from unweave.run import load
from unweave.store import RunFolder

from .conftest import TINY, Call

VAE = ("train", "vae", "--data", "triangle", *TINY)
FULL_DISK = """
import resource, sys
from unweave.cli import main
from unweave.cli.watch import Watch

look = Watch.look

def full(self, *words):
    look(self, *words)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

Watch.look = full
sys.exit(main(sys.argv[1:]))
"""


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load(folder).model.state_dict())


def _same(ours: Path, theirs: Path) -> None:
    a, b = _weights(ours), _weights(theirs)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def _process(words: tuple[str, ...], folder: Path, *python: str) -> subprocess.Popen[str]:
    source = str(Path(watch.__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": source}
    start = [sys.executable, *(python or ("-m", "unweave")), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(start, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(method: str, call: Call) -> None:
    small = ["--critic-hidden", "8"] if method == "factor-vae" else []
    done = call("train", method, "--data", "triangle", "--steps", "2", *TINY, *small)
    assert (done.code, done.err) == (0, "")
    assert "done at step 2" in done.out
    assert "next: unweave score runs" in done.out


def test_it_says_what_it_will_do_with_published_settings(call: Call) -> None:
    out = call("train", "deft", "--data", "triangle", "--steps", "2", "--gamma", "0.2", "--seeds", "3", *TINY).out
    assert "train deft on triangle: 3 models, seeds 0 to 2" in out
    assert "betas 20 2" in out
    assert "stage_steps 3,000" in out
    assert "DEFT §5.4" in out
    assert "gamma 0.2 (not 0.1)" in out
    assert "steps 2 (not 10,000)" in out
    assert "1,024 images of 1×64×64, drawn" in out
    assert out.count(": new") == 3


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (
            ("deft", "--steps", "100"),
            "stage_steps 3,000 is not shorter than the training; --stage-steps 30 keeps the proportion to",
        ),
        (
            ("deft", "--steps", "12", "--betas", "9", "5", "2", "--latents", "6", "--stage-steps", "6"),
            "stage_steps 6 takes 12 steps to its last stage, which is not shorter than the training; --stage-steps 5",
        ),
        (("nvae", "--steps", "1", "--latents", "40"), "network mlp is not built: that of nvae is part of the method"),
        (
            ("beta-vae", "--steps", "3", "--schedule", "exp", "--end", "1", "--anneal-steps", "3"),
            "anneal_steps 3 is not",
        ),
        (
            ("dynamic-vae", "--steps", "3", "--variant", "cvpr22", "--c-period", "4", "--c-ramp", "1"),
            "c_period 4 takes 521 steps to its last stage",
        ),
        (
            ("infogan", "--steps", "1", "--lr", "0.1"),
            "lr 0.1 moves nothing: infogan sets every rate itself (--generator-lr",
        ),
    ],
)
def test_what_has_no_effect_is_noted(words: tuple[str, ...], note: str, call: Call) -> None:
    told = call("train", *words, "--data", "triangle", "--batch", "4", "--network", "mlp", "--hidden", "8")
    assert told.code == 0, told.err
    assert f"note       {note}" in told.out


@pytest.mark.parametrize("quick", [True, False])
def test_bf16_without_a_processor_for_it_is_noted(quick: bool, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "multiplies_bf16", lambda: quick)
    told = call(*VAE, "--steps", "1", "--precision", "bf16", "--device", "cpu")
    assert told.code == 0, told.err
    assert ("note       this processor has no quick bfloat16" in told.out) is not quick


@pytest.mark.parametrize(
    "words",
    [
        ("deft", "--steps", "7", "--betas", "9", "5", "2", "--latents", "6", "--stage-steps", "3"),
        ("beta-vae", "--steps", "3"),
        ("cascade-vae-c", "--steps", "10", "--stage-steps", "1"),
        ("factor-vae", "--steps", "1", "--lr", "0.1"),
    ],
)
def test_what_has_its_effect_is_not(words: tuple[str, ...], call: Call) -> None:
    told = call("train", *words, "--data", "triangle", "--batch", "4", "--network", "mlp", "--hidden", "8")
    assert told.code == 0, told.err
    assert " note " not in told.out


def test_rates_are_named_by_what_they_move(call: Call) -> None:
    small = ("--data", "triangle", "--steps", "1", "--batch", "4", "--network", "mlp", "--hidden", "8")
    assert "Adam generator 0.001, discriminator 0.0002\n" in call("train", "infogan", *small).out
    assert "Adam 0.0001, critic 0.0001\n" in call("train", "factor-vae", *small).out
    assert "Adam 0.0001\n" in call("train", "vae", *small).out


def test_help_shows_docstrings_and_defaults_after_presets(call: Call) -> None:
    triangle = " ".join(call("train", "deft", "--data", "triangle", "--help").out.split())
    dsprites = " ".join(call("train", "deft", "--data", "dsprites", "--help").out.split())
    assert "one pressure a stage" in triangle
    assert "70.0 30.0 12.0 4.0" in dsprites
    assert "70.0 30.0 12.0 4.0" not in triangle
    assert "devae" in call("train", "--help").out
    assert "train METHOD" in call("--help").out


def test_the_same_command_again_says_that_all_is_done(call: Call, tmp_path: Path) -> None:
    words = (*VAE, "--steps", "4")
    call(*words)
    key = next((tmp_path / "runs").iterdir())
    before = (key / "checkpoint.safetensors").stat().st_mtime_ns
    again = call(*words)
    assert again.code == 0
    assert "done already" in again.out
    assert "all is done" in again.out
    assert (key / "checkpoint.safetensors").stat().st_mtime_ns == before


def test_json_is_one_document_and_nothing_else(call: Call) -> None:
    done = call(*VAE, "--steps", "3", "--seeds", "2", "--seed", "5", "--json")
    document = json.loads(done.out)
    assert done.err == ""
    assert [run["seed"] for run in document["runs"]] == [5, 6]
    assert {(run["state"], run["began"], run["step"]) for run in document["runs"]} == {("done", 0, 3)}
    assert all(Path(run["folder"], "checkpoint.safetensors").exists() for run in document["runs"])


def test_progress_names_step_percent_time_and_terms(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.cli.console.SELDOM", 0.0)
    monkeypatch.setattr("unweave.cli.console.PATIENCE", 0.0)
    out = call(*VAE, "--steps", "4", "--seeds", "2").out
    lines = [line for line in out.splitlines() if line.startswith("model ")]
    assert len(lines) == 8
    assert lines[5].startswith("model 2 of 2  step 2 of 4  50 %")
    # From the first step on: before there is a pace, the time left is told from the plan.
    assert all("left" in line for line in lines)
    assert "recon" in lines[5]


def test_how_long_it_will_be_is_said_before_it_starts(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    cost = Cost(0.025, 140_000_000)
    monkeypatch.setattr(sys.modules["unweave.engine.plan"], "measure", lambda *given: cost)
    out = call(*VAE, "--steps", "4", "--seeds", "2").out
    assert "  time       less than a second (25 ms a step on a first trial), 140 MB of memory beside the images" in out
    monkeypatch.setattr("unweave.cli.train.train", lambda *given, **more: iter(()))
    out = call(*VAE, "--steps", "300000", "--seeds", "2").out
    assert "  time       about 4:10:00 (25 ms a step on a first trial)" in out


def test_a_terminal_gets_one_line_that_is_written_over(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.cli.console.SELDOM", 0.0)
    monkeypatch.setattr("unweave.cli.console.PATIENCE", 0.0)
    monkeypatch.setattr("unweave.cli.console.OFTEN", 0.0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    out = call(*VAE, "--steps", "4").out
    shown = [line for line in out.replace("\n", "\r").split("\r") if line.startswith("step ")]
    assert len(shown) == 4
    assert max(len(line.removesuffix("\x1b[K")) for line in shown) <= 37


def test_a_model_that_is_no_longer_finite(call: Call) -> None:
    words = ("train", "beta-vae", "--beta", "1e300", "--lr", "1e9", "--data", "triangle", "--steps", "30", *TINY)
    done = call(*words)
    assert done.code == 1
    assert "no longer finite" in done.out
    assert "failed" in done.out
    again = call(*words)
    assert again.code == 1
    assert "remove the folder to try again" in again.out


def test_a_sigterm_saves_and_the_rerun_ends_where_an_uninterrupted_one_does(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*VAE, "--steps", "12", "--every", "100", "--seeds", "2")
    told = watch.Watch.__call__

    def third(self: watch.Watch, experiments: Any, step: int, terms: Any) -> None:
        told(self, experiments, step, terms)
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(watch.Watch, "__call__", third)
        done = call(*words)
    assert done.code == 1
    assert f"To go on: unweave {' '.join(words)}" in done.out
    assert signal.getsignal(signal.SIGTERM) is before
    states = {path.name: RunFolder(path).read("status") for path in (tmp_path / "runs").iterdir()}
    assert sorted((s.get("state"), s.get("step")) for s in states.values() if s) == [("stopped", 3)]
    again = call(*words)
    assert again.code == 0
    assert "goes on from step 3" in again.out
    assert call(*words, "--out", "whole").code == 0
    for name in states:
        _same(tmp_path / "runs" / name, tmp_path / "whole" / name)


def test_ctrl_c_saves_and_the_rerun_ends_where_an_uninterrupted_one_does(call: Call, tmp_path: Path) -> None:
    words = (*VAE, "--steps", "150", "--every", "100000")
    process = _process(words, tmp_path)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/status.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert "To go on: unweave train vae" in out
    folder = next((tmp_path / "runs").iterdir())
    stopped = RunFolder(folder).read("status")
    assert stopped["state"] == "stopped"
    assert 0 < stopped["step"] < 150
    again = call(*words)
    assert again.code == 0
    assert f"goes on from step {stopped['step']}" in again.out
    assert call(*words, "--out", "whole").code == 0
    _same(folder, tmp_path / "whole" / folder.name)


def test_a_full_disk_loses_nothing(call: Call, tmp_path: Path) -> None:
    words = (*VAE, "--steps", "9", "--every", "3")
    process = _process(words, tmp_path, "-c", FULL_DISK)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert err.count("\n") == 1
    assert "File too large" in err
    assert "to go on from the last checkpoint: unweave train vae" in err
    folder = next((tmp_path / "runs").iterdir())
    checkpoint = RunFolder(folder).load()
    assert checkpoint is not None
    assert checkpoint.step == 3
    assert not list(folder.glob("*.part")), out
    again = call(*words)
    assert again.code == 0
    assert "goes on from step 3" in again.out
    assert call(*words, "--out", "whole").code == 0
    _same(folder, tmp_path / "whole" / folder.name)


def test_a_folder_in_use_is_refused(call: Call, tmp_path: Path) -> None:
    words = (*VAE, "--steps", "3")
    call(*words)
    folder = RunFolder(next((tmp_path / "runs").iterdir()))
    folder.write("status", {"state": "stopped", "step": 3})
    (folder.path / "checkpoint.safetensors").unlink()
    with folder.lock():
        done = call(*words)
    assert done.code == 2
    assert f"process {os.getpid()}" in done.line
    assert main(["train", *words[1:], "--json"]) == 0


@pytest.mark.parametrize("given, found", [(None, "1"), ("0", "0")])
def test_large_tensors_are_on_large_pages_unless_told_otherwise(
    call: Call, monkeypatch: pytest.MonkeyPatch, given: str | None, found: str
) -> None:
    """PyTorch reads the word before its first tensor; where the process is not ours, its owner says."""
    name, seen = "THP_MEM_ALLOC_ENABLE", []
    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    monkeypatch.setattr("unweave.cli.train.run", lambda words: seen.append(os.environ.get(name)) or 0)
    assert call("train", "vae").code == 0
    assert seen == [found] and os.environ.get(name) == given

"""What goes wrong costs one model, and never what was kept."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save

from unweave.engine import train
from unweave.methods import Method, Preset
from unweave.methods.terms import autoencode
from unweave.networks import Model
from unweave.store import Checkpoint, RunFolder, StoreError
from unweave.types import Adam, Batch, Loss, State, UserError

from .tiny import apart, finals, same, tiny


@dataclass(frozen=True)
class Fragile(Method):
    """A VAE of which something is not a number from step ``at`` on.

    Args:
        at: from which step on, in steps.
        where: ``term``, ``gradient`` (of a finite loss) or ``state`` (of a finite loss).
    """

    at: float = 5.0
    where: str = "term"

    name: ClassVar[str] = "fragile"
    summary: ClassVar[str] = "breaks"
    presets: ClassVar[Mapping[str, Preset]] = {"": Preset()}

    def init(self, data: Any, latents: int) -> State:
        return {"memory": torch.zeros(())}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        q, _, recon, kl = autoencode(model, batch)
        broken = (batch.step >= self.at).to(recon.dtype)
        # The square root has an infinite slope at 0: a finite loss, a gradient that is not a number.
        slope = torch.sqrt(torch.clamp(q.mean * 0 + 1 - broken, min=0)).sum()
        bad = torch.where(broken > 0, torch.full_like(recon, float("nan")), torch.zeros_like(recon))
        extra = bad if self.where == "term" else slope if self.where == "gradient" else torch.zeros_like(recon)
        memory = state["memory"] + (bad if self.where == "state" else 1)
        return Loss(recon + kl + extra, {"recon": recon, "kl": kl, "extra": extra}, {"memory": memory})


ENDLESS = 1e6


@pytest.mark.parametrize("lockstep", [False, True])
@pytest.mark.parametrize("where, term, at", [("term", "extra", 5), ("gradient", "gradient", 5), ("state", "memory", 8)])
def test_a_model_that_breaks_stops_and_the_others_go_on(
    where: str, term: str, at: int, lockstep: bool, tmp_path: Path
) -> None:
    members = [tiny(Fragile(limit, where)) for limit in (ENDLESS, 5.0, ENDLESS - 1)]
    snapshots = list(train(members, lockstep=lockstep, out=tmp_path, every=4))
    sick = RunFolder(tmp_path / members[1].key)
    status = sick.read("status")
    assert (status["state"], status["step"], status["term"], status["checkpoint"]) == ("failed", at, term, 4)
    kept = sick.load()
    assert kept is not None and kept.step == 4
    assert all(bool(torch.isfinite(value).all()) for value in kept.tensors.values())
    assert sick.read_trace()["step"] == [float(step) for step in range(1, at + 1)]
    for one in (members[0], members[2]):
        folder = RunFolder(tmp_path / one.key)
        whole = folder.load()
        assert whole is not None and whole.step == 20 and folder.read("status")["state"] == "done"
        assert apart(whole.tensors, finals(one)[one.key]) < 1e-9
    failures = [dict(zip([e.key for e in s.experiments], s.failures, strict=True)) for s in snapshots]
    found = next(one[members[1].key] for one in reversed(failures) if members[1].key in one)
    assert found is not None and (found.step, found.term) == (at, term)
    assert list(train(members, lockstep=lockstep, out=tmp_path)) == [], "what failed is not tried again"


@pytest.mark.parametrize("lockstep", [False, True])
@pytest.mark.parametrize("where", ["term", "gradient"])
def test_a_broken_model_keeps_the_parameters_from_before_the_step(where: str, lockstep: bool) -> None:
    one = tiny(Fragile(5.0, where))
    *_, last = train(one, lockstep=lockstep)
    five = tiny(Fragile(ENDLESS, where), steps=5)
    wanted, found = finals(five, lockstep=lockstep)[five.key], last.memory(0)
    assert last.step == 5 and last.done
    assert all(torch.equal(found[name], wanted[name]) for name in found if not name.startswith("trace/"))
    assert len(last.trace(0)["total"]) == 5


@pytest.mark.parametrize("where", ["term", "gradient"])
def test_a_broken_member_of_a_pack_is_not_moved_by_the_steps_of_the_others(where: str) -> None:
    sick, well = tiny(Fragile(5.0, where)), tiny(Fragile(ENDLESS, where))
    *_, last = train([sick, well], lockstep=True, every=7)
    five = tiny(Fragile(ENDLESS, where), steps=5)
    wanted, found = finals(five)[five.key], last.memory(0)
    for name in found:
        if not name.startswith("trace/"):
            torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-9)
    assert float(last.memory(1)["adam count/all"]) == 20 and len(last.trace(1)["total"]) == 20
    assert len(last.trace(0)["total"]) == 5


def test_a_model_broken_from_the_start_leaves_a_status_and_no_checkpoint(tmp_path: Path) -> None:
    one = tiny(Fragile(0.0))
    (snapshot,) = train(one, out=tmp_path)
    folder = RunFolder(tmp_path / one.key)
    assert snapshot.done and snapshot.step == 0 and folder.load() is None
    assert folder.read("status")["checkpoint"] is None and folder.read_trace() in ({}, {"step": []})


def test_parameters_that_overflow_do_not_replace_the_checkpoint(tmp_path: Path) -> None:
    """A step of 1e38 takes float32 weights to infinity, seen only when the snapshot is taken."""
    one = tiny(precision="float32", optimiser=Adam(lr=3e38, weight_decay=0.0), steps=2)
    list(train(one, out=tmp_path, every=1))
    folder = RunFolder(tmp_path / one.key)
    kept = folder.load()
    assert folder.read("status")["state"] == "failed"
    assert kept is None or all(bool(torch.isfinite(v).all()) for v in kept.tensors.values())


def full_disk(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """The file cannot be moved into its place, as when the disk has no room for it."""
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name.startswith(file):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.parametrize("file", ["checkpoint", "trace", "status"])
def test_a_full_disk_leaves_the_old_checkpoint(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = tiny()
    snapshots = train(one, out=tmp_path, every=5)
    next(snapshots)
    folder = RunFolder(tmp_path / one.key)
    full_disk(monkeypatch, file)
    with pytest.raises(StoreError, match=rf"cannot write .*{file}.*No space left on device") as caught:
        list(snapshots)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    kept = folder.load()
    assert kept is not None and kept.step == (10 if file == "status" else 5)
    assert not list(folder.path.glob(".*.part")) and not folder.held()
    list(train(one, out=tmp_path, every=5))
    done = folder.load()
    assert done is not None and same(done.tensors, finals(one)[one.key])


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write in"):
        next(train(tiny(), out=tmp_path / "runs"))


def test_a_second_training_of_the_same_run_is_refused(tmp_path: Path) -> None:
    one = tiny()
    first = train(one, out=tmp_path, every=5)
    next(first)
    with pytest.raises(StoreError, match=rf"being written by process {os.getpid()} on .+; wait for it or stop it"):
        next(train(one, out=tmp_path))
    assert [s.step for s in first] == [10, 15, 20]


def test_a_checkpoint_of_another_experiment(tmp_path: Path) -> None:
    one, other = tiny(), tiny(seed=1)
    list(train(other, out=tmp_path))
    (tmp_path / other.key).rename(tmp_path / one.key)
    with pytest.raises(UserError, match=f"belongs to experiment {other.key}, not to {one.key}"):
        next(train(one, out=tmp_path))


@pytest.mark.parametrize("change", ["missing", "shape", "trace"])
def test_a_checkpoint_that_does_not_fit_its_model(change: str, tmp_path: Path) -> None:
    one = tiny()
    next(train(one, out=tmp_path, every=5))
    folder = RunFolder(tmp_path / one.key)
    kept = folder.load()
    assert kept is not None
    tensors = dict(kept.tensors)
    if change == "trace":
        tensors["trace/rows"] = tensors["trace/rows"][:2].clone()
    name = "model/encoder.head.bias" if change != "trace" else "trace/rows"
    if change == "missing":
        del tensors[name]
    if change == "shape":
        tensors[name] = torch.zeros(3)
    folder.save(Checkpoint(kept.step, tensors, kept.terms, kept.key))
    with pytest.raises(UserError, match=f"belongs to another experiment: {name} has"):
        next(train(one, out=tmp_path))


def test_a_damaged_checkpoint_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    one = tiny()
    next(train(one, out=tmp_path, every=5))
    folder = RunFolder(tmp_path / one.key)
    folder.checkpoint_path.write_bytes(save({"w": torch.ones(2)})[:20])
    with pytest.raises(StoreError, match="cannot read") as caught:
        next(train(one, out=tmp_path))
    assert "\n" not in str(caught.value)

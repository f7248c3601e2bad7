"""The same experiment gives the same numbers, whatever happens around it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unweave.engine import Experiment, train
from unweave.engine.experiment import Complete
from unweave.engine.step import build
from unweave.methods import DEFT, ControlVAE, FactorVAE, Method
from unweave.networks import MLP
from unweave.store import Checkpoint, RunFolder
from unweave.testing import Dots
from unweave.types import Adam

from .tiny import STEPS, apart, finals, same, tiny

REMEMBERING = [
    ControlVAE(c_every=7),
    DEFT((8.0, 2.0), stage_steps=10, optimizer_reset_on_stage=True),
    FactorVAE(critic_hidden=8, critic_layers=2, second_batch=True),
]
"""A state, stages with frozen groups and resets, two views and permutations."""


def checkpoint(out: Path, one: Complete) -> Checkpoint:
    found = RunFolder(out / one.key).load()
    assert found is not None
    return found


def trace(out: Path, one: Complete) -> str:
    return (out / one.key / "trace.csv").read_text()


@pytest.mark.parametrize("method", REMEMBERING, ids=lambda m: m.name)
def test_twice_the_same_bit_for_bit(method: Method) -> None:
    one = tiny(method, Dots(haze=0.2), precision="float32")
    first = finals(one)[one.key]
    torch.manual_seed(123)
    np.random.seed(5)  # noqa: NPY002 — to see that nothing depends on it
    random.seed(3)
    assert same(first, finals(one)[one.key])
    assert same(first, finals(one, every=1)[one.key]) and same(first, finals(one, every=7)[one.key])
    assert not same(first, finals(tiny(method, Dots(haze=0.2), precision="float32", seed=1)).popitem()[1])


def test_global_random_states_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    finals(tiny(FactorVAE(critic_hidden=8, critic_layers=2), network=None))
    assert torch.equal(before[0], torch.get_rng_state())
    assert repr(before[1]) == repr(np.random.get_state(legacy=False))  # noqa: NPY002
    assert before[2] == random.getstate()


def test_starting_weights_depend_on_the_seed_alone() -> None:
    one = tiny(seed=4)
    first = build(one, torch.device("cpu")).state_dict()
    torch.manual_seed(99)
    again, other = (build(tiny(seed=s), torch.device("cpu")).state_dict() for s in (4, 5))
    assert same(first, again) and not same(first, other)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        by_hand = one.method.network(one.spec, one.latents, one.network).double().state_dict()
    assert same(first, by_hand)


class Halt:
    """A ``stop`` that is true after step ``at``; ``told`` tells it the step."""

    def __init__(self, at: int) -> None:
        self.at, self.step = at, 0

    def told(self, members: object, step: int, terms: object) -> None:
        self.step = step

    def __call__(self) -> bool:
        return self.step == self.at


@pytest.mark.parametrize("lockstep", [False, True])
@pytest.mark.parametrize("method", REMEMBERING, ids=lambda m: m.name)
def test_stopped_anywhere_and_resumed(method: Method, lockstep: bool, tmp_path: Path) -> None:
    members = [tiny(method, seed=seed, optimiser=Adam(lr=1e-3 * (1 + seed))) for seed in range(2)]
    whole = finals(members, lockstep=lockstep, out=tmp_path / "whole")
    for stops in ((1,), (10,), (3, 11, 19)):
        out = tmp_path / repr(stops)
        for at in stops:
            halt = Halt(at)
            steps = [s.step for s in train(members, lockstep=lockstep, out=out, every=1000, stop=halt, told=halt.told)]
            assert steps == [at] and checkpoint(out, members[0]).step == at
            assert RunFolder(out / members[0].key).read("status")["state"] == "stopped"
        list(train(members, lockstep=lockstep, out=out, every=1000))
        for one in members:
            assert RunFolder(out / one.key).read("status")["state"] == "done"
            assert same(checkpoint(out, one).tensors, whole[one.key])
            assert trace(out, one) == trace(tmp_path / "whole", one)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_an_exception_in_the_middle_of_a_step_costs_only_the_steps_since_the_checkpoint(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny(ControlVAE(c_every=7))
    whole = finals(one)[one.key]
    calls = iter(range(100))
    loss = ControlVAE.loss

    def broken(*given: Any) -> Any:
        if next(calls) == 13:
            raise error("in the middle")
        return loss(*given)

    monkeypatch.setattr(ControlVAE, "loss", broken)
    with pytest.raises(error):
        list(train(one, out=tmp_path, every=5))
    status = RunFolder(tmp_path / one.key).read("status")
    assert (status["state"], status["step"]) == ("stopped", 10)
    assert [s.step for s in train(one, out=tmp_path, every=5)] == [15, 20]
    assert same(checkpoint(tmp_path, one).tensors, whole)


def test_a_reader_who_goes_away_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    one = tiny()
    for snapshot in train(one, out=tmp_path, every=6):
        assert snapshot.step == 6
        break
    folder = RunFolder(tmp_path / one.key)
    assert folder.read("status")["state"] == "stopped" and not folder.held()
    with folder.lock():
        pass
    assert [s.step for s in train(one, out=tmp_path, every=6)] == [12, 18, 20]
    assert same(checkpoint(tmp_path, one).tensors, finals(one)[one.key])


def test_a_checkpoint_goes_on_in_a_pack_and_out_of_it(tmp_path: Path) -> None:
    members = [tiny(ControlVAE(c_every=7), seed=seed) for seed in range(2)]
    halt = Halt(9)
    list(train(members, lockstep=True, out=tmp_path, stop=halt, told=halt.told))
    list(train(members, lockstep=False, out=tmp_path))
    for one in members:
        assert apart(checkpoint(tmp_path, one).tensors, finals(one)[one.key]) < 1e-9


def test_members_at_different_steps_go_on_together_no_further_than_is_right(tmp_path: Path) -> None:
    """Seed 0 stands at 10, seed 1 at 0, seed 2 is done: the first two are finished, the third is passed over."""
    members = [tiny(seed=seed) for seed in range(3)]
    halt = Halt(10)
    list(train(members[0], out=tmp_path, stop=halt, told=halt.told))
    list(train(members[2], out=tmp_path))
    trained = [
        (s.step, [one.seed for one in s.experiments]) for s in train(members, lockstep=True, out=tmp_path, every=99)
    ]
    assert trained == [(20, [0]), (20, [1])]
    for one in members:
        assert apart(checkpoint(tmp_path, one).tensors, finals(one)[one.key]) < 1e-9


def test_starting_afresh_ignores_what_is_there(tmp_path: Path) -> None:
    one = tiny()
    halt = Halt(7)
    list(train(one, out=tmp_path, stop=halt, told=halt.told))
    assert [s.step for s in train(one, out=tmp_path, resume=False, every=10)] == [10, 20]
    assert same(checkpoint(tmp_path, one).tensors, finals(one)[one.key])
    assert list(train(one, out=tmp_path)) == []


def test_more_steps_are_another_experiment() -> None:
    network = MLP((8,))
    keys = {Experiment("vae", "triangle", steps=steps, network=network).key for steps in (STEPS, STEPS + 1)}
    assert len(keys) == 2


@pytest.mark.parametrize("lost", ["status", "checkpoint"])
def test_a_crash_between_checkpoint_and_status(lost: str, tmp_path: Path) -> None:
    """All steps are in the checkpoint and the status says running; or the status says done and nothing is there."""
    one = tiny()
    list(train(one, out=tmp_path))
    folder = RunFolder(tmp_path / one.key)
    before = checkpoint(tmp_path, one).tensors
    if lost == "status":
        folder.write("status", {"state": "running", "step": 10, "steps": 20})
    else:
        folder.checkpoint_path.unlink()
    snapshots = list(train(one, out=tmp_path))
    assert snapshots[-1].step == 20 and len(snapshots) == (1 if lost == "status" else 20)
    assert folder.read("status")["state"] == "done"
    assert same(checkpoint(tmp_path, one).tensors, before)

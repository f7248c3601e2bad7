"""The loop: what it yields, when it writes, and what it refuses."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from unweave.data import Images
from unweave.engine import train
from unweave.methods import BetaVAE
from unweave.store import RunFolder
from unweave.testing import Dots
from unweave.types import UserError

from .tiny import same, tiny


@pytest.mark.parametrize("every", [2.0, "2", 0])
def test_snapshots_that_cannot_be_asked_for(every: Any) -> None:
    with pytest.raises(UserError, match=r"every = .*; allowed: a whole number from 1, or several steps"):
        next(train(tiny(), every=every))


@pytest.mark.parametrize(
    "steps, every, wanted", [(5, 2, [2, 4, 5]), (5, 100, [5]), (5, 5, [5]), (1, 1, [1]), (3, None, [1, 2, 3])]
)
def test_when_snapshots_are_taken(steps: int, every: int | None, wanted: list[int]) -> None:
    snapshots = [(s.step, s.done) for s in train(tiny(steps=steps), every=every)]
    assert snapshots == [(step, step == steps) for step in wanted]


def test_the_default_is_a_fiftieth_of_the_training() -> None:
    assert [s.step for s in train(tiny(steps=150))][:3] == [3, 6, 9]


@pytest.mark.parametrize(
    "every, seconds, wanted",
    [(None, float("inf"), [7]), (None, 0.0, [1, 2, 3, 4, 5, 6, 7]), (3, float("inf"), [3, 6, 7]), (3, 0.0, [3, 6, 7])],
)
def test_checkpoints_of_the_default_distance_are_rare(
    every: int | None, seconds: float, wanted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    put = RunFolder.put

    def noted(self: RunFolder, **files: Any) -> None:
        saved.extend([files["checkpoint"].step] if "checkpoint" in files else [])
        put(self, **files)

    monkeypatch.setattr(RunFolder, "put", noted)
    # By its path unweave.engine.train is the function.
    monkeypatch.setattr(sys.modules["unweave.engine.train"], "OFTEN", seconds)
    one = tiny(steps=7)
    assert [s.step for s in train(one, every=every, out=tmp_path)] == ([3, 6, 7] if every else list(range(1, 8)))
    assert saved == wanted
    assert RunFolder(tmp_path / one.key).read("status")["step"] == 7


def test_snapshots_closer_than_the_rest_have_no_checkpoint(tmp_path: Path) -> None:
    one = tiny(steps=7)
    folder = RunFolder(tmp_path / one.key)
    seen = []
    for snapshot in train(one, every=[2, 4], rest=1e6, out=tmp_path):
        kept = folder.load()
        seen.append((snapshot.step, kept and kept.step))
    assert seen == [(2, None), (4, None), (7, 7)]


def test_a_repeated_experiment_is_trained_once() -> None:
    one, other = tiny(), tiny(seed=1)
    trained = [e.seed for s in train([one, other, one], every=99) for e in s.experiments]
    assert trained == [0, 1]


def test_packs_of_one_call_share_one_opened_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Images] = []
    open_ = Dots.open

    def counted(self: Dots, *given: Any) -> Images:
        opened.append(open_(self, *given))
        return opened[-1]

    monkeypatch.setattr(Dots, "open", counted)
    members = [tiny(), tiny("beta-vae"), tiny(data=Dots(0.0)), tiny(data=Dots(0.25))]
    before = None
    for _ in train(members, every=99):
        now = opened[0].batch(torch.arange(32), {})
        assert before is None or torch.equal(now, before)
        before = now
    assert len(opened) == 2


def test_snapshots_hold_their_own_step_and_refuse_what_is_gone() -> None:
    snapshots = list(train(tiny(), every=8))
    assert [len(s.trace(0)["total"]) for s in snapshots] == [8, 16, 20]
    assert [s.terms["kl"].shape for s in snapshots] == [(1, 8), (1, 8), (1, 4)]
    with pytest.raises(UserError, match="snapshot of step 8 are at step 20 by now"):
        snapshots[0].memory(0)
    assert "trace/rows" in snapshots[-1].memory(0)


def test_told_of_every_step_and_stop_asked_once_a_step() -> None:
    told: list[tuple[int, float]] = []
    asked: list[int] = []
    steps = [s.step for s in train(
        [tiny(steps=4), tiny(steps=4, seed=1)], every=99,
        told=lambda members, step, terms: told.append((step, float(terms["total"][0]))),
        stop=lambda: bool(asked.append(len(told))),
    )]  # fmt: skip
    assert steps == [4, 4] and [step for step, _ in told] == [1, 2, 3, 4] * 2
    assert asked == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_stop_that_is_said_once_ends_everything() -> None:
    answers = iter([False, True])
    steps = [s.step for s in train([tiny(), tiny(seed=1)], every=99, stop=lambda: next(answers, False))]
    assert steps == [2]


def test_models_of_a_snapshot_are_the_trained_ones() -> None:
    for lockstep in (False, True):
        for snapshot in train([tiny(), tiny(seed=1)], lockstep=lockstep, every=20):
            for member, model in enumerate(snapshot.models):
                memory = snapshot.memory(member)
                assert all(torch.equal(p, memory[f"model/{n}"]) for n, p in model.named_parameters())


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    list(train(tiny()))
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_run(tmp_path: Path) -> None:
    one = tiny(BetaVAE(beta=3))
    list(train(one, out=tmp_path, every=10))
    folder = RunFolder(tmp_path / one.key)
    assert {file.name for file in folder.path.iterdir()} - {".lock"} == {
        "experiment.json", "environment.json", "status.json", "trace.csv", "checkpoint.safetensors"
    }  # fmt: skip
    described = folder.read("experiment")
    assert (described["key"], described["source"], described["method"]["beta"]) == (one.key, "drawn", 3.0)
    status = folder.read("status")
    assert (status["state"], status["step"], status["steps"]) == ("done", 20, 20) and status["seconds_per_step"] > 0


def test_locks_are_let_go_also_by_another_thread(tmp_path: Path) -> None:
    one = tiny()
    run = train(one, out=tmp_path, every=5)
    next(run)
    thread = threading.Thread(target=run.close)  # type: ignore[attr-defined]
    thread.start()
    thread.join()
    with RunFolder(tmp_path / one.key).lock():
        pass


def test_memory_that_is_handed_out_is_a_copy() -> None:
    run = train(tiny(), every=5)
    snapshot = next(run)
    memory = snapshot.memory(0)
    before = {name: value.clone() for name, value in memory.items()}
    next(run)
    assert same(memory, before)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"every": 0}, "every = 0; allowed: a whole number from 1"),
        ({"device": "gpu"}, "device = 'gpu'"),
        ({"device": "cuda:99"}, "device = 'cuda:99'"),
    ],
    ids=str,
)
def test_refused_before_the_first_step(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        next(train(tiny(), **settings))


def test_only_experiments_are_trained() -> None:
    with pytest.raises(UserError, match="'b' is a str; allowed: an Experiment"):
        next(train("beta-vae"))  # type: ignore[arg-type]

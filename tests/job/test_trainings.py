"""Trainings as jobs: measuring moves no weight, and no kill, order or company changes a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.test_faults import Fragile
from engine.tiny import apart, finals, same, tiny
from unweave.engine import train
from unweave.job import Result, Scores, Terms, Training, together
from unweave.job import training as module
from unweave.methods import VAE
from unweave.run import Run, load
from unweave.store import RunFolder
from unweave.types import Codes, UserError

from .kinds import Spread, training

AT = (0, 5, 6, 20)


def weights(out: Path, job: Training) -> dict[str, torch.Tensor]:
    found = RunFolder(out / job.home).load()
    assert found is not None
    return dict(found.tensors)


def equal(a: Result, b: Result) -> bool:
    return (
        a.values == b.values
        and a.arrays.keys() == b.arrays.keys()
        and all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The step of every measurement that is really made."""
    seen: list[int] = []
    before = Spread.__call__

    def call(self: Spread, run: Run, codes: Codes) -> Any:
        seen.append(run.step)
        return before(self, run, codes)

    monkeypatch.setattr(Spread, "__call__", call)
    return seen


def test_measuring_on_the_way_moves_no_weight_and_is_what_shorter_trainings_give(tmp_path: Path) -> None:
    job = training(at=AT)
    result = job.run(tmp_path)
    assert same(weights(tmp_path, job), finals(tiny())[tiny().key])
    assert result.arrays["course.step"].tolist() == [0, 5, 6, 20]
    assert result.arrays["course.spread1"].shape == (4,) and result.arrays["course.codes1"].shape == (4, 20, 4)
    assert result.arrays["course.spread1"][-1] == result.values["spread1"]
    for place, steps in enumerate(AT[1:], 1):
        short = training(steps=steps).run(tmp_path / "short")
        assert result.arrays["course.spread1"][place] == short.values["spread1"]
        assert np.array_equal(result.arrays["course.codes1"][place], short.arrays["codes1"])
    assert len(set(result.arrays["course.spread1"].tolist())) == 4


def test_a_job_comes_back_without_training_or_measuring(
    tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = training(at=AT)
    result = job.run(tmp_path)
    assert calls == [0, 5, 6, 20]
    monkeypatch.setattr(VAE, "loss", None)
    assert equal(result, job.run(tmp_path)) and len(calls) == 4


@pytest.mark.parametrize("dies", [0, 5, 6, 20])
def test_killed_at_a_measurement_it_goes_on(
    dies: int, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = training(at=AT).run(tmp_path / "whole")
    calls.clear()
    counted = Spread.__call__

    def killed(self: Spread, run: Run, codes: Codes) -> Any:
        if run.step == dies:
            raise KeyboardInterrupt
        return counted(self, run, codes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Spread, "__call__", killed)
        training(at=AT).run(tmp_path / "killed")
    assert equal(training(at=AT).run(tmp_path / "killed"), wanted)
    assert sorted(calls) == [0, 5, 6, 20], "no step was measured twice"
    assert same(weights(tmp_path / "killed", training()), weights(tmp_path / "whole", training()))


def test_terms_are_those_of_the_checkpoint_to_the_last_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the end of the training and its measures, and with the record lost in a power cut."""
    measures = (Spread(), Terms(0.5))
    wanted = training(measures=measures, data="triangle").run(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Terms, "__call__", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        training(measures=measures, data="triangle").run(tmp_path / "killed")
    folder = tmp_path / "killed" / training(data="triangle").home
    before = load(folder).terms
    (folder / "trace.csv").write_bytes(b"")
    assert load(folder).terms == {name: pytest.approx(values, rel=1e-8) for name, values in before.items()}
    assert equal(training(measures=measures, data="triangle").run(tmp_path / "killed"), wanted)


def test_a_training_that_is_past_a_step_gives_the_same_course(tmp_path: Path) -> None:
    wanted = training(at=AT).run(tmp_path / "at once")
    training().run(tmp_path / "later")
    before = weights(tmp_path / "later", training())
    assert equal(training(at=AT).run(tmp_path / "later"), wanted)
    assert same(weights(tmp_path / "later", training()), before)


def test_a_training_by_other_means_is_measured(tmp_path: Path) -> None:
    for _ in train(tiny(), every=7, out=tmp_path):
        pass
    assert equal(training(at=AT).run(tmp_path), training(at=AT).run(tmp_path / "own"))


def test_jobs_share_trainings_and_measurements(
    tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    training(at=(5,)).run(tmp_path)
    monkeypatch.setattr(VAE, "loss", None)
    both = training(measures=(Spread(), Spread(2.0))).run(tmp_path)
    assert calls == [5, 20, 20] and both.values["spread2"] == 2 * both.values["spread1"]


def test_jobs_of_one_experiment_in_one_call(tmp_path: Path, calls: list[int]) -> None:
    jobs = [training(at=(5,)), training(measures=(Spread(2.0),)), training(at=(5,)), training(seed=1)]
    found = {result.key: result for result in together(jobs, tmp_path)}
    assert found.keys() == {job.key for job in jobs} and calls == [5, 20, 20, 20]
    assert equal(found[jobs[3].key], training(seed=1).run(tmp_path / "alone"))


@pytest.mark.parametrize("meanwhile", [(), (5, 6), AT])
def test_what_another_process_measures_meanwhile_is_measured_once(
    meanwhile: tuple[int, ...], tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = module.train

    def late(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(module, "train", before)
        training(at=meanwhile).run(tmp_path)
        return before(*given, **more)

    monkeypatch.setattr(module, "train", late)
    result = training(at=(5, 6)).run(tmp_path)
    assert sorted(calls) == sorted({*meanwhile, 5, 6, 20})
    assert result.arrays["course.step"].tolist() == [5, 6]
    rows = [
        row.get("asked", row.get("job", "")) + str(row.get("step"))
        for row in RunFolder(tmp_path / training().home).rows()
    ]
    assert len(rows) == len(set(rows)) and equal(result, training(at=(5, 6)).run(tmp_path))


def test_training_again_up_to_a_step_is_told(tmp_path: Path) -> None:
    training().run(tmp_path)
    shares: list[float] = []
    training(at=(5,)).run(tmp_path, told=lambda share, line: shares.append(share))
    assert shares == pytest.approx([step / 20 for step in range(1, 6)])


def test_lockstep_gives_what_trainings_in_turn_give(tmp_path: Path) -> None:
    jobs = [training(seed=seed) for seed in (0, 1)]
    found = list(together(jobs, tmp_path / "pack", lockstep=True))
    assert [one.key for one in found] == [job.key for job in jobs]
    for job, one in zip(jobs, found, strict=True):
        alone = job.run(tmp_path / "alone")
        assert apart(weights(tmp_path / "pack", job), weights(tmp_path / "alone", job)) < 1e-9
        assert one.values["spread1"] == pytest.approx(alone.values["spread1"], rel=1e-9)


def test_a_failed_training_is_a_result_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, well = training(at=(3, 8), method=Fragile()), training(at=(3,), method=Fragile(1e6))
    first, second = together([broken, well], tmp_path)
    assert first.failed == "extra was no longer finite at step 5" and first.values == {}
    assert first.arrays["course.step"].tolist() == [3]
    assert second.failed == "" and second.arrays["course.spread1"][0] == first.arrays["course.spread1"][0]
    monkeypatch.setattr(Fragile, "loss", None)
    assert equal(first, broken.run(tmp_path)) and broken.run(tmp_path).failed == first.failed
    other = training(method=Fragile(), measures=(Spread(2.0),)).run(tmp_path)
    assert other.failed == first.failed and other.values == {} == other.arrays


def test_scores_are_those_of_the_run_and_kept_with_it(tmp_path: Path) -> None:
    job = training(measures=(Scores(("mig", "sap")), Terms(0.5)), data="triangle")
    result = job.run(tmp_path)
    kept = RunFolder(tmp_path / job.home).read("scores")
    assert kept["scores"]["mig"]["value"] == result.values["mig"] and kept["step"] == 20
    assert result.values["mig.gap.pos_x"] == kept["scores"]["mig"]["parts"]["gap.pos_x"]
    trace = RunFolder(tmp_path / job.home).read_trace()
    assert result.values["loss.kl"] == pytest.approx(np.mean(trace["kl"][10:]), rel=1e-8)


def test_measures_with_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two measures give 'spread1'; allowed: names of their own"):
        training(measures=(Spread(), Spread(1.0 + 1e-12))).run(tmp_path)


def test_data_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: dict[Any, Any] = {}
    list(together([training(at=(5,))], tmp_path, opened=opened))
    assert list(opened) == [tiny().data]
    monkeypatch.setattr(type(tiny().data), "open", None)
    list(together([training(seed=4)], tmp_path, opened=opened))


def test_checkpoints_come_as_often_as_the_work_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def cadence(seconds: float) -> list[int]:
        monkeypatch.setattr(module, "cost", lambda one: module.Cost(seconds))
        return list(module._cadence(tiny()))

    assert cadence(20 * 10.0) == list(range(0, 20, 3)) and cadence(0.1) == [0] and cadence(1e5) == list(range(20))


def test_snapshots_at_chosen_steps(tmp_path: Path) -> None:
    assert [snapshot.step for snapshot in train(tiny(), every=[3, 4, 11])] == [3, 4, 11, 20]
    assert [snapshot.step for snapshot in train(tiny(), every=())] == [20]

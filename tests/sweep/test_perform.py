"""Many jobs: the same bits wherever they are done, nothing done twice, and no failure that spreads."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.test_faults import Fragile
from job.kinds import Area, Deadly, Gone, Spread, serve_on_paper, training, worked
from unweave.job import Job, Result, Terms, Training, quiet
from unweave.store import Held, RunFolder
from unweave.studies.kept import kept
from unweave.sweep import Standing, perform, plan
from unweave.sweep import local as module
from unweave.sweep import units as units_module
from unweave.sweep.driver import Progress
from unweave.sweep.units import PACK, Lost, trained, units, work
from unweave.types import UserError


def results(jobs: list[Job], out: Path, **more: Any) -> dict[str, Result]:
    found = list(perform(jobs, out, **more))
    assert len({one.key for one in found}) == len(found)
    return {one.key: one for one in found}


def surroundings() -> dict[str, str]:
    """The environment but for what PyTorch notes there for itself when a part of it is first used."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TORCH")}


def same_weights(a: Path, b: Path, job: Any) -> bool:
    first, second = RunFolder(a / job.home).load(), RunFolder(b / job.home).load()
    assert first is not None and second is not None
    return all(torch.equal(first.tensors[name], second.tensors[name]) for name in second.tensors)


@pytest.mark.skipif(os.name != "posix", reason="a worker kills itself by a signal")
def test_workers_give_what_this_process_gives_and_survive_what_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 2)
    trainings = [training(at=(5,), seed=seed) for seed in range(3)]
    broken = [Area(7.0, "ZeroDivisionError"), Area(8.0, "UserError"), training(method=Fragile())]
    jobs: list[Job] = [*trainings, *broken, Deadly(1), Deadly(9), *(Area(float(side)) for side in range(4))]
    seen: list[Standing] = []
    environment = surroundings()
    found = results([*jobs, Area(0.0)], tmp_path / "workers", workers=2, told=seen.append)
    assert surroundings() == environment
    assert found.keys() == {job.key for job in jobs}
    for job in trainings:
        alone = job.run(tmp_path / "alone")
        assert found[job.key].values == alone.values and same_weights(tmp_path / "workers", tmp_path / "alone", job)
        assert found[job.key].about["threads"] == 1
    assert [found[job.key].failed for job in broken] == [
        "ZeroDivisionError: by nothing at all",
        "no such square; allowed: others",
        "extra was no longer finite at step 5",
    ]
    assert found[Deadly(1).key].values["deaths"] == 1 and found[Deadly(1).key].values["process"] != os.getpid()
    assert found[Deadly(9).key].failed == "its worker ended 2 times with signal 9"
    assert [found[Area(float(side)).key].values["area"] for side in range(4)] == [0, 1, 4, 9]
    end = seen[-1]
    assert (end.done, end.failed, end.total) == (12, 4, 12) and end.left is not None
    assert any(len(one.lines) == 2 for one in seen)


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    first = results([Area(1.0), training()], tmp_path, workers=0)
    again = results([training(), Area(1.0), Area(2.0), Area(1.0)], tmp_path, workers=0)
    assert worked(tmp_path) == ["1", "2"] and len(again) == 3
    assert all(again[key].values["area"] == 1 for key in again if again[key].values.get("area") == 1)
    assert first[training().key].values == again[training().key].values


def test_what_failed_without_numbers_is_tried_again_and_a_broken_training_is_not(tmp_path: Path) -> None:
    jobs: list[Job] = [Area(1.0, "UserError"), training(method=Fragile())]
    first = results(jobs, tmp_path, workers=0)
    note = tmp_path / jobs[1].home / "status.json"
    before = note.stat().st_mtime_ns
    assert {one.failed for one in results(jobs, tmp_path, workers=0).values()} == {one.failed for one in first.values()}
    assert worked(tmp_path) == ["1", "1"] and note.stat().st_mtime_ns == before


def test_a_damaged_result_fails_its_own_job_only(tmp_path: Path) -> None:
    jobs: list[Job] = [Area(1.0), Area(2.0)]
    results(jobs, tmp_path, workers=0)
    file = tmp_path / jobs[0].home / f"result-{jobs[0].key}.npz"
    file.write_bytes(b"PK")
    found = results([*jobs, Area(3.0)], tmp_path, workers=0)
    assert found[jobs[0].key].failed.startswith(f"cannot read {file}") and found[jobs[0].key].values == {}
    assert [found[one.key].values["area"] for one in (jobs[1], Area(3.0))] == [4, 9]
    assert [one.key for _, one in kept([({}, job) for job in jobs], tmp_path)] == [jobs[1].key]
    (tmp_path / jobs[1].home / "rows.jsonl").write_text("{\n")
    planned = plan([*jobs, Area(3.0)], tmp_path, device="cpu", workers=1)
    assert (planned.jobs, planned.kept) == (3, 2), "that the arrays are damaged is not looked for"
    assert kept([({}, job) for job in jobs], tmp_path) == []


@pytest.mark.parametrize("fit", [1, 3])
def test_models_that_do_not_fit_on_a_card_together_train_in_smaller_parts(
    fit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card whose memory holds ``fit`` models: what is done before it ran out stays done."""
    sizes: list[int] = []
    real = units_module.together

    def small_card(jobs: list[Any], *given: Any, **more: Any) -> Any:
        sizes.append(len(jobs))
        if len(jobs) > fit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from real(jobs, *given, **more)

    monkeypatch.setattr(units_module, "together", small_card)
    jobs = [training(seed=seed) for seed in range(5)]
    told: list[tuple[float, str]] = []
    found = list(work(tuple(jobs), tmp_path, None, "cpu", lambda *say: told.append(say), {}))
    assert [one.key for one in found] == [job.key for job in jobs] and not any(one.failed for one in found)
    assert sizes == {1: [5, 3, 2, 1, 1, 1, 2, 1, 1], 3: [5, 3, 2]}[fit]
    assert told[0] == (0.0, "5 models at once do not fit into the memory of cpu: 3 at a time")
    assert told[-1][0] == max(share for share, _ in told) == 1.0


@pytest.mark.skipif(os.name != "posix", reason="exit codes are told apart")
def test_a_card_that_answers_no_more_costs_its_process_alone(tmp_path: Path) -> None:
    """As after an illegal address: the process is replaced, and its unit goes on in the new one."""
    found = results([Gone(1), Area(1.0)], tmp_path / "a", workers=1)
    assert found[Gone(1).key].values["deaths"] == 1 and found[Area(1.0).key].values["area"] == 1
    with pytest.raises(Lost, match="no longer answers"):
        results([Gone(1)], tmp_path / "b", workers=0)


def test_this_process_keeps_its_threads(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    try:
        (result,) = perform([training()], tmp_path, workers=0)
        assert result.about["threads"] == 1 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_that_another_process_writes_is_waited_for(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    held = RunFolder(tmp_path / Area(1.0).home).lock()
    held.__enter__()
    order = []
    seen: list[Standing] = []
    for result in perform([Area(1.0), Area(2.0)], tmp_path, workers=workers, told=seen.append):
        order.append(result.values["area"])
        if len(order) == 1:
            threading.Timer(0.05, held.__exit__, (None, None, None)).start()
    assert order == [4, 1]
    who = f"waiting: {tmp_path / Area(1.0).home} is being written by process {os.getpid()} on "
    assert any(line.startswith(who) for one in seen for line in one.lines)
    assert not any(line.startswith(who) for line in seen[-1].lines)


def test_a_pack_of_which_one_is_held_is_left_whole(tmp_path: Path) -> None:
    """Trained one by one, the others would be out of the pack for good."""
    first, second = training(), training(seed=1)
    with RunFolder(tmp_path / second.home).lock(), pytest.raises(Held):
        list(work((first, second), tmp_path, None, "cpu", quiet, {}))
    assert not (tmp_path / first.home / "rows.jsonl").exists()


def test_a_measure_that_fails_costs_its_own_job_only(tmp_path: Path) -> None:
    class Wrong(Spread):
        def __call__(self, run: Any, codes: Any) -> Any:
            raise ValueError("no")

    good, bad = training(seed=1), training(seed=1, measures=(Wrong(3.0),))
    found = results([bad, good], tmp_path, workers=0)
    assert found[bad.key].failed == "ValueError: no" and found[good.key].failed == ""


def test_units_keep_a_folder_together_and_begin_with_the_longest() -> None:
    one, two, more = training(), training(measures=(Spread(2.0),)), training(seed=1, steps=60)
    assert units([one, Area(1.0), more, two], "cpu") == [(more,), (one, two), (Area(1.0),)]


def test_packs_for_a_gpu() -> None:
    many = [training(seed=seed) for seed in range(PACK + 3)]
    other = training(method="beta-vae", at=(5,))
    found = units([*many, other, Area(1.0)], "cuda")
    assert sorted(len(unit) for unit in found) == [1, 1, 3, PACK]
    assert {job for unit in found for job in unit} == {*many, other, Area(1.0)}


def test_packs_are_cut_where_a_gpu_would_have_nothing_to_do() -> None:
    many = [training(seed=seed) for seed in range(10)]
    assert [len(unit) for unit in units(many, "cuda")] == [10]
    assert sorted(len(unit) for unit in units(many, "cuda", 4)) == [1, 3, 3, 3]
    assert [len(unit) for unit in units(many, "cuda", 16)] == [1] * 10
    assert len(units(many, "cpu", 4)) == 10


def test_windows_waits_for_61_workers_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.crew("cpu", 100, 200) == ["cpu"] * 100
    monkeypatch.setattr(module, "os", SimpleNamespace(name="nt", cpu_count=lambda: 128))
    assert module.crew("cpu", None, 200) == ["cpu"] * 61 and module.crew("cpu", 5, 200) == ["cpu"] * 5


def test_several_gpus_each_get_a_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert module.crew("cuda", None, 9) == ["cuda:0", "cuda:1"]
    assert module.crew("cuda", 5, 9) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert module.crew("cuda", None, 1) == ["cuda:0"] and module.crew("cuda:1", None, 9) == ["cuda:1"]
    # As far as it goes without cards: the workers that are started, what they are given, and that all is done.
    monkeypatch.setattr(module, "serve", serve_on_paper)
    jobs = [training(seed=seed) for seed in range(3)]
    found = results(list(jobs), tmp_path, device="cuda")
    assert sorted((tmp_path / "devices").read_text().split()) == ["cuda:0", "cuda:1"]
    assert found.keys() == {job.key for job in jobs} and not any(one.failed for one in found.values())
    assert perform([], tmp_path, device="cuda:1") is not None
    with pytest.raises(UserError, match=r"device = 'cuda:2'; allowed: cpu, cuda, cuda:0, cuda:1"):
        perform([], tmp_path, device="cuda:2")


def test_what_only_has_to_be_measured_is_no_work_of_the_plan(tmp_path: Path) -> None:
    first = [training(measures=(), data="triangle", seed=seed, steps=4) for seed in (0, 1)]
    results(first[:1], tmp_path, workers=0)
    more = [Training.of(job.experiment, measures=(Terms(),), count=20) for job in first]
    found, fresh = plan(more, tmp_path, device="cpu"), plan(more, tmp_path / "other", device="cpu")
    assert found.jobs - found.kept == 2 and found.disk * 2 == fresh.disk
    assert found.seconds == pytest.approx(fresh.seconds / 2)
    seen: list[Standing] = []
    progress = Progress({job.key: job for job in more}, seen.append)
    progress.spare(more[0].key)
    assert progress.rest == pytest.approx(more[1].cost.seconds)
    assert progress.cost(tuple(more)) == pytest.approx(more[1].cost.seconds)
    on_the_way = Training.of(first[0].experiment, measures=(Terms(),), at=(2,), count=20)
    assert trained(more[0], tmp_path) and not trained(more[1], tmp_path) and not trained(on_the_way, tmp_path)


def test_jobs_that_cannot_be_sent_are_told_at_once(tmp_path: Path) -> None:
    class Local(Area):
        """Of no module: no other process could find it."""

    jobs = [Local(float(side)) for side in range(30)]
    began = time.monotonic()
    found = results([*jobs, Area(99.0)], tmp_path, workers=1)
    assert sum("cannot be sent to a worker" in one.failed for one in found.values()) == 30
    assert time.monotonic() - began < 25, "they are not told one a second"


def test_the_time_left_follows_the_pace() -> None:
    clock = [100.0]
    seen: list[Standing] = []
    jobs = {job.key: job for job in (Area(float(side)) for side in range(10))}  # of equal cost
    progress = Progress(jobs, seen.append, lambda: clock[0])
    progress.finish(Area(0.0).key, False, read=True)
    assert seen[-1] == Standing(1, 0, 10, (), None), "what was read back says nothing about the pace"
    progress.begin()
    clock[0] += 30
    for side in (1, 2, 3):
        progress.finish(Area(float(side)).key, side == 2)
    assert seen[-1].left == pytest.approx(6 * 30 / 2) and seen[-1][:3] == (4, 1, 10), "a failure is no work"
    progress.finish(Area(9.0).key, False)
    cost = jobs[Area(4.0).key].cost.seconds
    progress.at(0, 1e-9, "begun", cost)
    progress.at(0, 0.5, "halfway", cost)
    assert seen[-1].left == pytest.approx(4.5 * 30 / 3.5) and seen[-1].lines == ("halfway, 50%",)
    progress.finish(Area(4.0).key, False)
    progress.idle(0)
    clock[0] += 10
    progress.at(1, 0.0, "given", cost)
    progress.at(1, 0.6, "gone on with", cost)
    assert seen[-1].left == pytest.approx(3.4 * 10), "what it was gone on with from says nothing about the pace"
    progress.at(1, 0.8, "gone on with", cost)
    assert seen[-1].left == pytest.approx(3.2 * 40 / 4.2)
    progress.idle(1)
    progress.tell()
    assert seen[-1].lines == ()


def test_jobs_of_a_unit_that_have_ended_are_not_counted_twice() -> None:
    clock = [0.0]
    seen: list[Standing] = []
    jobs = {job.key: job for job in (Area(float(side)) for side in range(10))}
    cost = jobs[Area(0.0).key].cost.seconds
    progress = Progress(jobs, seen.append, lambda: clock[0])
    progress.begin()
    progress.at(0, 1e-9, "a unit of four", 4 * cost)
    clock[0] = 30
    progress.at(0, 0.75, "a unit of four", 4 * cost)
    assert seen[-1].left == pytest.approx(7 * 30 / 3)
    for side in (0, 1, 2):
        progress.ended(0, Area(float(side)).key, False)
        progress.finish(Area(float(side)).key, False)
        assert seen[-1].left == pytest.approx(7 * 30 / 3)
    progress.idle(0)
    # Gone on with halfway, and then failed: neither what was there nor the rest is work.
    progress.at(0, 0.0, "given", cost)
    progress.at(0, 0.5, "gone on with", cost)
    progress.ended(0, Area(4.0).key, True)
    progress.finish(Area(4.0).key, True)
    progress.idle(0)
    progress.tell()
    assert seen[-1].left == pytest.approx(6 * 30 / 3)


def test_jobs_done_one_by_one_tell_the_share_of_their_unit(tmp_path: Path) -> None:
    shares: list[float] = []
    unit = (Area(1.0), Area(2.0, "UserError"), Area(3.0), Area(4.0))
    found = list(work(unit, tmp_path, None, "cpu", lambda share, line: shares.append(share), {}))
    assert [bool(one.failed) for one in found] == [False, True, False, False]
    assert shares == pytest.approx([0.125, 0.625, 0.875])


@pytest.mark.parametrize(
    "more, message",
    [
        ({"workers": -1}, "workers = -1; allowed: a whole number from 0"),
        ({"on": "slurm"}, "on = 'slurm'; allowed: ray, ray://HOST:PORT, or nothing"),
        ({"device": "tpu"}, "device = 'tpu'"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_anything_starts(more: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        perform([Area(1.0)], tmp_path, **more)
    assert list(tmp_path.iterdir()) == []


def test_no_jobs_is_no_work(tmp_path: Path) -> None:
    assert list(perform([], tmp_path)) == []

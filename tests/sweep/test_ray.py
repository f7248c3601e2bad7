"""A Ray cluster gives what this machine gives, also when it loses a machine on the way."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from job.kinds import Area, training, worked
from unweave.engine.experiment import NUMBERS
from unweave.store import RunFolder
from unweave.sweep import perform
from unweave.sweep import ray as module
from unweave.types import UserError

TESTS = Path(__file__).parents[1]
installed = importlib.util.find_spec("ray") is not None


class Pretend:
    """As much of Ray as the driver speaks to, in this process; ``lose`` are tasks that are lost for good."""

    cloudpickle = pickle

    def __init__(self, lose: tuple[int, ...] = (), here: bool = False) -> None:
        self.lose, self.here, self.count, self.most = lose, here, 0, 0
        self.calls: list[Any] = []
        self.asked: dict[str, Any] = {}

    def is_initialized(self) -> bool:
        return self.here

    def init(self, **more: Any) -> None:
        self.calls.append(("init", more["address"]))
        if more["address"] == "ray://nowhere:1":
            raise ConnectionError("nobody\nis there")

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def cancel(self, task: Any, force: bool) -> None:
        self.calls.append(("cancel", task, force))

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "GPU": 1.0}

    def nodes(self) -> list[dict[str, bool]]:
        return [{"Alive": True}, {"Alive": False}, {"Alive": True}]

    def remote(self, what: Any) -> Any:
        def start(*given: Any) -> Any:
            self.count += 1
            return (self.count, what, given)

        def options(**more: Any) -> Any:
            self.asked = more
            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def wait(self, tasks: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(tasks))
        return tasks[:1], tasks[1:]

    def get(self, task: Any) -> Any:
        number, what, given = task
        if number in self.lose:
            raise OSError("the node died")
        return what(*given)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretend]:
    ray = Pretend()
    monkeypatch.setitem(sys.modules, "ray", ray)
    yield ray


def test_units_are_handed_out_as_there_is_room(pretend: Pretend, tmp_path: Path) -> None:
    lines: list[Any] = []
    found = list(perform([Area(float(side)) for side in range(9)], tmp_path, on="ray", told=lines.append))
    assert sorted(one.values["area"] for one in found) == [side**2 for side in range(9)]
    assert pretend.most == 4 and pretend.asked == {"max_retries": module.TRIES, "num_cpus": 1}
    assert pretend.calls == [("init", None), "shutdown"]
    assert lines[-1].lines == ("0 units on 2 machines",) and lines[-1].done == 9
    again = perform([Area(float(side)) for side in range(9)], tmp_path, on="ray://head:10001")
    assert len(list(again)) == len(worked(tmp_path)) == 9 and pretend.calls == [("init", None), "shutdown"]


def test_a_cluster_that_is_there_stays(pretend: Pretend, tmp_path: Path) -> None:
    pretend.here = True
    results = perform([Area(float(side)) for side in range(9)], tmp_path, on="ray://head:10001", workers=3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert [call[0] for call in pretend.calls] == ["cancel"] * 2 and pretend.most == 3


def test_a_unit_that_is_lost_for_good_is_a_failed_result(pretend: Pretend, tmp_path: Path) -> None:
    pretend.lose = (2,)
    found = list(perform([Area(1.0), Area(2.0), Area(3.0)], tmp_path, on="ray"))
    assert [one.failed for one in found] == ["", "its worker was lost 6 times or failed: the node died", ""]


def test_a_folder_in_other_hands_comes_later(pretend: Pretend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    lock = RunFolder(tmp_path / Area(1.0).home).lock()
    lock.__enter__()
    order = []
    seen: list[Any] = []
    for result in perform([Area(1.0), Area(2.0)], tmp_path, on="ray", told=seen.append):
        order.append(result.values["area"])
        if len(order) == 1:
            lock.__exit__(None, None, None)
    assert order == [4, 1]
    assert any("is being written by process" in line for one in seen for line in one.lines)


class RayTaskError(UserError):
    """What Ray makes of an error: of its class, with the worker's traceback as its text."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(f"ray::do()\n  File ray.py\n{cause}")


def test_an_error_of_a_person_is_said_without_traceback(
    pretend: Pretend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(task: Any) -> Any:
        raise RayTaskError(UserError("install one unweave on all of them"))

    monkeypatch.setattr(pretend, "get", get)
    with pytest.raises(UserError) as caught:
        list(perform([Area(1.0)], tmp_path, on="ray"))
    assert str(caught.value) == "install one unweave on all of them"


def test_what_cannot_be_sent_fails_its_own_job_only(pretend: Pretend, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Local(Area):
        """pickle finds no such class in any module."""

    found = list(perform([Local(2.0), Area(1.0)], tmp_path, on="ray"))
    assert sorted(one.failed[:27] for one in found) == ["", "cannot be sent to a worker:"]


def test_the_wait_for_a_folder_is_longer_than_directories_are_cached() -> None:
    assert module.LATENCY > 60


def test_a_folder_that_is_not_shared_is_said(pretend: Pretend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATENCY", 0.0)
    before = module.work

    def elsewhere(unit: Any, out: Path, *rest: Any) -> Any:
        return before(unit, tmp_path / "elsewhere", *rest)

    monkeypatch.setattr(module, "work", elsewhere)
    with pytest.raises(UserError, match="is not one folder on all machines; name one on shared storage"):
        list(perform([Area(1.0)], tmp_path / "here", on="ray"))


def test_a_cluster_that_does_not_answer(pretend: Pretend, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Ray cluster answers at ray://nowhere:1: nobody is there"):
        list(perform([Area(1.0)], tmp_path, on="ray://nowhere:1"))


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"needs Ray, which is not installed: pip install ray"):
        list(perform([Area(1.0)], tmp_path, on="ray"))


def test_a_machine_with_another_version_of_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="install one unweave on all of them"):
        module.do(pickle.dumps((Area(1.0),)), str(tmp_path), None, "cpu", NUMBERS + 1)


@pytest.mark.slow
@pytest.mark.skipif(not installed, reason="Ray is not installed")
def test_three_nodes_of_which_one_is_killed(tmp_path: Path) -> None:
    source = str(TESTS.parent / "src")
    path = os.pathsep.join([source, str(TESTS)])
    # Ray starts its workers with a niceness that starves them on a busy machine.
    environment = {**os.environ, "PYTHONPATH": path, "RAY_worker_niceness": "0"}
    words = [sys.executable, str(TESTS / "sweep" / "cluster.py"), str(tmp_path / "ray")]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["lost"] == [False, 2] and any("on 3 machines" in line for line in told["lines"])
    jobs = [training(at=(300,), steps=600, seed=seed) for seed in range(8)]
    alone = {one.key: one for one in perform(jobs, tmp_path / "local", workers=0)}
    assert told["found"] == {key: ["", dict(one.values), 1] for key, one in alone.items()}
    for job in jobs:
        a, b = (RunFolder(tmp_path / name / job.home).load() for name in ("ray", "local"))
        assert a is not None and b is not None and a.step == b.step == 600
        assert all(torch.equal(a.tensors[name], value) for name, value in b.tensors.items())
        rows = [(row.get("asked"), row.get("step")) for row in RunFolder(tmp_path / "ray" / job.home).rows()]
        assert len(rows) == len(set(rows)) == 3

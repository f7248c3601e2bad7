"""Jobs: done once, read back as they were, and with a key of everything that was asked."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from engine.tiny import tiny
from unweave.analysis.cost import RATE
from unweave.engine.experiment import PRECISIONS
from unweave.job import Scores, Training, digest
from unweave.metrics import DCI, MIG, SAP
from unweave.store import Held, RunFolder
from unweave.types import UserError

from .kinds import Area, Spread, training, worked


def test_a_job_is_done_once_and_read_back(tmp_path: Path) -> None:
    told: list[float] = []
    first = Area(3.0).run(tmp_path, told=lambda share, line: told.append(share))
    again = Area(3.0).run(tmp_path)
    assert worked(tmp_path) == ["3"] and told == [0.5]
    assert first.key == again.key == Area(3.0).key and first.failed == again.failed == ""
    assert first.values["area"] == again.values["area"] == 9 and np.isnan(again.values["nothing"])
    assert again.arrays["ramp"].tolist() == [0, 3, 6] and first.about == again.about != {}
    assert Area(4.0).kept(tmp_path) is None


def test_a_key_holds_everything_asked_for() -> None:
    keys = {
        one.key
        for one in (
            Area(3.0), Area(4.0), training(), training(at=(3,)), training(measures=(Spread(2.0),)), training(seed=1),
            replace(training(), count=None), replace(training(), measures=(Scores(("mig",)),)),
            replace(training(), measures=(Scores((MIG(),), 1),)),
            replace(training(), measures=(Scores((MIG(bins=10),)),)),
            replace(training(), measures=(Scores((DCI(),)),)), replace(training(), measures=(Spread(), Spread(2.0))),
        )
    }  # fmt: skip
    assert len(keys) == 12 and {len(key) for key in keys} == {16}
    assert training().key == training().key == pickle.loads(pickle.dumps(training())).key
    assert digest(SAP(n_jobs=1)) == digest(SAP(n_jobs=2)) != digest(SAP(train=100))
    assert digest(Scores(("mig",))) == digest(Scores((MIG(),)))
    assert digest(MIG(tail=0)) == digest(MIG(tail=0.0))


def test_every_precision_has_a_cost() -> None:
    assert set(RATE) == set(PRECISIONS)
    assert training(precision="tf32").cost == training(precision="float32").cost


def test_jobs_on_one_experiment_share_its_folder() -> None:
    assert training().home == training(at=(3,)).home == tiny().key != training(seed=1).home


def test_what_no_job_can_hold() -> None:
    @dataclass(frozen=True)
    class Odd:
        what: object = print

    with pytest.raises(UserError, match="cannot be part of a job; allowed: numbers"):
        digest(Odd())


@pytest.mark.parametrize(
    "more, message",
    [
        ({"at": (21,)}, r"at = \[21\]; allowed: steps from 0 to 20"),
        ({"at": (-1,)}, "at = "),
        ({"count": 9}, "count = 9; allowed: a whole number from 10, or None"),
    ],
)
def test_trainings_that_cannot_be(more: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Training.of(tiny(), **more)


def test_a_folder_that_another_writes_is_told_apart(tmp_path: Path) -> None:
    with RunFolder(tmp_path / Area(3.0).home).lock(), pytest.raises(Held, match="is being written by process"):
        Area(3.0).run(tmp_path)
    with RunFolder(tmp_path / training().home).lock(), pytest.raises(Held):
        training().run(tmp_path)


def test_what_fails_is_not_kept_and_is_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(UserError, match="no such square"):
            Area(3.0, "UserError").run(tmp_path)
    assert worked(tmp_path) == ["3", "3"] and Area(3.0, "UserError").kept(tmp_path) is None


def test_a_damaged_result_is_one_line(tmp_path: Path) -> None:
    Area(3.0).run(tmp_path)
    folder = RunFolder(tmp_path / Area(3.0).home)
    (folder.path / f"result-{Area(3.0).key}.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"cannot read .*npz") as caught:
        Area(3.0).kept(tmp_path)
    assert "\n" not in str(caught.value)
    folder.append({"job": Area(3.0).key, "values": {}})
    with pytest.raises(UserError, match="a damaged result"):
        Area(3.0).kept(tmp_path)

"""Information over training: what counts as diffusion, and a training that is followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unweave
from unweave.analysis import Course, diffusion_events, follow, point
from unweave.analysis.follow import _steps
from unweave.engine import train
from unweave.report.courses import compare_figure, course_figure
from unweave.store import RunFolder, StoreError
from unweave.types import Codes, UserError


def history(*latents: list[float]) -> np.ndarray:
    """(T, D, 1) from a list for each latent."""
    return np.array(latents).T[:, :, None]


STEPS = [100, 200, 300, 400, 500]


def test_a_factor_that_moves_to_another_latent() -> None:
    found = diffusion_events(STEPS, history([0.2, 0.8, 0.6, 0.4, 0.4], [0.0, 0.1, 0.2, 0.3, 0.3]), factors=("scale",))
    assert len(found) == 1
    event = found[0]
    assert (event.factor, event.peak, event.seen, event.lowest) == ("scale", 200, 300, 400)
    assert (event.source, event.receiver) == (0, 1)
    assert (event.drop, event.second) == pytest.approx((0.4, 0.2))
    assert np.isnan(event.mi)


@pytest.mark.parametrize("name", ["steady", "small", "forgotten", "rising"])
def test_what_is_no_diffusion(name: str) -> None:
    cases = {
        "steady": history([0.8] * 5, [0.1] * 5),
        "small": history([0.8, 0.79, 0.78, 0.77, 0.76], [0.1, 0.2, 0.3, 0.4, 0.5]),
        "forgotten": history([0.8, 0.6, 0.4, 0.2, 0.1], [0.1, 0.05, 0.0, 0.0, 0.0]),
        "rising": history([0.1, 0.3, 0.5, 0.7, 0.9], [0.0, 0.1, 0.2, 0.3, 0.3]),
    }
    assert diffusion_events(STEPS, cases[name]) == []


def test_i_x_z_must_rise_by_more_than_its_errors() -> None:
    nmi = history([0.8, 0.6, 0.5, 0.5, 0.5], [0.1, 0.1, 0.0, 0.0, 0.0])
    mi = np.array([5.0, 5.1, 5.2, 5.2, 5.2])
    assert diffusion_events(STEPS, nmi) == []
    assert len(diffusion_events(STEPS, nmi, mi)) == 1
    assert diffusion_events(STEPS, nmi, mi, np.full(5, 0.1)) == []


def test_two_falls_of_one_factor_are_two_events() -> None:
    found = diffusion_events(STEPS, history([0.8, 0.5, 0.9, 0.5, 0.6], [0.1, 0.3, 0.1, 0.3, 0.2]))
    assert [(e.peak, e.seen, e.lowest) for e in found] == [(100, 200, 200), (300, 400, 400)]


def test_a_latent_without_kl_tells_nothing() -> None:
    levels = torch.arange(4).repeat(10)[:, None]
    tiny = Codes.of(1e-6 * levels.double(), levels, logvar=torch.zeros(40, 1).double())
    large = tiny._replace(mean=levels.double(), logvar=torch.full((40, 1), -6.0).double())
    course = Course.of([point(tiny, 0, samples=0), point(large, 10, samples=0)])
    assert course.nmi[:, 0, 0] == pytest.approx([1.0, 1.0])
    assert course.living().nmi[:, 0, 0] == pytest.approx([0.0, 1.0])
    assert course.living(0.0).nmi[:, 0, 0] == pytest.approx([1.0, 1.0])


def test_one_latent_has_no_second_best_and_a_constant_factor_is_left_out() -> None:
    levels = torch.stack([torch.arange(4).repeat(10), torch.zeros(40, dtype=torch.int64)], 1)
    course = Course.of([point(Codes.of(levels[:, :1].double(), levels), 5)])
    assert (course.nmi1.tolist(), course.nmi2.tolist()) == (pytest.approx([1.0]), [0.0])
    assert np.isnan(course.kl).all() and course.rate == {} and course.informative() == [0]
    assert course.mig[0] == pytest.approx(unweave.MIG()(Codes.of(levels[:, :1].double(), levels)).value)


TINY = unweave.Experiment(
    "annealed-vae",
    "triangle",
    steps=12,
    batch=8,
    latents=3,
    network=unweave.MLP((8,)),
    optimiser=unweave.Adam(lr=3e-3),
    precision="float64",
)
HOW: dict[str, Any] = {"at": 4, "count": 60, "samples": 20, "device": "cpu"}


def same(a: Course, b: Course) -> bool:
    tables = [a.summary() == b.summary(), a.rows() == b.rows()]
    return all(tables)


def test_following_changes_nothing_and_measures_what_is_there() -> None:
    course = follow(TINY, **HOW)
    assert course.steps.tolist() == [3, 6, 9, 12]
    assert course.nmi.shape == (4, 3, 3) and len(course.rows()) == 36
    assert {"kl", "mi", "tc", "dw", "mi_error", "bce"} <= set(course.summary()[0])
    run = unweave.fit(TINY, device="cpu")
    last = point(run.codes(60), 12, samples=20)
    assert course.information[-1].tolist() == last.information.tolist()
    for snapshot in train(TINY, every=6, device="cpu"):
        codes = unweave.engine.encode(snapshot.models[0], run.data, run.images, count=60)
        middle = point(codes, snapshot.step, samples=20)
        assert course.information[list(course.steps).index(snapshot.step)].tolist() == middle.information.tolist()


def test_a_stopped_one_goes_on_with_the_points_it_has(tmp_path: Path) -> None:
    whole = follow(TINY, **HOW)

    class Stop(Exception):
        pass

    def told(found: Any) -> None:
        if found.step == 6:
            raise Stop

    with pytest.raises(Stop):
        follow(TINY, **HOW, out=tmp_path, told=told)
    again: list[int] = []
    resumed = follow(TINY, **HOW, out=tmp_path, told=lambda found: again.append(found.step))
    assert again == [9, 12] and same(whole, resumed)
    nothing: list[int] = []
    assert same(whole, follow(TINY, **HOW, out=tmp_path, told=lambda found: nothing.append(found.step)))
    assert nothing == []


def test_a_point_lost_between_checkpoint_and_measurement_is_measured_from_the_checkpoint(tmp_path: Path) -> None:
    whole = follow(TINY, **HOW, out=tmp_path)
    (kept,) = tmp_path.glob("*/course-*.json")
    values = json.loads(kept.read_text())
    values["points"] = values["points"][:-1]
    kept.write_text(json.dumps(values))
    assert same(whole, follow(TINY, **HOW, out=tmp_path))


def test_a_run_that_is_past_its_points_says_so(tmp_path: Path) -> None:
    unweave.fit(TINY, out=tmp_path, device="cpu")
    with pytest.raises(UserError, match=r"is at step 12, and steps \[3, 6, 9\] were not measured"):
        follow(TINY, **HOW, out=tmp_path)
    assert follow(TINY, **{**HOW, "at": [0, 12]}, out=tmp_path).steps.tolist() == [0, 12]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    follow(TINY, **HOW, out=tmp_path)
    (kept,) = tmp_path.glob("*/course-*.json")
    RunFolder(kept.parent).write(kept.stem, {"points": [{"step": 3}]})
    with pytest.raises(StoreError, match="is damaged"):
        follow(TINY, **HOW, out=tmp_path)


def test_a_training_that_diverges_leaves_what_was_measured() -> None:
    wild = unweave.Experiment(
        unweave.BetaVAE(beta=1.0),
        "triangle",
        steps=40,
        batch=4,
        latents=2,
        network=unweave.MLP((8,)),
        optimiser=unweave.Adam(lr=1e300),
        precision="float64",
    )
    course = follow(wild, [0, 20, 40], 30, samples=0, device="cpu")
    assert course.steps.tolist() == [0]


@pytest.mark.parametrize(
    "at, steps", [(1, [10]), (3, [3, 6, 10]), (10, list(range(1, 11))), ([0, 4, 4, 10], [0, 4, 10])]
)
def test_which_steps(at: Any, steps: list[int]) -> None:
    assert _steps(at, 10) == steps


GOOD = point(Codes.of(torch.randn(20, 2), torch.arange(20)[:, None] % 4), 1)
BAD: list[tuple[Any, str]] = [
    (lambda: follow(TINY, at=13), "at = 13; allowed: 1 to 12 points"),
    (lambda: follow(TINY, at=[13]), "allowed: one or more from 0 to 12"),
    (lambda: follow(TINY, at=[]), "allowed: one or more from 0 to 12"),
    (lambda: follow(TINY, at=2, count=3), "count = 3; allowed: 10"),
    (lambda: Course.of([]), "points of 0 kinds"),
    (lambda: Course.of([GOOD, GOOD._replace(step=2, factors=("other",))]), "points of 2 kinds"),
    (lambda: Course.of([GOOD]).ranked(0), "place = 0"),
    (lambda: point(Codes.of(torch.zeros(20, 2)), 1), "has none; allowed is a data set with factors"),
    (lambda: point(Codes.of(torch.zeros(20, 2)), 1, bins=1), "bins = 1"),
    (lambda: diffusion_events([2, 1], np.zeros((2, 1, 1))), "allowed: rising steps"),
    (lambda: diffusion_events([1], np.zeros((2, 1, 1))), "allowed: rising steps"),
    (lambda: diffusion_events([1], np.zeros((1, 1, 1)), delta=0), "delta = 0"),
    (lambda: course_figure(Course.of([GOOD]), latents=0), "latents = 0"),
    (lambda: compare_figure({}), "0 courses"),
]


@pytest.mark.parametrize("call, said", BAD, ids=[said for _, said in BAD])
def test_one_clear_line(call: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert said in str(error.value) and "\n" not in str(error.value)

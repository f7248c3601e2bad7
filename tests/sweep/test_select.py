"""Selection: every statistic against one written out here, and the best of made-up runs."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from job.kinds import training
from unweave.methods import BetaVAE
from unweave.metrics import udr
from unweave.results import Row, rows
from unweave.run import load
from unweave.store import RunFolder
from unweave.sweep import select as module
from unweave.sweep.select import (
    Interval,
    bootstrap,
    correlations,
    differences,
    holm,
    prefers_lower,
    score_udr,
    settings,
    summaries,
)
from unweave.types import UserError


def made_up(values: dict[tuple[str, float], list[float | None]], column: str = "mig") -> list[Row]:
    found = []
    for (method, beta), scores in values.items():
        for seed, value in enumerate(scores):
            head = {"key": f"{method}{beta:g}-{seed}", "method": method, "data": "triangle", "seed": seed}
            head |= {"state": "done", "step": 5, "steps": 5}
            other = {"other": None if value is None else value**3, "flat": 1.0}
            written = {"method_beta": beta, "lr": 1e-3, "written": f"{method}{seed}", "source": "drawn"}
            found.append(Row(Path(), head, {column: value}, other, {}, written))
    return found


RUNS = made_up(
    {("vae", 1.0): [0.1, 0.2, None, 0.15, 0.12], ("beta", 1.0): [0.5, 0.6, 0.55, 0.7], ("beta", 4.0): [0.52, 0.61, 0.3]}
)
OF_SPACES = [one._replace(settings={"adam_betas": "0.9,0.999", "lr": 1e-3, "method_betas": "1,40"}) for one in RUNS]


def test_bootstrap_by_hand() -> None:
    values = [0.1, 0.5, 0.2, 0.9]
    found = bootstrap(values, 0.9)
    assert found.mean == pytest.approx(0.425) and found.runs == 4
    # All 4^4 samples are as likely: the distribution that the resamples approach.
    every = sorted(sum(one) / 4 for one in itertools.product(values, repeat=4))
    low, high = every[round(0.05 * 256)], every[round(0.95 * 256) - 1]
    assert abs(found.low - low) < 0.03 and abs(found.high - high) < 0.03
    assert bootstrap(values, 0.9) == found and bootstrap([0.3])[1:] == (0.3, 0.3, 1)


@pytest.mark.parametrize("count", [1, 2, 10, 37])
def test_bootstrap_in_portions_is_that_of_one_draw_after_the_other(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(count).random(count)
    chance = np.random.default_rng(0)
    means = [x[chance.integers(0, count, count)].mean() for _ in range(500)]
    wanted = (x.mean(), *np.quantile(means, [0.025, 0.975]), count)
    assert bootstrap(x.tolist(), resamples=500) == wanted
    monkeypatch.setattr(module, "DRAWS", 70)
    assert bootstrap(x.tolist(), resamples=500) == wanted


def test_bootstrap_covers_as_often_as_it_says() -> None:
    chance = random.Random(1)
    hits = 0
    for turn in range(200):
        low, high = bootstrap([chance.gauss(3, 1) for _ in range(30)], 0.8, resamples=400, seed=turn)[1:3]
        hits += low <= 3 <= high
    assert 0.7 < hits / 200 < 0.88


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def mann_whitney(a: list[float], b: list[float]) -> float:
    """Two-sided, by listing every way to deal the values out: those at least as far from the middle as what is seen."""
    both = a + b

    def u(chosen: tuple[int, ...]) -> float:
        rest = [i for i in range(len(both)) if i not in chosen]
        return sum((both[i] > both[j]) + 0.5 * (both[i] == both[j]) for i in chosen for j in rest)

    middle = len(a) * len(b) / 2
    every = [abs(u(chosen) - middle) for chosen in itertools.combinations(range(len(both)), len(a))]
    return sum(one >= every[0] - 1e-12 for one in every) / len(every)


def test_differences_are_exact_for_few_runs() -> None:
    found = summaries(RUNS, "mig")
    pairs = differences(RUNS, "mig", found)
    values = {0: [0.5, 0.6, 0.55, 0.7], 1: [0.52, 0.61, 0.3], 2: [0.1, 0.2, 0.15, 0.12]}
    assert [(one.first, one.second) for one in pairs] == [(0, 1), (0, 2), (1, 2)]
    wanted = holm([mann_whitney(values[i], values[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert [one.p for one in pairs] == pytest.approx(wanted)
    assert pairs[1].difference == pytest.approx(np.mean(values[0]) - np.mean(values[2]))
    assert differences(RUNS[:1], "mig", summaries(RUNS[:1], "mig")) == []


def test_of_very_many_settings_the_best_is_compared_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    found = summaries(RUNS, "mig")
    monkeypatch.setattr(module, "MOST", 2)
    pairs = differences(RUNS, "mig", found)
    assert [(one.first, one.second) for one in pairs] == [(0, 1), (0, 2)]


def test_settings_of_one_value_in_two_types_are_not_mixed() -> None:
    runs = made_up({("a", 1.0): [0.1, 0.2, 0.3]})
    runs += [one._replace(settings={**one.settings, "method_beta": 1}) for one in made_up({("a", 1.0): [0.5, 0.6]})]
    found = summaries(runs, "mig", by=["method_beta"])
    (pair,) = differences(runs, "mig", found)
    assert pair.p == pytest.approx(mann_whitney([0.5, 0.6], [0.1, 0.2, 0.3]))


def test_summaries_begin_with_the_best() -> None:
    found = summaries(RUNS, "mig", threshold=0.5)
    assert settings(RUNS) == ["method", "method_beta"]
    one_each = [one for one in RUNS if one.settings["method_beta"] == 1]
    told_by_method = [one._replace(settings={**one.settings, "lr": len(one.head["method"])}) for one in one_each]
    assert settings(told_by_method) == ["method"], "the method's own learning rate and fields add nothing"
    assert [tuple(one.setting.values()) for one in found] == [("beta", 1.0), ("beta", 4.0), ("vae", 1.0)]
    assert [one.best for one in found] == ["beta1-3", "beta4-1", "vae1-1"]
    assert [one.broken for one in found] == [0, 0, 1] and [one.interval.runs for one in found] == [4, 3, 4]
    assert [one.failures and one.failures.rate for one in found] == [0, pytest.approx(1 / 3), 1]
    by = summaries(RUNS, "mig", by=["method"])
    assert [one.setting for one in by] == [{"method": "beta"}, {"method": "vae"}]
    assert by[0].interval.mean == pytest.approx(np.mean([0.5, 0.6, 0.55, 0.7, 0.52, 0.61, 0.3]))


@pytest.mark.parametrize("state", ["running", "stopped", "failed"])
def test_only_finished_runs_are_numbers(state: str) -> None:
    """A run under way has scores of the step it is at, and one that has diverged those from before."""
    runs = made_up({("a", 1.0): [0.1, 0.2, 0.3, 9.0], ("b", 1.0): [0.2, 0.1, 0.4]})
    runs[3] = runs[3]._replace(head={**runs[3].head, "state": state})
    rest = runs[:3] + runs[4:]
    found, wanted = summaries(runs, "mig", threshold=0.15), summaries(rest, "mig", threshold=0.15)
    assert [one.setting["method"] for one in found] == ["b", "a"] and [one.broken for one in found] == [0, 1]
    assert [one._replace(broken=0) for one in found] == wanted
    assert differences(runs, "mig", found) == differences(rest, "mig", wanted)
    assert correlations(runs, ["mig", "other"]) == pytest.approx(correlations(rest, ["mig", "other"]), nan_ok=True)


def test_smaller_can_be_better() -> None:
    values: dict[tuple[str, float], list[float | None]] = {
        ("a", 1.0): [3.0, 1.0],
        ("b", 1.0): [9.0],
        ("c", 1.0): [None],
    }
    found = summaries(made_up(values, "loss_kl"), "loss_kl", threshold=2.0)
    assert [one.setting["method"] for one in found] == ["a", "b", "c"] and found[0].best == "a1-1"
    assert [one.failures and one.failures.rate for one in found] == [0.5, 1.0, None]
    assert found[2].best == "" and math.isnan(found[2].interval.mean)
    turned = summaries(made_up(values, "loss_kl"), "loss_kl", lower=False)
    assert [one.setting["method"] for one in turned] == ["b", "a", "c"] and turned[1].best == "a1-0"
    assert [prefers_lower(name) for name in ("mig", "reconstruction_mean_bce", "elbo", "elbo_kl", "spread")] == [
        False, True, False, True, False
    ]  # fmt: skip
    errors = ("dci_lasso_nrmse", "dci_lasso_nrmse_pos_x", "dci_lasso_joint_nrmse", "seconds_per_step")
    assert all(prefers_lower(name) for name in errors)
    assert not any(prefers_lower(name) for name in ("dci_lasso", "dci_lasso_informativeness", "dci_fast"))


def test_rank_correlations_by_hand() -> None:
    chance = random.Random(2)
    pairs = [(chance.random(), chance.random()) for _ in range(9)]
    runs = made_up({("a", 1.0): [a for a, _ in pairs]})
    runs = [one._replace(parts={"b": b, "flat": 1.0}) for one, (_, b) in zip(runs, pairs, strict=True)]
    runs[0] = runs[0]._replace(parts={"b": None, "flat": 1.0, "rare": 2.0})
    matrix = correlations(runs, ["mig", "b", "flat", "rare"])
    a, b = zip(*pairs[1:], strict=True)
    apart = [sorted(a).index(x) - sorted(b).index(y) for x, y in zip(a, b, strict=True)]
    wanted = 1 - 6 * sum(d * d for d in apart) / (8 * (64 - 1))
    assert matrix[0, 1] == pytest.approx(wanted) == matrix[1, 0] and matrix[0, 0] == pytest.approx(1)
    assert np.isnan(matrix[2]).all() and np.isnan(matrix[:, 3]).all()


def test_udr_of_seeds_is_kept_with_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for beta, seeds in ((1.0, 3), (4.0, 2), (9.0, 1)):
        for seed in range(seeds):
            settings_: dict[str, Any] = {"data": "triangle", "precision": "float32"}
            training(method=BetaVAE(beta=beta), seed=seed, **settings_).run(tmp_path)
    found, _ = rows(tmp_path)
    told: list[str] = []
    scores = score_udr(found, images=100, told=told.append)
    assert len(scores) == len(told) == 5
    three = [one for one in found if one.settings["method_beta"] == 1]
    codes = [load(one.folder).codes(100) for one in three]
    assert [scores[one.head["key"]] for one in three] == pytest.approx(udr(codes, images=100).scores.tolist())
    assert [one.measured.get("udr") for one in rows(tmp_path)[0] if one.settings["method_beta"] == 1] == [
        scores[one.head["key"]] for one in three
    ]
    assert score_udr(found, images=100, told=told.append) == scores and len(told) == 5, "read back"
    assert all(len([r for r in RunFolder(o.folder).rows() if r.get("measure") == "udr"]) == 1 for o in three)
    with pytest.raises(UserError, match="two finished runs of one setting"):
        score_udr(three[:1])
    # Runs that cannot be opened here, as of a method of one's own, take nothing from the others.
    for one in three:
        (Path(one.folder) / "experiment.json").unlink()
    assert set(score_udr(found, images=50)) == set(scores) - {one.head["key"] for one in three}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bootstrap([]), "0 values"),
        (lambda: bootstrap([1.0, math.nan]), "some not finite"),
        (lambda: bootstrap([1.0], 1.0), "confidence = 1.0"),
        (lambda: summaries(RUNS, "mgi"), r"no run has a column 'mgi' — did you mean 'mig'\? \(numbers: seed, step"),
        (lambda: summaries(RUNS, "mig", by=["methud"]), "no run has a column 'methud' — did you mean 'method'"),
        (lambda: summaries(RUNS, "mig", by=["beta"]), "no run has a column 'beta' — did you mean 'method_beta'"),
        (lambda: summaries(OF_SPACES, "mig", by=["beta"]), "no run has a column 'beta' — did you mean 'method_betas'"),
        (lambda: summaries(RUNS, "method"), r"no run has a number in column 'method' \(numbers: seed, step"),
        (lambda: correlations(RUNS, ["mig", "foo"]), "no run has a column 'foo'"),
        (lambda: correlations(RUNS, ["mig", "method"]), "no run has a number in column 'method'"),
        (lambda: summaries(RUNS, "sap"), "no run has a score 'sap' yet: unweave score RUN ... --metrics sap gives it"),
    ],
)
def test_what_is_asked_wrongly(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_interval_names_its_parts() -> None:
    assert Interval(1.0, 0.5, 1.5, 3)._asdict() == {"mean": 1.0, "low": 0.5, "high": 1.5, "runs": 3}

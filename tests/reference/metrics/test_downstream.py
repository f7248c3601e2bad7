"""Downstream accuracy against loops around the same classifiers, and what sizes, fractions and dead latents do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from unweave.metrics import Downstream
from unweave.types import Codes, UserError


def some(rows=300, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 4)], axis=1)
    z = levels @ random.normal(size=(2, 3)) + 0.5 * random.normal(size=(rows, 3))
    return Codes.of(z, levels, names=("shape", "x"))


def classifier(kind, x, y, number):
    if kind == "boosting":
        return GradientBoostingClassifier(random_state=number).fit(x, y)
    return LogisticRegression(C=1.0, max_iter=1000).fit(x, y)


@pytest.mark.parametrize(("kind", "seed"), [("linear", 0), ("linear", 7), ("boosting", 3)])
def test_agrees_with_loops(kind, seed):
    codes, sizes = some(), (12, 60, 200)
    score = Downstream(kind, sizes=sizes, train=200, test=100)(codes, seed)
    order = np.random.default_rng((seed, 1)).permutation(300)
    number = int(np.random.default_rng((seed, 3)).integers(2**31))
    z, levels = codes.mean.double().numpy(), codes.levels.numpy()
    accuracy = {}
    for n in sizes:
        train, test = order[:n], order[200:]
        centre, spread = z[train].mean(0), z[train].std(0)
        if kind == "boosting":
            centre, spread = 0.0, 1.0
        for k, name in enumerate(("shape", "x")):
            model = classifier(kind, (z[train] - centre) / spread, levels[train, k], number)
            right = [model.predict([(z[i] - centre) / spread])[0] == levels[i, k] for i in test]
            accuracy[n, name] = sum(right) / 100
            assert score.parts[f"accuracy.{n}.{name}"] == pytest.approx(accuracy[n, name], abs=1e-9)
    means = {n: (accuracy[n, "shape"] + accuracy[n, "x"]) / 2 for n in sizes}
    assert score.value == pytest.approx(means[200], abs=1e-9)
    for n in sizes:
        assert score.parts[f"accuracy.{n}"] == pytest.approx(means[n], abs=1e-9)
        assert score.parts[f"efficiency.{n}"] == pytest.approx(means[n] / means[200], abs=1e-9)
    assert score.parts["efficiency"] == pytest.approx((means[12] + means[60]) / 2 / means[200], abs=1e-9)


def test_cross_validation_chooses_the_penalty():
    """Ten strengths and five folds by hand, at one size and factor."""
    codes = some(120)
    score = Downstream(sizes=(60,), train=80, test=40, strength=None)(codes, 1)
    order = np.random.default_rng((1, 1)).permutation(120)
    number = int(np.random.default_rng((1, 3)).integers(2**31))
    z, levels = codes.mean.double().numpy(), codes.levels.numpy()
    train, test = order[:60], order[80:]
    x = (z - z[train].mean(0)) / z[train].std(0)
    for k, name in enumerate(("shape", "x")):
        folds = np.array_split(np.random.default_rng(number).permutation(60), 5)
        best = (-1.0, 0.0)
        for c in np.logspace(-4, 4, 10):
            hits = 0.0
            for held in folds:
                rest = [i for i in range(60) if i not in held]
                model = LogisticRegression(C=c, max_iter=1000).fit(x[train[rest]], levels[train[rest], k])
                hits += np.mean(model.predict(x[train[held]]) == levels[train[held], k])
            if hits > best[0] + 1e-12:
                best = (hits, c)
        model = LogisticRegression(C=best[1], max_iter=1000).fit(x[train], levels[train, k])
        expected = np.mean(model.predict(x[test]) == levels[test, k])
        assert score.parts[f"accuracy.60.{name}"] == pytest.approx(expected, abs=1e-9)


def test_sizes_are_capped_nested_and_named():
    codes = some()
    score = Downstream()(codes)
    assert score.settings["sizes"] == [10, 100, 200]
    assert (score.settings["train"], score.settings["test"], score.settings["images"]) == (200, 100, 300)
    fewer = Downstream(sizes=(10, 100))(codes)
    assert fewer.parts["accuracy.100"] == score.parts["accuracy.100"] == fewer.value
    shares = Downstream(fractions=(0.2, 0.5, 1.0))(codes)
    assert shares.settings["sizes"] == [40, 100, 200] and shares.value == score.value
    assert shares.settings["fractions"] == [0.2, 0.5, 1.0]
    assert Downstream(sizes=(50,))(codes).parts["efficiency"] == 1


@pytest.mark.parametrize("kind", ["linear", "fast"])
def test_identity_and_zeros(kind):
    levels = np.random.default_rng(0).integers(0, 3, size=(900, 3))
    metric = Downstream(kind, sizes=(30, 600))
    assert metric(Codes.of(levels + 0.0, levels)).value > 0.99
    dead = metric(Codes.of(np.full((900, 2), 0.1), levels))
    order = np.random.default_rng((0, 1)).permutation(900)
    train, test = levels[order[:600]], levels[order[600:]]
    chance = np.mean([np.mean(test[:, k] == np.bincount(train[:, k]).argmax()) for k in range(3)])
    assert dead.value == pytest.approx(chance, abs=1e-12)


def test_a_size_with_one_level_predicts_it():
    """Ten images of a factor that is nearly always 0."""
    levels = np.zeros((400, 1), dtype=int)
    levels[::40] = 1
    score = Downstream(sizes=(2, 200))(Codes.of(levels + 0.0, levels), seed=1)
    assert score.parts["accuracy.2"] > 0.9 and score.value == 1


def test_one_seed_one_score_and_threads_do_not_matter():
    codes = some()
    first, second = (Downstream("fast", sizes=(40, 200), n_jobs=jobs)(codes, 5) for jobs in (1, 2))
    assert first == second and "n_jobs" not in first.settings
    assert first.parts != Downstream("fast", sizes=(40, 200))(codes, 6).parts


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Downstream("trees"), "unknown classifier of Downstream 'trees'"),  # type: ignore[arg-type]
        (Downstream(sizes=(1, 10)), "sizes = 1; allowed is 2"),
        (Downstream(sizes=()), "sizes = 0; allowed is 2"),
        (Downstream(fractions=(0.5, 1.5)), "fractions = (0.5, 1.5); allowed is above 0"),
        (Downstream(strength=0), "strength = 0; allowed is above 0"),
        (Downstream(test=1), "test = 1; allowed is 5"),
    ],
)
def test_bad_settings_are_refused(metric, message):
    with pytest.raises(UserError) as caught:
        metric(some())
    assert message in str(caught.value) and "\n" not in str(caught.value)

"""Explicitness against plain loops around the same classifier, areas counted pair by pair, and dead latents."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from unweave.metrics import Explicitness
from unweave.metrics.explicitness import auc
from unweave.types import Codes, UserError


def some_codes(rows=240, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 3, 5)], axis=1)
    return levels @ random.normal(size=(3, 4)) + random.normal(size=(rows, 4)), levels


def area(scores, positive):
    """The share of pairs of a positive and a negative that are in order."""
    yes = [s for s, p in zip(scores, positive, strict=True) if p]
    no = [s for s, p in zip(scores, positive, strict=True) if not p]
    return sum((a > b) + 0.5 * (a == b) for a in yes for b in no) / (len(yes) * len(no))


@pytest.mark.parametrize("seed", [0, 5])
def test_agrees_with_loops(seed):
    z, levels = some_codes(seed=seed)
    score = Explicitness(train=160, test=80)(Codes.of(z, levels, names=("a", "b", "c")), seed)
    order = np.random.default_rng((seed, 1)).permutation(240)
    train, test = order[:160].tolist(), order[160:].tolist()
    means = [sum(z[i, d] for i in train) / 160 for d in range(4)]
    spread = [(sum((z[i, d] - means[d]) ** 2 for i in train) / 160) ** 0.5 for d in range(4)]
    x = [[(row[d] - means[d]) / spread[d] for d in range(4)] for row in z.tolist()]
    found, found_train = [], []
    for k in range(3):
        model = LogisticRegression(max_iter=1000).fit([x[i] for i in train], levels[train, k])
        for rows, into in ((test, found), (train, found_train)):
            told = model.predict_proba([x[i] for i in rows])
            areas = [area(told[:, j].tolist(), levels[rows, k] == level) for j, level in enumerate(model.classes_)]
            into.append(sum(areas) / len(areas))
    assert score.value == pytest.approx(sum(found) / 3, abs=1e-9)
    assert [score.parts[f"auc.{name}"] for name in "abc"] == pytest.approx(found, abs=1e-9)
    assert score.parts["train"] == pytest.approx(sum(found_train) / 3, abs=1e-9)
    assert score.settings["not_converged"] == 0 and "n_jobs" not in score.settings


@pytest.mark.parametrize("seed", range(3))
def test_area_agrees_with_scikit_learn_and_with_pairs(seed):
    random = np.random.default_rng(seed)
    scores, positive = random.integers(0, 6, size=50) / 5, random.random(50) < 0.3
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert auc(scores, positive) == pytest.approx(area(scores.tolist(), positive.tolist()), abs=1e-12)


def test_identity_rotated_zeros_and_noise():
    """Rotation does not matter; what tells nothing is at one half."""
    random = np.random.default_rng(0)
    levels = random.integers(0, 3, size=(3000, 4))
    metric = Explicitness(train=2000, test=1000)
    identity = metric(Codes.of(levels + 1.0, levels)).value
    rotation, _ = np.linalg.qr(random.normal(size=(4, 4)))
    assert identity > 0.8
    assert metric(Codes.of(levels @ rotation, levels)).value == pytest.approx(identity, abs=5e-3)
    assert metric(Codes.of(np.zeros((3000, 4)), levels)).value == 0.5
    assert metric(Codes.of(random.normal(size=(3000, 4)), levels)).value == pytest.approx(0.5, abs=0.03)


def test_two_levels_are_told_perfectly():
    levels = np.random.default_rng(0).integers(0, 2, size=(600, 3))
    assert Explicitness()(Codes.of(levels * 1e-9 + 1.0, levels)).value == 1


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_a_constant_latent_does_not_matter(value):
    """Public implementations divide by its standard deviation of 0 and raise an error."""
    z, levels = some_codes()
    base = Explicitness()(Codes.of(z, levels))
    more = Explicitness()(Codes.of(np.hstack([z, np.full((240, 1), value)]), levels))
    assert more.value == pytest.approx(base.value, abs=1e-6)


def test_a_level_missing_from_one_half_is_left_out_of_the_mean():
    """One image of level 2: public implementations compare matrices of different widths and raise an error."""
    levels = np.append(np.arange(199) % 2, 2)[:, None]
    z = levels + 0.1 * np.random.default_rng(0).normal(size=(200, 1))
    for seed in range(4):
        score = Explicitness()(Codes.of(z, levels), seed)
        assert 0.98 < score.value <= 1


def test_factors_that_cannot_be_read_are_named_or_refused():
    z = np.random.default_rng(0).normal(size=(60, 2))
    told = np.arange(60) % 2
    score = Explicitness()(Codes.of(z, np.stack([told, np.arange(60)], 1), names=("two", "each")))
    assert score.settings["unread_factors"] == ["each"] and "auc.each" not in score.parts
    with pytest.raises(UserError, match="in both the training and the test rows"):
        Explicitness()(Codes.of(z, np.arange(60)[:, None]))

"""The quick boosting against scikit-learn's, where both see the same possible splits and no two latents tie."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from unweave.metrics.boosting import boost


def problem(seed, classes, rows=1500, values=24):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, size=rows)
    z = y[:, None] * random.normal(size=4) + random.normal(size=(rows, 4))
    return np.round(z * values / np.ptp(z, axis=0)) + random.normal(size=4), y


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("stages", [1, 15])
def test_same_trees_as_scikit_learn(classes, stages):
    """Small nodes often let two latents split equally well, which scikit-learn decides by lot, hence 2e-3."""
    z, y = problem(classes, classes)
    theirs = GradientBoostingClassifier(n_estimators=stages, random_state=0).fit(z, y)
    test = z + 0.3 * np.random.default_rng(1).normal(size=z.shape)
    ours = boost(z, y, test, stages=stages)
    exact = stages == 1 and classes < 5
    assert ours.importance == pytest.approx(theirs.feature_importances_, abs=1e-9 if exact else 2e-3)
    assert np.mean(ours.train == theirs.predict(z)) > 0.995
    assert np.mean(ours.test == theirs.predict(test)) > 0.995


@pytest.mark.parametrize("classes", [2, 4])
def test_one_stage_by_loops(classes):
    """The root of every class tree, found by trying every threshold of every latent."""
    z, y = problem(7, classes, rows=200)
    gains = np.zeros(4)
    for c in range(classes):
        residual = (y == c) - np.mean(y == c)
        best, latent = -1.0, 0
        for j in range(4):
            for cut in np.unique(z[:, j])[:-1]:
                left, right = residual[z[:, j] <= cut], residual[z[:, j] > cut]
                gain = len(left) * len(right) / len(residual) * (left.mean() - right.mean()) ** 2
                if gain > best + 1e-12:
                    best, latent = gain, j
        gains[latent] += best
    assert boost(z, y, z, stages=1, depth=1).importance == pytest.approx(gains / gains.sum(), abs=1e-9)


def test_equal_latents_share_their_importance():
    z, y = problem(3, 3, rows=200)
    once = boost(z[:, :2], y, z[:, :2], stages=10)
    twice = boost(np.hstack([z[:, :2], z[:, :2]]), y, np.hstack([z[:, :2], z[:, :2]]), stages=10)
    assert twice.importance[:2] == pytest.approx(twice.importance[2:], abs=1e-12)
    assert twice.importance[:2] * 2 == pytest.approx(once.importance, abs=1e-9)


def test_no_split_possible():
    fit = boost(np.ones((20, 2)), np.arange(20) % 2, np.ones((5, 2)))
    assert not fit.importance.any() and len(fit.test) == 5


def test_more_values_than_bins_are_cut_at_quantiles():
    random = np.random.default_rng(0)
    z = random.exponential(size=(4000, 2)) ** 3
    y = (z[:, 0] > np.median(z[:, 0])).astype(int)
    fit = boost(z, y, z, stages=10, bins=16)
    assert fit.importance[0] > 0.999 and np.mean(fit.test == y) > 0.99

"""BetaVAE score against plain loops over the same pairs, fair pairs, and the fixed points of its published tests."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from unweave.metrics import BetaVAEScore
from unweave.metrics.beta_vae import differences, draw_pairs
from unweave.types import Codes, UserError


def some_codes(rows=200, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (2, 3, 5)], axis=1)
    return levels @ random.normal(size=(3, 4)) + 0.8 * random.normal(size=(rows, 4)), levels


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_loops(seed, standardised):
    z, levels = some_codes(seed=seed)
    metric = BetaVAEScore(votes=150, test_votes=100, batch=6, standardised=standardised)
    score = metric(Codes.of(z, levels), seed)
    pairs = draw_pairs(levels, 250, 6, np.random.default_rng((seed, 2)))
    scale = [1.0] * 4
    if standardised:
        means = [sum(z[:, d]) / 200 for d in range(4)]
        scale = [(sum((x - means[d]) ** 2 for x in z[:, d]) / 200) ** 0.5 for d in range(4)]
    features = []
    for one, two in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        total = [0.0] * 4
        for i, j in zip(one, two, strict=True):
            for d in range(4):
                total[d] += abs(z[i, d] - z[j, d]) / scale[d]
        features.append([x / 6 for x in total])
    answers = pairs.factors.tolist()
    model = LogisticRegression(max_iter=1000).fit(features[:150], answers[:150])
    right = [guess == answer for guess, answer in zip(model.predict(features).tolist(), answers, strict=True)]
    assert score.value == pytest.approx(sum(right[150:]) / 100, abs=1e-9)
    assert score.parts["train_accuracy"] == pytest.approx(sum(right[:150]) / 150, abs=1e-9)
    if not standardised:
        assert differences(z, pairs) == pytest.approx(np.array(features), abs=1e-12)


def test_pairs_share_one_factor_and_are_uniform():
    """Levels of very unequal size are held equally often; no image is paired with itself; rows are equally likely."""
    levels = np.stack([np.repeat([0, 1, 2], [50, 40, 10]), np.arange(100) % 2], axis=1)
    pairs = draw_pairs(levels, 9_000, 4, np.random.default_rng(0))
    held, other = (levels[rows, pairs.factors[:, None]] for rows in (pairs.first, pairs.second))
    assert (held == other).all() and (pairs.first != pairs.second).all()
    assert np.bincount(pairs.factors) / 9_000 == pytest.approx([0.5, 0.5], abs=0.02)
    mine = pairs.factors == 0
    assert np.bincount(held[mine].ravel()) / held[mine].size == pytest.approx([1 / 3] * 3, abs=0.02)
    expected = np.repeat([1 / 150, 1 / 120, 1 / 30], [50, 40, 10])
    for rows in (pairs.first, pairs.second):
        assert np.bincount(rows[mine].ravel(), minlength=100) / rows[mine].size == pytest.approx(expected, abs=0.004)
    smallest = mine[:, None] & (held == 2)
    table = np.zeros((10, 10))
    np.add.at(table, (pairs.first[smallest] - 90, pairs.second[smallest] - 90), 1 / smallest.sum())
    assert table[~np.eye(10, dtype=bool)] == pytest.approx(1 / 90, abs=0.005)


def test_each_pair_of_a_vote_may_have_its_own_level():
    levels = np.arange(100)[:, None] % 5
    pairs = draw_pairs(levels, 200, 64, np.random.default_rng(0))
    assert min(len(set(levels[rows, 0].tolist())) for rows in pairs.first) == 5


def test_levels_with_one_image_are_never_shared():
    levels = np.append(np.arange(99) % 3, 3)[:, None]
    pairs = draw_pairs(levels, 5_000, 2, np.random.default_rng(0))
    assert set(levels[pairs.first].ravel().tolist()) == {0, 1, 2}
    with pytest.raises(UserError, match="no level of factor 'factor 0' has 2 images"):
        BetaVAEScore()(Codes.of(np.zeros((20, 1)), np.arange(20)[:, None]))


def test_identity_and_zeros():
    levels = np.random.default_rng(0).integers(0, 10, size=(3000, 10))
    metric = BetaVAEScore(votes=2000, test_votes=2000, batch=5)
    assert metric(Codes.of(levels + 1.0, levels)).value > 0.9
    assert metric(Codes.of(np.zeros((3000, 10)), levels)).value < 0.2


def test_noise_is_at_chance_even_where_levels_are_small():
    """A pair of an image with itself would shrink differences most for the factor of most levels (60 of 5 images)."""
    random = np.random.default_rng(0)
    levels = np.stack([np.arange(300) % 2, np.arange(300) % 60], axis=1)
    metric = BetaVAEScore(votes=2000, test_votes=2000)
    values = [metric(Codes.of(random.normal(size=(300, 10)), levels), seed).value for seed in range(3)]
    # The same 300 codes serve all votes, so the classifier may learn a little of them by heart.
    assert np.mean(values) == pytest.approx(0.5, abs=0.2)


def test_a_constant_latent_does_not_matter():
    z, levels = some_codes(600)
    metric = BetaVAEScore(votes=400, test_votes=300, batch=16)
    more = np.hstack([z, np.full((600, 1), 0.1), np.full((600, 1), 1e30)])
    assert metric(Codes.of(more, levels)).value == pytest.approx(metric(Codes.of(z, levels)).value, abs=0.01)


def test_scale_matters_unless_standardised():
    levels = np.random.default_rng(0).integers(0, 4, size=(3000, 5))
    z = levels + 0.2 * np.random.default_rng(1).normal(size=levels.shape)
    plain, scaled = BetaVAEScore(votes=1000, test_votes=500), BetaVAEScore(1000, 500, standardised=True)
    assert plain(Codes.of(z * 1e-4, levels)).value < plain(Codes.of(z, levels)).value - 0.05
    assert scaled(Codes.of(z * 1e-4, levels)).value == scaled(Codes.of(z, levels)).value == 1
    assert (plain.label, scaled.label) == ("beta-vae-score", "beta-vae-score-standardised")


def test_one_factor_leaves_nothing_to_tell_apart():
    levels = np.arange(60)[:, None] % 3
    score = BetaVAEScore(votes=50, test_votes=50)(Codes.of(np.random.default_rng(0).normal(size=(60, 2)), levels))
    assert score.value == 1 and score.settings["converged"]

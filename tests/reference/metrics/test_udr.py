"""UDR against loops, the published cases, latents of little KL, and models of different sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from unweave.metrics import udr
from unweave.metrics.udr import relative_strength
from unweave.types import Codes, UserError


def strength(matrix):
    """Half the mean over columns plus half the mean over rows of max² / sum."""
    columns = [list(column) for column in zip(*matrix, strict=True)]
    return sum(
        sum(max(line) ** 2 / sum(line) if sum(line) else 0.0 for line in lines) / len(lines) / 2
        for lines in (columns, matrix)
    )


def soft(a, b, penalty, steps=400):
    """Lasso's weights of one target by coordinate descent, (1 / 2n) |b − a w|² + penalty |w|₁."""
    w = [0.0] * a.shape[1]
    for _ in range(steps):
        for j in range(a.shape[1]):
            rest = b - sum(w[k] * a[:, k] for k in range(a.shape[1]) if k != j)
            rho, size = float(a[:, j] @ rest) / len(b), float(a[:, j] @ a[:, j]) / len(b)
            w[j] = (rho - penalty if rho > penalty else rho + penalty if rho < -penalty else 0.0) / size
    return [abs(x) for x in w]


def some(rows=120, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    means = [x @ random.normal(size=(3, 3)) + 0.4 * random.normal(size=(rows, 3)) for _ in range(3)]
    return [Codes.of(z, logvar=np.full((rows, 3), -2.0)) for z in means]


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_agrees_with_loops(similarity):
    models = some()
    found = udr(models, similarity, images=None)
    scaled = [(c.mean.numpy() - c.mean.numpy().mean(0)) / c.mean.numpy().std(0) for c in models]
    pairs = [[0.0] * 3 for _ in range(3)]
    for i in range(3):
        for j in range(3):
            if i == j:
                continue
            if similarity == "spearman":
                matrix = [
                    [abs(spearmanr(scaled[i][:, a], scaled[j][:, b]).statistic) for b in range(3)] for a in range(3)
                ]
            else:
                weights = [soft(scaled[i], scaled[j][:, b], 0.1) for b in range(3)]
                matrix = [[weights[b][a] for b in range(3)] for a in range(3)]
            # scikit-learn's coordinate descent stops at a duality gap of 1e-4.
            near = 1e-9 if similarity == "spearman" else 5e-3
            assert found.similarity[i][j] == pytest.approx(np.array(matrix), abs=near)
            pairs[i][j] = strength(found.similarity[i][j].tolist())
            assert found.pairs[i, j] == pytest.approx(pairs[i][j], abs=1e-9)
    for j in range(3):
        others = sorted(pairs[i][j] for i in range(3) if i != j)
        assert found.scores[j] == pytest.approx((others[0] + others[1]) / 2, abs=1e-9)


def test_lasso_is_scikit_learns():
    models = some()
    a, b = ((c.mean.numpy() - c.mean.numpy().mean(0)) / c.mean.numpy().std(0) for c in models[:2])
    expected = np.abs(Lasso(alpha=0.3).fit(a, b).coef_.T)
    assert udr(models[:2], penalty=0.3, images=None).similarity[0][1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("matrix", "value"),
    [
        (np.eye(3), 1),
        ([[1, 1, 0], [1, 1, 0], [0, 0, 1]], 2 / 3),
        (np.ones((3, 3)), 1 / 3),
        (np.zeros((3, 3)), 0),
        (np.zeros((0, 3)), 0),
        ([[0.5, 0.0], [0.0, 0.0]], 0.25),
    ],
)
def test_relative_strength_of_known_matrices(matrix, value):
    assert relative_strength(np.array(matrix, dtype=float)) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_order_and_sign_do_not_matter(similarity):
    random = np.random.default_rng(0)
    z = random.uniform(size=(1000, 10))
    other = z[:, random.permutation(10)] * random.choice([-1.0, 1.0], size=10)
    found = udr([Codes.of(z), Codes.of(other)], similarity)
    assert (found.scores > 0.8).all() and (found.scores <= 1).all()
    top = [row.max() for row in found.similarity[0][1]]
    assert top == pytest.approx([0.9 if similarity == "lasso" else 1.0] * 10, abs=0.02)


def test_latents_of_little_kl_are_left_out():
    """One latent in common and nine of noise: low with all of them, high with the informative one."""
    random = np.random.default_rng(0)
    x = random.uniform(size=(1000, 1))
    models = []
    for _ in range(2):
        mean = np.hstack([x, 1e-3 * random.uniform(size=(1000, 9))])
        models.append(Codes.of(mean, logvar=np.hstack([np.full((1000, 1), -3.0), np.zeros((1000, 9))])))
    kept = udr(models)
    assert (kept.scores > 0.8).all() and kept.informative == ((0,), (0,))
    everything = udr(models, threshold=0)
    assert (everything.scores < 0.2).all() and len(everything.informative[0]) == 10


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_the_threshold_given_is_the_threshold_used(similarity):
    """The reference implementation sets latents to zero at a literal 0.01 whatever threshold it is given, so a latent
    between the two has similarity 0 though it is not left out."""
    random = np.random.default_rng(0)
    mean = random.normal(size=(500, 2)) * [1.0, 0.1]
    codes = Codes.of(mean, logvar=np.zeros((500, 2)))  # KLs near .5 and .005
    low = udr([codes, codes], similarity, threshold=0.001)
    assert low.informative == ((0, 1), (0, 1)) and low.similarity[0][1][1, 1] > 0.85
    assert udr([codes, codes], similarity, threshold=0.01).informative == ((0,), (0,))


def test_dead_models_and_models_of_other_sizes():
    random = np.random.default_rng(0)
    z = random.normal(size=(200, 4))
    collapsed = Codes.of(np.zeros((200, 4)), logvar=np.zeros((200, 4)))
    for similarity in ("lasso", "spearman"):
        found = udr([Codes.of(z), Codes.of(np.hstack([z[:, 1::-1], np.ones((200, 1))])), collapsed], similarity)
        assert np.isfinite(found.scores).all() and found.scores[2] == 0
        assert found.similarity[0][1].shape == (4, 3) and found.informative == ((0, 1, 2, 3), (0, 1), ())
        assert found.pairs[0, 1] > found.pairs[0, 2] == 0


def test_noise_scores_low_and_the_median_bears_one_bad_model():
    random = np.random.default_rng(0)
    z = random.normal(size=(1000, 5))
    good = [Codes.of(z[:, random.permutation(5)] + 0.05 * random.normal(size=(1000, 5))) for _ in range(4)]
    mixed = Codes.of(z @ np.linalg.qr(random.normal(size=(5, 5)))[0])
    noise = Codes.of(random.normal(size=(1000, 5)))
    scores = udr([*good, mixed, noise], "spearman").scores
    assert scores[:4].min() > 0.75 > scores[4] > scores[5]
    assert udr([*good, noise], "lasso").scores[4] < 0.05


def test_seed_rows_and_refusals():
    models = some()
    first, again = (udr(models, images=50, seed=2) for _ in range(2))
    assert np.array_equal(first.scores, again.scores) and first.settings["images"] == 50
    assert not np.array_equal(first.scores, udr(models, images=50, seed=3).scores)
    with pytest.raises(UserError, match="models = 1; allowed is 2"):
        udr(models[:1])
    with pytest.raises(UserError, match="allowed are codes of the same images"):
        udr([models[0], some(60)[0]])
    with pytest.raises(UserError, match="unknown similarity of udr 'spearmen' — did you mean 'spearman'"):
        udr(models, "spearmen")
    one = Codes.of(models[0].mean, torch.zeros(120, 1))
    with pytest.raises(UserError, match="other factor levels"):
        udr([one, one._replace(levels=one.levels + 1)])
    with pytest.raises(UserError, match="penalty = 0"):
        udr(models, penalty=0)
    with pytest.raises(UserError, match="not finite"):
        udr([models[0], models[1]._replace(mean=models[1].mean * float("nan"))])

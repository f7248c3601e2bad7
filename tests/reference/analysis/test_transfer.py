"""Downstream tasks against a softmax layer of our own, and domains left out in turn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from unweave.analysis import data_efficiency, leave_one_domain_out, pixel_codes
from unweave.data import DSprites
from unweave.types import Codes, UserError

SIZES = (3, 4)


def made(rows=300, noise=0.8):
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, rows) for size in SIZES], axis=1)
    turn = levels[:, 0] * 0.5
    x, y = np.cos(levels[:, 1] * 1.5), np.sin(levels[:, 1] * 1.5)
    z = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)
    return z + noise * random.normal(size=z.shape), levels


def told(z, y, other):
    """Levels that a softmax layer with half the squared weights as its penalty tells, fitted by another solver."""
    mean, spread = z.mean(0), z.std(0)
    z, other = (z - mean) / spread, (other - mean) / spread
    seen = np.unique(y)
    hot = (y[:, None] == seen).astype(float)

    def loss(flat):
        w = flat.reshape(len(seen), 3)
        logits = z @ w[:, :2].T + w[:, 2]
        return float((logsumexp(logits, 1) - (hot * logits).sum(1)).sum() + 0.5 * (w[:, :2] ** 2).sum())

    w = minimize(loss, np.zeros(3 * len(seen)), method="BFGS", options={"gtol": 1e-7}).x.reshape(len(seen), 3)
    return seen[(other @ w[:, :2].T + w[:, 2]).argmax(1)]


def test_accuracy_from_shares_of_the_training_images():
    z, levels = made()
    found = data_efficiency(Codes.of(z, levels, names=("angle", "digit")), "digit", (0.1, 0.5, 1.0))
    order = np.random.default_rng((0, 1)).permutation(300)
    train, test = order[:200], order[200:]
    for share, accuracy in zip((0.1, 0.5, 1.0), found.accuracy, strict=True):
        some = train[: round(200 * share)]
        expected = np.mean(told(z[some], levels[some, 1], z[test]) == levels[test, 1])
        assert accuracy == pytest.approx(expected, abs=0.011)  # one image of a hundred on the edge
    assert found.domains == () and found.each.tolist() == [found.accuracy.tolist()]


def test_a_domain_is_never_trained_on():
    z, levels = made()
    codes = Codes.of(z, levels, names=("angle", "digit"))
    found = leave_one_domain_out(codes, "digit", "angle", (0.5, 1.0), seed=3)
    order = np.random.default_rng((3, 1)).permutation(300)
    assert found.domains == (0, 1, 2) and found.each.shape == (3, 2)
    for d in range(3):
        rest = [i for i in order if levels[i, 0] != d]
        left = [i for i in order if levels[i, 0] == d]
        for f, share in enumerate((0.5, 1.0)):
            some = rest[: round(share * len(rest))]
            expected = np.mean(told(z[some], levels[some, 1], z[left]) == levels[left, 1])
            assert found.each[d, f] == pytest.approx(expected, abs=0.021)
    assert found.accuracy == pytest.approx(found.each.mean(0))
    # Codes of the domain left out may be anything without moving the others.
    broken = z.copy()
    broken[levels[:, 0] == 0] += 50
    again = leave_one_domain_out(Codes.of(broken, levels, names=codes.names), "digit", "angle", (1.0,), seed=3)
    assert again.each[0, 0] < found.each[0, 1]


def test_pixels_are_codes_of_a_single_layer():
    data = DSprites()
    images = data.open()
    codes = pixel_codes(data, images, 300, seed=2)
    assert codes.mean.shape == (300, 4096) and codes.names == data.factors.names
    rows = data.factors.index(codes.levels)
    assert codes.mean.equal(images.batch(rows, {}).flatten(1))
    assert pixel_codes(data, images, 300, seed=2).mean.equal(codes.mean)
    assert not pixel_codes(data, images, 300, seed=3).mean.equal(codes.mean)
    assert data_efficiency(codes, "scale", (1.0,)).accuracy[0] > 0.3


def test_constant_codes_tell_the_commonest_level():
    levels = np.array([[0, 0], [0, 1], [0, 1]] * 30)
    codes = Codes.of(np.zeros((90, 2)), levels, names=("a", "b"))
    assert data_efficiency(codes, "b", (1.0,)).accuracy[0] == pytest.approx(2 / 3, abs=0.2)
    assert data_efficiency(codes, "a", (1.0,)).accuracy[0] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda codes: data_efficiency(codes, "digits"), "did you mean 'digit'"),
        (lambda codes: data_efficiency(codes, "digit", (0.0,)), "fractions = (0.0,)"),
        (lambda codes: data_efficiency(codes, "digit", ()), "fractions = ()"),
        (lambda codes: data_efficiency(codes, "digit", strength=0.0), "strength = 0.0"),
        (lambda codes: leave_one_domain_out(codes, "digit", "digit"), "two different factors"),
        (lambda codes: data_efficiency(codes._replace(levels=codes.levels[:, :0]), "digit"), "has none"),
        (lambda codes: pixel_codes(DSprites(), DSprites().open(), 0), "count = 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError) as caught:
        call(Codes.of(*made(60), names=("angle", "digit")))
    assert message in str(caught.value) and "\n" not in str(caught.value)

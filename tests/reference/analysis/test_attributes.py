"""Blocks against their prior, attributes along a diagonal, block against single latents: by loops and on made codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from unweave.analysis import attribute_along, block_accuracy, block_scatter, code_classifier, image_classifier
from unweave.data import DSprites
from unweave.types import Codes, UserError


class Painter(nn.Module):
    """Decodes two latents: the first two set how white a picture is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 0.0, 0.5]))

    def decode(self, z, space=0):
        return (z @ self.weight)[:, None, None, None].expand(-1, 1, 8, 8)


class Whiteness:
    """Tells how white a picture is, as the probability of the second of two levels."""

    reads, factor, accuracy = "images", "white", 0.9

    def __call__(self, given):
        white = given.mean((1, 2, 3)).double().numpy()
        return np.stack([1 - white, white], axis=1)


def made(rows=400):
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, 2, rows), random.integers(0, 3, rows)], axis=1)
    z = random.normal(size=(rows, 4))
    z[:, 0] += levels[:, 0]
    z[:, 1] += levels[:, 0]
    return Codes.of(z, levels, names=("hair", "hat"))


def test_shares_within_contours_by_loops():
    codes, rho = made(), 0.5
    found = block_scatter(codes, (3, 0), rho, "hat", points=100, seed=1)
    z = codes.mean.numpy()[:, [3, 0]]
    inverse = np.linalg.inv([[1, rho], [rho, 1]])
    for radius, share, expected in zip((1, 2, 3), found.inside, found.expected, strict=True):
        inside = sum(1 for one in z if math.sqrt(one @ inverse @ one) <= radius) / len(z)
        assert share == pytest.approx(inside, abs=1e-12)
        assert expected == pytest.approx(1 - math.exp(-(radius**2) / 2))
    for radius, contour in zip((1, 2, 3), found.contours, strict=True):
        assert [math.sqrt(one @ inverse @ one) for one in contour] == pytest.approx([radius] * 73, abs=1e-9)
        assert contour[0] == pytest.approx(contour[-1], abs=1e-12)
    assert found.z.shape == (100, 2) and len(found.levels) == 100
    for one, level in zip(found.z, found.levels, strict=True):
        (row,) = np.flatnonzero((z == one).all(1))
        assert level == codes.levels[row, 1]
    assert len(block_scatter(codes, (0, 1)).levels) == 0


def test_a_block_that_follows_its_prior_has_the_priors_shares():
    random = np.random.default_rng(0)
    root = np.linalg.cholesky([[1, -0.4], [-0.4, 1]])
    codes = Codes.of(random.normal(size=(20_000, 2)) @ root.T)
    right, wrong = block_scatter(codes, (0, 1), -0.4), block_scatter(codes, (0, 1), 0.4)
    assert right.inside == pytest.approx(right.expected, abs=0.01)
    assert max(abs(a - b) for a, b in zip(wrong.inside, wrong.expected, strict=True)) > 0.05


def test_probability_along_the_diagonal_by_loops():
    codes = made()
    found = attribute_along(Painter().double(), codes, (0, 1), Whiteness(), [-3, 0, 1.5], bases=5, seed=2)
    order = np.random.default_rng((2, 0)).permutation(400)[:5]
    for v, value in enumerate((-3.0, 0.0, 1.5)):
        white = [1 / (1 + math.exp(-(3 * value + 0.5 * float(codes.mean[row, 3])))) for row in order]
        mean = sum(white) / 5
        assert found.mean[v] == pytest.approx([1 - mean, mean], abs=1e-6)
        assert found.deviation[v, 1] == pytest.approx(math.sqrt(sum((w - mean) ** 2 for w in white) / 5), abs=1e-6)
    assert (found.factor, found.accuracy, found.block) == ("white", 0.9, (0, 1))
    assert attribute_along(Painter().double(), codes, (0,), Whiteness()).values == pytest.approx(np.linspace(-3, 3, 25))


def test_a_classifier_of_codes_reads_the_code_that_moves():
    codes = made()
    classify = code_classifier(codes, "hair")
    assert classify.accuracy > 0.7 and classify(codes.mean[:5]).sum(1) == pytest.approx(np.ones(5))
    found = attribute_along(Painter(), codes, (0, 1), classify, [-3, 3])
    assert found.mean[0, 1] < 0.1 < 0.9 < found.mean[1, 1]
    unseen = codes._replace(sizes=(4, 3))
    assert code_classifier(unseen, "hair")(codes.mean[:2])[:, 2:].tolist() == [[0.0, 0.0]] * 2


def test_a_classifier_of_images_learns_what_it_is_shown_and_is_seeded():
    data = DSprites()
    images = data.open()
    before = torch.get_rng_state()
    found = image_classifier(data, images, "scale", steps=60, count=600, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert found.accuracy > 0.4 and found.factor == "scale"  # chance: one in six
    x = images.batch(torch.arange(0, 700_000, 100_000), {})
    told = found(x)
    assert told.shape == (7, 6) and told.sum(1) == pytest.approx(np.ones(7), abs=1e-6)
    first, again, other = (image_classifier(data, images, "shape", steps=2, count=80, seed=s)(x) for s in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_block_knows_more_than_its_latents():
    found = block_accuracy(made(3000), (0, 1), "hair")
    assert found.block > max(found.single) + 0.03 and found.whole == pytest.approx(found.block, abs=0.02)
    # Two latents at a distance of √2 apart: Φ(√2 / 2); one: Φ(½).
    assert found.block == pytest.approx(0.760, abs=0.03)
    assert found.single == pytest.approx((0.691, 0.691), abs=0.03)
    assert found.chance == pytest.approx(0.5, abs=0.04)
    nothing = block_accuracy(made(3000), (2, 3), "hair")
    assert nothing.block == pytest.approx(0.5, abs=0.05)
    codes = made(300)
    still = block_accuracy(codes._replace(mean=torch.zeros_like(codes.mean)), (0,), "hair")
    assert still.block == still.single[0] == still.whole == still.chance


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: block_scatter(c, (0,)), "block (0,) of 4 latents"),
        (lambda c: block_scatter(c, (0, 4)), "block (0, 4) of 4 latents"),
        (lambda c: block_scatter(c, (1, 1)), "block (1, 1)"),
        (lambda c: block_scatter(c, (0, 1), rho=1.0), "rho = 1.0"),
        (lambda c: block_scatter(c, (0, 1), factor="hut"), "did you mean 'hat'"),
        (lambda c: block_accuracy(c, (), "hair"), "block []"),
        (lambda c: block_accuracy(c, (0,), "hare"), "did you mean 'hair'"),
        (lambda c: block_accuracy(c._replace(levels=0 * c.levels), (0,), "hair"), "single level"),
        (lambda c: code_classifier(c._replace(levels=0 * c.levels), "hair"), "single level"),
        (lambda c: attribute_along(Painter(), c, (9,), Whiteness()), "block [9] of 4 latents"),
        (lambda c: attribute_along(Painter(), c, (0,), Whiteness(), []), "0 values"),
        (lambda c: image_classifier(DSprites(), DSprites().open(), "shap"), "did you mean 'shape'"),
        (lambda c: image_classifier(DSprites(), DSprites().open(), "shape", steps=0), "steps = 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError) as caught:
        call(made(60))
    assert message in str(caught.value) and "\n" not in str(caught.value)

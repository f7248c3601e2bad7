"""Sprites in other sizes and numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unweave import UserError
from unweave.data import DSprites, Sprites, dataset
from unweave.data.own_sprites import fill
from unweave.testing import check_dataset

ROWS = 200


@pytest.mark.parametrize(
    "data",
    [
        Sprites(),
        Sprites(size=28, scales=1, orientations=1, positions=5),
        Sprites(size=128, colours=7),
        Sprites(size=32, orientations=4, positions=6, second=True, colours=2),
        Sprites(size=17, scales=2, orientations=3, positions=1, second=True),
    ],
    ids=repr,
)
def test_it_keeps_the_rules_of_a_data_set(data: Sprites) -> None:
    check_dataset(data)


def test_with_39_orientations_it_is_dsprites() -> None:
    ours, theirs = Sprites(orientations=39), DSprites()
    rows = torch.randint(ours.rows, (2000,), generator=torch.Generator().manual_seed(0))
    levels = ours.factors.levels(rows)
    assert torch.equal(ours.open().batch(rows, {}), theirs.open().batch(theirs.factors.index(levels), {}))


@pytest.mark.parametrize("size", [32, 128])
def test_other_sizes_show_the_same(size: int) -> None:
    data, whole = Sprites(size=size, orientations=39), Sprites(orientations=39)
    rows = torch.randint(data.rows, (ROWS,), generator=torch.Generator().manual_seed(1))
    x, y = data.open().batch(rows, {}), whole.open().batch(rows, {})
    small, large = (x, y) if size < 64 else (y, x)
    assert (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean() < 0.01
    assert abs(x.mean() - y.mean()) < 0.001


def test_polygons_of_any_width_against_a_plain_one() -> None:
    source = np.random.default_rng(0)
    for size in (16, 65, 100):
        x, y = source.integers(-2000, (size + 8) * 256, (2, 20, 5)) | 1  # no corner on a pixel's centre
        found = fill(x, y, size)
        centre = (np.arange(size) + 0.5) * 256
        for n in range(20):
            wanted = np.zeros((size, size), bool)
            for k in range(5):
                x0, y0, x1, y1 = x[n, k], y[n, k], x[n, (k + 1) % 5], y[n, (k + 1) % 5]
                if y0 == y1:
                    continue
                rows = (centre > min(y0, y1)) & (centre <= max(y0, y1))
                at = x0 + (centre - y0) * (x1 - x0) / (y1 - y0)
                wanted ^= rows[:, None] & (centre[None, :] >= at[:, None])
            assert (wanted != found[n]).sum() <= 1, "the plain one rounds"


def test_colour_and_second_shape() -> None:
    data = Sprites(size=32, scales=2, orientations=2, positions=3, colours=3, second=True)
    images = data.open()
    base = torch.tensor([0, 0, 1, 0, 0, 0, 0, 2, 2])
    x = images.batch(images.index(data.factors.traverse(base, "colour")), {})
    corner = x[:, :, 8, 8]
    assert corner.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert bool((x[:, :, 24, 24] == 1).all()), "the second is white"
    moved = images.batch(images.index(data.factors.traverse(base, "pos_x_2")), {})
    assert torch.equal(moved[0, :, :16, :6], moved[2, :, :16, :6]) and not torch.equal(moved[0], moved[2])


def test_numbers_that_are_out_of_range() -> None:
    for data, why in (
        (Sprites(size=15), "size = 15; allowed: 16 to 256"),
        (Sprites(scales=0), "scales = 0"),
        (Sprites(colours=2000), "colours = 2000"),
        (Sprites(second=True), "2,264,924,160 combinations"),
    ):
        with pytest.raises(UserError, match=why):
            data.open()
    assert dataset("sprites:size=32:colours=4:second=no") == Sprites(size=32, colours=4)

"""What every data set promises, wherever its images come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from unweave.data import Dataset, Factors, Images
from unweave.data.base import still
from unweave.engine.codes import nuisance
from unweave.engine.plain import build, plain, settled
from unweave.networks.likelihoods import LIKELIHOODS
from unweave.testing.claims import check_description, check_example, claim, leaves_randomness_alone
from unweave.types import Draw, UserError

SOME, STARTS = 64, 8


def check_dataset(dataset: Dataset, root: Path | None = None) -> None:
    """Check that a data set keeps the rules that training and scoring rely on.

    It is described by plain fields; images are float32 in [0, 1] of the shape it says; an image depends on its row and
    its nuisance noise only, whatever other rows are asked for with it; rows and levels are each other's inverse; a
    factor that changes alone changes the image; levels outside a factor are refused; and no global random numbers are
    used. ``Dataset.check`` reads every image; this looks at some of them.

    Args:
        dataset: what to check.
        root: folder of data files.

    Raises:
        AssertionError: one line that says what does not hold.
    """
    who = str(getattr(dataset, "name", type(dataset).__name__))
    check_description(dataset, who)
    check_example(dataset, who)
    again = build(type(dataset), plain(settled(dataset)))
    claim(again == dataset, who, f"does not come back from its plain values: {again!r}")
    claim(dataset.licence, who, "does not say its licence")
    claim(dataset.likelihood in LIKELIHOODS, who, f"likelihood = {dataset.likelihood!r}")
    with leaves_randomness_alone(who):
        images = dataset.open(root)
        _check_images(dataset, images, who)
        if dataset.factors is not None:
            _check_levels(dataset, images, who)
            _check_traversals(dataset.factors, images, who)


def _check_images(dataset: Dataset, images: Images, who: str) -> None:
    claim(images.rows == dataset.rows > 0, who, f"opens {images.rows} images and says {dataset.rows}")
    claim(images.source, who, "does not say where its pixels come from")
    rows = some(dataset.rows)
    for name, what in images.noise(5).items():
        claim(what.shape[:1] == (5,), who, f"noise {name!r} for 5 rows has shape {what.shape}; rows must come first")
    draws = nuisance(images, rows, 0, "check")
    x = images.batch(rows, draws)
    shape = (len(rows), *dataset.shape)
    claim(x.shape == shape, who, f"a batch has shape {tuple(x.shape)}; it says {shape}")
    claim(x.dtype == torch.float32, who, f"a batch is {x.dtype}; allowed: float32")
    claim(bool(((x >= 0) & (x <= 1)).all()), who, "has pixels outside [0, 1]")
    claim(torch.equal(x, images.batch(rows, draws)), who, "gives other images when asked a second time")
    back = torch.arange(len(rows) - 1, -1, -1)
    turned = images.batch(rows[back], {name: value[back] for name, value in draws.items()})
    claim(torch.equal(turned, x[back]), who, "an image depends on the other rows of its batch, or on their order")
    one = images.batch(rows[2:3], {name: value[2:3] for name, value in draws.items()})
    claim(torch.equal(one[0], x[2]), who, "an image depends on the other rows of its batch")
    twice = images.batch(rows[:1].repeat(2), _repeated(images.noise(1)))
    claim(torch.equal(twice[0], twice[1]), who, "one row asked for twice gives two images")
    kept = x.clone()
    images.batch(rows, draws).zero_()
    claim(torch.equal(images.batch(rows, draws), kept), who, "changing a batch changes the data set")


def _check_levels(dataset: Dataset, images: Images, who: str) -> None:
    factors = dataset.factors
    assert factors is not None
    claim(len(factors.names) == len(set(factors.names)), who, f"two factors have one name: {factors.names}")
    rows = some(dataset.rows)
    levels = images.levels(rows)
    claim(levels.shape == (len(rows), len(factors.sizes)), who, f"levels have shape {tuple(levels.shape)}")
    claim(levels.dtype == torch.int64, who, f"levels are {levels.dtype}; allowed: int64")
    inside = (levels >= 0) & (levels < torch.tensor(factors.sizes))
    claim(bool(inside.all()), who, f"has levels outside the sizes {factors.sizes}")
    back = images.index(levels)
    claim(torch.equal(images.levels(back), levels), who, "levels lead to rows that have other levels")
    if dataset.gridded:
        claim(
            torch.equal(factors.index(levels), rows),
            who,
            "rows are not numbered by their levels",
        )
    for wrong in (-1, max(factors.sizes)):
        try:
            images.index(torch.full((1, len(factors.sizes)), wrong))
        except UserError:
            continue
        raise AssertionError(f"{who}: takes level {wrong} for a factor with levels 0 to {min(factors.sizes) - 1}")


def _check_traversals(factors: Factors, images: Images, who: str) -> None:
    """Every factor, all others held, gives more than one image; where there are no such rows nothing is looked at."""
    for place, (name, size) in enumerate(zip(factors.names, factors.sizes, strict=True)):
        looked = 0
        for start in some(images.rows)[:: SOME // STARTS]:
            levels = images.levels(start[None]).repeat(size, 1)
            levels[:, place] = torch.arange(size)
            try:
                rows = images.index(levels)
            except UserError:
                continue
            found = images.levels(rows)
            claim(torch.equal(found, levels), who, f"a traversal of {name} changes other factors")
            x = images.batch(rows, still(images.noise(size)))
            looked += 1
            # One thing may hide another, so that some images do not show it.
            if size == 1 or bool((x != x[:1]).any()):
                break
        else:
            claim(not looked, who, f"{name} changes nothing: {looked} images look the same at all of its {size} levels")


def some(rows: int) -> Tensor:
    """At most 64 row numbers: the first, the last, and others between them in no simple order."""
    spread = torch.arange(SOME) * max(1, rows // SOME) * 7 % rows
    return torch.unique(torch.cat([torch.tensor([0, rows - 1]), spread]))[:SOME]


def _repeated(noise: Mapping[str, Draw]) -> dict[str, Tensor]:
    return {name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in still(noise).items()}

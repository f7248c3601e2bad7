"""Frozen codes on downstream tasks: a label from shares of the training images, on the same domain and on another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from unweave.data.base import Dataset, Images
from unweave.engine.codes import BATCH, nuisance, sampled
from unweave.metrics.logistic import fit, live, quietly, standardise
from unweave.metrics.rows import Floats, Ints, generator, split, table
from unweave.names import known
from unweave.types import Codes, UserError

FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the training images, as in RecurD, Fig. 7."""


class Efficiency(NamedTuple):
    """Test accuracy of one label from shares of the training images."""

    label: str
    fractions: tuple[float, ...]
    accuracy: Floats
    """(fractions,), the mean over domains where there are several."""
    domains: tuple[int, ...]
    """The levels of the domain that were left out in turn; none where one split was made."""
    each: Floats
    """(domains, fractions), or (1, fractions)."""


def data_efficiency(
    codes: Codes,
    label: str,
    fractions: Sequence[float] = FRACTIONS,
    train: int = 10_000,
    test: int = 5_000,
    strength: float = 1.0,
    seed: int = 0,
) -> Efficiency:
    """How well one linear softmax layer on frozen codes tells a label (Chen et al., 2022, RecurD, Fig. 7 left).

    Training sets are nested, and the test images are the same for all of them. The dotted line of that figure, a
    single-layer supervised network, is this very classifier on pixels: give it ``pixel_codes``.

    Args:
        codes: M images, D latents.
        label: the factor that is told.
        fractions: shares of the training images, above 0 and at most 1.
        train: training images at most.
        test: test images at most; both shrink in proportion when there are fewer.
        strength: inverse penalty C of the layer.
        seed: of the split.

    Raises:
        UserError: an unknown label, fractions or strength out of range.

    >>> levels = torch.arange(400)[:, None] % 4
    >>> data_efficiency(Codes.of(levels.double(), levels), "factor 0", (0.5, 1.0)).accuracy.tolist()
    [1.0, 1.0]
    """
    column = _check(codes, label, fractions, strength)
    rows = table(codes, "data_efficiency")
    first, second = split(len(rows.z), train, test, seed)
    found = _curve(rows.z, rows.levels[:, column], first, second, fractions, strength)
    return Efficiency(label, tuple(fractions), found, (), found[None])


def leave_one_domain_out(
    codes: Codes,
    label: str,
    domain: str,
    fractions: Sequence[float] = FRACTIONS,
    strength: float = 1.0,
    seed: int = 0,
) -> Efficiency:
    """The same on domains never seen: each level of ``domain`` in turn is the test set, all others the training set.

    The domain generalisation of RecurD (Chen et al., 2022, Fig. 7 right) on MNIST-Rotation: six angles, average of six.

    Args:
        codes: M images, D latents.
        label: the factor that is told.
        domain: the factor whose levels are left out in turn.
        fractions: shares of the training images, above 0 and at most 1.
        strength: inverse penalty C of the layer.
        seed: of the order of the training images.

    Raises:
        UserError: unknown names, label and domain the same, a single domain, fractions or strength out of range.

    >>> levels = torch.cartesian_prod(torch.arange(3), torch.arange(4)).repeat(20, 1)
    >>> codes = Codes.of(levels.double(), levels, names=("angle", "digit"))
    >>> found = leave_one_domain_out(codes, "digit", "angle", (1.0,))
    >>> found.domains, found.accuracy.tolist()
    ((0, 1, 2), [1.0])
    """
    column, other = _check(codes, label, fractions, strength), _check(codes, domain, fractions, strength)
    rows = table(codes, "leave_one_domain_out")
    domains = tuple(int(level) for level in np.unique(rows.levels[:, other]))
    if column == other or len(domains) < 2:
        raise UserError(
            f"leave_one_domain_out: label {label!r}, domain {domain!r} of {len(domains)} levels; allowed: two "
            "different factors, the domain with 2 levels or more"
        )
    order = generator(seed, "split").permutation(len(rows.z))
    each = []
    for level in domains:
        out = rows.levels[order, other] == level
        each.append(_curve(rows.z, rows.levels[:, column], order[~out], order[out], fractions, strength))
    return Efficiency(label, tuple(fractions), np.mean(each, axis=0), domains, np.stack(each))


@torch.no_grad()
def pixel_codes(data: Dataset, images: Images, count: int | None = 10_000, seed: int = 0) -> Codes:
    """The pixels themselves as codes, so that a linear classifier of them is a single-layer network.

    Args:
        data: the data set, for the names of its factors.
        images: the opened data set, such as ``run.images``.
        count: how many images; all when None.
        seed: which images; the same as ``run.codes(count, seed=seed)`` reads.

    >>> from unweave.data import Triangle
    >>> pixel_codes(Triangle(), Triangle().open(), 20).mean.shape
    torch.Size([20, 4096])
    """
    rows = sampled(images.rows, count, seed)
    pixels, levels = [], []
    for some in rows.split(BATCH):
        pixels.append(images.batch(some, nuisance(images, some, seed, "codes")).flatten(1).float().cpu())
        levels.append(images.levels(some).cpu())
    factors = data.factors
    return Codes(
        mean=torch.cat(pixels),
        logvar=None,
        levels=torch.cat(levels),
        sizes=factors.sizes if factors else (),
        names=factors.names if factors else (),
    )


def _curve(z: Floats, y: Ints, train: Ints, test: Ints, fractions: Sequence[float], strength: float) -> Floats:
    found = []
    with quietly():
        for share in fractions:
            some = train[: max(2, round(share * len(train)))]
            if len(np.unique(y[some])) < 2 or not live(z[some]).any():
                found.append(float(np.mean(y[test] == np.bincount(y[some]).argmax())))
                continue
            inputs, other = standardise(z[some], z[test])
            model, _ = fit(inputs, y[some], strength)
            found.append(float(np.mean(model.predict(other) == y[test])))
    return np.array(found)


def _check(codes: Codes, name: str, fractions: Sequence[float], strength: float) -> int:
    codes.need_factors("a downstream task")
    names = codes.names or tuple(f"factor {k}" for k in range(codes.levels.shape[1]))
    if not fractions or not all(0 < share <= 1 for share in fractions) or not strength > 0:
        raise UserError(
            f"fractions = {tuple(fractions)}, strength = {strength}; allowed: above 0 and at most 1, and above 0"
        )
    return names.index(known(name, names, "factor"))

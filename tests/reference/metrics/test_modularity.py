"""Modularity against plain loops, and the fixed points of its published tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import Modularity
from unweave.metrics.modularity import modularity
from unweave.types import Codes

FIVE = np.eye(5)


def loops(matrix):
    """The distance of each row from its template, which is its largest entry and 0 elsewhere."""
    values = []
    for row in matrix:
        best = max(range(len(row)), key=row.__getitem__)
        if row[best] == 0:
            values.append(0.0)
            continue
        away = sum((x - (row[best] if k == best else 0.0)) ** 2 for k, x in enumerate(row))
        values.append(1 - away / (row[best] ** 2 * (len(row) - 1)))
    return values


def information(z, levels, bins):
    n = len(z)
    out = []
    for d in range(len(z[0])):
        column = [row[d] for row in z]
        low, step = min(column), (max(column) - min(column)) / bins
        places = [max((i for i in range(bins) if x >= low + i * step), default=0) if step else 0 for x in column]
        row = []
        for k in range(len(levels[0])):
            factor = [each[k] for each in levels]
            total = 0.0
            for u in set(places):
                for w in set(factor):
                    both = sum(p == u and f == w for p, f in zip(places, factor, strict=True))
                    if both:
                        total += both / n * math.log(both * n / (places.count(u) * factor.count(w)))
            row.append(max(total, 0.0))
        out.append(row)
    return out


@pytest.mark.parametrize(("seed", "bins"), [(0, 20), (1, 5)])
def test_agrees_with_loops(seed, bins):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=250) for size in (3, 5, 9)], axis=1)
    z = np.hstack([levels @ random.normal(size=(3, 4)) + random.normal(size=(250, 4)), np.zeros((250, 1))])
    score = Modularity(bins=bins)(Codes.of(z, levels))
    matrix = information(z.tolist(), levels.tolist(), bins)
    each, most = loops(matrix), [max(row) for row in matrix]
    assert most[4] == 0 and each[4] == 0
    assert score.value == pytest.approx(sum(each) / 5, abs=1e-9)
    weighted = sum(a * b for a, b in zip(each, most, strict=True)) / sum(most)
    assert score.parts == pytest.approx({"weighted": weighted, "informative": 4}, abs=1e-9)


@pytest.mark.parametrize(
    ("matrix", "mean"),
    [
        (FIVE, 1),
        ([[1, 0], [0, 1], [0, 0]], 2 / 3),
        (np.zeros((10, 10)), 0),
        (np.vstack([FIVE, FIVE]), 1),
        (FIVE[:2], 1),
        (np.hstack([FIVE, FIVE]), 1 - 1 / 9),
        ([[0.2], [0.1], [0.0]], 2 / 3),
        (1e-200 * FIVE, 1),
    ],
)
def test_known_matrices(matrix, mean):
    assert modularity(np.array(matrix, dtype=float)).mean() == pytest.approx(mean, abs=1e-12)


def test_identity_permuted_and_duplicated():
    levels = np.random.default_rng(0).integers(0, 10, size=(20_000, 10))
    metric = Modularity(images=None)
    assert metric(Codes.of(levels[:3000] + 1.0, levels[:3000])).value > 0.9
    assert metric(Codes.of(np.hstack([levels, levels])[:3000] + 1.0, levels[:3000])).value > 0.9
    shuffled = np.random.default_rng(1).permuted(levels, axis=1)
    assert metric(Codes.of(shuffled + 1.0, levels)).value < 0.2


def test_chance_information_makes_noise_modular_and_the_parts_say_so():
    """As in public implementations: noise has .67 on dSprites' factors, a perfect code beside noisy latents .84."""
    random = np.random.default_rng(0)
    levels = np.stack([random.integers(0, size, size=10_000) for size in (3, 6, 40, 32, 32)], axis=1)
    noise = random.normal(size=(10_000, 10))
    assert Modularity()(Codes.of(noise, levels)).value == pytest.approx(0.67, abs=0.05)
    mixed = Codes.of(np.hstack([levels.astype(float), noise[:, :5]]), levels)
    plain = Modularity()(mixed)
    assert plain.value == pytest.approx(0.84, abs=0.03)
    assert plain.parts["weighted"] > 0.99 and plain.parts["informative"] == 10

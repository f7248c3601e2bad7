"""MED and Top-k MED against plain loops, known matrices, and parts of a large representation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unweave.metrics import MED
from unweave.metrics.med import pick
from unweave.types import Codes, UserError


def shares(z, levels, bins):
    """Each factor's plug-in information, shared out among the latents."""
    n = len(z)
    out = [[0.0] * len(levels[0]) for _ in z[0]]
    for d in range(len(z[0])):
        column = [row[d] for row in z]
        low, step = min(column), (max(column) - min(column)) / bins
        places = [max((i for i in range(bins) if x >= low + i * step), default=0) if step else 0 for x in column]
        for k in range(len(levels[0])):
            factor = [row[k] for row in levels]
            for u in set(places):
                for w in set(factor):
                    both = sum(p == u and f == w for p, f in zip(places, factor, strict=True))
                    if both:
                        out[d][k] += both / n * math.log(both * n / (places.count(u) * factor.count(w)))
    totals = [sum(row[k] for row in out) for k in range(len(levels[0]))]
    return [[x / t if t else 0.0 for x, t in zip(row, totals, strict=True)] for row in out]


def each(row):
    shifted = [x + 1e-11 for x in row]
    return 1 + sum(x / sum(shifted) * math.log(x / sum(shifted), len(row)) for x in shifted)


def weighted(matrix):
    total = sum(map(sum, matrix))
    return sum(each(row) * sum(row) / total for row in matrix)


def some_codes(rows=250, latents=6, seed=0):
    random = np.random.default_rng(seed)
    levels = np.stack([random.integers(0, size, size=rows) for size in (3, 5, 9)], axis=1)
    z = levels @ random.normal(size=(3, latents)) + random.normal(size=(rows, latents))
    return np.hstack([z, np.zeros((rows, 1))]), levels


@pytest.mark.parametrize("top", [None, 1, 2, 50])
@pytest.mark.parametrize(("seed", "bins"), [(0, 20), (1, 5)])
def test_agrees_with_loops(seed, bins, top):
    z, levels = some_codes(seed=seed)
    metric = MED(top=top, bins=bins)
    score = metric(Codes.of(z, levels))
    matrix = shares(z.tolist(), levels.tolist(), bins)
    columns = [list(column) for column in zip(*matrix, strict=True)]
    assert metric.shares(Codes.of(z, levels)) == pytest.approx(np.array(matrix), abs=1e-9)
    assert score.parts["disentanglement"] == pytest.approx(weighted(matrix), abs=1e-9)
    assert score.parts["completeness"] == pytest.approx(weighted(columns), abs=1e-9)
    if top is None:
        assert score.value == score.parts["disentanglement"]
        return
    chosen = []
    for k in range(3):
        mine = [d for d, row in enumerate(matrix) if max(row) > 0 and row.index(max(row)) == k]
        chosen += sorted(mine, key=lambda d: -each(matrix[d]))[:top]
    kept = [matrix[d] for d in sorted(chosen)]
    assert score.settings["kept"] == sorted(chosen) and score.parts["top.latents"] == len(kept)
    assert score.value == score.parts["top.disentanglement"] == pytest.approx(weighted(kept), abs=1e-9)
    assert score.parts["top.completeness"] == pytest.approx(
        weighted([list(column) for column in zip(*kept, strict=True)]), abs=1e-9
    )


def test_identity_permuted_duplicated_and_zeros():
    levels = np.random.default_rng(0).integers(0, 10, size=(10_000, 10))
    assert MED()(Codes.of(levels + 1.0, levels)).value > 0.9
    twice = MED()(Codes.of(np.hstack([levels, levels]) + 1.0, levels))
    assert twice.value > 0.9
    assert twice.parts["completeness"] == pytest.approx(1 - math.log(2) / math.log(20), abs=0.1)
    shuffled = np.random.default_rng(1).permuted(levels, axis=1)
    assert MED()(Codes.of(shuffled + 1.0, levels)).value < 0.2
    nothing = MED()(Codes.of(np.zeros((100, 3)), levels[:100]))
    assert nothing.parts == pytest.approx({"disentanglement": 0, "completeness": 0}, abs=1e-12)


def test_a_disentangled_part_of_a_large_representation_is_found():
    """Three latents that are factors among forty that are mixtures."""
    random = np.random.default_rng(0)
    levels = random.integers(0, 6, size=(5000, 3))
    mixtures = levels @ random.normal(size=(3, 40)) + 0.3 * random.normal(size=(5000, 40))
    codes = Codes.of(np.hstack([mixtures, levels.astype(float)]), levels)
    whole, part = MED()(codes), MED(top=1)(codes)
    assert part.settings["kept"] == [40, 41, 42]
    assert part.value > 0.95 > whole.value + 0.3


@pytest.mark.parametrize(
    ("matrix", "top", "kept"),
    [
        (np.eye(3), 1, [0, 1, 2]),
        (np.vstack([np.eye(3), np.eye(3)]), 1, [0, 1, 2]),
        ([[0.9, 0.1], [0.8, 0.1], [0.7, 0.3]], 2, [0, 1]),
        ([[0.5, 0.1], [0.8, 0.0]], 1, [1]),
        (np.zeros((2, 2)), 1, []),
        (np.vstack([np.zeros((2, 2)), np.eye(2)]), 2, [2, 3]),
    ],
)
def test_known_choices(matrix, top, kept):
    assert pick(np.array(matrix, dtype=float), top).tolist() == kept


def test_labels_keep_variants_apart_and_bad_settings_are_refused():
    assert MED().label == "med"
    assert MED(top=2).label == "med-top2"
    z, levels = some_codes(60)
    with pytest.raises(UserError, match="top = 0; allowed is 1 or more"):
        MED(top=0)(Codes.of(z, levels))

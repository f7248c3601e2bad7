"""The four conventions of reconstruction error, from images by plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unweave.metrics import Reconstruction
from unweave.types import Codes, UserError


def some_codes():
    random = np.random.default_rng(0)
    x, p = random.integers(0, 2, size=(6, 12)), random.uniform(0.05, 0.95, size=(6, 12))
    bce = [-sum(math.log(b if a else 1 - b) for a, b in zip(r, q, strict=True)) for r, q in zip(x, p, strict=True)]
    se = [sum((a - b) ** 2 for a, b in zip(r, q, strict=True)) for r, q in zip(x, p, strict=True)]
    distortion = {"bce": torch.tensor(bce, dtype=torch.float64), "squared_error": torch.tensor(se, dtype=torch.float64)}
    return Codes.of(np.zeros((6, 2)))._replace(distortion=distortion, pixels=12), sum(bce) / 6, sum(se) / 6


@pytest.mark.parametrize("kind", ["sum-bce", "sum-se", "mean-bce", "mean-se"])
def test_four_conventions(kind):
    codes, bce, se = some_codes()
    expected = {"sum-bce": bce, "sum-se": se, "mean-bce": bce / 12, "mean-se": se / 12}
    score = Reconstruction(kind)(codes)
    assert score.value == pytest.approx(expected[kind], abs=1e-9)
    assert dict(score.parts) == pytest.approx(expected, abs=1e-9)
    assert score.settings["kind"] == kind and score.settings["pixels"] == 12


def test_lower_is_better():
    assert Reconstruction.better == "lower" and Reconstruction.reads == "distortion"


def test_what_is_missing_is_said():
    codes, *_ = some_codes()
    with pytest.raises(UserError, match="no sum-bce; available: none"):
        Reconstruction()(codes._replace(distortion={}))
    with pytest.raises(UserError, match=r"no mean-se; available: sum-bce, sum-se$"):
        Reconstruction("mean-se")(codes._replace(pixels=0))
    with pytest.raises(UserError, match="did you mean 'sum-bce'"):
        Reconstruction("sum-bc")(codes)

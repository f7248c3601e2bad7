"""A data set, encoded once: every image, its own noise, whatever it is encoded with."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from unweave.engine import codes as module
from unweave.engine import encode
from unweave.engine.codes import nuisance
from unweave.engine.noise import draw
from unweave.engine.step import build
from unweave.methods import DeVAE
from unweave.testing import Dots
from unweave.types import Codes, Draw, UserError

from .tiny import tiny

CPU = torch.device("cpu")


def codes(haze: float = 0.0, method: Any = "vae", **settings: Any) -> Codes:
    data = Dots(haze)
    return encode(build(tiny(method, data), CPU), data, data.open(), **settings)


def test_every_row_in_order() -> None:
    found = codes(count=None)
    assert found.mean.shape == (32, 4) and found.sizes == (2, 4, 4) and found.names == ("size", "row", "column")
    assert torch.equal(found.levels, Dots().factors.levels(torch.arange(32)))
    assert found.pixels == 64 and found.space == 0
    for count in (32, 33, 10**9):
        assert torch.equal(codes(count=count).mean, found.mean)


def test_a_sample_has_no_row_twice_and_depends_on_its_seed() -> None:
    whole = codes(count=None)
    rows = [Dots().factors.index(codes(count=20, seed=seed).levels) for seed in (0, 0, 1)]
    for some in rows:
        assert len(some) == 20 == len(some.unique()) and bool((some[1:] > some[:-1]).all())
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])
    torch.testing.assert_close(codes(count=20).mean, whole.mean[rows[0]], rtol=1e-12, atol=1e-12)
    assert set(torch.cat([Dots().factors.index(codes(count=20, seed=s).levels) for s in range(9)]).tolist()) == set(
        range(32)
    )


@pytest.mark.parametrize("haze", [0.0, 0.3])
@pytest.mark.parametrize("batch", [1, 5, 32])
def test_the_same_codes_whatever_the_batches(haze: float, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codes(haze, count=None)
    monkeypatch.setattr(module, "BATCH", batch)
    parts = codes(haze, count=None)
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-12, atol=1e-12)
    for name, value in whole.distortion.items():
        torch.testing.assert_close(parts.distortion[name], value, rtol=1e-12, atol=1e-12)
    sample = codes(haze, count=9)
    rows = Dots().factors.index(sample.levels)
    torch.testing.assert_close(sample.mean, whole.mean[rows], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sample.distortion["bce"], whole.distortion["bce"][rows], rtol=1e-12, atol=1e-12)


def test_nuisance_noise_belongs_to_the_row_and_the_seed() -> None:
    images = Dots(0.5).open()
    whole = nuisance(images, torch.arange(32), 4, "codes")["haze"]
    assert whole.shape == (32, 8, 8) and len({str(one.tolist()) for one in whole}) == 32
    assert torch.equal(nuisance(images, torch.tensor([30, 2]), 4, "codes")["haze"], whole[[30, 2]])
    assert not torch.equal(nuisance(images, torch.arange(32), 5, "codes")["haze"], whole)
    assert not torch.equal(nuisance(images, torch.arange(32), 4, "view")["haze"], whole)
    assert not torch.equal(codes(0.5, seed=1).mean, codes(0.5, seed=2).mean)


def test_distortions_equal_a_direct_computation() -> None:
    one = tiny()
    model, images = build(one, CPU), Dots().open()
    found = encode(model, Dots(), images, count=None, seed=6)
    for row in (0, 13, 31):
        x = images.batch(torch.tensor([row]), {}).double()
        q = model.encode(x)
        z = q.sample(draw(torch.tensor([row]), 6, "codes z", Draw((4,)), torch.float64))
        wanted = {"bce": 0.0, "squared_error": 0.0}
        for pixel, logit in zip(x.flatten().tolist(), model.decode(z).flatten().tolist(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            wanted["bce"] -= pixel * math.log(p) + (1 - pixel) * math.log(1 - p)
            wanted["squared_error"] += (p - pixel) ** 2
        for name, value in wanted.items():
            assert float(found.distortion[name][row]) == pytest.approx(value, rel=1e-10)


def test_without_distortion_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(tiny(), CPU)
    monkeypatch.setattr(type(model), "decode", None)
    assert encode(model, Dots(), Dots().open(), distortion=False).distortion == {}


def test_the_other_latent_spaces() -> None:
    method = DeVAE((1.0, 9.0), hierarchy="none")
    first, second = (codes(method=method, space=space) for space in (0, 1))
    assert second.space == 1 and not torch.equal(first.mean, second.mean)
    model = build(tiny(method), CPU)
    x = Dots().open().batch(torch.arange(32), {}).double()
    torch.testing.assert_close(second.mean, model.encode(x, 1).mean.detach(), rtol=1e-12, atol=1e-12)
    for space in (-1, 2):
        with pytest.raises(UserError, match=f"latent space {space}; this model has 0 to 1"):
            codes(method=method, space=space)


@pytest.mark.parametrize("count", [0, -3])
def test_a_count_below_one_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"count = {count}; allowed: a whole number from 1"):
        codes(count=count)


def test_codes_carry_no_gradients_and_leave_the_model_alone() -> None:
    model = build(tiny(), CPU)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = encode(model, Dots(), Dots().open())
    assert not found.mean.requires_grad and found.mean.dtype == torch.float64
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

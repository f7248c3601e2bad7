"""Mini-batches of paper 003's scatter, pairs of latents, and intermediate layers as codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import unweave
from unweave.analysis import AggregatePosterior, batch_properties, kl_decompose, layer_codes, pairwise_nmi
from unweave.analysis.pairwise import pooled
from unweave.data import Triangle
from unweave.networks import MLP, VAE, Conv
from unweave.report.maps import heat_map, heat_maps, properties_figure
from unweave.types import Codes, UserError


def made(count: int = 240, latents: int = 3) -> Codes:
    generator = torch.Generator().manual_seed(4)
    mix = torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.6, 0.3], [0.0, 0.0, 1.0]], dtype=torch.float64)[:latents, :latents]
    z = torch.randn(count, latents, generator=generator, dtype=torch.float64) @ mix
    levels = (z[:, :2] > 0).long()
    found = Codes.of(z, levels, logvar=torch.full_like(z, -2.0))
    return found._replace(distortion={"bce": torch.arange(count).double(), "squared_error": torch.ones(count)})


def test_batches_by_plain_sums() -> None:
    """Each property of one batch from densities written out."""
    codes, batch = made(12), 4
    found = batch_properties(codes, batch=batch, seed=3)
    posterior = AggregatePosterior(codes, 12, 3)
    z, rows = posterior.draws().z.tolist(), posterior.rows().tolist()
    means, variance = codes.mean.tolist(), math.exp(-2.0)

    def density(code: list[float], mean: list[float], latents: tuple[int, ...]) -> float:
        scale = math.sqrt(2 * math.pi * variance)
        return math.prod(math.exp(-((code[j] - mean[j]) ** 2) / (2 * variance)) / scale for j in latents)

    def mixed(code: list[float], latents: tuple[int, ...]) -> float:
        return math.log(sum(density(code, mean, latents) for mean in means) / len(means))

    for place, one in enumerate(found):
        some = range(place * batch, (place + 1) * batch)
        assert one.sufficiency == pytest.approx(sum(rows[s] for s in some) / batch)
        mi = sum(math.log(density(z[s], means[rows[s]], (0, 1, 2))) - mixed(z[s], (0, 1, 2)) for s in some) / batch
        assert one.minimality == pytest.approx(mi, rel=1e-9)
        pairs = [(0, 1), (0, 2), (1, 2)]
        apart = sum(mixed(z[s], (i, j)) - mixed(z[s], (i,)) - mixed(z[s], (j,)) for i, j in pairs for s in some)
        assert one.disentanglement == pytest.approx(apart / batch, rel=1e-9)


def test_the_mean_over_batches_is_the_value_of_all() -> None:
    codes = made()
    found = batch_properties(codes, batch=24, batches=None, seed=5)
    assert len(found) == 10
    whole = kl_decompose(codes, samples=240, seed=5)
    assert np.mean([one.minimality for one in found]) == pytest.approx(whole.mi, rel=1e-9)
    assert np.mean([one.sufficiency for one in found]) == pytest.approx(119.5)
    two = batch_properties(codes._replace(mean=codes.mean[:, :2], logvar=codes.logvar[:, :2]), batch=24, batches=None)
    pair = kl_decompose(Codes.of(codes.mean[:, :2], logvar=codes.logvar[:, :2]), samples=240)
    assert np.mean([one.disentanglement for one in two]) == pytest.approx(pair.tc, rel=1e-9)


def test_a_metric_in_place_of_pairs() -> None:
    found = batch_properties(made(), batch=80, score=unweave.MIG())
    assert len(found) == 3 and all(0 <= one.disentanglement <= 1 for one in found)
    plain = batch_properties(made(), batch=80, error="squared_error", score=lambda codes: float(len(codes.mean)))
    assert [(one.sufficiency, one.disentanglement) for one in plain] == [(1.0, 80.0)] * 3


def test_pairs_are_symmetric_and_blind_to_scale() -> None:
    codes = made(2000)
    found = pairwise_nmi(codes)
    assert np.array_equal(found, found.T) and np.diag(found) == pytest.approx(1.0)
    assert found[0, 1] > 3 * found[0, 2]
    assert pairwise_nmi(codes._replace(mean=codes.mean * torch.tensor([2.0, 1.0, 1e-3]))) == pytest.approx(found)
    dead = pairwise_nmi(codes._replace(mean=codes.mean * torch.tensor([1.0, 1.0, 0.0])))
    assert dead[2].tolist() == [0.0, 0.0, 0.0]


def test_layers_are_pooled_and_scored() -> None:
    data = Triangle()
    model = VAE(Conv("lite"), data.shape, 4, "bernoulli")
    images = data.open()
    found = layer_codes(model, data, images, count=40, seed=2)
    rows = unweave.engine.encode(model, data, images, count=40, seed=2, distortion=False)
    for codes in found.values():
        assert torch.equal(codes.levels, rows.levels) and codes.names == data.factors.names
        assert 0 <= unweave.MIG()(codes).value <= 1
    given = model.features(
        images.batch(torch.arange(1024)[(images.levels(torch.arange(1024))[:, None] == rows.levels).all(2).any(1)], {})
    )
    with torch.no_grad():
        torch.testing.assert_close(found["layer 1"].mean, given["layer 1"].mean((2, 3)))
    assert pooled(torch.ones(2, 3, 4)).shape == (2, 12)
    assert list(layer_codes(model, data, images, ["layer 3"], count=10)) == ["layer 3"]


def test_figures_say_what_they_show() -> None:
    codes = made()
    drawn = heat_maps({"z": pairwise_nmi(codes), "m": pairwise_nmi(codes)}, title="Pairs", beside=1)
    assert "z 3 by 3, largest 1.00; m 3 by 3, largest 1.00" in drawn and drawn.count("<rect") == 19
    named = heat_map(np.array([[0.5, np.nan]]), ["z<0>"], ["a", "b"], "I(z; c)")
    assert "z&lt;0&gt;" in named and "–" in named
    scatter = properties_figure({"a": batch_properties(codes), "b": batch_properties(codes, batch=120)})
    assert scatter.count("<circle") == 3 + 2 and "b 2 batches" in scatter


BAD: list[tuple[Any, str]] = [
    (lambda: batch_properties(made()._replace(distortion={})), "carry no distortion"),
    (lambda: batch_properties(made(), error="bse"), "did you mean 'bce'?"),
    (lambda: batch_properties(made(), batch=500), "240 images, batches of 500"),
    (lambda: batch_properties(made(), batch=1), "batches of 1"),
    (lambda: batch_properties(made()._replace(logvar=None)), "these codes are points"),
    (lambda: pairwise_nmi(made(), bins=1), "bins = 1"),
    (lambda: pairwise_nmi(made(5)), "5 images; allowed is 10"),
    (lambda: heat_map(np.zeros((2, 2)), ["a"]), "1 names for 2 rows"),
    (lambda: heat_map(np.full((1, 1), 2.0)), "allowed: 0 to 1"),
    (lambda: heat_map(np.zeros(3)), "allowed is (rows, columns)"),
    (lambda: heat_maps({}), "0 matrices"),
    (lambda: properties_figure({}), "no batches"),
    (lambda: layer_codes(model(), Triangle(), Triangle().open(), ["layer 9"], count=4), "unknown layer 'layer 9'"),
    (lambda: layer_codes(model(), Triangle(), Triangle().open(), count=0), "count = 0"),
]


def model() -> VAE:
    return VAE(MLP((8,)), (1, 64, 64), 2, "bernoulli")


@pytest.mark.parametrize("call, said", BAD, ids=[said for _, said in BAD])
def test_one_clear_line(call: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert said in str(error.value) and "\n" not in str(error.value)

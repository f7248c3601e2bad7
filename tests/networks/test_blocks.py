"""BHiVAE's network: what goes where, how large it is, and what its prior draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unweave.networks import MLP, BlocksVAE, Conv, Critic, Judged
from unweave.networks.blocks import block_indices, block_root, rest_sizes
from unweave.networks.spectral import SpectralLinear, largest
from unweave.types import LOGVAR_RANGE


def network(blocks: tuple[int, ...] = (2, 1, 2), latents: int = 8, **more: Any) -> BlocksVAE:
    torch.manual_seed(0)
    return BlocksVAE(MLP((16,)), (1, 8, 8), latents, "bernoulli", blocks, **{"width": 12, "part_width": 7, **more})


@pytest.mark.parametrize("blocks", [(2, 2, 2), (1, 2, 2), (2,), (3, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("rest", [1, 2, 3, 8])
def test_blocks_partition_the_latents(blocks: tuple[int, ...], rest: int) -> None:
    latents = sum(blocks) + rest
    found = block_indices(blocks, latents)
    assert [one for block in found for one in block] == list(range(latents))
    assert tuple(len(block) for block in found[: len(blocks)]) == blocks
    pairs = found[len(blocks) :]
    assert [len(block) for block in pairs] == [2] * (rest // 2) + [1] * (rest % 2)
    model = network(blocks, latents)
    assert model.blocks == found and model.correlated and Judged(model).blocks == found and Judged(model).correlated


def test_sizes_as_recommended() -> None:
    """4096-1200-1200-(2+128), 128-256-(2+64), 64-128-(2+d(c)), part decoders of 256, 1024-1200-1200-4096."""
    model = BlocksVAE(MLP(), (1, 64, 64), 14, "bernoulli", (2, 2, 2))
    parts = {
        name: [tuple(layer.weight.shape)[::-1] for layer in part.modules() if isinstance(layer, nn.Linear)]
        for name, part in model.named_children()
    }
    assert parts["encoders"] == [
        (4096, 1200), (1200, 1200), (1200, 130), (128, 256), (256, 66), (64, 128), (128, 10)
    ]  # fmt: skip
    assert parts["part_decoders"] == [(2, 256)] * 3 + [(8, 256)]
    assert parts["decoder"] == [(1024, 1200), (1200, 1200), (1200, 4096)]
    assert rest_sizes((2, 2, 2), 14, 128) == (128, 64, 8) and rest_sizes((2,), 6, 128) == (4,)
    assert rest_sizes((1,) * 8, 10, 16) == (16, 8, 4, 4, 4, 4, 4, 2)


@pytest.mark.parametrize("gaussian", ["none", "code", "all"])
def test_layers_feed_each_other(gaussian: str) -> None:
    model = network(gaussian=gaussian)
    x = torch.rand(5, 1, 8, 8)
    noise = [torch.randn(5, s + h) for s, h in zip(model.sizes, model.rests, strict=True)]
    layers, q = model.layers(x, noise), model.encode(x)
    assert [layer.z.shape[1] for layer in layers] == [2 + 12, 1 + 6, 2 + 3]
    below = x
    for i, layer in enumerate(layers):
        out, size = model.encoders[i](below), model.sizes[i]
        assert torch.equal(layer.q_s.mean, out[:, :size])
        random = (gaussian != "none", gaussian == "all" or (gaussian == "code" and i == 2))
        for part, sample, spread in ((layer.q_s, layer.s, random[0]), (layer.q_h, layer.h, random[1])):
            assert (part.logvar is not None) is spread
            assert torch.equal(sample, part.mean) is not spread
        assert torch.equal(layer.z, torch.cat([layer.s, layer.h], 1))
        below = layer.h
    calm = model.layers(x)
    assert torch.equal(q.mean, torch.cat([*(layer.q_s.mean for layer in calm), calm[-1].q_h.mean], 1))
    assert q.mean.shape == (5, 8) and (q.logvar is None) is (gaussian == "none")


def test_log_variances_stay_in_their_range() -> None:
    model = network(gaussian="all")
    with torch.no_grad():
        for encoder in model.encoders:
            list(encoder.parameters())[-1].fill_(1e6)
    q = model.encode(torch.rand(2, 1, 8, 8))
    assert q.logvar is not None and bool((q.logvar == LOGVAR_RANGE[1]).all())


def test_each_part_is_decoded_by_its_own_decoder_and_alone_beside_zeros() -> None:
    model = network()
    z = torch.randn(4, 8)
    parts = z.split([2, 1, 2, 3], 1)
    for place in range(3):
        features = [torch.zeros(4, 7) for _ in range(4)]
        features[place] = model.part_decoders[place](parts[place])
        assert torch.equal(model.decode_part(parts[place], place), model.decoder(torch.cat(features, 1)))
    whole = model.decoder(torch.cat([model.part_decoders[p](part) for p, part in enumerate(parts)], 1))
    assert torch.equal(model.decode(z), whole)


@pytest.mark.parametrize("rho", [0.5, -0.4, 0.0, 0.95])
def test_prior_samples_have_the_covariance(rho: float) -> None:
    model = network((2, 3, 1), 8, rho=rho)
    torch.manual_seed(1)
    draws = torch.randn(200_000, 8, dtype=torch.float64)
    wanted = torch.eye(8, dtype=torch.float64)
    for block in ((0, 1), (2, 3, 4)):
        for a in block:
            for b in block:
                wanted[a, b] = 1.0 if a == b else rho
    # Sample covariances of standard normals scatter by about 0.003.
    found = torch.cov(model.prior(draws).T)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.015)
    assert torch.equal(model.prior(draws)[:, 5:], draws[:, 5:])


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("rho", [-0.2, 0.0, 0.5, 0.99])
def test_the_root_is_one(size: int, rho: float) -> None:
    root = block_root(size, rho, torch.zeros(1, dtype=torch.float64))
    wanted = torch.full((size, size), rho, dtype=torch.float64).fill_diagonal_(1.0)
    torch.testing.assert_close(root @ root.T, wanted, rtol=1e-14, atol=1e-14)
    assert torch.equal(root, root.tril()) and bool((torch.diagonal(root) > 0).all())


@pytest.mark.parametrize("body", [MLP((16,)), Conv("standard", hidden=12)], ids=["mlp", "conv"])
def test_features_hold_every_rest(body: MLP | Conv) -> None:
    model = BlocksVAE(body, (3, 16, 16), 8, "squared", (2, 2), width=12)
    x = torch.rand(4, 3, 16, 16)
    found = model.features(x)
    rests: list[Tensor] = [layer.h for layer in model.layers(x)]
    assert torch.equal(found["h 1"], rests[0]) and torch.equal(found["h 2"], rests[1]) and len(found) > 2
    assert model.decode(torch.randn(4, 8)).shape == x.shape


def test_spectral_layers_stretch_nothing() -> None:
    torch.manual_seed(0)
    for rows, columns in ((5, 9), (9, 5), (4, 4)):
        weight = torch.randn(rows, columns, dtype=torch.float64)
        truth = torch.linalg.matrix_norm(weight, 2)
        assert 0.95 * truth < largest(weight) <= truth * (1 + 1e-12)
    layer = SpectralLinear(6, 4).double()
    with torch.no_grad():
        layer.weight.mul_(50)
    x = torch.randn(3, 6, dtype=torch.float64)
    wanted = x @ (layer.weight / largest(layer.weight)).T + layer.bias
    torch.testing.assert_close(layer(x), wanted)
    assert torch.equal(layer(x), layer(x))


def test_a_spectral_critic_is_nearly_a_contraction() -> None:
    torch.manual_seed(0)
    critic = Critic(6, 1, 16, 3, spectral=True)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(10)
    a, b = torch.randn(2, 500, 6)
    with torch.no_grad():
        stretched = (critic(a) - critic(b)).abs().flatten() / (a - b).norm(dim=1)
    assert float(stretched.max()) < 1.1 and sum(isinstance(m, SpectralLinear) for m in critic.modules()) == 4

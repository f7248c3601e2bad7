"""RecurD's router and modules: what is chosen, what is mixed, and that ties and sizes do no harm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from unweave.networks import MLP, Conv, RecursiveVAE, set_channels_last, set_precision
from unweave.networks.pairs import PairCritic, ordered, unordered
from unweave.networks.parallel import ParallelLinear
from unweave.networks.recursive import RecursiveModule, equal_slices
from unweave.networks.router import ROUTERS, Router, similarity, top_softmax


@pytest.mark.parametrize("count, columns, k", [(4, 8, 1), (4, 8, 2), (4, 8, 4), (2, 3, 2), (5, 1, 3)])
@pytest.mark.parametrize("tied", [False, True])
def test_columns_sum_to_one_with_k_entries(count: int, columns: int, k: int, tied: bool) -> None:
    torch.manual_seed(0)
    logits = torch.zeros(3, count, columns) if tied else torch.randn(3, count, columns)
    logits.requires_grad_()
    weights = top_softmax(logits, k)
    torch.testing.assert_close(weights.sum(-2), torch.ones(3, columns))
    assert bool(((weights != 0).sum(-2) == k).all())
    (weights * torch.randn_like(weights)).sum().backward()
    assert logits.grad is not None and bool(torch.isfinite(logits.grad).all())
    if not tied:
        chosen = logits.detach().masked_fill(weights == 0, -torch.inf)
        left_out = logits.detach().masked_fill(weights != 0, -torch.inf)
        assert bool((chosen.amax(-2) >= left_out.amax(-2)).all())
    if k == count:
        torch.testing.assert_close(weights, torch.softmax(logits, -2))


def test_ties_are_spread_over_the_groups() -> None:
    chosen = (top_softmax(torch.zeros(4, 8), 2) != 0).sum(1)
    assert chosen.tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize("kind", [kind for kind in ROUTERS if kind != "fix"])
@pytest.mark.parametrize("value", [0.0, -1e4])
def test_routers_without_a_preference_stay_finite(kind: str, value: float) -> None:
    """A dense layer whose outputs a ReLU all cuts off."""
    router: Any = Router(kind, 6, 4, 2)
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.zero_()
        if kind != "attention":
            router.value.bias.fill_(value)
    features = torch.rand(3, 4, 6, requires_grad=True)
    weights = router(features)
    (weights * torch.randn_like(weights)).sum().backward()
    torch.testing.assert_close(weights.sum(1), torch.ones(3, 4))
    grads = [features.grad, *(p.grad for p in router.parameters())]
    assert all(bool(torch.isfinite(grad).all()) for grad in grads if grad is not None)


def test_similarity() -> None:
    features = torch.rand(2, 3, 16)
    for scaled, root in ((True, 4.0), (False, 1.0)):
        products = torch.einsum("niq,njq->nij", features, features) / root
        torch.testing.assert_close(similarity(features, scaled), products.softmax(-1))


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("combine", ["sum", "concat"])
@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_a_module_is_its_encoders_on_their_mixtures(router: str, combine: str, size: tuple[int, int]) -> None:
    """ReLU(conv_j(a_j)) with every mixture a_j made, though the module never makes them."""
    if router == "fix" and combine == "concat":
        return
    torch.manual_seed(0)
    groups, channels, count, width = 3, 8, 3 if router == "hadamard" else 5, 6
    module: Any = RecursiveModule(groups, channels, count, width, (4, 2, 1), router, 2, True, combine).double()
    maps = [torch.randn(4, channels, *size, dtype=torch.float64) for _ in range(groups)]
    y, seen = module(maps)
    pooled = torch.stack([m.mean((2, 3)) for m in maps], 1)
    torch.testing.assert_close(seen.inputs, pooled)
    for j in range(count):
        own = slice(j * width, (j + 1) * width)
        if router == "fix":
            part = equal_slices(groups * channels, count)[j]
            mixture, kernel = torch.cat(maps, 1)[:, part], module.layers[j].layers[0].weight
        else:
            gated = [module.router(pooled)[:, i, j, None, None, None] * m for i, m in enumerate(maps)]
            mixture = torch.cat(gated, 1) if combine == "concat" else sum(gated)
            kernel = torch.cat([layer.layers[0].weight[own] for layer in module.layers], 1)
        torch.testing.assert_close(seen.routed[:, j], mixture.mean((2, 3)), rtol=1e-10, atol=1e-12)
        made = F.relu(F.conv2d(mixture, kernel, module.bias[own], 2, 1))
        torch.testing.assert_close(y[:, own], made, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("encoders", [(4,), (2, 4)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 20, 33), (1, 64, 64)])
def test_image_sizes(encoders: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    net = RecursiveVAE(Conv(), Conv(), shape, 6, "bernoulli", encoders)
    x = torch.rand(2, *shape)
    assert net.encode(x).mean.shape == (2, 6) and net.decode(torch.randn(2, 6)).shape == x.shape


@pytest.mark.parametrize("encoders, router", [((4,), "matmul"), ((2, 4), "matmul"), ((4,), "fix"), ((4,), "attention")])
def test_channels_last_changes_nothing_and_bf16_little(encoders: tuple[int, ...], router: str) -> None:
    torch.manual_seed(0)
    net = RecursiveVAE(Conv(), Conv(), (1, 64, 64), 8, "bernoulli", encoders, router)
    x = torch.rand(8, 1, 64, 64)
    before = net.encode(x).mean
    after = set_channels_last(net).encode(x).mean
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    rounded = set_precision(net, "bf16").encode(x).mean
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, before, rtol=0.1, atol=0.02)


def test_dense_bodies_make_vectors_of_maps() -> None:
    net = RecursiveVAE(MLP((16,)), MLP((16,)), (1, 4, 4), 6, "bernoulli", (2, 4))
    assert {name: value.shape[1:] for name, value in net.features(torch.rand(2, 1, 4, 4)).items()} == {
        "m2": (2 * 32,),
        "routed 2": (4 * 32,),
        "router 2": (2, 4),
        "m3": (4 * 16,),
        "routed 3": (6 * 16,),
        "router 3": (4, 6),
    }


def test_slices_cover_everything() -> None:
    for total in range(1, 30):
        for count in range(1, 12):
            parts = equal_slices(total, count)
            covered = sorted({place for part in parts for place in range(part.start, part.stop)})
            assert len(parts) == count and covered == list(range(total))
            assert len({part.stop - part.start for part in parts}) == 1


def test_parallel_layers_are_layers_side_by_side() -> None:
    torch.manual_seed(0)
    layer = ParallelLinear(3, 5, 2)
    x = torch.randn(4, 7, 3, 5)
    for j in range(3):
        expected = F.linear(x[:, :, j], layer.weight[j].T, layer.bias[j])
        torch.testing.assert_close(layer(x)[:, :, j], expected)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_pairs(count: int) -> None:
    both = [(i, j) for i in range(count) for j in range(count) if i != j]
    assert list(zip(*(one.tolist() for one in ordered(count)), strict=True)) == both
    assert list(zip(*(one.tolist() for one in unordered(count)), strict=True)) == [(i, j) for i, j in both if i < j]


@pytest.mark.parametrize("own", [False, True])
def test_critics_judge_each_pair_and_its_shifts(own: bool) -> None:
    torch.manual_seed(0)
    i, j = ordered(3)
    critic = PairCritic(2, 4, 8, 3, pairs=len(i) if own else 0, shifts=2)
    left, right = torch.randn(5, 3, 2), torch.randn(5, 3, 4)
    scores = critic(left, right, i, j)
    assert scores.shape == (3, 5, 6)
    for shift in (1, 2):
        assert torch.allclose(scores[shift], critic(left, right.roll(shift, 0), i, j)[0], atol=1e-6)
        assert not torch.allclose(scores[shift], scores[0])

"""Convolutions as products of matrices are convolutions."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unweave.engine import Experiment, train
from unweave.methods import NVAE, InfoGAN, Method
from unweave.networks import Conv
from unweave.networks.products import ProductConv2d, ProductConvTranspose2d, by_products
from unweave.testing.dots import Dots

LAYERS = {
    "4×4 of stride 2": nn.Conv2d(3, 5, 4, 2, 1),
    "3×3": nn.Conv2d(3, 5, 3, 1, 1, bias=False),
    "valid, not square": nn.Conv2d(3, 5, (4, 2)),
    "more across than down": nn.Conv2d(3, 5, (3, 4), (1, 2), (0, 1)),
    "transposed": nn.ConvTranspose2d(3, 5, 4, 2, 1),
    "transposed and one pixel more": nn.ConvTranspose2d(3, 2, 4, 2, 1, output_padding=(1, 0)),
    "transposed, no stride": nn.ConvTranspose2d(3, 5, (4, 3)),
    "transposed, three strides": nn.ConvTranspose2d(3, 5, (6, 3), (2, 3), (2, 0), bias=False),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_layer_equals_its_product(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    layer = layer.double()
    x = torch.rand(4, 3, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    other = by_products(nn.Sequential(layer))
    assert isinstance(other[0], ProductConv2d | ProductConvTranspose2d)  # type: ignore[index]
    found, wanted = other(x), layer(x)
    torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-13)
    slopes = torch.linspace(-1, 1, wanted.numel(), dtype=torch.float64).view_as(wanted)
    for a, b in zip(
        *(torch.autograd.grad((y * slopes).sum(), [x, *layer.parameters()]) for y in (found, wanted)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ConvTranspose2d(4, 4, 3, 2),
    ],
    ids=str,
)
def test_what_no_product_is_made_of_stays(layer: nn.Module) -> None:
    assert by_products(nn.Sequential(layer))[0] is layer  # type: ignore[index]


@pytest.mark.parametrize(
    "method, latents", [(NVAE(groups=(1, 1), width=8), 10), (InfoGAN(), 4)], ids=["nvae", "infogan"]
)
def test_networks_with_norms_of_groups_train_by_products(method: Method, latents: int) -> None:
    many = [
        Experiment(method, Dots(), latents=latents, steps=2, batch=4, precision="float64", seed=seed) for seed in (0, 1)
    ]
    found = {way: [*train(many, every=2, lockstep=way)][-1] for way in ("vmap", "products")}
    for one, other in zip(found["vmap"].models, found["products"].models, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("preset", ["standard", "devae"])
def test_a_whole_network_under_vmap(preset: str) -> None:
    body = Conv(preset, 8)
    net = nn.Sequential(body.encoder((1, 64, 64), 6), body.decoder(6, (1, 64, 64))).double()
    names = [name for name, _ in net.named_parameters()]
    other = by_products(copy.deepcopy(net))
    assert [name for name, _ in other.named_parameters()] == names
    layers = [m for m in other.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert layers and all(isinstance(m, ProductConv2d | ProductConvTranspose2d) for m in layers)
    stacked = {n: torch.stack([p.detach(), 1.5 * p.detach()]) for n, p in net.named_parameters()}
    x = torch.rand(2, 3, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def one(values: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(other, values, (x,))

    found = torch.vmap(one)(stacked, x)
    for member in range(2):
        wanted = functional_call(net, {n: v[member] for n, v in stacked.items()}, (x[member],))
        torch.testing.assert_close(found[member], wanted, rtol=1e-12, atol=1e-12)

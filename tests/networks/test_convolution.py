"""Our convolutions are PyTorch's, whatever their sizes; only the time they take differs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from unweave.networks.bodies import told_channels_last
from unweave.networks.convolution import Conv2d, ConvTranspose2d, _added

SIZES = [
    (Conv2d, 3, 5, 4, {"stride": 2, "padding": 1}),
    (Conv2d, 2, 1, (3, 5), {}),
    (ConvTranspose2d, 6, 7, 4, {"stride": 2, "padding": 1}),
    (ConvTranspose2d, 6, 1, 4, {"stride": 2, "padding": 1}),
    (ConvTranspose2d, 6, 3, 4, {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
    (ConvTranspose2d, 5, 4, (4, 3), {}),
]
sizes = pytest.mark.parametrize("kind, inputs, outputs, kernel, more", SIZES)


def pair(kind: Any, inputs: int, outputs: int, kernel: Any, more: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    own = kind(inputs, outputs, kernel, **more)
    theirs = getattr(nn, kind.__name__)(inputs, outputs, kernel, **more)
    theirs.load_state_dict(own.state_dict())
    return own, theirs


@sizes
@pytest.mark.parametrize("channels_last", [False, True])
def test_values_and_gradients_are_pytorchs(
    kind: Any, inputs: int, outputs: int, kernel: Any, more: dict[str, Any], channels_last: bool, device: torch.device
) -> None:
    memory = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.randn(3, inputs, 7, 6, dtype=torch.float64, device=device)
    found = []
    for layer in pair(kind, inputs, outputs, kernel, more):
        layer.to(device, torch.float64, memory_format=memory)
        x = images.clone(memory_format=memory).requires_grad_()
        y = layer(x)
        weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype, device=device).view(y.shape)
        (weights * y**2).sum().backward()
        found.append((y, x.grad, layer.weight.grad, layer.bias.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@sizes
def test_in_bfloat16_as_close_to_the_truth_as_pytorchs(
    kind: Any, inputs: int, outputs: int, kernel: Any, more: dict[str, Any]
) -> None:
    own, theirs = pair(kind, inputs, outputs, kernel, more)
    x = torch.randn(4, inputs, 9, 8)
    errors = []
    for layer in (own, theirs):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        (y.float() ** 2).sum().backward()
        exact = theirs(x)
        grads = torch.autograd.grad((exact**2).sum(), list(theirs.parameters()))
        given = [y.float(), *(p.grad for p in layer.parameters())]
        pairs = zip(given, (exact, *grads), strict=True)
        errors.append([float(((a - b).norm() / b.norm()).detach()) for a, b in pairs])
    assert all(mine < 1.5 * other + 1e-3 for mine, other in zip(*errors, strict=True)), errors


@sizes
def test_it_runs_under_vmap(kind: Any, inputs: int, outputs: int, kernel: Any, more: dict[str, Any]) -> None:
    own, theirs = (layer.double() for layer in pair(kind, inputs, outputs, kernel, more))
    x = torch.randn(3, 2, inputs, 7, 6, dtype=torch.float64)
    torch.testing.assert_close(torch.vmap(own)(x), torch.stack([theirs(one) for one in x]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(
    "kernel, stride, padding",
    [
        ((4, 4), (2, 2), (1, 1)),
        ((3, 3), (1, 1), (1, 1)),
        ((5, 4), (1, 2), (2, 1)),
        ((6, 3), (2, 3), (2, 0)),
        ((15, 17), (1, 1), (7, 8)),
    ],
)
def test_patches_are_added_as_fold_adds_them(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dtype: torch.dtype
) -> None:
    n, channels, height, width = 3, 2, 5, 7
    # Numbers of very different sizes: another order of the sums would show.
    patches = torch.randn(n, channels, *kernel, height, width, dtype=torch.float64) * 10 ** torch.randn(height, width)
    patches = patches.to(dtype).to(torch.promote_types(dtype, torch.float32))
    size = (stride[0] * height, stride[1] * width)
    columns = patches.reshape(n, -1, height * width)
    expected = torch.nn.functional.fold(columns, size, kernel, 1, padding, stride)
    assert torch.equal(_added(patches, stride, padding), expected)


def test_no_images_make_no_images() -> None:
    assert ConvTranspose2d(2, 1, 4, 2, 1)(torch.zeros(0, 2, 4, 4)).shape == (0, 1, 8, 8)


def test_grey_images_are_told_to_be_channels_last() -> None:
    grey = torch.rand(2, 1, 4, 6)
    told = told_channels_last(grey)
    assert told.stride() == (24, 1, 6, 1)
    assert torch.equal(told, grey) and told.data_ptr() == grey.data_ptr()
    for other in (torch.rand(2, 3, 4, 6), torch.rand(2, 1, 4, 12)[..., ::2], torch.rand(2, 5)):
        assert told_channels_last(other) is other

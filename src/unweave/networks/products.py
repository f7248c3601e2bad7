"""Convolutions as products of matrices: so that layers of many networks are one batched product."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ProductConv2d(nn.Conv2d):
    """A ``Conv2d`` computed as patches times weights; it shares the layer's parameters.

    Under ``vmap`` with weights of its own for each model a convolution becomes one of many groups, and the product one
    batched product, of which a GPU's libraries make better use.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        how = layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
        super().__init__(*how, bias=layer.bias is not None, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = layer.weight, layer.bias
        down, across = _sides(layer)
        self.edges = (across, across, down, down)

    def forward(self, x: Tensor) -> Tensor:
        (height, width), (down, across) = self.kernel_size, self.stride
        patches = F.pad(x, self.edges).unfold(2, height, down).unfold(3, width, across)
        # Laid out plainly: some layers under vmap look at how their input lies.
        return (
            _product(patches, self.weight.flatten(1), self.bias)
            .permute(0, 3, 1, 2)
            .clone(memory_format=torch.contiguous_format)
        )


class ProductConvTranspose2d(nn.ConvTranspose2d):
    """A ``ConvTranspose2d`` whose kernel is m strides wide: each window of m×m pixels makes stride×stride pixels."""

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        how = layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
        super().__init__(*how, layer.output_padding, bias=layer.bias is not None, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = layer.weight, layer.bias
        self.reach = tuple(k // s for k, s in zip(layer.kernel_size, layer.stride, strict=True))

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert output_size is None, "a product makes the size that its layer makes"
        (m, n), (s, t) = self.reach, self.stride
        inputs, outputs = self.weight.shape[:2]
        patches = F.pad(x, (n - 1, n - 1, m - 1, m - 1)).unfold(2, m, 1).unfold(3, n, 1)
        # (inputs, outputs, m, s, n, t): the last pixel of a window is under the first row of the kernel.
        kernel = self.weight.unflatten(3, (n, t)).unflatten(2, (m, s)).flip(2, 4)
        kernel = kernel.permute(1, 3, 5, 0, 2, 4).reshape(outputs * s * t, inputs * m * n)
        bias = None if self.bias is None else self.bias[:, None].expand(outputs, s * t).reshape(-1)
        y = _product(patches, kernel, bias).unflatten(3, (outputs, s, t)).permute(0, 3, 1, 4, 2, 5)
        y = y.flatten(4, 5).flatten(2, 3)
        (top, left), (lower, right) = _sides(self), self.output_padding
        height, width = y.shape[2] - 2 * top + lower, y.shape[3] - 2 * left + right
        return y[:, :, top : top + height, left : left + width].clone(memory_format=torch.contiguous_format)


def by_products(model: nn.Module) -> nn.Module:
    """The model with every convolution that allows it computed as a product; parameters and their names stay."""
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Conv2d) and _plain(layer):
                setattr(module, name, ProductConv2d(layer))
            elif isinstance(layer, nn.ConvTranspose2d) and _plain(layer) and _whole(layer):
                setattr(module, name, ProductConvTranspose2d(layer))
    return model


def _product(patches: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(N, C, H, W, h, w) patches and (outputs, C · h · w) weights -> (N, H, W, outputs)."""
    return F.linear(patches.permute(0, 2, 3, 1, 4, 5).flatten(3), weight, bias)


def _plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a layer is without groups, dilation and padding by words."""
    return layer.groups == 1 and layer.dilation == (1, 1) and not isinstance(layer.padding, str)


def _whole(layer: nn.ConvTranspose2d) -> bool:
    """Whether the kernel is a whole number of strides wide, and no pixel lies beyond what it reaches."""
    wide = all(k % s == 0 for k, s in zip(layer.kernel_size, layer.stride, strict=True))
    return wide and all(e <= p for e, p in zip(layer.output_padding, _sides(layer), strict=True))


def _sides(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int]:
    """Padding above and below, and on both sides."""
    down, across = cast(tuple[int, int], layer.padding)
    return down, across

"""Convolutions as PyTorch's, with the few parts replaced that its CPU kernels are slow at."""

from __future__ import annotations

from inspect import signature
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unweave.networks.rounding import multiplied_in

FEW = 4
"""Output channels up to which a transposed convolution is a product of matrices followed by ``fold``."""


class Convolve(torch.autograd.Function):
    """A convolution, transposed or not, whose gradient for the bias is a sum of its own.

    oneDNN's convolutions in bfloat16 take as long for the bias's gradient as for all the rest, and those that make an
    image (one output channel) use a small part of the processor. Everything else is PyTorch's own.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, how: tuple[Any, ...]) -> Tensor:
        stride, padding, output_padding, transposed = how
        if transposed and weight.shape[1] <= FEW:
            return _folded(x, weight, bias, stride, padding, output_padding)
        kind = multiplied_in(x.dtype)
        inputs = x.to(kind), weight.to(kind), bias.to(kind)
        return torch.convolution(*inputs, stride, padding, (1, 1), transposed, output_padding, 1).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.how = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, output_padding, transposed = ctx.how
        needs = [*ctx.needs_input_grad[:2], False]
        bias = grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        kind = multiplied_in(weight.dtype)
        inputs = grad.to(weight.dtype).to(kind), x.to(kind), weight.to(kind)
        grads = torch.ops.aten.convolution_backward(
            *inputs, None, stride, padding, (1, 1), transposed, output_padding, 1, needs
        )
        grad_x, grad_weight = (None if one is None else one.to(weight.dtype) for one in grads[:2])
        return grad_x, grad_weight, bias, None


def _folded(
    x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], extra: tuple[int, ...]
) -> Tensor:
    """The transposed convolution as every pixel's patch, added up in place in full precision."""
    n, channels, height, width = x.shape
    kernel = tuple(weight.shape[2:])
    sides = zip((height, width), stride, padding, kernel, extra, strict=True)
    size = tuple((side - 1) * step - 2 * pad + k + more for side, step, pad, k, more in sides)
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels).transpose(1, 2)
    # bmm, not matmul: the product for each image is laid out as fold reads it.
    kind = multiplied_in(x.dtype)
    patches = torch.bmm(weight.to(kind).reshape(channels, -1).t().expand(n, -1, -1), pixels.to(kind)).to(x.dtype)
    wide = torch.promote_types(patches.dtype, torch.float32)
    patches = patches.to(wide)
    if size == (stride[0] * height, stride[1] * width):
        image = _added(patches.view(n, weight.shape[1], *kernel, height, width), stride, padding)
    else:
        image = F.fold(patches, size, kernel, 1, padding, stride)
    return image + bias.to(wide)[:, None, None]


def _added(patches: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]) -> Tensor:
    """What ``fold`` makes of (N, C, kernel, H, W) patches, to the bit: it adds pixel by pixel, this one whole images.

    Pixels whose rows, and columns, leave the same rest when divided by the stride get their sums from the same places
    of the patches, moved by whole rows and columns.
    """
    n, channels, *kernel, height, width = patches.shape
    rows, columns = (
        [[(k, (rest + pad - k) // step) for k in range(side) if (rest + pad - k) % step == 0] for rest in range(step)]
        for side, step, pad in zip(kernel, stride, padding, strict=True)
    )
    image = patches.new_empty((n, channels, height, len(rows), width, len(columns)))
    for row, ups in enumerate(rows):
        for column, sides in enumerate(columns):
            total = patches.new_zeros((n, channels, height, width))
            for (y, down), (x, across) in product(ups, sides):
                (to_y, from_y), (to_x, from_x) = _moved(down, height), _moved(across, width)
                total[:, :, to_y, to_x] += patches[:, :, y, x, from_y, from_x]
            image[:, :, :, row, :, column] = total
    return image.view(n, channels, len(rows) * height, len(columns) * width)


def _moved(by: int, side: int) -> tuple[slice, slice]:
    """The places of a side that a picture moved by so many covers, and those of the picture that lie there."""
    return slice(max(0, -by), max(0, side - max(0, by))), slice(max(0, by), max(0, side + min(0, by)))


def _convolve(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, transposed: bool) -> Tensor:
    weight, bias = layer.weight, layer.bias
    assert bias is not None
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    how = (layer.stride, layer.padding, layer.output_padding, transposed)
    return Convolve.apply(x, weight, bias, how)


# PyTorch asks for it at every call, and finding it out takes longer than all else that it does there.
Convolve.forward.__signature__ = signature(Convolve.forward)  # type: ignore[attr-defined]


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` with a bias, computed by ``Convolve`` on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(self, x, False) if x.device.type == "cpu" else super().forward(x)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d`` with a bias, computed by ``Convolve`` on a CPU."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        plain = x.device.type != "cpu" or output_size is not None
        return super().forward(x, output_size) if plain else _convolve(self, x, True)

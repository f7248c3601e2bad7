"""Trunks with heads: what turns images into numbers and numbers into images, with precision kept where it matters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unweave.networks.rounding import in_bf16

Shape = tuple[int, int, int]


class Trunk(nn.Module):
    """A stack of layers that may run in bfloat16; what surrounds it (heads, latents, losses) keeps full precision."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        self.bf16 = False
        self.channels_last = False

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_last:
            x = told_channels_last(x)
        with in_bf16(x.device, self.bf16):
            y = self.layers(x)
        if self.channels_last and y.requires_grad:
            y.register_hook(told_channels_last)
        return y


def told_channels_last(x: Tensor) -> Tensor:
    """Grey images with the strides of channels-last memory; anything else as it is.

    With one channel both layouts are the same bytes, and PyTorch then takes rows first: the convolution beside it
    answers in that layout, and every layer after it converts. Used on images on their way in and on gradients on their
    way back.
    """
    if x.ndim != 4 or x.shape[1] != 1 or not x.is_contiguous():
        return x
    height, width = x.shape[2:]
    return x.as_strided(x.shape, (height * width, 1, width, 1))


class Encoder(nn.Module):
    """A trunk, then one dense head in full precision: (N, C, H, W) -> (N, outputs)."""

    def __init__(self, layers: nn.Sequential, width: int, outputs: int) -> None:
        super().__init__()
        self.trunk = Trunk(layers)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).to(self.head.weight.dtype))

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        """What every activation of the trunk puts out, by its place in the stack."""
        found = {}
        for name, layer in self.trunk.layers.named_children():
            x = layer(x)
            if not list(layer.parameters()) and not isinstance(layer, nn.Flatten | nn.Unflatten):
                found[f"layer {name}"] = x
        return found


class Decoder(nn.Module):
    """One dense stem in full precision, so that latents are never rounded, then a trunk: (N, inputs) -> logits."""

    def __init__(self, inputs: int, width: int, layers: nn.Sequential) -> None:
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.trunk = Trunk(layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.trunk(self.stem(z)).to(z.dtype)


@dataclass(frozen=True)
class Body(ABC):
    """An architecture by description: it builds the encoder and the decoder that a method's model is made of."""

    def check(self, shape: Shape) -> None:  # noqa: B027 — a body may have nothing to check
        """Raises UserError where no network for images of ``shape`` can be built; asked before anything is trained."""

    @abstractmethod
    def encoder(self, shape: Shape, outputs: int) -> Encoder:
        """Images of ``shape`` (C, H, W) to ``outputs`` numbers."""

    @abstractmethod
    def decoder(self, inputs: int, shape: Shape) -> Decoder:
        """``inputs`` numbers to logits of ``shape`` (C, H, W)."""


def set_channels_last(model: nn.Module) -> nn.Module:
    """Keep the images inside a model's trunks channel by channel for each pixel, which CPUs and GPUs compute faster on;
    returns the model. Not for models under ``vmap``."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in model.modules():
        if isinstance(module, Trunk):
            module.channels_last = True
    return model


def set_precision(model: nn.Module, precision: str) -> nn.Module:
    """Run the trunks of a model in ``bf16``, or all of it in ``float32`` or ``float64``; returns the model.

    With ``bf16`` the weights stay in float32 and only convolutions and dense layers inside trunks compute in bfloat16.
    """
    model.to(torch.float64 if precision == "float64" else torch.float32)
    for module in model.modules():
        if isinstance(module, Trunk):
            module.bf16 = precision == "bf16"
    return model

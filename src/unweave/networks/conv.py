"""Convolutional bodies: the few architectures that the field's papers use, for images of any reasonable size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from unweave.names import known
from unweave.networks.bodies import Body, Decoder, Encoder, Shape
from unweave.networks.convolution import Conv2d, ConvTranspose2d
from unweave.types import UserError


class Layout(NamedTuple):
    """Channels and widths for a 64×64 image; other sizes use fewer or more of the 4×4, stride-2 layers."""

    down: tuple[int, ...]
    """Channels of the encoder's convolutions, from the image inwards."""
    dense: tuple[int, ...]
    """Widths of the encoder's dense layers."""
    undense: tuple[int, ...]
    """Widths of the decoder's dense layers, from the code outwards."""
    start: int
    """Channels of the smallest map of the decoder."""
    up: tuple[int, ...]
    """Channels of the decoder's transposed convolutions but the last, which makes the image."""
    slope: float = 0.0
    """Slope of the activation below 0: a ReLU at 0, else a leaky one."""
    valid: bool = False
    """Use a 4×4 convolution without padding for the dense layer (it is one, with shared biases in the decoder)."""


LAYOUTS = {
    "standard": Layout((32, 32, 64, 64), (256,), (256,), 64, (64, 32, 32)),
    "lite": Layout((8, 8, 16, 16), (64,), (256,), 64, (64, 32, 32)),
    "devae": Layout((32, 32, 64, 64), (256,), (256,), 64, (64, 32, 32), valid=True),
    "burgess": Layout((32, 32, 32, 32), (256, 256), (256, 256), 32, (32, 32, 32)),
    "deft-2021-code": Layout((8, 8, 16, 16), (256,), (256,), 64, (64, 32, 4), slope=0.01),
}


@dataclass(frozen=True)
class Conv(Body):
    """4×4 convolutions of stride 2 down to a 4×4 map, dense layers, and the same back.

    Args:
        preset: ``standard`` (conv 32, 32, 64, 64, dense 256: Locatello et al. 2019 with 4×4 kernels throughout; DEFT
            Table 1), ``lite`` (encoder conv 8, 8, 16, 16, dense 64: DEFT Table 1), ``devae`` (as the authors' code of
            DeVAE: a valid 4×4 convolution in place of the dense layer), ``burgess`` (conv 32 ×4, two dense 256: Burgess
            et al. 2018), ``deft-2021-code`` (lite as in the authors' code: leaky ReLU, dense 256).
        hidden: width of every dense layer in place of the preset's, the capacity of β-STCVAE; None keeps the preset's.

    Raises:
        UserError: unknown preset, or an image smaller than 8 pixels.

    >>> sum(p.numel() for p in Conv().encoder((1, 64, 64), 20).parameters())
    382932
    """

    preset: str = "standard"
    hidden: int | None = None

    def check(self, shape: Shape) -> None:
        self._layout()
        _sizes(shape)

    def encoder(self, shape: Shape, outputs: int) -> Encoder:
        layout = self._layout()
        sizes = _sizes(shape)
        layers: list[nn.Module] = []
        channels = shape[0]
        for width in _fit(layout.down, len(sizes) - 1):
            layers += [Conv2d(channels, width, 4, 2, 1), _activation(layout)]
            channels = width
        height, breadth = sizes[-1]
        features = channels * height * breadth
        if layout.valid:
            layers += [Conv2d(channels, layout.dense[0], (height, breadth)), _activation(layout), nn.Flatten()]
            features = layout.dense[0]
        else:
            layers.append(nn.Flatten())
            for width in layout.dense:
                layers += [nn.Linear(features, width), _activation(layout)]
                features = width
        return Encoder(nn.Sequential(*layers), features, outputs)

    def decoder(self, inputs: int, shape: Shape) -> Decoder:
        layout = self._layout()
        sizes = _sizes(shape)[::-1]
        height, breadth = sizes[0]
        layers: list[nn.Module] = [_activation(layout)]
        features = layout.undense[0]
        for width in layout.undense[1:]:
            layers += [nn.Linear(features, width), _activation(layout)]
            features = width
        if layout.valid:
            layers += [nn.Unflatten(1, (features, 1, 1)), ConvTranspose2d(features, layout.start, (height, breadth))]
        else:
            layers += [nn.Linear(features, layout.start * height * breadth)]
        layers.append(_activation(layout))
        if not layout.valid:
            layers.append(nn.Unflatten(1, (layout.start, height, breadth)))
        channels = layout.start
        widths = (*_fit(layout.up[::-1], len(sizes) - 2)[::-1], shape[0])
        for place, width in enumerate(widths):
            (h, b), (next_h, next_b) = sizes[place], sizes[place + 1]
            extra = (next_h - 2 * h, next_b - 2 * b)
            layers.append(ConvTranspose2d(channels, width, 4, 2, 1, output_padding=extra))
            if place < len(widths) - 1:
                layers.append(_activation(layout))
            channels = width
        return Decoder(inputs, layout.undense[0], nn.Sequential(*layers))

    def _layout(self) -> Layout:
        layout = LAYOUTS[known(self.preset, LAYOUTS, "preset of Conv")]
        if self.hidden is None:
            return layout
        if self.hidden < 1:
            raise UserError(f"Conv: hidden = {self.hidden}; allowed: a whole number from 1")
        return layout._replace(dense=(self.hidden,) * len(layout.dense), undense=(self.hidden,) * len(layout.undense))


def _activation(layout: Layout) -> nn.Module:
    return nn.LeakyReLU(layout.slope) if layout.slope else nn.ReLU()


def _sizes(shape: Shape) -> list[tuple[int, int]]:
    """Heights and widths of the maps from the image to the smallest, halving while both sides exceed 4."""
    height, breadth = shape[1:]
    if min(height, breadth) < 8:
        raise UserError(f"Conv: images of {height}×{breadth}; allowed: at least 8 pixels a side (smaller ones: MLP)")
    sizes = [(height, breadth)]
    while min(height, breadth) // 2 >= 3 and min(height, breadth) > 4:
        height, breadth = height // 2, breadth // 2
        sizes.append((height, breadth))
    return sizes


def _fit(widths: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The first ``count`` widths, the last one repeated where there are too few."""
    return (widths + (widths[-1],) * count)[:count]

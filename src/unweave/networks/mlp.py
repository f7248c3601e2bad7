"""Dense bodies: for small images, for capacity studies, and for experiments that must run in no time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from unweave.names import known
from unweave.networks.bodies import Body, Decoder, Encoder, Shape
from unweave.types import UserError

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


@dataclass(frozen=True)
class MLP(Body):
    """Dense layers on the flattened image, and the same widths backwards in the decoder.

    Args:
        hidden: widths of the hidden layers, from the image inwards.
        activation: ``relu`` or ``tanh``.

    Raises:
        UserError: no hidden layer, a width below 1, or an unknown activation.

    >>> sum(p.numel() for p in MLP((8,)).encoder((1, 4, 4), 2).parameters())
    154
    """

    hidden: tuple[int, ...] = (1200, 1200)
    activation: str = "relu"

    def check(self, shape: Shape) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise UserError(f"MLP: hidden = {self.hidden}; allowed: one or more widths from 1")
        known(self.activation, ACTIVATIONS, "activation of MLP")

    def encoder(self, shape: Shape, outputs: int) -> Encoder:
        self.check(shape)
        widths = (math.prod(shape), *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for width, following in pairwise(widths):
            layers += [nn.Linear(width, following), ACTIVATIONS[self.activation]()]
        return Encoder(nn.Sequential(*layers), widths[-1], outputs)

    def decoder(self, inputs: int, shape: Shape) -> Decoder:
        self.check(shape)
        widths = (*self.hidden[::-1], math.prod(shape))
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [ACTIVATIONS[self.activation](), nn.Linear(width, following)]
        return Decoder(inputs, widths[0], nn.Sequential(*layers, nn.Unflatten(1, shape)))

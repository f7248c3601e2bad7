"""Convolutional bodies: shapes for images of many sizes, and parameters counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unweave.networks import VAE, Conv
from unweave.networks.conv import LAYOUTS
from unweave.types import UserError

SIZES = [
    (8, 8),
    (9, 9),
    (10, 13),
    (16, 16),
    (28, 28),
    (32, 32),
    (33, 47),
    (48, 64),
    (64, 64),
    (96, 96),
    (100, 31),
    (128, 128),
]


@pytest.mark.parametrize("preset", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_go_in_and_come_out(preset: str, size: tuple[int, int], channels: int) -> None:
    shape = (channels, *size)
    model = VAE(Conv(preset, hidden=12), shape, 7, "bernoulli")
    x = torch.rand(2, *shape)
    q = model.encode(x)
    assert q.mean.shape == (2, 7) and q.logvar is not None and q.logvar.shape == (2, 7)
    logits = model.decode(q.mean)
    assert logits.shape == x.shape
    assert model.distortion(logits, x).shape == (2,)


def conv(inputs: int, outputs: int, kernel: int = 16) -> int:
    """Parameters of a 4×4 convolution."""
    return inputs * outputs * kernel + outputs


def dense(inputs: int, outputs: int) -> int:
    """Parameters of a dense layer."""
    return inputs * outputs + outputs


ENCODERS = {
    "standard": conv(1, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64) + dense(4 * 4 * 64, 256) + dense(256, 20),
    "lite": conv(1, 8) + conv(8, 8) + conv(8, 16) + conv(16, 16) + dense(4 * 4 * 16, 64) + dense(64, 20),
    "devae": conv(1, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64) + conv(64, 256) + dense(256, 20),
    "burgess": conv(1, 32) + 3 * conv(32, 32) + dense(4 * 4 * 32, 256) + dense(256, 256) + dense(256, 20),
    "deft-2021-code": conv(1, 8) + conv(8, 8) + conv(8, 16) + conv(16, 16) + dense(4 * 4 * 16, 256) + dense(256, 20),
}
DECODERS = {
    "standard": dense(10, 256) + dense(256, 1024) + conv(64, 64) + conv(64, 32) + conv(32, 32) + conv(32, 1),
    "lite": dense(10, 256) + dense(256, 1024) + conv(64, 64) + conv(64, 32) + conv(32, 32) + conv(32, 1),
    "devae": dense(10, 256) + conv(256, 64) + conv(64, 64) + conv(64, 32) + conv(32, 32) + conv(32, 1),
    "burgess": dense(10, 256) + dense(256, 256) + dense(256, 512) + 3 * conv(32, 32) + conv(32, 1),
    "deft-2021-code": dense(10, 256) + dense(256, 1024) + conv(64, 64) + conv(64, 32) + conv(32, 4) + conv(4, 1),
}


@pytest.mark.parametrize("preset", LAYOUTS)
def test_parameters_are_those_counted_by_hand(preset: str) -> None:
    body = Conv(preset)
    assert count(body.encoder((1, 64, 64), 20)) == ENCODERS[preset]
    assert count(body.decoder(10, (1, 64, 64))) == DECODERS[preset]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("preset", LAYOUTS)
def test_activations(preset: str) -> None:
    """ReLU everywhere, but for the 2021 code of DEFT; none after the last layer."""
    body = Conv(preset)
    for part in (body.encoder((1, 64, 64), 20), body.decoder(10, (1, 64, 64))):
        layers = list(part.trunk.layers)
        kinds = {type(layer) for layer in layers if not list(layer.parameters())} - {nn.Flatten, nn.Unflatten}
        assert kinds == ({nn.LeakyReLU} if preset == "deft-2021-code" else {nn.ReLU})
        assert all(layer.negative_slope == 0.01 for layer in layers if isinstance(layer, nn.LeakyReLU))
    assert isinstance(layers[-1], nn.ConvTranspose2d)


def test_hidden_sets_every_dense_layer() -> None:
    body = Conv("burgess", hidden=7)
    widths = [layer.out_features for layer in body.encoder((1, 64, 64), 20).modules() if isinstance(layer, nn.Linear)]
    assert widths == [7, 7, 20]
    widths = [layer.out_features for layer in body.decoder(10, (1, 64, 64)).modules() if isinstance(layer, nn.Linear)]
    assert widths == [7, 7, 512]


def test_valid_convolution_is_the_dense_layer() -> None:
    """``devae`` differs from ``standard`` in name only at the encoder: the same function of the same weights."""
    torch.manual_seed(0)
    dense_, valid = (Conv(name).encoder((1, 64, 64), 20) for name in ("standard", "devae"))
    weights = {n: p.reshape(dict(dense_.named_parameters())[m].shape) for (n, p), (m, _) in zip(
        valid.named_parameters(), dense_.named_parameters(), strict=True)}  # fmt: skip
    dense_.load_state_dict({m: weights[n] for m, n in zip(dense_.state_dict(), valid.state_dict(), strict=True)})
    x = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(dense_(x), valid(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        (
            Conv("standrad"),
            (1, 64, 64),
            "unknown preset of Conv 'standrad' — did you mean 'standard'? (allowed: standard",
        ),
        (Conv(), (1, 7, 64), "images of 7×64; allowed: at least 8 pixels"),
        (Conv(hidden=0), (1, 64, 64), "hidden = 0; allowed: a whole number from 1"),
    ],
)
def test_errors(body: Conv, shape: tuple[int, int, int], said: str) -> None:
    for build in (lambda: body.encoder(shape, 20), lambda: body.decoder(10, shape), lambda: body.check(shape)):
        with pytest.raises(UserError) as error:
            build()
        assert said in str(error.value) and "\n" not in str(error.value)


def test_features_are_the_activations() -> None:
    encoder = Conv().encoder((1, 64, 64), 20)
    x = torch.rand(3, 1, 64, 64)
    found = encoder.features(x)
    assert [tuple(value.shape[1:]) for value in found.values()] == [
        (32, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (64, 4, 4),
        (256,),
    ]
    torch.testing.assert_close(encoder.head(list(found.values())[-1]), encoder(x))

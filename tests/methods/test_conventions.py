"""A converted β makes the gradients of another library's objective ours, up to one factor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from unweave.methods import convert_beta
from unweave.types import Gaussian, UserError

SHAPE, LATENTS, ROWS = (3, 4, 5), 6, 7

# Reconstruction error and KL of every pixel, channel and latent -> the objective as other libraries write it.
THEIRS: dict[str, tuple[Callable[[Tensor, Tensor, float], Tensor], dict[str, object]]] = {
    "sums, means over the batch": (
        lambda r, kl, beta: r.flatten(1).sum(1).mean() + beta * kl.sum(1).mean(),
        {"pixels": "sum"},
    ),
    "mean over batch and pixels": (lambda r, kl, beta: r.mean() + beta * kl.sum(1).mean(), {}),
    "means over everything": (lambda r, kl, beta: r.mean() + beta * kl.mean(), {"over_latents": "mean"}),
    "sums over the batch too": (lambda r, kl, beta: r.sum() + beta * kl.sum(), {"pixels": "sum"}),
    "half the squared error": (
        lambda r, kl, beta: 0.5 * r.flatten(1).sum(1).mean() + beta * kl.sum(1).mean(),
        {"pixels": "sum", "recon_weight": 0.5},
    ),
    "mean over pixels, KL weighted by batch / images": (
        lambda r, kl, beta: r.mean() + beta * (ROWS / 1000) * kl.sum(1).mean(),
        {"kl_weight": ROWS / 1000},
    ),
}


@pytest.mark.parametrize("name", THEIRS)
def test_gradients_point_the_same_way(name: str) -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(ROWS, *SHAPE, generator=draws, dtype=torch.float64)
    logits = torch.randn(ROWS, *SHAPE, generator=draws, dtype=torch.float64, requires_grad=True)
    mean = torch.randn(ROWS, LATENTS, generator=draws, dtype=torch.float64, requires_grad=True)
    logvar = torch.randn(ROWS, LATENTS, generator=draws, dtype=torch.float64, requires_grad=True)
    objective, how = THEIRS[name]

    def gradient(loss: Tensor) -> Tensor:
        return torch.cat([one.flatten() for one in torch.autograd.grad(loss, (logits, mean, logvar))])

    error, kl = (x - torch.sigmoid(logits)) ** 2, Gaussian(mean, logvar).kl()
    theirs = gradient(objective(error, kl, 0.3))
    beta = convert_beta(0.3, SHAPE, LATENTS, **how)  # type: ignore[arg-type]
    error, kl = (x - torch.sigmoid(logits)) ** 2, Gaussian(mean, logvar).kl()
    ours = gradient(error.flatten(1).sum(1).mean() + beta * kl.sum(1).mean())
    factor = (theirs @ ours) / (ours @ ours)
    torch.testing.assert_close(theirs, factor * ours, rtol=1e-12, atol=1e-14)


def test_the_normalised_beta_of_higgins() -> None:
    assert convert_beta(4 * 10 / 4096, (1, 64, 64), 10, over_latents="mean") == pytest.approx(4, rel=1e-12)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"pixels": "men"}, "did you mean 'mean'"),
        ({"over_latents": "max"}, "reduction over latents 'max'"),
        ({"beta": -1.0}, "beta = -1.0"),
        ({"beta": float("nan")}, "beta = nan"),
        ({"shape": (64, 64)}, r"\(64, 64\)"),
        ({"latents": 0}, "0 latents"),
        ({"recon_weight": 0.0}, "recon_weight = 0.0"),
        ({"kl_weight": float("inf")}, "kl_weight = inf"),
    ],
)
def test_mistakes(given: dict[str, object], message: str) -> None:
    words: dict[str, object] = {"beta": 1.0, "shape": (1, 64, 64), "latents": 10, **given}
    with pytest.raises(UserError, match=message):
        convert_beta(**words)  # type: ignore[arg-type]

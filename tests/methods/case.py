"""A method on a small dense network, with a batch of random images and the noise it asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.data.factors import Factors
from unweave.methods import DEFT, VAE, BetaVAE, ControlVAE, DeVAE, FactorVAE, Method
from unweave.networks import MLP, set_precision
from unweave.types import Batch, Draw, Loss, State

LATENTS = 6
ROWS = 5
BODY = MLP((16,))
SIZES = (3, 2, 4)
SPEC = DataSpec((1, 8, 8), "bernoulli", 100, Factors(("shape", "size", "place"), SIZES))

FACTOR = {"critic_hidden": 8, "critic_layers": 2}
EVERY = [
    VAE(),
    BetaVAE(beta=4.2),
    BetaVAE(beta=0.0),
    BetaVAE(beta=7.0, end=0.5, schedule="linear", anneal_steps=20),
    BetaVAE(beta=7.0, end=0.5, schedule="exp", anneal_steps=20),
    FactorVAE(**FACTOR),
    FactorVAE(**FACTOR, second_batch=True),
    ControlVAE(c_every=3),
    ControlVAE(c_every=3, antiwindup="author"),
    *(DeVAE((1.0, 10.0, 40.0), hierarchy=h) for h in ("dit", "linear", "none")),
    DeVAE((1.0, 40.0), scale=0.5, space_code="onehot", shared_noise=True),
    DeVAE((4.2,)),
    *(DeVAE((1.0, 10.0, 40.0), scale=0.6, hierarchy=h, aggregation="random") for h in ("dit", "linear", "none")),
    *(DEFT((9.0, 4.0, 1.5), stage_steps=10, future=f) for f in ("prior", "zero_grad", "scale")),
    *(DEFT((9.0, 4.0, 1.5), stage_steps=10, scaling="grad", future=f) for f in ("prior", "zero_grad", "scale")),
    DEFT((9.0, 4.0, 1.5), stage_steps=10, scaling="grad", future="zero_grad", shared=True),
    DEFT((9.0, 4.0, 1.5), stage_steps=10, scaling="freeze_dit"),
]
"""Every method, with every word that its ``loss`` reads."""


def label(method: Any) -> str:
    """A readable test id: the name and the fields that are words or switches."""
    return "-".join([method.name, *(str(v) for v in vars(method).values() if isinstance(v, str | bool))])


class Case(NamedTuple):
    """All that a loss takes."""

    method: Any
    model: Any
    batch: Batch
    state: State

    def loss(self) -> Loss:
        """The method's loss."""
        return self.method.loss(self.model, self.batch, self.state)


def case(method: Method, step: int = 15, seed: int = 0, precision: str = "float64", spread: float = 0.2) -> Case:
    """A model as ``seed`` makes it, its parameters moved by ``spread`` (0: as they start), and a batch."""
    torch.manual_seed(seed)
    model = set_precision(method.network(SPEC, LATENTS, BODY), precision)
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn_like(parameter)
    torch.manual_seed(seed + 1000)
    x, y = torch.rand(2, ROWS, *SPEC.shape, dtype=dtype)
    noise = {name: draw(one, dtype) for name, one in method.noise(SPEC, LATENTS, ROWS).items()}
    labels = torch.stack([torch.arange(ROWS) * (2 * place + 1) % size for place, size in enumerate(SIZES)], 1)
    batch = Batch(x, x if method.views == "one" else y, labels, noise, torch.tensor(step), SPEC.rows)
    return Case(method, model, batch, {n: v.to(dtype) for n, v in method.init(SPEC, LATENTS).items()})


def draw(what: Draw, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random numbers of the kind that a method asks for."""
    if what.kind == "permutation":
        return torch.rand(what.shape).argsort(-1)
    return (torch.randn if what.kind == "normal" else torch.rand)(what.shape, dtype=dtype)


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    """What every parameter's gradient is now; zero where none arrived."""
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}

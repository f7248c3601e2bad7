"""A method, its network with arbitrary parameters, and a batch, all in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.data.factors import Factors
from unweave.methods import Method
from unweave.networks import MLP, Model, set_precision
from unweave.types import Batch, Draw, Loss, State

LATENTS = 6
ROWS = 5
TIGHT = 1e-9
SIZES = (3, 2, 4)


class Case(NamedTuple):
    """All that a loss takes."""

    method: Any
    model: Any
    batch: Batch
    state: State

    def loss(self) -> Loss:
        """The method's loss."""
        return self.method.loss(self.model, self.batch, self.state)


def case(method: Method, likelihood: str = "bernoulli", step: int = 0, seed: int = 0, spread: float = 0.3) -> Case:
    """A small dense network on 8×8 images whose parameters have all been moved away from where they start."""
    spec = DataSpec((1, 8, 8), likelihood, 100, Factors(("shape", "size", "place"), SIZES))
    method.check(spec, LATENTS)
    torch.manual_seed(seed)
    model: Model = method.network(spec, LATENTS, MLP((16,)))
    set_precision(model, "float64")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn_like(parameter)
    x, y = torch.rand(2, ROWS, 1, 8, 8, dtype=torch.float64)
    noise = {name: draw(one) for name, one in method.noise(spec, LATENTS, ROWS).items()}
    second = x if method.views == "one" else y
    labels = torch.stack([torch.arange(ROWS) * (2 * place + 1) % size for place, size in enumerate(SIZES)], 1)
    batch = Batch(x, second, labels, noise, torch.tensor(step), 100)
    state = {name: value.double() for name, value in method.init(spec, LATENTS).items()}
    return Case(method, model, batch, state)


def draw(what: Draw) -> Tensor:
    """Random numbers of the kind that a method asks for."""
    if what.kind == "permutation":
        return torch.rand(what.shape).argsort(-1)
    make = torch.randn if what.kind == "normal" else torch.rand
    return make(what.shape, dtype=torch.float64)


def rows(values: Tensor) -> list[list[float]]:
    """Each image's numbers as a plain list."""
    return values.detach().flatten(1).tolist()


def table(values: list[list[float]]) -> Tensor:
    """Plain lists as a float64 tensor, to hand to a network."""
    return torch.tensor(values, dtype=torch.float64)


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    """What every parameter's gradient is now; zero where none arrived."""
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}

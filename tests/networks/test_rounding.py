"""bfloat16 on a processor without it: its products are made in float32 and rounded in the same places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from engine.tiny import every, fitted
from unweave.engine import train
from unweave.engine.experiment import Complete
from unweave.engine.step import Alone
from unweave.methods import METHODS
from unweave.networks import Conv, rounding
from unweave.networks.bodies import Trunk
from unweave.networks.convolution import Conv2d, ConvTranspose2d
from unweave.networks.parallel import ParallelLinear

CPU = torch.device("cpu")


class Multiplied(TorchDispatchMode):
    """The kinds of numbers that reach products and convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in {"mm", "bmm", "addmm", "baddbmm", "convolution", "convolution_backward"} or "linear" in name:
            self.seen |= {one.dtype for one in args if isinstance(one, Tensor)}
        return function(*args, **(kwargs or {}))


@contextmanager
def processor(quick: bool) -> Iterator[None]:
    """A processor that multiplies in bfloat16, or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounding, "multiplies_bf16", lambda: quick)
        yield


def described(name: str, precision: str) -> Complete:
    return fitted(every(name), network=Conv("lite", 8), steps=4, precision=precision)


def first_step(name: str, precision: str) -> tuple[float, Tensor]:
    """The loss of a model's first batch and its gradient."""
    one = described(name, precision)
    learner = Alone(one, one.data.open(None, CPU), CPU)
    (model,) = learner.models
    loss = one.method.loss(model, learner.feed.batch(0), learner.state).total
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_computes_what_a_processor_with_bfloat16_would(name: str) -> None:
    with processor(quick=True):
        loss, grad = first_step(name, "bf16")
    with processor(quick=False), Multiplied() as found:
        same, near = first_step(name, "bf16")
    exact, full = first_step(name, "float32")
    assert found.seen == {torch.float32}
    assert same == pytest.approx(loss, rel=1e-4)
    assert same != exact and not torch.equal(near, full)
    assert (near - grad).norm() < 0.01 * full.norm()


LAYERS = {
    "dense": (nn.Linear(6, 5), (3, 6)),
    "dense of sequences": (nn.Linear(6, 5), (2, 3, 6)),
    "dense side by side": (ParallelLinear(3, 6, 5), (4, 3, 6)),
    "convolution": (Conv2d(2, 8, 4, 2, 1), (3, 2, 8, 8)),
    "PyTorch's convolution": (nn.Conv2d(2, 8, 3, bias=False), (3, 2, 8, 8)),
    "transposed": (ConvTranspose2d(3, 8, 4, 2, 1), (2, 3, 4, 4)),
    "transposed to an image": (ConvTranspose2d(3, 1, 4, 2, 1), (2, 3, 4, 4)),
}
BOUND = {"transposed to an image": 5}
"""Inputs there are smaller: what is rounded are its patches, before they are added up in float32."""


@pytest.mark.parametrize("name", LAYERS)
def test_whole_numbers_are_rounded_once(name: str) -> None:
    """Small whole numbers have exact sums in any order, so what comes out is the exact answer, rounded."""
    layer, shape = LAYERS[name]
    draws = torch.Generator().manual_seed(0)
    most = BOUND.get(name, 40)
    for part, p in layer.named_parameters():
        p.data = torch.randint(-most, most, p.shape, generator=draws).float() * (part == "weight")
    given = torch.randint(-most, most, shape, generator=draws).float().requires_grad_()
    exact = layer(given)
    weights = torch.randint(-40, 40, exact.shape, generator=draws).float()
    wanted = [exact, *torch.autograd.grad((exact * weights).sum(), [given, layer.weight])]
    trunk = Trunk(nn.Sequential(layer))
    trunk.bf16 = True
    with processor(quick=False):
        y = trunk(given)
        found = [y, *torch.autograd.grad((y * weights).sum(), [given, layer.weight])]
    for own, full in zip(found, wanted, strict=True):
        assert torch.equal(own.float(), full.to(torch.bfloat16).float())
    assert any(not torch.equal(own.float(), full) for own, full in zip(found, wanted, strict=True))


@pytest.mark.parametrize("way", ["vmap", "products"])
def test_models_in_lockstep_too(way: str) -> None:
    one = described("beta-vae", "bf16")
    with processor(quick=False):
        (together,) = train([one, replace(one, seed=1)], every=4, lockstep=way)
        (alone,) = train(one, every=4)
    assert together.trace(0)["total"] == pytest.approx(alone.trace(0)["total"], rel=1e-3)


def test_where_nothing_is_rounded_nothing_changes() -> None:
    x = torch.randn(4, 6)
    trunk = Trunk(nn.Sequential(nn.Linear(6, 5)))
    with processor(quick=False):
        assert torch.equal(trunk(x), trunk.layers(x))
        trunk.bf16 = True
        assert trunk(x).dtype == torch.bfloat16
        assert torch.equal(trunk.layers(x) @ torch.eye(5), trunk.layers(x)), "rounding outlived its trunk"

"""No step of any method waits for the device, or makes a tensor elsewhere: what PyTorch asks of a recorded step.

The device here is ``meta``, whose tensors have shapes and no numbers: whoever looks at one fails.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch

from unweave.data import Factors
from unweave.engine.beside import Beside
from unweave.engine.blocks import Blocks
from unweave.engine.experiment import Complete
from unweave.engine.step import Alone, Learner, Together
from unweave.engine.trace import Trace
from unweave.methods import DEFT, METHODS, BetaVAE, BHiVAE, DeVAE, DynamicVAE, FactorVAE, Method, RecurD
from unweave.methods.devae import log_det
from unweave.networks import Conv
from unweave.networks.blocks import _root_by_hand, block_root
from unweave.testing import Dots
from unweave.types import Adam, Batch, Loss, State

from .cards import NoCopies, NoWaits, Waited
from .tiny import every, fitted

META = torch.device("meta")
OPTIONS: dict[str, Method] = {
    "beta-vae exp": BetaVAE(beta=9.0, end=2.0, schedule="exp", anneal_steps=15),
    "devae linear": DeVAE((1.0, 5.0), hierarchy="linear"),
    "devae random": DeVAE((1.0, 5.0), aggregation="random", space_code="onehot"),
    "deft freeze_dit": DEFT((8.0, 2.0), stage_steps=10, scaling="freeze_dit"),
    "dynamic-vae cvpr22": DynamicVAE(variant="cvpr22", antiwindup="author"),
    "factor-vae two": FactorVAE(critic_hidden=8, critic_layers=1, second_batch=True),
    **{
        f"bhivae {s} {m}": BHiVAE(
            encoder="stochastic", matching=m, separation=s, width=8, part_width=8, critic_hidden=8
        )
        for m, s in (("kl", "hsic"), ("mmd", "none"))
    },
    **{f"recurd {e}": RecurD(estimator=e, critic_hidden=8, critic_layers=1) for e in ("club", "infonce", "smile")},
}
CASES = {**{name: every(name) for name in METHODS}, **OPTIONS}


def step(learner: Learner) -> None:
    """Lay out a block, and take two of its steps without any wait: as it comes, and with everything reset before."""
    blocks = Blocks(learner, Trace(100, len(learner.experiments)), 0, 4)
    blocks._fill(0)
    moved = tuple((True, True) for _ in learner.groups)
    with NoCopies(), NoWaits("meta"):
        for kind in (blocks.kinds[0], moved):
            blocks._advance(kind)


@pytest.fixture
def without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none for this device, and none is asked for in float32; and what is made before the first step may look
    at numbers: that every combination of factors has an image."""
    monkeypatch.setattr(torch, "autocast", lambda *given, **more: nullcontext())
    monkeypatch.setattr(Factors, "index", lambda self, levels: levels[:, 0])
    monkeypatch.setattr(torch, "equal", lambda *given: True)


@pytest.mark.usefixtures("without_autocast")
@pytest.mark.parametrize("way", ["alone", "vmap"])
@pytest.mark.parametrize("name", CASES)
def test_no_step_waits(name: str, way: str) -> None:
    adams = (Adam(lr=3e-3, clip=1.0), Adam(lr=1e-3, clip=2.0, weight_decay=0.1))
    members = [fitted(CASES[name], precision="float32", seed=s, optimiser=a) for s, a in enumerate(adams)]
    step(learner(members, way))


@pytest.mark.usefixtures("without_autocast")
@pytest.mark.parametrize("way", ["alone", "vmap", "products", "branches"])
@pytest.mark.parametrize("name", ["devae", "factor-vae two", "control-vae"])
def test_no_convolution_waits(name: str, way: str) -> None:
    members = [fitted(CASES[name], network=Conv("devae", 8), precision="float32", seed=s) for s in (0, 1)]
    step(learner(members, way))


def learner(members: list[Complete], way: str) -> Learner:
    images = Dots(haze=0.2).open(device=META)
    if way == "alone":
        return Alone(members[0], images, META)
    return Beside(members, images, META) if way == "branches" else Together(members, images, META, way == "products")


LEAKS: dict[str, Any] = {
    "item": lambda batch: batch.x.mean().item(),
    "branch": lambda batch: 1.0 if batch.x.mean() > 0 else 0.0,
    "copy": lambda batch: torch.tensor(2.0, device=batch.x.device),
    "as_tensor": lambda batch: torch.as_tensor(2.0, device=batch.x.device),
    "made elsewhere": lambda batch: torch.ones(1).sum(),
    "data-dependent shape": lambda batch: batch.x[batch.x > 0].sum(),
    "nonzero": lambda batch: batch.x.nonzero().sum(),
    "to the main memory": lambda batch: torch.zeros_like(batch.x, device="cpu").sum(),
}


@pytest.mark.usefixtures("without_autocast")
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_loss_that_waits_is_noticed(leak: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = BetaVAE.loss

    def leaking(self: BetaVAE, model: Any, batch: Batch, state: State) -> Loss:
        found = loss(self, model, batch, state)
        return found._replace(total=found.total + leak(batch))

    monkeypatch.setattr(BetaVAE, "loss", leaking)
    with pytest.raises((Waited, RuntimeError, NotImplementedError)):
        step(learner([fitted(BetaVAE(beta=2.0), precision="float32")], "alone"))


@pytest.mark.parametrize("size, rho", [(1, 0.5), (2, 0.5), (3, -0.4), (5, 0.9)])
def test_what_a_card_computes_without_solvers_is_what_they_compute(size: int, rho: float) -> None:
    """Cholesky's factor of a block's covariance, and the logarithm of a determinant with its gradient."""
    identity = torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(_root_by_hand(identity, rho), block_root(size, rho, identity), rtol=1e-13, atol=1e-14)
    root = torch.rand(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    matrix = (root @ root.mT + 0.1 * identity).requires_grad_()
    found, wanted = log_det(matrix), torch.linalg.slogdet(matrix)[1]
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-12)
    (a,), (b,) = (torch.autograd.grad(value, matrix) for value in (found, wanted))
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)

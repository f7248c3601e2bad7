"""A method on a small dense network, with a batch of random images and the noise it asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.data.factors import Factors
from unweave.methods import (
    DEFT,
    DIPVAE1,
    DIPVAE2,
    HFVAE,
    METHODS,
    NVAE,
    VAE,
    AdaGVAE,
    AdaMLVAE,
    AnnealedVAE,
    BetaSTCVAE,
    BetaTCVAE,
    BetaVAE,
    BHiVAE,
    BHiVAESupervised,
    CascadeVAEC,
    ControlVAE,
    DeVAE,
    DynamicVAE,
    FactorVAE,
    GuidedVAE,
    GuidedVAESupervised,
    InfoGAN,
    InfoVAE,
    Method,
    RecurD,
    VampPrior,
)
from unweave.methods.grouped_tc import ESTIMATORS
from unweave.methods.mutual_information import ESTIMATORS as INFORMATION
from unweave.networks import MLP, set_precision
from unweave.types import Batch, Draw, Loss, State

LATENTS = 6
ROWS = 5
BODY = MLP((16,))
SIZES = (3, 2, 4)
SPEC = DataSpec((1, 8, 8), "bernoulli", 100, Factors(("shape", "size", "place"), SIZES))

FACTOR = {"critic_hidden": 8, "critic_layers": 2}
BLOCKS = {**FACTOR, "blocks": (2, 1), "width": 5, "part_width": 7}
TAUGHT = {"blocks": (2, 1), "width": 5, "part_width": 7, "classifier_hidden": 8}
RECURD = {**FACTOR, "critic_layers": 3, "kl_weight": 0.7}
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
    AnnealedVAE(100.0, 0.5, 8.0, 20),
    CascadeVAEC(0.5, 9.0, stage_steps=10),
    CascadeVAEC(0.5, 9.0, 10, reset_optimizer=True, stages=LATENTS, std="softplus"),
    *(DynamicVAE("erow", 60.0, 0.5, 0.04, 0.004, 9.0, 3, 12, c_stop=s) for s in (True, False)),
    *(
        DynamicVAE("cvpr22", 60.0, 0.5, 0.01, -0.005, 9.0, c_period=9, c_ramp=3, window=w, antiwindup=a)
        for w, a in ((1, "back"), (4, "author"))
    ),
    *(BetaTCVAE(4.2, 0.5, 1.5, e, k) for e in ESTIMATORS for k in ("analytic", "sampled")),
    *(HFVAE(4.2, 2.5, 2, estimator=e) for e in ESTIMATORS),
    HFVAE(4.2, 2.5, 4, 0.5, 1.5, allow_remainder=True, kl="sampled"),
    *(BetaSTCVAE(4.2, 3, estimator=e) for e in ESTIMATORS),
    *(BetaSTCVAE(4.2, size, kl="sampled") for size in (1, 2, 6)),
    BetaSTCVAE(4.2, 4, allow_remainder=True),
    *(GuidedVAE(0.7, 0.6, transformer=t) for t in (True, False)),
    BHiVAE(**BLOCKS),
    BHiVAE(**BLOCKS, separation="none", reconstruction="layers"),
    BHiVAE(**BLOCKS, single_discriminator=True),
    BHiVAE(**BLOCKS, single_discriminator=True, disc_weight=1.7),
    *(BHiVAE(**BLOCKS, stabiliser=s) for s in ("noise", "spectral")),
    BHiVAE(**BLOCKS, single_discriminator=True, stabiliser="noise"),
    *(BHiVAE(**BLOCKS, matching="mmd", separation=s) for s in ("adversarial", "hsic", "none")),
    *(BHiVAE(**BLOCKS, encoder="stochastic", matching=m) for m in ("adversarial", "mmd", "kl")),
    BHiVAE(**BLOCKS, encoder="stochastic", matching="kl", separation="none"),
    *(BHiVAESupervised(**TAUGHT, balanced=b, inhibition=i) for b in (True, False) for i in ("shared", "adversary")),
    BHiVAESupervised(**TAUGHT, labels=("place",)),
    GuidedVAESupervised(excitation=3.0, inhibition=2.0, critic_hidden=8),
    GuidedVAESupervised(("place", "shape"), 3.0, 2.0, critic_hidden=8),
    *(InfoGAN(0.7, 5, categories=c, learned_std=s) for c in ((), (3,), (2, 3)) for s in (False, True)),
    *(NVAE((2, 1), warmup_steps=30, balance=b, width=8) for b in (True, False)),
    NVAE((3,), warmup_steps=30, width=8),
    *(RecurD(**RECURD, estimator=e, shared=s) for e in INFORMATION for s in (True, False)),
    *(RecurD(**RECURD, modules=m, size=s, negatives=2) for m, s in ((0, 1), (0, 2), (1, 3), (2, 1), (2, 2))),
    *(RecurD(**RECURD, router=r, scaled=False) for r in ("linear", "fix", "attention")),
    *(RecurD(**RECURD, router="hadamard", encoders=(6,), k=k) for k in (2, 6)),
    RecurD(**RECURD, modules=2, combine="concat"),
    RecurD(**{**RECURD, "kl_weight": None}, l1=0.4),
    DIPVAE1(3.0, 7.0),
    DIPVAE2(3.0, 7.0),
    *(InfoVAE(0.3, 20.0, kernel=k, bandwidth=0.5) for k in ("imq", "rbf")),
    VampPrior(pseudo_inputs=4, warmup_steps=20),
    *(AdaGVAE(3.0, distance=d) for d in ("kl", "symmetric")),
    *(AdaMLVAE(3.0, distance=d, average=a) for d in ("kl", "symmetric") for a in ("product", "geometric")),
]
"""Every word that a method's ``loss`` reads, and a method that is not named here as it comes."""
EVERY += [kind() for kind in METHODS.values() if kind not in {type(one) for one in EVERY}]


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

"""A grid over hyperparameters and seeds in one pack equals the same runs alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from unweave.engine import pack, vary
from unweave.engine.beside import Beside
from unweave.engine.experiment import Complete
from unweave.engine.step import Alone, Failure, Learner, Together
from unweave.engine.train import learner_of
from unweave.methods import DEFT, METHODS, VAE, BetaVAE, ControlVAE, DeVAE, FactorVAE, Method
from unweave.networks import Conv
from unweave.testing import Dots
from unweave.types import Adam

from .tiny import apart, finals, same, tiny

LOOP = sys.modules["unweave.engine.train"]
"""The module, whose name the function inside it has taken."""
CRITIC: dict[str, Any] = {"critic_hidden": 8, "critic_layers": 2}
METHODS_AND_OPTIONS = [
    VAE(),
    BetaVAE(beta=4.0),
    BetaVAE(beta=9.0, end=2.0, schedule="linear", anneal_steps=15),
    BetaVAE(beta=9.0, end=2.0, schedule="exp", anneal_steps=15),
    FactorVAE(**CRITIC),
    FactorVAE(**CRITIC, second_batch=True),
    ControlVAE(c_every=7),
    ControlVAE(c_every=7, antiwindup="author"),
    *(DeVAE((1.0, 5.0, 20.0), hierarchy=h) for h in ("dit", "linear", "none")),
    *(DeVAE((1.0, 5.0), scale=0.5, aggregation="random", space_code=c) for c in ("embedding", "onehot")),
    DeVAE((1.0, 5.0), shared_noise=True),
    *(DEFT((8.0, 2.0), stage_steps=10, future=f) for f in ("prior", "zero_grad", "scale")),
    *(DEFT((8.0, 2.0), stage_steps=10, scaling="grad", future=f) for f in ("prior", "zero_grad")),
    DEFT((8.0, 2.0), stage_steps=10, scaling="grad", future="scale", shared=True),
    DEFT((8.0, 2.0), stage_steps=10, scaling="freeze_dit"),
    DEFT((8.0, 2.0), stage_steps=10, optimizer_reset_on_stage=True),
]
"""Every method with its main options; stages, targets and schedules change within the 20 steps."""
OPTIMISERS = (
    Adam(lr=3e-3),
    Adam(lr=1e-3, betas=(0.5, 0.9), weight_decay=0.1),
    Adam(lr=2e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01),
)


def label(method: Any) -> str:
    return "-".join([method.name, *(str(v) for v in vars(method).values() if isinstance(v, str | bool))])


def scaled(value: Any, factor: float) -> Any:
    return tuple(factor * one for one in value) if isinstance(value, tuple) else factor * value


def floats(method: Method) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(method).items()
        if isinstance(value, float) or (isinstance(value, tuple) and isinstance(value[0], float))
    }


def grid(method: Method, **settings: Any) -> list[Complete]:
    """Three members that differ in seed, in Adam's settings and in every float of the method."""
    factors = (1.0, 0.9, 0.8)
    methods = [replace(method, **{n: scaled(v, f) for n, v in floats(method).items()}) for f in factors]
    return [
        tiny(one, seed=seed, optimiser=adam, **settings)
        for seed, (one, adam) in enumerate(zip(methods, OPTIMISERS, strict=True))
    ]


def test_every_method_is_tried() -> None:
    assert {type(one) for one in METHODS_AND_OPTIONS} >= {VAE, BetaVAE, FactorVAE, ControlVAE, DeVAE, DEFT}
    assert {kind.name for kind in (VAE, BetaVAE, FactorVAE, ControlVAE, DeVAE, DEFT)} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS_AND_OPTIONS, ids=label)
def test_a_pack_equals_its_members_alone(method: Method, device: torch.device) -> None:
    members = grid(method)
    assert len(pack(members)) == 1
    together = finals(members, lockstep=True, device=device)
    in_turn = finals(members, lockstep=False, device=device)
    assert all(apart(together[one.key], in_turn[one.key]) < 1e-9 for one in members)
    last = members[-1]
    assert same(in_turn[last.key], finals(last, lockstep=False, device=device)[last.key])


@pytest.mark.parametrize("method", METHODS_AND_OPTIONS[::3], ids=label)
def test_a_member_of_nan_changes_no_other(method: Method, device: torch.device) -> None:
    members = grid(method)
    sick = replace(
        members[1],
        method=replace(members[1].method, **{n: scaled(v, float("nan")) for n, v in floats(method).items()}),
        optimiser=Adam(lr=float("nan")),
    )
    images = Dots().open(device=device)
    whole, broken = Together(members, images, device), Together([members[0], sick, members[2]], images, device)
    for step in range(12):
        terms, others = whole.step(step), broken.step(step)
        for name, values in terms.items():
            assert torch.equal(values[[0, 2]], others[name][[0, 2]]), name
    for member in (0, 2):
        assert same(whole.memory(member), broken.memory(member))
    assert broken.failures[0] is None and broken.failures[2] is None
    failure = broken.failures[1]
    assert isinstance(failure, Failure) and failure.step <= 1


def test_convolutions_in_lockstep() -> None:
    members = [tiny(BetaVAE(beta=b), network=Conv("lite", 8), seed=s) for b in (1.0, 6.0) for s in (0, 1)]
    together = finals(members, lockstep=True)
    for one in members:
        assert apart(together[one.key], finals(one)[one.key]) < 1e-9


def test_clipping_is_done_for_each_member() -> None:
    """The first member's gradients are clipped to almost nothing; the second's are not clipped at all."""
    tight, free = (tiny(optimiser=Adam(lr=1e-3, clip=clip)) for clip in (1e-12, 1e9))
    images, device = Dots().open(), torch.device("cpu")
    learner = Together([tight, free], images, device)
    learner.step(0)
    norms = torch.linalg.vector_norm(learner.groups[0].grad, dim=1)
    assert float(norms[0]) <= 1e-12 < 1e-3 < float(norms[1])
    alone = Alone(free, images, device)
    alone.step(0)
    assert apart(learner.memory(1), alone.memory(0)) < 1e-12


def test_learning_rates_differ_inside_a_pack() -> None:
    members = [vary(tiny(), optimiser__lr=lr) for lr in (0.0, 1e-3)]
    start = Alone(members[0], Dots().open(), torch.device("cpu")).memory(0)
    found = finals(members, lockstep=True)
    names = [name for name in start if name.startswith("model/")]
    assert all(torch.equal(found[members[0].key][name], start[name]) for name in names)
    assert not any(torch.equal(found[members[1].key][name], start[name]) for name in names)


def test_what_can_be_packed() -> None:
    beta = [tiny(BetaVAE(beta=b), seed=s) for b in (1.0, 4.0) for s in (0, 1)]
    assert [len(group) for group in pack([*beta, *beta])] == [4]
    assert [len(group) for group in pack([tiny(DeVAE((1.0, 2.0))), tiny(DeVAE((2, 3))), tiny(DeVAE((1.0,)))])] == [2, 1]
    apart_ = [tiny(), tiny(batch=5), tiny(steps=21), tiny(latents=3), tiny(network=None), tiny(precision="float32")]
    assert [len(group) for group in pack(apart_)] == [1] * len(apart_)
    assert [len(group) for group in pack([tiny(optimiser=Adam(lr=1e-3)), tiny(optimiser=Adam(lr=0.1))])] == [2]
    assert [len(group) for group in pack([tiny(optimiser=Adam(clip=None)), tiny(optimiser=Adam(clip=1.0))])] == [1, 1]


def test_whole_numbers_for_floats_train_in_lockstep_with_their_own_values() -> None:
    """BetaVAE(beta=1) and BetaVAE(beta=50) are one pack, and each keeps its own β."""
    members = [tiny(BetaVAE(beta=beta)) for beta in (1, 50)]
    (group,) = pack(members)
    assert len(group) == 2
    together = finals(members, lockstep=True)
    for one in members:
        assert apart(together[one.key], finals(one)[one.key]) < 1e-9


@pytest.mark.parametrize(
    ("kind", "asked", "size", "found"),
    [
        *(("cuda", asked, 2, Beside) for asked in (None, True, "branches")),
        *(("cuda", asked, 1, Alone) for asked in (None, False)),
        *(("cuda", asked, 2, Together) for asked in ("vmap", "products")),
        *(("cpu", True, size, Together) for size in (1, 2)),
    ],
)
def test_which_way_a_pack_goes(
    kind: str, asked: Any, size: int, found: type[Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``True`` on a card is what a card chooses, ``vmap`` elsewhere."""
    made: list[type[Learner]] = []
    for one in (Alone, Beside, Together):
        monkeypatch.setattr(LOOP, one.__name__, lambda *_, one=one, **__: made.append(one))
    learner_of([tiny(seed=s) for s in range(size)], Dots().open(), torch.device(kind), asked)
    assert made == [found]

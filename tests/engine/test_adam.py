"""The engine's Adam is the textbook's, for one model and for a stack of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unweave.engine import adam, train
from unweave.engine.adam import Group, attach
from unweave.networks import Conv
from unweave.types import Adam, Rate

from .tiny import apart, every, finals, tiny

SETTINGS = [
    Adam(lr=1e-2),
    Adam(lr=3e-3, betas=(0.5, 0.9), weight_decay=0.1),
    Adam(lr=1e-3, betas=(0.0, 0.99), eps=1e-4, weight_decay=0.01),
]
SHAPES = {"a": (3, 4), "b": (5,)}
COUNT = 50


def starts(members: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {n: torch.randn(s, dtype=torch.float64, generator=generator) for n, s in SHAPES.items()} for _ in range(members)
    ]


def gradients(members: int, steps: int = COUNT) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(steps, members, 17, dtype=torch.float64, generator=generator)


def textbook(start: dict[str, Tensor], grads: Tensor, settings: Adam) -> Tensor:
    """torch's own optimiser on the flat parameters of one model, step by step."""
    flat = torch.cat([value.flatten() for value in start.values()]).requires_grad_()
    s = settings
    own = torch.optim.Adam([flat], s.lr, s.betas, s.eps, s.weight_decay, foreach=False)
    for grad in grads:
        flat.grad = grad.clone()
        own.step()
    return flat.detach()


def run(group: Group, grads: Tensor, rates: Sequence[Rate] | None = None) -> None:
    members = len(group.flat)
    for grad in grads:
        group.grad.copy_(grad)
        group.update(rates or [Rate()] * members, torch.ones(members, dtype=torch.bool))


@pytest.fixture(params=["short rows", "long rows"])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of a pack are updated together where their rows are short, else one by one."""
    if request.param == "long rows":
        monkeypatch.setattr(adam, "LEAST", 1)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("chosen", [[0], [1], [2], [0, 1, 2], [1, 1]], ids=str)
def test_equals_torch(chosen: list[int]) -> None:
    members, settings = len(chosen), [SETTINGS[k] for k in chosen]
    values, grads = starts(members), gradients(members)
    group = Group(list(SHAPES), values, settings)
    run(group, grads)
    for member in range(members):
        torch.testing.assert_close(
            group.flat[member], textbook(values[member], grads[:, member], settings[member]), rtol=1e-12, atol=1e-12
        )


@pytest.mark.usefixtures("rows")
def test_one_step_by_hand() -> None:
    """After one step m̂ = g and v̂ = g², so every number moves by lr · g / (|g| + ε)."""
    for members in (1, 2):
        group = Group(
            ["w"], [{"w": torch.tensor([1.0, 1.0, 1.0]).double()}] * members, [Adam(lr=0.1, eps=1e-3)] * members
        )
        grad = torch.tensor([2.0, -5.0, 0.0]).double()
        run(group, grad.expand(1, members, 3))
        wanted = torch.tensor([1 - 0.1 * 2 / 2.001, 1 + 0.1 * 5 / 5.001, 1.0], dtype=torch.float64)
        torch.testing.assert_close(group.flat, wanted.expand(members, 3), rtol=1e-13, atol=0)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("members", [1, 2])
def test_half_a_scale_is_half_a_learning_rate(members: int) -> None:
    values, grads = starts(members), gradients(members)
    half = Group(list(SHAPES), values, [Adam(lr=1e-2)] * members)
    run(half, grads, [Rate(0.5)] * members)
    slow = Group(list(SHAPES), values, [Adam(lr=5e-3)] * members)
    run(slow, grads)
    torch.testing.assert_close(half.flat, slow.flat, rtol=1e-14, atol=1e-14)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("members", [1, 3])
def test_scale_0_touches_nothing_and_a_late_start_is_a_fresh_one(members: int) -> None:
    values, grads = starts(members), gradients(members)
    group = Group(list(SHAPES), values, SETTINGS[:members])
    before = [one.clone() for one in (group.flat, group.m, group.v, group.count)]
    run(group, grads * 1e3, [Rate(0.0)] * members)
    for now, then in zip((group.flat, group.m, group.v, group.count), before, strict=True):
        assert torch.equal(now, then)
    fresh = Group(list(SHAPES), values, SETTINGS[:members])
    run(group, grads)
    run(fresh, grads)
    assert torch.equal(group.flat, fresh.flat) and torch.equal(group.count, fresh.count)


@pytest.mark.usefixtures("rows")
def test_scale_0_of_one_member_only() -> None:
    values, grads = starts(2), gradients(2)
    group = Group(list(SHAPES), values, SETTINGS[:2])
    run(group, grads, [Rate(0.0), Rate(1.0)])
    assert torch.equal(group.flat[0], torch.cat([value.flatten() for value in values[0].values()]))
    assert group.count.tolist() == [0.0, float(COUNT)]
    torch.testing.assert_close(group.flat[1], textbook(values[1], grads[:, 1], SETTINGS[1]), rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("members", [1, 2])
def test_a_reset_forgets_moments_and_count(members: int) -> None:
    values, grads = starts(members), gradients(members)
    group = Group(list(SHAPES), values, SETTINGS[:members])
    run(group, grads)
    middle = [dict(zip(SHAPES, _split(row), strict=True)) for row in group.flat]
    run(group, grads[:1], [Rate(1.0, reset=True)] * members)
    run(group, grads[1:])
    fresh = Group(list(SHAPES), middle, SETTINGS[:members])
    run(fresh, grads)
    assert torch.equal(group.flat, fresh.flat) and torch.equal(group.v, fresh.v)


@pytest.mark.usefixtures("rows")
def test_a_reset_of_one_member_only() -> None:
    values, grads = starts(2), gradients(2)
    group = Group(list(SHAPES), values, SETTINGS[:2])
    run(group, grads)
    run(group, grads[:1], [Rate(), Rate(reset=True)])
    assert group.count.tolist() == [COUNT + 1.0, 1.0]


@pytest.mark.parametrize("clip", [0.1, 3.0, 1e6])
def test_clipping_is_torchs_for_each_group_and_member(clip: float) -> None:
    values, grads = starts(2), gradients(2, 1)
    group = Group(list(SHAPES), values, [Adam(clip=clip), Adam()])
    run(group, grads)
    parameter = nn.Parameter(torch.zeros(17, dtype=torch.float64))
    parameter.grad = grads[0, 0].clone()
    torch.nn.utils.clip_grad_norm_([parameter], clip)
    torch.testing.assert_close(group.grad[0], parameter.grad, rtol=1e-14, atol=0)
    assert torch.equal(group.grad[1], grads[0, 1])


def test_gradients_that_are_no_numbers_are_noticed() -> None:
    group = Group(["w"], [{"w": torch.zeros(3)}] * 4, [Adam()] * 4)
    group.grad.copy_(torch.tensor([[0, 1, 2], [0, float("nan"), 0], [float("inf"), 0, 0], [1e30, 0, 0]]))
    assert group.finite().tolist() == [True, False, False, False], "the last one's square is beyond float32"


def test_parameters_are_views_of_one_buffer() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2)).to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 3, 3)
    before = model(x)
    values = {name: p.detach() for name, p in model.named_parameters()}
    group = Group(list(values), [values], [Adam()])
    attach(model, [group])
    assert torch.equal(model(x), before)
    low, high = group.flat.data_ptr(), group.flat.data_ptr() + group.flat.numel() * 4
    for name, parameter in model.named_parameters():
        assert low <= parameter.data_ptr() < high and parameter.grad is not None
        assert torch.equal(parameter, values[name])
        assert parameter.is_contiguous(
            memory_format=torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
        )
    (model(x) ** 2).sum().backward()
    assert float(group.grad.abs().sum()) == pytest.approx(sum(float(p.grad.abs().sum()) for p in model.parameters()))  # type: ignore[union-attr]
    group.flat.zero_()
    assert not bool(model(x).any())


@pytest.mark.parametrize("method", ["beta-vae", "factor-vae"])
@pytest.mark.parametrize("lockstep", [False, True])
def test_parameters_that_begin_at_round_addresses_train_as_those_that_do_not(
    method: str, lockstep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a card, where kernels are chosen by alignment; a checkpoint of either is one of the other."""
    many = [tiny(every(method), seed=seed, network=Conv("lite", 8), latents=3) for seed in range(2)]
    plain = finals(many, lockstep=lockstep)
    stopped = iter([False] * 7 + [True] * 99)
    list(train(many, every=99, lockstep=lockstep, out=tmp_path, stop=lambda: next(stopped)))
    monkeypatch.setattr(adam, "ALIGNED", {"cpu": 64})
    for folder in (None, tmp_path):
        round_ = finals(many, lockstep=lockstep, out=folder)
        assert all(apart(round_[one.key], plain[one.key]) < 1e-12 for one in many)
    values = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    group = Group(list(values), [values, values], [Adam()] * 2)
    assert group.flat.shape == (2, 128)
    found = [view[k].data_ptr() - group.flat.data_ptr() for view in group.views(group.flat).values() for k in (0, 1)]
    assert found == [0, 512, 256, 768], "multiples of 64 numbers of 4 bytes"


def test_channels_last_trains_as_contiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    one = tiny("beta-vae", network=Conv("lite", 8))
    fast = finals(one)[one.key]
    monkeypatch.setattr(nn.Module, "to", _without_channels_last(nn.Module.to))
    plain = finals(one)[one.key]
    assert apart(fast, plain) < 1e-9


def _without_channels_last(to):  # type: ignore[no-untyped-def]
    def changed(self, *given, **more):  # type: ignore[no-untyped-def]
        return self if more.get("memory_format") is torch.channels_last else to(self, *given, **more)

    return changed


def _split(row: Tensor) -> tuple[Tensor, ...]:
    return row[:12].view(3, 4).clone(), row[12:].clone()


def test_long_rows_move_in_a_pack_as_they_do_alone_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adam, "LEAST", 17)
    values, paces = starts(3), torch.tensor([[0.01, 3e-3, 1e-3]], dtype=torch.float64)
    pack, alone = (
        Group(tuple(SHAPES), values, SETTINGS),
        [Group(tuple(SHAPES), values[k : k + 1], SETTINGS[k : k + 1]) for k in range(3)],
    )
    for step, grads in enumerate(gradients(3)):
        rates = [Rate(), Rate(0.5, reset=step == 20), Rate(0.0 if step % 3 else 1.0)]
        moves = torch.tensor([step < 40, True, step % 4 > 0])
        pack.grad.copy_(torch.where(moves[:, None], grads, torch.nan))
        if step % 2:
            pack.update(rates, moves)
        else:
            pack.glide(paces[0], moves)
        for k, group in enumerate(alone):
            group.grad.copy_(grads[k])
            if step % 2 and moves[k]:
                group.update([rates[k]])
            elif step % 2 == 0:
                group.glide(paces[:, k], moves[k : k + 1])
    for name in ("flat", "m", "v", "count"):
        assert torch.equal(getattr(pack, name), torch.cat([getattr(one, name) for one in alone]))
    assert bool(pack.flat.isfinite().all()) and pack.count.tolist() != [COUNT] * 3


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_row_in_parts_moves_as_a_whole_one(settings: Adam, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Group(tuple(SHAPES), starts(1), [settings])
    monkeypatch.setattr(adam, "PARTS", {"cpu": 3})
    monkeypatch.setattr(adam, "LEAST", 4)
    parts = Group(tuple(SHAPES), starts(1), [settings])
    assert [len(part) for part in parts._parts[0][0]] == [6, 6, 5] and len(whole._parts[0][0]) == 1
    pace = torch.tensor([settings.lr], dtype=torch.float64)
    for step, grads in enumerate(gradients(1)):
        for group in (whole, parts):
            group.grad.copy_(grads)
            if step % 2:
                group.update([Rate(scale=0.5, reset=step == 21)])
            else:
                group.glide(pace, torch.tensor([step % 6 > 0]), torch.tensor([step == 30]))
    for name in ("flat", "m", "v", "count"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-13, atol=0)
    # Since the reset at step 30: ten odd steps, and of nine even ones the six that move.
    assert whole.count.item() == 10 + 6

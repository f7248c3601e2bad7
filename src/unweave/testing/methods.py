"""What every method promises, whatever its objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from unweave.data import Dataset, Images
from unweave.engine.experiment import Complete, Experiment
from unweave.engine.plain import build, plain, settled
from unweave.engine.step import Alone, Together
from unweave.methods import Method
from unweave.methods.base import untypeable
from unweave.networks import MLP, Body, Model
from unweave.testing.claims import check_description, check_example, claim, leaves_randomness_alone
from unweave.testing.dots import Dots
from unweave.types import Adam, Loss, Rate, UserError

LATENTS = (4, 6, 8, 10, 12, 16)
MEMBERS = 3
STAGES = 16
"""As many periods of a schedule as a run goes through, at most one stage a latent."""
CLOSE = 1e-9
KINDS = ("normal", "uniform", "bytes", "permutation")
BODY = MLP((16,))


def check_method(
    method: Method, *, data: Dataset | None = None, latents: int | None = None, network: Body | None = BODY
) -> None:
    """Check that a method keeps the rules that the engine relies on.

    It is described by plain fields and its published settings are valid; its network, parameter groups, noise, memory
    and terms fit each other; its ``loss`` changes nothing, draws nothing and gives the same numbers twice; what trains
    its critics does not reach the rest, nor the other way round; and three models that differ in seed, learning rate
    and every float field learn the same in lockstep as alone, to 1e-9 in float64, around the borders of all its
    schedules, also when one of them is not finite. Every parameter gets a gradient at some step, a group with rate 0
    does not move, and a run taken up from what a checkpoint holds goes on bit for bit.

    Args:
        method: what to check.
        data: the data set it is tried on; 32 small images when None.
        latents: D; the first that the method accepts of 4, 6, 8, 10, 12, 16 when None.
        network: the body of its network, small so that the check is fast; None for the method's own.

    Raises:
        AssertionError: one line that says what does not hold.
    """
    who = str(getattr(method, "name", type(method).__name__))
    check_description(method, who)
    _check_settings(method, who)
    data = data or Dots()
    members = _members(method, data, latents, network, who)
    images = data.open()
    steps = _steps(method)
    first = members[0]
    _check_parts(first, images, steps, who)
    with leaves_randomness_alone(who):
        _check_loss(first, images, steps, who)
        _check_critics(first, images, steps, who)
        _check_lockstep(members, images, steps, who)
        _check_learning(members, images, _steps(method, STAGES), who)
    # Last: a loss can be put right before it is written about.
    check_example(method, who)
    claim(type(method).summary, who, "has no summary (a line for lists)")
    claim(type(method).references, who, "has no references (a tuple of Reference)")
    claim("" in type(method).presets, who, 'has no preset for data sets in general, presets[""]')


def _check_settings(method: Method, who: str) -> None:
    kind = type(method)
    again = build(kind, plain(settled(method)))
    claim(again == settled(method), who, f"does not come back from its plain values: {again!r}")
    names = {one.name for one in fields(method)}
    for data, preset in kind.presets.items():
        wrong = sorted(set(preset.fields) - names)
        claim(not wrong, who, f"presets[{data!r}] names fields that do not exist: {', '.join(wrong)}")
        settled(kind(**preset.fields))
    why = untypeable(kind)
    claim(not why, who, why)
    claim(set(kind.schedules) <= names, who, f"schedules {kind.schedules} name fields that do not exist")
    longer = method.over(2.0)
    for name in kind.schedules:
        claim(_lengths(getattr(longer, name)) > _lengths(getattr(method, name)), who, f"over(2) leaves {name} as it is")


def _members(method: Method, data: Dataset, latents: int | None, network: Body | None, who: str) -> list[Complete]:
    """Three experiments that differ in seed, learning rate and every number that may differ."""
    refused = ""
    for count in (latents,) if latents else LATENTS:
        found = []
        try:
            for place in range(MEMBERS):
                varied = replace(settled(method), **_floats(settled(method), 1 - 0.1 * place))
                adam = Adam(lr=1e-3 * (1 + place), clip=10.0, weight_decay=0.01 * place)
                one = Experiment(varied, data, network, None, count, 10**6, 6, adam, "float64", seed=place)
                found.append(one.complete())
            return found
        except UserError as error:
            refused = str(error)
    raise AssertionError(f"{who}: cannot be tried: {refused}")


def _floats(method: Method, factor: float) -> dict[str, Any]:
    """The fields that may differ inside a pack, multiplied."""
    values = {one.name: getattr(method, one.name) for one in fields(method)}
    many = {n: tuple(factor * one for one in v) for n, v in values.items() if _is_floats(v)}
    return many | {n: factor * v for n, v in values.items() if isinstance(v, float)}


def _is_floats(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], float)


def _lengths(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _steps(method: Method, stages: int = 1) -> list[int]:
    """The first steps, and those around the borders of every schedule, which may come again and again."""
    lengths = [length for name in method.schedules for length in _lengths(getattr(method, name))]
    borders = [count * length for length in lengths for count in range(1, stages + 1)]
    return sorted({0, 1, 2} | {max(0, border + d) for border in borders for d in (-1, 0, 1)})


def _check_parts(one: Complete, images: Images, steps: Sequence[int], who: str) -> None:
    method, spec = one.method, one.spec
    model = method.network(spec, one.latents, one.network)
    claim(isinstance(model, Model), who, f"network() makes a {type(model).__name__}, which is no Model")
    claim(model.latents == one.latents, who, f"its network has {model.latents} latents, not {one.latents}")
    for name, what in method.noise(spec, one.latents, one.batch).items():
        claim(what.kind in KINDS, who, f"noise {name!r} is {what.kind!r}; allowed: {', '.join(KINDS)}")
    try:
        alone = Alone(one, images, torch.device("cpu"))
        for step in steps:
            alone._rates(step)
    except UserError as error:
        raise AssertionError(f"{who}: {error}") from None
    with torch.no_grad():
        x = images.batch(torch.arange(4), {n: torch.zeros(d.shape) for n, d in images.noise(4).items()}).double()
        for space in range(model.spaces):
            q = alone.models[0].encode(x, space)
            logits = alone.models[0].decode(q.mean, space)
            claim(q.mean.shape == (4, one.latents), who, f"encode gives means of shape {tuple(q.mean.shape)}")
            claim(logits.shape == x.shape, who, f"decode gives {tuple(logits.shape)}, images are {tuple(x.shape)}")
            claim(alone.models[0].distortion(logits, x).shape == (4,), who, "distortion is not one number an image")


def _check_loss(one: Complete, images: Images, steps: Sequence[int], who: str) -> None:
    alone = Alone(one, images, torch.device("cpu"))
    model, state, names = alone.models[0], alone.state, None
    for step in steps:
        batch = alone.feed.batch(step)
        held = {"x": batch.x, "y": batch.y, "labels": batch.labels, "step": batch.step, **model.state_dict()}
        held |= {f"noise {n}": v for n, v in batch.noise.items()} | {f"state {n}": v for n, v in state.items()}
        before = {name: value.clone() for name, value in held.items()}
        loss, again = (one.method.loss(model, batch, state) for _ in range(2))
        changed = [name for name, value in held.items() if not torch.equal(value, before[name])]
        claim(not changed, who, f"loss changes what it is given: {', '.join(changed)}")
        _check_shape_of(loss, state, step, who)
        claim(names in (None, set(loss.terms)), who, f"loss records other terms at step {step} than before")
        same = torch.equal(loss.total, again.total) and all(
            torch.equal(loss.terms[n], again.terms[n]) for n in loss.terms
        )
        claim(same, who, f"loss gives other numbers when it is asked a second time at step {step}")
        state, names = loss.state, set(loss.terms)


def _check_shape_of(loss: Loss, state: Mapping[str, Tensor], step: int, who: str) -> None:
    claim("total" not in loss.terms, who, "a term is called total, which is the loss itself")
    for name, value in {"total": loss.total, **loss.terms}.items():
        claim(value.ndim == 0, who, f"{name} has shape {tuple(value.shape)} at step {step}; it must be one number")
        claim(torch.isfinite(value), who, f"{name} is {value.item()} at step {step}")
        claim(value.dtype == torch.float64, who, f"{name} is {value.dtype} where everything else is float64")
    kept = {name: (value.shape, value.dtype) for name, value in state.items()}
    claim({n: (v.shape, v.dtype) for n, v in loss.state.items()} == kept, who, "the next state is not shaped as init()")


def _check_critics(one: Complete, images: Images, steps: Sequence[int], who: str) -> None:
    """Groups called ``critic…`` are trained by the terms called ``critic…``, which the total holds with weight 1."""
    alone = Alone(one, images, torch.device("cpu"))
    groups = alone.models[0].groups()
    critics = [p for name in groups if name.startswith("critic") for p in _parameters(alone, name)]
    others = [p for name in groups if not name.startswith("critic") for p in _parameters(alone, name)]
    if not critics:
        return
    for step in steps:
        loss = one.method.loss(alone.models[0], alone.feed.batch(step), alone.state)
        told = [value for name, value in loss.terms.items() if name.startswith("critic")]
        claim(told, who, "has a parameter group for critics, but records no term called critic, their loss")
        own = sum(told[1:], told[0])
        leak = _reached(own, others)
        claim(
            leak == 0, who, f"what trains the critics reaches {leak} other parameters at step {step}: detach the codes"
        )
        leak = _reached(loss.total - own, critics)
        claim(leak == 0, who, f"{leak} parameters of critics are trained by other terms at step {step}: use detached()")


def _parameters(alone: Alone, group: str) -> list[Tensor]:
    return [alone.models[0].get_parameter(name) for name in alone.models[0].groups()[group]]


def _reached(value: Tensor, parameters: Sequence[Tensor]) -> int:
    """How many parameters a number has a gradient for that is more than rounding."""
    if not value.requires_grad or not parameters:
        return 0
    grads = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
    return sum(bool((grad.abs() > 1e-12).any()) for grad in grads)


def _check_learning(members: list[Complete], images: Images, steps: Sequence[int], who: str) -> None:
    device = torch.device("cpu")
    reached: set[str] = set()
    for one in members:
        alone = Alone(one, images, device)
        for step in steps:
            before = [group.flat.clone() for group in alone.groups]
            alone.step(step)
            rates = one.method.rates(step)
            for name, group, old in zip(alone.names, alone.groups, before, strict=True):
                rests = rates.get(name, Rate()).scale == 0
                claim(not rests or torch.equal(group.flat, old), who, f"group {name} moves at step {step} with rate 0")
                if not rests:
                    reached |= {key for key, grad in group.views(group.grad).items() if bool(grad.any())}
    never = [name for name, _ in alone.models[0].named_parameters() if name not in reached]
    claim(not never, who, f"no gradient ever reaches {', '.join(never[:5])}")
    again = Alone(one, images, device)
    again.restore([alone.memory(0)])
    terms, other = alone.step(steps[-1] + 1), again.step(steps[-1] + 1)
    same = all(torch.equal(value, other[name]) for name, value in terms.items())
    mine, theirs = alone.memory(0), again.memory(0)
    same = same and all(torch.equal(value, theirs[name]) for name, value in mine.items())
    claim(same, who, "a run taken up from its checkpoint differs from one that was never stopped")


def _check_lockstep(members: list[Complete], images: Images, steps: Sequence[int], who: str) -> None:
    device = torch.device("cpu")
    alone = [Alone(one, images, device) for one in members]
    before = [learner.memory(0) for learner in alone]
    sick = replace(members[1], method=replace(members[1].method, **_floats(members[1].method, float("nan"))))
    packs = [
        Together(members, images, device),
        Together([members[0], replace(sick, optimiser=Adam(lr=float("nan"))), *members[2:]], images, device),
    ]
    for step in steps:
        wanted = [learner.step(step) for learner in alone]
        for pack in packs:
            try:
                terms: Mapping[str, Tensor] = pack.step(step)
            except RuntimeError as error:
                line = str(error).splitlines()[0]
                raise AssertionError(f"{who}: loss cannot run in lockstep (under torch.vmap): {line}") from None
            for place in range(MEMBERS):
                for name in terms if pack is packs[0] or place != 1 else ():
                    given, own = terms[name][place], wanted[place][name][0]
                    close = torch.isclose(given, own, rtol=CLOSE, atol=CLOSE)
                    claim(close, who, f"{name} in lockstep at step {step} is {given.item()}, alone {own.item()}")
    for place, learner in enumerate(alone):
        claim(learner.failures == [None], who, f"is not finite on ordinary data: {learner.failures[0]}")
        mine = learner.memory(0)
        for pack in packs if place != 1 else packs[:1]:
            for name, value in pack.memory(place).items():
                off = float((value - mine[name]).abs().max()) if value.numel() else 0.0
                most = float(mine[name].abs().max()) if value.numel() else 0.0
                claim(off <= CLOSE * max(1.0, most), who, f"{name} in lockstep and alone differ by {off:.1e}")
        learns = any(not torch.equal(value, before[place][n]) for n, value in mine.items() if n.startswith("model/"))
        claim(learns, who, "no parameter moved")

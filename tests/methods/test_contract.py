"""What every method promises, whatever its objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from unweave.data import DATASETS
from unweave.methods import METHODS, Method
from unweave.types import Batch

from .case import EVERY, LATENTS, ROWS, SPEC, Case, case, gradients, label

STEPS = [0, 15, 35]
methods = pytest.mark.parametrize("method", EVERY, ids=label)


class Watched(Mapping[str, Tensor]):
    """A mapping that remembers which of its entries were read."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self.values_, self.read = values, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def test_every_method_is_tried() -> None:
    assert {type(one) for one in EVERY} == set(METHODS.values())
    assert all(METHODS[kind.name] is kind for kind in METHODS.values())


@methods
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_loss_is_finite_and_its_terms_are_scalars(method: Method, step: int, precision: str) -> None:
    one = case(method, step, precision=precision)
    dtype = torch.float64 if precision == "float64" else torch.float32
    loss = one.loss()
    for name, value in {"total": loss.total, **loss.terms}.items():
        assert value.ndim == 0 and bool(torch.isfinite(value)) and value.dtype == dtype, name
    # A GAN has no posterior, and so no KL; a BHiVAE matched by a discrepancy has none either.
    without = method.name == "infogan" or (method.name == "bhivae" and "mmd" in loss.terms)
    assert {"recon", "kl"} - ({"kl"} if without else set()) <= set(loss.terms)
    assert "total" not in loss.terms


@methods
def test_every_parameter_can_learn(method: Method) -> None:
    reached: set[str] = set()
    for step in STEPS:
        one = case(method, step)
        for uniform in (0.1, 0.6, 0.95):
            if "space" in one.batch.noise:
                one.batch.noise["space"].fill_(uniform)
            one.loss().total.backward()
        reached |= {name for name, value in gradients(one.model).items() if bool(value.any())}
    assert reached == {name for name, _ in one.model.named_parameters()}


@methods
def test_terms_and_state_keep_their_names_and_shapes(method: Method) -> None:
    one = case(method, 0)
    state, terms = one.state, None
    for step in STEPS:
        loss = one.method.loss(one.model, one.batch._replace(step=torch.tensor(step)), state)
        assert terms is None or set(loss.terms) == terms
        assert {n: (v.shape, v.dtype) for n, v in loss.state.items()} == {
            n: (v.shape, v.dtype) for n, v in state.items()
        }
        assert not any(value.requires_grad for value in loss.state.values())
        state, terms = loss.state, set(loss.terms)


@methods
def test_loss_changes_nothing_and_draws_nothing(method: Method) -> None:
    one = case(method)
    held = {
        **{f"state {n}": v for n, v in one.state.items()},
        **{f"noise {n}": v for n, v in one.batch.noise.items()},
        **{f"model {n}": v for n, v in one.model.state_dict().items()},
        "x": one.batch.x,
        "y": one.batch.y,
        "step": one.batch.step,
    }
    before = {name: value.clone() for name, value in held.items()}
    described = repr(method)
    generator = torch.get_rng_state()
    first, again = one.loss(), one.loss()
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(held[name], value) for name, value in before.items())
    assert repr(method) == described
    assert torch.equal(first.total, again.total)
    assert all(torch.equal(first.terms[name], value) for name, value in again.terms.items())


@methods
def test_noise_that_is_asked_for_is_read(method: Method) -> None:
    one = case(method)
    watched = Watched(one.batch.noise)
    method.loss(one.model, one.batch._replace(noise=watched), one.state)
    assert watched.read == set(watched)
    for what in method.noise(SPEC, LATENTS, ROWS).values():
        assert what.kind in ("normal", "uniform", "bytes", "permutation")


def floats_of(method: Method) -> dict[str, Any]:
    """The fields that may differ between models trained in lockstep."""
    found = {}
    for one in fields(method):
        value = getattr(method, one.name)
        if isinstance(value, float) or (isinstance(value, tuple) and value and isinstance(value[0], float)):
            found[one.name] = value
    return found


def moved(value: Any, factor: float) -> Any:
    """A float or a tuple of floats, multiplied."""
    return tuple(factor * one for one in value) if isinstance(value, tuple) else factor * value


def stacked(first: Any, second: Any) -> Any:
    """Two floats, or two tuples of floats, as tensors with a first axis of 2."""
    if isinstance(first, tuple):
        return tuple(stacked(a, b) for a, b in zip(first, second, strict=True))
    return torch.tensor([first, second], dtype=torch.float64)


@methods
@pytest.mark.parametrize("step", STEPS)
def test_two_in_lockstep_are_the_two_alone(method: Method, step: int) -> None:
    """Stacked models under vmap, float fields as tensors, one backward outside: losses and gradients of each alone."""
    other = replace(method, **{name: moved(value, 0.9) for name, value in floats_of(method).items()})
    cases = [case(method, step, seed=0), case(other, step, seed=1)]
    alone = []
    for one in cases:
        loss = one.loss()
        loss.total.backward()
        alone.append((loss, gradients(one.model)))
    leaves, total, terms, state = together(cases)
    total.sum().backward()
    for member, (loss, grads) in enumerate(alone):
        torch.testing.assert_close(total[member], loss.total, rtol=1e-12, atol=1e-12)
        assert set(terms) == set(loss.terms)
        for name, value in loss.terms.items():
            torch.testing.assert_close(terms[name][member], value, rtol=1e-12, atol=1e-12, msg=name)
        for name, value in loss.state.items():
            torch.testing.assert_close(state[name][member], value, rtol=1e-12, atol=1e-12, msg=name)
        for name, value in grads.items():
            got = torch.zeros_like(leaves[name]) if leaves[name].grad is None else leaves[name].grad
            torch.testing.assert_close(got[member], value, rtol=1e-10, atol=1e-10, msg=name)


class Objective(torch.nn.Module):
    """A loss as a module, which ``functional_call`` can run with other parameters."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, method: Method, batch: Batch, state: Mapping[str, Tensor]) -> tuple[Any, ...]:
        loss = method.loss(self.model, batch, state)  # type: ignore[arg-type]
        return loss.total, dict(loss.terms), dict(loss.state)


def together(cases: list[Case]) -> tuple[dict[str, Tensor], Tensor, Any, Any]:
    """The stacked parameters, and losses, terms and states of all cases from one call under vmap."""
    parameters, buffers = stack_module_state([one.model for one in cases])
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    first = cases[0]
    numbers = {name: stacked(*(getattr(c.method, name) for c in cases)) for name in floats_of(first.method)}
    noise = {name: torch.stack([c.batch.noise[name] for c in cases]) for name in first.batch.noise}
    state = {name: torch.stack([c.state[name] for c in cases]) for name in first.state}
    x, y = (torch.stack([getattr(c.batch, name) for c in cases]) for name in "xy")
    objective = Objective(first.model)

    def one(weights: Any, held: Any, numbers: Any, x: Tensor, y: Tensor, noise: Any, state: Any) -> tuple[Any, ...]:
        method = replace(first.method, **numbers)
        batch = first.batch._replace(x=x, y=y, noise=noise)
        named = {f"model.{name}": value for name, value in {**weights, **held}.items()}
        return functional_call(objective, named, (method, batch, state))

    run = torch.vmap(one, randomness="error")
    return leaves, *run(leaves, buffers, numbers, x, y, noise, state)


@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_published_settings_are_fields_and_can_be_trained(kind: type[Method]) -> None:
    assert "" in kind.presets
    for name, preset in kind.presets.items():
        assert set(preset.fields) <= {one.name for one in fields(kind)}, name
        kind(**preset.fields).check(DATASETS[name]().spec() if name else SPEC, preset.latents)
        assert preset.note and preset.steps > 0 and preset.batch > 0


@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_over_multiplies_the_lengths_of_schedules_and_nothing_else(kind: type[Method]) -> None:
    method = kind()
    half, long = method.over(0.5), method.over(2.0)
    for one in fields(kind):
        value = getattr(method, one.name)
        if one.name in kind.schedules:
            assert getattr(half, one.name) == round(value / 2) and getattr(long, one.name) == 2 * value
        else:
            assert getattr(half, one.name) == value
    assert all(getattr(method.over(1e-9), name) == 1 for name in kind.schedules)


@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_fields_that_count_steps_are_schedules_by_their_names(kind: type[Method]) -> None:
    counts = [one.name for one in fields(kind) if one.name.endswith(("_steps", "_every", "_period", "_ramp"))]
    assert list(kind.schedules) == counts


@methods
def test_rates_and_optimisers_name_groups_of_the_network(method: Method) -> None:
    groups = set(case(method).model.groups())
    assert set(method.optimisers()) <= groups
    for step in (0, 10, 29, 10**6):
        assert set(method.rates(step)) <= groups


@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_every_method_says_what_it_is(kind: type[Method]) -> None:
    assert kind.summary and "\n" not in kind.summary
    assert kind.references and all(one.bibtex().startswith("@article{") for one in kind.references)
    documented = kind.__doc__ or ""
    assert all(f"        {one.name}: " in documented for one in fields(kind))

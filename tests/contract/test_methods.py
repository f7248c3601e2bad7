"""Every method keeps the shipped contract, and the contract notices methods that do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch

from unweave import Experiment, train
from unweave.data import DataSpec
from unweave.engine.step import build
from unweave.methods import METHODS, FactorVAE, Method, Preset
from unweave.methods.terms import autoencode
from unweave.networks import MLP, Model, detached
from unweave.testing import check_method
from unweave.testing.methods import LATENTS
from unweave.types import Adam, Batch, Loss, Rate, Reference, State, UserError

SMALL: dict[str, dict[str, Any]] = {
    "bhivae": {"width": 8, "part_width": 8, "critic_hidden": 8, "critic_layers": 2},
    "bhivae-supervised": {"width": 8, "part_width": 8, "classifier_hidden": 8},
    "factor-vae": {"critic_hidden": 16, "critic_layers": 2},
    "recurd": {"critic_hidden": 16, "critic_layers": 2},
    "vamp-prior": {"pseudo_inputs": 8},
}
"""Fields that only make a network smaller."""


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_contract(name: str) -> None:
    check_method(METHODS[name](**SMALL.get(name, {})))


@pytest.mark.parametrize("data", ["dsprites", "shapes3d"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_drawn_sets(name: str, data: str) -> None:
    """Images of 64×64 pixels, grey and in colour: every number is finite and every group of parameters moves."""
    method = METHODS[name](**SMALL.get(name, {}))
    for latents in (*LATENTS, METHODS[name].presets[""].latents):
        one = Experiment(method, data, network=MLP((4,)), batch=4, steps=2, latents=latents, precision="float32")
        try:
            complete = one.complete()
        except UserError:
            continue
        break
    before = {name: value.clone() for name, value in build(complete, torch.device("cpu")).named_parameters()}
    (last,) = train(complete, every=2, device="cpu")
    assert last.step == 2 and last.failures == (None,) and last.source.startswith("drawn")
    assert all(bool(torch.isfinite(values).all()) for values in last.terms.values())
    model = last.models[0]
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    for group, names in model.groups().items():
        rates = {complete.method.rates(step).get(group, Rate()).scale for step in (0, 1)}
        assert rates == {0} or moved & set(names), f"{group} did not move"


def own(model: Model, batch: Batch, state: State, beta: Any) -> Loss:
    _, _, recon, kl = autoencode(model, batch)
    return Loss(recon + beta * kl, {"recon": recon, "kl": kl}, dict(state))


@dataclass(frozen=True)
class Own(Method):
    """A method of somebody else's.

    >>> Own().beta
    2.0
    """

    beta: float = 2.0
    length: int = 5
    name: ClassVar[str] = "own"
    summary: ClassVar[str] = "another β-VAE"
    schedules: ClassVar[tuple[str, ...]] = ("length",)
    references: ClassVar[tuple[Reference, ...]] = (Reference("own", "A. Uthor", "Own", "Nowhere", 2024),)
    presets: ClassVar[Mapping[str, Preset]] = {"": Preset()}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        return own(model, batch, state, self.beta)


def test_a_method_of_somebody_elses_passes() -> None:
    check_method(Own())


def variant(**changes: Any) -> Method:
    """``Own`` with some of its attributes replaced."""
    kind = dataclass(frozen=True)(type("Changed", (Own,), {"__doc__": Own.__doc__, "__module__": __name__, **changes}))
    found: Method = kind()
    return found


def losing(change: Callable[..., Any]) -> dict[str, Any]:
    """A loss that does something else first: ``change(self, model, batch, state)`` gives what is added to the total."""

    def loss(self: Any, model: Model, batch: Batch, state: State) -> Loss:
        extra = change(self, model, batch, state)
        found = own(model, batch, state, self.beta)
        return found._replace(total=found.total + (0 if extra is None else extra))

    return {"loss": loss}


def terms(change: Callable[[Loss], Loss]) -> dict[str, Any]:
    return {"loss": lambda self, model, batch, state: change(own(model, batch, state, self.beta))}


def branching(self: Any, model: Model, batch: Batch, state: State) -> Any:
    return 1.0 if bool(batch.x.mean() > 0.5) else None


class Counter:
    calls = 0

    def __call__(self, *given: Any) -> float:
        Counter.calls += 1
        return float(Counter.calls)


def checked(self: Any, data: DataSpec, latents: int) -> None:
    raise UserError("own: not today")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "draws": (losing(lambda s, m, b, st: torch.randn(()).double()), "gives other numbers|random"),
    "counts": (losing(Counter()), "gives other numbers when it is asked a second time"),
    "branches": (losing(branching), "cannot run in lockstep"),
    "reads a number off a tensor": (losing(lambda s, m, b, st: b.x.mean().item()), "cannot run in lockstep"),
    "changes the batch": (losing(lambda s, m, b, st: b.x.mul_(0.5).sum() * 0), "changes what it is given: x"),
    "changes the weights": (
        losing(lambda s, m, b, st: next(m.parameters()).data.mul_(0.5).sum() * 0),
        "changes what it is given: encoder",
    ),
    "a term of all images": (terms(lambda f: f._replace(terms={"kl": f.total.expand(3)})), r"kl has shape \(3,\)"),
    "a term called total": (terms(lambda f: f._replace(terms={"total": f.total})), "a term is called total"),
    "NaN": (terms(lambda f: f._replace(terms={"kl": f.total * float("nan")})), "kl is nan at step 0"),
    "float32": (terms(lambda f: f._replace(terms={"kl": f.total.float()})), "kl is torch.float32"),
    "another state": (
        terms(lambda f: f._replace(state={"more": f.total.detach()})),
        r"the next state is not shaped as init\(\)",
    ),
    "a constant": (
        {"loss": lambda self, m, b, st: Loss(sum((p * 0).sum() for p in m.parameters()), {}, {})},
        "no parameter moved",
    ),
    "an unknown group": ({"optimisers": lambda self: {"critics": Adam()}}, "unknown parameter group in optimisers"),
    "an unknown group's rate": ({"rates": lambda self, step: {"critics": Rate()}}, "unknown parameter group in rates"),
    "a parameter that nothing reaches": (
        {"network": lambda self, d, n, b=None: _idle(self, d, n, b)},
        "ever reaches idle",
    ),
    "unknown noise": ({"noise": lambda self, d, n, r: {"z": _draw((r, n), "cauchy")}}, "noise 'z' is 'cauchy'"),
    "a preset of another": ({"presets": {"": Preset({"gamma": 1.0})}}, "names fields that do not exist: gamma"),
    "no preset": ({"presets": {}}, "has no preset for data sets in general"),
    "no references": ({"references": ()}, "has no references"),
    "a schedule that is none": ({"schedules": ("lenght",)}, "schedules .* name fields that do not exist"),
    "no example": ({"__doc__": "Nothing."}, "its docstring has no example"),
    "refuses everything": ({"check": checked}, "cannot be tried: own: not today"),
    "numpy's generator": (losing(lambda s, m, b, st: _numpy()), "gives other numbers"),
    "a constant of numpy's generator": (
        losing(lambda s, m, b, st: 0 * _numpy()),
        "uses the global random generator of numpy",
    ),
    "a hidden weight": ({"network": lambda self, d, n, b=None: _hiding(self, d, n, b)}, r"groups\(\) must name each"),
    "another number of latents": (
        {"network": lambda self, d, n, b=None: Method.network(self, d, n + 1, b)},
        "5 latents, not 4",
    ),
}


def _draw(shape: tuple[int, ...], kind: str) -> Any:
    from unweave.types import Draw

    return Draw(shape, kind)


def _numpy() -> float:
    import numpy as np

    return float(np.random.rand())  # noqa: NPY002 — what a method must not do


def _idle(self: Method, data: DataSpec, latents: int, body: Any) -> Model:
    model = Method.network(self, data, latents, body)
    model.idle = torch.nn.Parameter(torch.ones(2))
    return model


def _hiding(self: Method, data: DataSpec, latents: int, body: Any) -> Model:
    model = Method.network(self, data, latents, body)
    names = model.groups()["all"]
    model.groups = lambda: {"all": names[1:]}  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("changes, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_method_is_noticed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        check_method(variant(**changes))
    assert "\n" not in str(caught.value)


def leaking(critic: Callable[[Any, Any], Any], model: Callable[[Any, Any], Any]) -> type[FactorVAE]:
    """A FactorVAE whose two uses of the critic are given, as functions of (critic, codes)."""

    def loss(self: Any, net: Any, batch: Batch, state: State) -> Loss:
        _, z, recon, kl = autoencode(net, batch)
        told = critic(net.critics["tc"], z).square().mean()
        judged = model(net.critics["tc"], z).mean()
        return Loss(recon + kl + judged + told, {"recon": recon, "kl": kl, "critic": told})

    more = {"loss": loss, "__doc__": FactorVAE.__doc__, "__module__": __name__}
    return dataclass(frozen=True)(type("Leaking", (FactorVAE,), more))


def test_a_critic_that_leaks_is_noticed() -> None:
    fair = leaking(lambda critic, z: critic(z.detach()), detached)
    check_method(fair(**SMALL["factor-vae"]))
    with pytest.raises(AssertionError, match="what trains the critics reaches 4 other parameters at step 0"):
        check_method(leaking(lambda critic, z: critic(z), detached)(**SMALL["factor-vae"]))
    with pytest.raises(AssertionError, match="6 parameters of critics are trained by other terms at step 0"):
        check_method(leaking(lambda c, z: c(z.detach()), lambda critic, z: critic(z))(**SMALL["factor-vae"]))


def test_a_method_that_is_not_frozen_is_noticed() -> None:
    class Loose(Own):
        """>>> 1"""

        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(AssertionError, match="cannot be hashed"):
        check_method(Loose())


def test_a_method_whose_float_is_read_by_python_is_noticed() -> None:
    """``if self.beta`` works alone and fails where β is a tensor."""

    def loss(self: Any, model: Model, batch: Batch, state: State) -> Loss:
        return own(model, batch, state, self.beta if self.beta > 1 else 1.0)

    with pytest.raises(AssertionError, match="cannot run in lockstep"):
        check_method(replace(variant(loss=loss)))

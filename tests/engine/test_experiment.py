"""One description, one key; whatever cannot be trained is refused in one line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from unweave.data import DATASETS, Dataset, DSprites, Split, Subset, Triangle
from unweave.engine import Experiment, from_json, pack, to_json, vary
from unweave.engine.experiment import NUMBERS, Complete
from unweave.engine.plain import plain, settled, tagged, untagged
from unweave.methods import DEFT, METHODS, VAE, BetaVAE, ControlVAE, DeVAE, FactorVAE, Method
from unweave.networks import MLP, Conv
from unweave.testing import Dots
from unweave.types import Adam, UserError

from .named import named_experiments

RECORDED = Path(__file__).parent.parent / "recorded" / "keys.json"
OTHER_THAN_DEFAULT: list[Method] = [
    VAE(),
    BetaVAE(beta=2.5, end=1.0, schedule="exp", anneal_steps=7),
    FactorVAE(gamma=1.5, critic_hidden=9, critic_layers=1, critic_lr=3e-5, second_batch=True),
    ControlVAE(0.25, 9.0, 0.5, 11, 0.02, -0.004, 0.5, "author"),
    DeVAE((1.5, 2.5, 3.5), 0.5, "linear", "onehot", "random", True),
    DEFT((9.0, 3.0), 0.5, 77, "grad", "scale", False, True),
]


def experiment(method: Method | str = "beta-vae", **settings: Any) -> Experiment:
    given: dict[str, Any] = {"data": "triangle", "precision": "float32", "network": MLP((8,)), **settings}
    return Experiment(method, **given)


def test_a_method_with_a_network_of_its_own_takes_no_other() -> None:
    given, bare = (Experiment("nvae", "triangle", latents=40, network=one) for one in (MLP((8,)), None))
    assert given.complete() == bare.complete() and given.key == bare.key
    assert Experiment("vae", "triangle", network=MLP((8,))).complete().network == MLP((8,))


def test_keys_are_the_recorded_ones() -> None:
    """A key that moves makes every run of everybody start again: only a raised NUMBERS may do that."""
    recorded = json.loads(RECORDED.read_text())
    assert recorded["numbers"] == NUMBERS, "NUMBERS was raised: record the new keys (tests/recorded/README.md)"
    found = {name: one.key for name, one in named_experiments().items()}
    assert {name: found[name] for name in recorded["keys"]} == recorded["keys"]


def test_every_part_of_the_description_is_in_the_key() -> None:
    one = experiment().complete()
    changes: dict[str, Any] = {
        "method": BetaVAE(beta=5.0), "data": DSprites(), "network": MLP((9,)), "likelihood": "squared", "latents": 3,
        "steps": 7, "batch": 3, "optimiser": Adam(lr=2e-4), "precision": "float64", "seed": 1,
    }  # fmt: skip
    assert set(changes) == {one.name for one in fields(Complete)}
    keys = {vary(one, **{name: value}).key for name, value in changes.items()}
    assert len(keys | {one.key}) == len(changes) + 1


@pytest.mark.parametrize("given", [4, 4.0, np.float32(4), np.int64(4)])
def test_a_number_has_one_key_however_it_is_written(given: Any) -> None:
    one, wanted = experiment(BetaVAE(beta=given)), experiment(BetaVAE(beta=4.0))
    assert one.key == wanted.key and type(one.complete().method.beta) is float  # type: ignore[attr-defined]
    assert len(pack([one, experiment(BetaVAE(beta=8)), experiment(BetaVAE(beta=0.5))])) == 1


def test_tuples_given_as_lists_and_whole_numbers() -> None:
    listed = experiment(DeVAE(betas=[1, 40]))  # type: ignore[arg-type]
    assert listed.key == experiment(DeVAE(betas=(1.0, 40.0))).key
    assert listed.complete().method == DeVAE(betas=(1.0, 40.0))
    assert experiment(seed=np.int64(2)).key == experiment(seed=2).key
    assert experiment(data=Triangle(angle_noise=1)).key == experiment(data=Triangle(angle_noise=1.0)).key
    assert (
        experiment(optimiser=Adam(lr=1, betas=(0, 0))).key == experiment(optimiser=Adam(lr=1.0, betas=(0.0, 0.0))).key
    )


@pytest.mark.parametrize("method", OTHER_THAN_DEFAULT, ids=lambda m: m.name)
def test_json_and_back(method: Method) -> None:
    kind = type(method)
    assert all(getattr(method, one.name) != one.default for one in fields(method)) or kind in (VAE, DEFT)
    network = None if kind is VAE else MLP((5, 6), "tanh")
    latents = 6
    one = Experiment(
        method, Triangle(True, 2.5), network, "squared", latents, 12, 3, Adam(1e-3, (0.5, 0.6), 1e-7, 0.1, 2.0)
    )
    text = json.dumps(to_json(one.complete()))
    again = from_json(json.loads(text))
    assert again == one.complete() and again.key == one.key


def test_fields_that_are_new_take_their_defaults() -> None:
    values = to_json(experiment(BetaVAE(beta=3.0)).complete())
    del values["method"]["anneal_steps"], values["optimiser"]["clip"]
    assert from_json(values) == experiment(BetaVAE(beta=3.0)).complete()


def test_every_method_is_tried() -> None:
    assert {type(one) for one in OTHER_THAN_DEFAULT} >= {VAE, BetaVAE, FactorVAE, ControlVAE, DeVAE, DEFT}
    for kind in METHODS.values():
        assert untagged(tagged(settled(kind()), kind.name), METHODS, "method") == settled(kind())
    for data in DATASETS.values():
        assert untagged(tagged(data(), data.name), DATASETS, "data set") == data()


BAD_JSON = {
    "no description": (lambda v: [], "not given"),
    "a part missing": (lambda v: {k: x for k, x in v.items() if k != "steps"}, "steps not given"),
    "unknown method": (lambda v: {**v, "method": {"name": "beta-vea"}}, "did you mean 'beta-vae'"),
    "method as text": (lambda v: {**v, "method": "vae"}, "described by its name and fields"),
    "unknown field": (lambda v: {**v, "method": {"name": "beta-vae", "bta": 1}}, "did you mean 'beta'"),
    "field of another type": (lambda v: {**v, "method": {"name": "beta-vae", "beta": "4"}}, "beta = '4'; allowed"),
    "NaN": (lambda v: {**v, "method": {"name": "beta-vae", "beta": float("nan")}}, "allowed: a finite number"),
    "unknown data": (lambda v: {**v, "data": {"name": "dsprite"}}, "did you mean 'dsprites'"),
    "unknown network": (
        lambda v: {**v, "network": {"name": "resnet"}},
        "the network 'resnet', which is no part of unweave",
    ),
    "steps as text": (lambda v: {**v, "steps": "7"}, "steps = '7'; allowed: a whole number"),
    "half a step": (lambda v: {**v, "steps": 7.5}, "steps = 7.5; allowed: a whole number"),
    "negative latents": (lambda v: {**v, "latents": -1}, "latents = -1; allowed"),
    "adam as list": (lambda v: {**v, "optimiser": []}, "Adam is described by its fields"),
    "three betas": (lambda v: {**v, "optimiser": {"betas": [0.1, 0.2, 0.3]}}, "betas = "),
    "likelihood a number": (lambda v: {**v, "likelihood": 3}, "likelihood = 3; allowed: a text"),
}


@pytest.mark.parametrize("change, message", BAD_JSON.values(), ids=BAD_JSON)
def test_descriptions_that_are_none(change: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        from_json(change(to_json(experiment().complete())))
    assert "\n" not in str(caught.value)


BAD = {
    "method": ("unknown method 'beta-vea' — did you mean 'beta-vae'", {"method": "beta-vea"}),
    "method class": ("unknown method <class", {"method": BetaVAE}),
    "data": ("unknown data set 'triangl' — did you mean 'triangle'", {"data": "triangl"}),
    "steps": ("steps = 0; allowed: a whole number from 1", {"steps": 0}),
    "steps float": (r"steps = 10.0; allowed: a whole number", {"steps": 10.0}),
    "batch": ("batch = -1", {"batch": -1}),
    "seed": ("seed = -1; allowed: 0 to", {"seed": -1}),
    "seed too large": ("seed = 9223372036854775808", {"seed": 2**63}),
    "seed text": ("seed = '1'", {"seed": "1"}),
    "seed switch": ("seed = True", {"seed": True}),
    "precision": ("unknown precision 'float16'", {"precision": "float16"}),
    "likelihood": ("unknown likelihood 'gauss'", {"likelihood": "gauss"}),
    "network": ("network = 'conv'; allowed", {"network": "conv"}),
    "network's preset": ("unknown preset of Conv 'standrd' — did you mean 'standard'", {"network": Conv("standrd")}),
    "network's widths": ("MLP.hidden = 256; allowed: a tuple of whole numbers, as", {"network": MLP(256)}),  # type: ignore[arg-type]
    "too few images": ("factor-vae: batch = 1; allowed: 2 or more", {"method": "factor-vae", "batch": 1}),
    "pressures": (r"DeVAE.betas = 40.0; allowed: a tuple of finite numbers, as", {"method": DeVAE(betas=40.0)}),  # type: ignore[arg-type]
    "lr": ("Adam.lr = nan; allowed: a finite number", {"optimiser": Adam(lr=float("nan"))}),
    "lr negative": ("lr = -0.001 of optimiser's Adam; allowed: 0 or more", {"optimiser": Adam(lr=-1e-3)}),
    "weight decay": ("weight_decay = inf; allowed: a finite number", {"optimiser": Adam(weight_decay=float("inf"))}),
    "betas": (r"betas = \(0.9, 1.0\) of .* numbers from 0, below 1", {"optimiser": Adam(betas=(0.9, 1.0))}),
    "eps": ("eps = 0.0 of .* above 0", {"optimiser": Adam(eps=0.0)}),
    "clip": ("clip = 0.0 of .* above 0, or None", {"optimiser": Adam(clip=0.0)}),
    "latents": ("5 latents do not divide into 2 groups", {"method": "deft", "latents": 5}),
}


@pytest.mark.parametrize("message, settings", BAD.values(), ids=BAD)
def test_what_cannot_be_trained_is_refused(message: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=message) as caught:
        experiment(**settings).complete()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fraction", [0, -1, float("nan"), float("inf")])
def test_schedules_are_made_longer_or_shorter_by_numbers_above_0(fraction: float) -> None:
    with pytest.raises(UserError, match=r"deft: over\(.*\); allowed: a finite number above 0"):
        DEFT().over(fraction)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_hyperparameters_that_are_no_numbers_are_refused(kind: type[Method], value: float) -> None:
    for one in fields(kind):
        default = getattr(kind(), one.name)
        if isinstance(default, float) or (isinstance(default, tuple) and default and isinstance(default[0], float)):
            broken = (value,) * len(default) if isinstance(default, tuple) else value
            with pytest.raises(UserError, match=f"{one.name} = "):
                experiment(kind(**{one.name: broken})).complete()


def test_vary() -> None:
    one = experiment(BetaVAE(beta=3)).complete()
    assert vary(one, method__beta=7, optimiser__lr=1, seed=2).method == BetaVAE(beta=7.0)
    assert vary(one, optimiser__lr=1).optimiser == replace(one.optimiser, lr=1.0)
    assert vary(one, network__hidden=(5,)).network == MLP((5,))
    assert vary(one, method="vae").method == VAE() and vary(one, data="dsprites").data == DSprites()
    assert vary(one, data=Triangle(), data__angle_noise=2).data == Triangle(angle_noise=2.0)
    assert vary(one) == one and one.method == BetaVAE(beta=3.0)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method__bta": 1}, "unknown field of BetaVAE 'bta' — did you mean 'beta'"),
        ({"metod": 1}, "unknown setting 'metod' — did you mean 'method'"),
        ({"seed__x": 1}, "seed is 0 here, which has no fields"),
        ({"network": None, "network__hidden": (3,)}, "network is None here"),
        ({"steps": 0}, "steps = 0"),
        ({"method__beta": -1.0}, "beta = -1.0"),
    ],
    ids=str,
)
def test_vary_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        vary(experiment(BetaVAE()).complete(), **changes)


def test_published_settings_fill_what_is_left_open() -> None:
    deft = Experiment("deft", "triangle").complete()
    assert deft.method == DEFT(betas=(20.0, 2.0), stage_steps=3000)
    assert (deft.latents, deft.steps, deft.batch, deft.optimiser.lr) == (4, 10_000, 256, 5e-4)
    wide = Experiment("deft", "dsprites").complete()
    assert wide.method == DEFT((70.0, 30.0, 12.0, 4.0)) and wide.latents == 12
    own = Experiment(DEFT((8.0, 2.0)), "triangle", latents=6, steps=5).complete()
    assert (own.method, own.latents, own.steps, own.batch) == (DEFT((8.0, 2.0)), 6, 5, 256)
    assert Experiment("vae", "triangle").complete().steps == 300_000
    assert Experiment("vae", "triangle").complete().likelihood == "bernoulli"


@dataclass(frozen=True)
class Part(Dots):
    """A data set that wraps another."""

    of: Dataset = field(default_factory=Triangle)
    folder: Path | None = None
    name: ClassVar[str] = "part"


def test_a_data_set_inside_another_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "part", Part)  # type: ignore[arg-type]
    one, other = Part(of=Triangle(angle_noise=1)), Part(of=DSprites(), folder=Path("a"))
    assert experiment(data=one).key != experiment(data=other).key
    for data in (one, other):
        again = from_json(json.loads(json.dumps(to_json(experiment(data=data).complete()))))
        assert again.data == settled(data) and type(again.data.of) is type(data.of)  # type: ignore[attr-defined]


def test_things_that_no_description_can_hold() -> None:
    for thing in (object(), {1, 2}, np.zeros(2), 1j):
        with pytest.raises(UserError, match="cannot be part of a description"):
            plain((1, thing))


@pytest.mark.parametrize("given", ["beta-vae", ["vae"], [3], None])
def test_pack_takes_experiments_only(given: Any) -> None:
    with pytest.raises((UserError, TypeError), match=r"allowed: an Experiment|not iterable"):
        pack(given)


def test_a_part_of_a_data_set_has_its_published_settings() -> None:
    whole = Experiment("deft", "triangle").complete()
    part = Experiment("deft", Split(Subset(Triangle(), tuple(range(1000))))).complete()
    assert (part.method, part.latents, part.batch) == (whole.method, whole.latents, whole.batch)
    assert part.latents == 4 and Experiment("deft", Split(DSprites())).complete().latents == 12

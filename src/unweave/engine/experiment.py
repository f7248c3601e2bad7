"""One model, one seed, one row of a table: the whole description of a training, and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from unweave.data import DATASETS, WRAPPERS, dataset
from unweave.data.base import Dataset, DataSpec
from unweave.data.part import Part
from unweave.data.variants import Variant
from unweave.engine.cpu import default_precision
from unweave.engine.plain import build, plain, settled, tagged, untagged
from unweave.methods import METHODS, Method, Preset
from unweave.names import hint, known
from unweave.networks import BODIES, Body
from unweave.networks.likelihoods import LIKELIHOODS
from unweave.types import Adam, UserError

NUMBERS = 3
"""Raised by every change that can move a number (the "Numbers" entries of the changelog); part of every key."""

LARGEST = 2**31 - 1
"""Latents, steps and images of a batch at most: what every library can count."""
WORD = 80
"""Letters at most of a name that a file brings, where a message repeats it."""
PRECISIONS = ("bf16", "tf32", "float32", "float64")


@dataclass(frozen=True)
class Experiment:
    """A model to train. Whatever is left at None is filled in from the method's published settings for the data set.

    Args:
        method: a method, or its name (which takes the published hyperparameters for the data set).
        data: a data set, or its name.
        network: an architecture (``Conv``, ``MLP``); the method's own when None.
        likelihood: ``bernoulli`` or ``squared``; the data set's own when None.
        latents: D.
        steps: optimiser steps.
        batch: images a step.
        optimiser: Adam's settings, for every parameter group that the method does not set itself.
        precision: ``bf16`` (convolutions and dense layers of the trunks; latents, heads and losses in float32),
            ``tf32`` (float32, with convolutions that a GPU computes in TF32), ``float32`` or ``float64``; when None,
            ``bf16`` on a processor that has it, else ``float32``.
        seed: from 0.

    Raises:
        UserError: from ``check``, for anything that cannot be trained.

    >>> e = Experiment("beta-vae", "triangle", steps=10)
    >>> e.complete().latents, e.key == Experiment("beta-vae", "triangle", steps=10).key
    (10, True)
    """

    method: Method | str
    data: Dataset | str
    network: Body | None = None
    likelihood: str | None = None
    latents: int | None = None
    steps: int | None = None
    batch: int | None = None
    optimiser: Adam | None = None
    precision: str | None = None
    seed: int = 0

    def complete(self) -> Complete:
        """The same with every field filled in and of its declared type, checked."""
        data = dataset(self.data)
        given = self.method
        kind = type(given) if isinstance(given, Method) else METHODS[known(given, METHODS, "method")]
        preset = preset_for(kind, data)
        method = given if isinstance(given, Method) else kind(**preset.fields)
        return Complete(
            method=method,
            data=data,
            network=self.network,
            likelihood=data.likelihood if self.likelihood is None else self.likelihood,
            latents=preset.latents if self.latents is None else self.latents,
            steps=preset.steps if self.steps is None else self.steps,
            batch=preset.batch if self.batch is None else self.batch,
            optimiser=preset.optimiser if self.optimiser is None else self.optimiser,
            precision=default_precision() if self.precision is None else self.precision,
            seed=self.seed,
        ).complete()

    @property
    def key(self) -> str:
        """A short hash of the complete description and of the version of its numbers: the name of its folder."""
        return self.complete().key


@dataclass(frozen=True)
class Complete:
    """An ``Experiment`` with nothing left open."""

    method: Method
    data: Dataset
    network: Body | None
    likelihood: str
    latents: int
    steps: int
    batch: int
    optimiser: Adam
    precision: str
    seed: int

    def complete(self) -> Complete:
        """Itself, every field of its declared type, checked."""
        full = settled(replace(self, network=None) if self.method.own_network else self, "")
        full.check()
        return full

    @property
    def spec(self) -> DataSpec:
        """What the method is told of the data."""
        return self.data.spec(self.likelihood)

    @cached_property
    def key(self) -> str:
        """See ``Experiment.key``."""
        text = json.dumps({"numbers": NUMBERS, **to_json(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def check(self) -> None:
        """Raises UserError for anything that cannot be trained."""
        if not getattr(self.method, "name", ""):
            raise UserError(f"{type(self.method).__name__} has no name; allowed: a class attribute, as name = 'my-vae'")
        for name in ("latents", "steps", "batch"):
            value = getattr(self, name)
            if value < 1:
                raise UserError(f"{name} = {value}; allowed: a whole number from 1")
            if value > LARGEST:
                raise UserError(f"{name} = {Decimal(value):.3e}; allowed: a whole number up to {LARGEST:,}")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed = {self.seed}; allowed: 0 to 2^63 − 1")
        known(self.precision, PRECISIONS, "precision")
        known(self.likelihood, LIKELIHOODS, "likelihood")
        self.method.check(self.spec, self.latents)
        self.method.noise(self.spec, self.latents, self.batch)  # a batch may be too small, or too large
        if self.network is not None:
            self.network.check(self.spec.shape)
        for name, adam in {"optimiser": self.optimiser, **self.method.optimisers()}.items():
            check_adam(adam, name)


def check_adam(adam: Adam, name: str) -> None:
    """Raises UserError for settings of Adam that cannot train."""
    rules = {
        "lr": (adam.lr >= 0, "0 or more"),
        "weight_decay": (adam.weight_decay >= 0, "0 or more"),
        "eps": (adam.eps > 0, "above 0"),
        "betas": (all(0 <= beta < 1 for beta in adam.betas), "numbers from 0, below 1"),
        "clip": (adam.clip is None or adam.clip > 0, "above 0, or None"),
    }
    for field, (well, allowed) in rules.items():
        if not well:
            raise UserError(f"{field} = {getattr(adam, field)} of {name}'s Adam; allowed: {allowed}")


def preset_for(method: type[Method], data: Dataset | str) -> Preset:
    """The published settings of a method for a data set, or the one that it is a part of, else its general ones."""
    while isinstance(data, Part):
        data = data.of
    name = data if isinstance(data, str) else data.name
    if name not in method.presets and isinstance(data, Variant):
        name = f"{name}-{data.of.name}"  # dsprites:color is color-dsprites
    return method.presets.get(name) or method.presets.get("") or Preset()


def to_json(experiment: Complete) -> dict[str, Any]:
    """The description as plain JSON values."""
    return {
        "method": tagged(experiment.method, experiment.method.name),
        "data": tagged(experiment.data, experiment.data.name),
        "network": None if experiment.network is None else tagged(experiment.network, body_name(experiment.network)),
        "likelihood": experiment.likelihood,
        "latents": experiment.latents,
        "steps": experiment.steps,
        "batch": experiment.batch,
        "optimiser": plain(experiment.optimiser),
        "precision": experiment.precision,
        "seed": experiment.seed,
    }


def from_json(values: Mapping[str, Any]) -> Complete:
    """The description back from JSON. Raises UserError naming what is missing, unknown or of the wrong type."""
    names = [one.name for one in fields(Complete)]
    missing = [name for name in names if name not in values] if isinstance(values, Mapping) else names
    if missing:
        raise UserError(f"this is no experiment's description: {', '.join(missing)} not given")
    _registered(values)
    network = values["network"]
    return Complete(
        **{name: values[name] for name in names}
        | {
            "method": untagged(values["method"], METHODS, "method"),
            "data": untagged(values["data"], {**DATASETS, **WRAPPERS}, "data set"),
            "network": None if network is None else untagged(network, BODIES, "network"),
            "optimiser": build(Adam, values["optimiser"]),
        }
    ).complete()


def _registered(values: Mapping[str, Any]) -> None:
    """Raises UserError where a description names a method or network that is none of ours: it may be somebody's own."""
    for what, table, how in (
        ("method", METHODS, "unweave.METHODS[{0!r}] = TheMethod"),
        ("network", BODIES, "unweave.networks.BODIES[{0!r}] = TheBody"),
    ):
        given = values.get(what)
        name = given.get("name") if isinstance(given, Mapping) else None
        if isinstance(name, str) and name not in table:
            shown = name[:WORD]
            raise UserError(
                f"this model is of the {what} {shown!r}, which is no part of unweave{hint(shown, table)}; import the "
                f"code that defines it first: {how.format(shown)} (for the command line: UNWEAVE_IMPORT=its_file.py)"
            )


def body_name(body: Body) -> str:
    """The name under which an architecture is written down."""
    return next((name for name, one in BODIES.items() if one is type(body)), type(body).__name__.lower())


def vary(experiment: Experiment | Complete, **changes: Any) -> Complete:
    """A copy with some fields changed; ``method__beta=2.0`` changes a field of the method, ``optimiser__lr`` of Adam.

    Raises:
        UserError: an unknown field, or a value that cannot be trained.

    >>> vary(Experiment("beta-vae", "triangle", steps=10), method__beta=2, seed=3).method.beta
    2.0
    """
    full = experiment.complete()
    now: dict[str, Any] = {one.name: getattr(full, one.name) for one in fields(full)}
    deep: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        head, _, tail = name.partition("__")
        known(head, now, "setting")
        if tail:
            deep.setdefault(head, {})[tail] = value
        else:
            now[head] = value
    for head, values in deep.items():
        if not is_dataclass(now[head]):
            raise UserError(
                f"{head}__{next(iter(values))}: {head} is {now[head]!r} here, which has no fields to change"
            )
        for tail in values:
            known(tail, [one.name for one in fields(now[head])], f"field of {type(now[head]).__name__}")
        now[head] = replace(now[head], **values)
    return Experiment(**now).complete()

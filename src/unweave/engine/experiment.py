"""One model, one seed, one row of a table: the whole description of a training, and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from unweave.data import DATASETS
from unweave.data.base import Dataset, DataSpec
from unweave.engine.cpu import default_precision
from unweave.methods import METHODS, Method, Preset
from unweave.names import known
from unweave.networks import BODIES, Body
from unweave.networks.likelihoods import LIKELIHOODS
from unweave.types import Adam, UserError

NUMBERS = 1
"""Raised by every change that can move a number (the "Numbers" entries of the changelog); part of every key."""

PRECISIONS = ("bf16", "float32", "float64")


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
        precision: ``bf16`` (convolutions and dense layers of the trunks; latents, heads and losses in float32), ``float32``
            or ``float64``; when None, ``bf16`` on a processor that has it, else ``float32``.
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
        """The same with every field filled in, checked."""
        data = named(self.data, DATASETS, Dataset, "data set")
        kind = METHODS[known(self.method, METHODS, "method")] if isinstance(self.method, str) else type(self.method)
        preset = preset_for(kind, data.name)
        method = kind(**preset.fields) if isinstance(self.method, str) else self.method
        full = Complete(
            method=method,
            data=data,
            network=self.network,
            likelihood=self.likelihood or data.likelihood,
            latents=preset.latents if self.latents is None else self.latents,
            steps=preset.steps if self.steps is None else self.steps,
            batch=preset.batch if self.batch is None else self.batch,
            optimiser=self.optimiser or preset.optimiser,
            precision=self.precision or default_precision(),
            seed=self.seed,
        )
        full.check()
        return full

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
        """Itself."""
        return self

    @property
    def spec(self) -> DataSpec:
        """What the method is told of the data."""
        return self.data.spec(self.likelihood)

    @property
    def key(self) -> str:
        """See ``Experiment.key``."""
        text = json.dumps({"numbers": NUMBERS, **to_json(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def check(self) -> None:
        """Raises UserError for anything that cannot be trained."""
        for name in ("latents", "steps", "batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"{name} = {value}; allowed: a whole number from 1")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed = {self.seed}; allowed: 0 to 2^63 − 1")
        known(self.precision, PRECISIONS, "precision")
        known(self.likelihood, LIKELIHOODS, "likelihood")
        adam = self.optimiser
        if not (0 <= adam.lr < float("inf") and 0 <= adam.weight_decay and all(0 <= b < 1 for b in adam.betas)):
            raise UserError(f"optimiser = {adam}; allowed: lr and weight decay of 0 or more, betas in [0, 1)")
        self.method.check(self.spec, self.latents)


def preset_for(method: type[Method], data: str) -> Preset:
    """The published settings of a method for a data set, else its general ones."""
    return method.presets.get(data) or method.presets.get("") or Preset()


def named(value: Any, table: Mapping[str, type], kind: type, what: str) -> Any:
    """An instance as it is, or the class of that name with its defaults."""
    return value if isinstance(value, kind) else table[known(value, table, what)]()





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
    """The description back from JSON. Raises UserError naming what is unknown or of the wrong type."""
    try:
        network = values["network"]
        return Complete(
            method=untagged(values["method"], METHODS, "method"),
            data=untagged(values["data"], DATASETS, "data set"),
            network=None if network is None else untagged(network, BODIES, "network"),
            likelihood=values["likelihood"],
            latents=values["latents"],
            steps=values["steps"],
            batch=values["batch"],
            optimiser=build(Adam, values["optimiser"]),
            precision=values["precision"],
            seed=values["seed"],
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"this is no experiment's description: {type(error).__name__} {error}") from None


def body_name(body: Body) -> str:
    """The name under which an architecture is written down."""
    return next((name for name, one in BODIES.items() if one is type(body)), type(body).__name__.lower())


def tagged(value: Any, name: str) -> dict[str, Any]:
    """A dataclass as JSON, with its name."""
    return {"name": name, **plain(value)}


def untagged(values: Mapping[str, Any], table: Mapping[str, type], what: str) -> Any:
    """A dataclass back from ``tagged``."""
    rest = {key: value for key, value in values.items() if key != "name"}
    return build(table[known(values["name"], table, what)], rest)


def plain(value: Any) -> Any:
    """Dataclasses, tuples and paths as dictionaries, lists and text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def build(kind: type, values: Mapping[str, Any]) -> Any:
    """A dataclass from ``plain``; fields that are new since it was written take their defaults."""
    hints = get_type_hints(kind)
    allowed = {one.name: one for one in fields(kind)}
    for key in values:
        known(key, allowed, f"field of {kind.__name__}")
    missing = [n for n, one in allowed.items() if n not in values and one.default is MISSING and one.default_factory is MISSING]
    if missing:
        raise UserError(f"{kind.__name__}: {', '.join(missing)} not given")
    return kind(**{key: _as(hints[key], value, f"{kind.__name__}.{key}") for key, value in values.items()})


def _as(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType or (origin is not None and NoneType in inner):
        if value is None:
            return None
        return _as(next(one for one in inner if one is not NoneType), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        if inner[-1] is Ellipsis:
            return tuple(_as(inner[0], one, where) for one in value)
        if len(inner) == len(value):
            return tuple(_as(kind, one, where) for kind, one in zip(inner, value, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise UserError(f"{where} = {value!r}; allowed: {getattr(hint, '__name__', hint)}")


def vary(experiment: Complete, **changes: Any) -> Complete:
    """A copy with some fields changed; ``method__beta=2.0`` changes a field of the method, ``optimiser__lr`` of Adam."""
    deep: dict[str, dict[str, Any]] = {}
    flat: dict[str, Any] = {}
    for name, value in changes.items():
        head, _, tail = name.partition("__")
        if tail:
            deep.setdefault(head, {})[tail] = value
        else:
            flat[head] = value
    inner = {head: replace(getattr(experiment, head), **values) for head, values in deep.items()}
    full = replace(experiment, **flat, **inner)
    full.check()
    return full



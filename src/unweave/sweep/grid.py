"""Grids: many experiments from few lines, counted without being listed, checked before anything starts."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from unweave.data import DATASETS, WRAPPERS, Dataset, dataset
from unweave.engine import Complete, Experiment
from unweave.engine.experiment import preset_for
from unweave.engine.plain import untagged
from unweave.methods import METHODS, Method
from unweave.names import hint, known
from unweave.networks import BODIES, Body, Conv
from unweave.networks.conv import LAYOUTS
from unweave.types import UserError

LARGEST = 1_000_000
"""Experiments in a grid at most: more than that is a slip of the pen."""
OPEN = [one.name for one in fields(Experiment)]
"""The fields of an experiment."""

Settings = Mapping[str, Any]
"""Fields of an experiment by name, those of its parts as ``method__beta``, ``optimiser__lr``, ``data__angle_noise``."""


class Grid(ABC):
    """Settings of many experiments. ``len`` is not used: a grid may hold more than fits in it."""

    size: int
    """How many there are, repeated ones counted each time."""
    names: frozenset[str]
    """Which fields it sets."""

    @abstractmethod
    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One after the other, the last field varying fastest."""


def product(*grids: Grid, **axes: Iterable[Any]) -> Grid:
    """Every combination of the grids' settings and of the values of each field.

    Raises:
        UserError: a field with no values, or set twice.

    >>> grid = product(method=["vae", "beta-vae"], seed=range(3))
    >>> grid.size, list(grid)[1]
    (6, {'method': 'vae', 'seed': 1})
    """
    return _Product((*grids, *(_Axis(name, values) for name, values in axes.items())))


def zipped(*grids: Grid, **axes: Iterable[Any]) -> Grid:
    """The first value of each field together, then the second of each …

    Raises:
        UserError: fields of different numbers of values, with none, or set twice.

    >>> [one["latents"] for one in zipped(data=["triangle", "dsprites"], latents=[4, 10])]
    [4, 10]
    """
    return _Zip((*grids, *(_Axis(name, values) for name, values in axes.items())))


def chain(*grids: Grid) -> Grid:
    """One grid after the other; they need not set the same fields.

    >>> chain(product(method=["vae"], seed=range(2)), product(method=["deft"], seed=range(3))).size
    5
    """
    return _Chain(grids)


def fixed(**settings: Any) -> Grid:
    """One value of each field.

    >>> product(fixed(data="triangle", steps=100), method=["vae", "deft"]).size
    2
    """
    return _Product(tuple(_Axis(name, (value,)) for name, value in settings.items()))


class _Axis(Grid):
    def __init__(self, name: str, values: Iterable[Any]) -> None:
        if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
            raise UserError(f"{name} = {values!r}; allowed here: a list of values")
        # A range stays one: it may be far longer than memory.
        self.values: Sequence[Any] = values if isinstance(values, Sequence) else tuple(values)
        self.size = _length(self.values)
        if not self.size:
            raise UserError(f"{name} has no values, so the grid is empty; allowed: one or more")
        self.name, self.names = name, frozenset({name})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return ({self.name: value} for value in self.values)


class _Product(Grid):
    def __init__(self, parts: tuple[Grid, ...]) -> None:
        self.parts, self.names = parts, _disjoint(parts)
        self.size = math.prod(one.size for one in parts)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        first, *rest = self.parts or (None,)
        if first is None:
            yield {}
            return
        if not rest:
            yield from first
            return
        for outer in first:
            for inner in _Product(tuple(rest)):
                yield {**outer, **inner}


class _Zip(Grid):
    def __init__(self, parts: tuple[Grid, ...]) -> None:
        self.parts, self.names = parts, _disjoint(parts)
        sizes = {one.size for one in parts}
        if len(sizes) > 1:
            told = ", ".join(f"{', '.join(sorted(one.names))}: {one.size:,}" for one in parts)
            raise UserError(f"a zip needs equally many values of each field; given {told}")
        self.size = sizes.pop() if sizes else 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for together in zip(*self.parts, strict=True) if self.parts else [()]:
            yield {name: value for one in together for name, value in one.items()}


class _Chain(Grid):
    def __init__(self, parts: tuple[Grid, ...]) -> None:
        self.parts = parts
        self.names = frozenset().union(*(one.names for one in parts))
        self.size = sum(one.size for one in parts)
        if not self.size:
            raise UserError("an empty chain has no experiments; allowed: one grid or more")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return itertools.chain.from_iterable(self.parts)


def experiments(grid: Grid) -> list[Complete]:
    """All experiments of a grid, complete and checked, repeated ones once.

    What a grid leaves open is filled in from the method's published settings for the data set.

    Raises:
        UserError: more than ``LARGEST``, an unknown field, or one that cannot be trained; which one is said.

    >>> [e.method.beta for e in experiments(product(fixed(method="beta-vae", data="triangle"), method__beta=[1, 4]))]
    [1.0, 4.0]
    """
    if grid.size > LARGEST:
        raise UserError(
            f"this grid has {grid.size:,} experiments; allowed: at most {LARGEST:,}; "
            f"leave out values of {', '.join(sorted(grid.names))}"
        )
    for name in ("method", "data"):
        if name not in grid.names:
            raise UserError(f"no {name} given; allowed: one for all, or a list of them")
    maker = _Maker()
    found: dict[str, Complete] = {}
    for place, settings in enumerate(grid, 1):
        try:
            one = maker(settings)
        except UserError as error:
            which = ", ".join(f"{n} {_short(v)}" for n, v in settings.items() if n in ("method", "data", "seed"))
            where = f" (experiment {place:,} of {grid.size:,}: {which})" if grid.size > 1 else ""
            raise UserError(f"{error}{where}") from None
        found.setdefault(one.key, one)
    return list(found.values())


class _Maker:
    """Experiments from settings; those that differ in their seeds only are checked once."""

    def __init__(self) -> None:
        self.last: tuple[dict[str, Any], Complete] | None = None

    def __call__(self, settings: Settings) -> Complete:
        rest = {name: value for name, value in settings.items() if name != "seed"}
        seed = settings.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise UserError(f"seed = {seed!r}; allowed: 0 to 2^63 − 1")
        if self.last is None or not _same(self.last[0], rest):
            self.last = rest, complete(rest)
        return replace(self.last[1], seed=seed)


def complete(settings: Settings) -> Complete:
    """One experiment from settings.

    Args:
        settings: fields of ``Experiment``. ``method``, ``data``, ``network`` and ``optimiser`` may be objects, names,
            or tables of a name and fields; ``method__beta`` sets one field of what there is then.

    Raises:
        UserError: an unknown field, one of the wrong type, or an experiment that cannot be trained.

    >>> complete({"method": {"name": "devae", "betas": [1, 10]}, "data": "triangle"}).method.betas
    (1.0, 10.0)
    """
    for name in ("method", "data"):
        if name not in settings:
            raise UserError(f"no {name} given; allowed: one for all, or a list of them")
    top = {name: value for name, value in settings.items() if "__" not in name}
    deep = {name: value for name, value in settings.items() if "__" in name}
    for part in ("method", "optimiser"):
        given = top.get(part)
        if isinstance(given, Mapping):
            own = dict(given)
            top[part] = own.pop("name", "adam" if part == "optimiser" else None)
            deep = {f"{part}__{name}": value for name, value in own.items()} | deep
    data = top["data"]
    if isinstance(data, Mapping):
        data = untagged(data, {**DATASETS, **WRAPPERS}, "data set")
    if not isinstance(data, str | Dataset):
        raise UserError(f"data = {data!r}; allowed: a name, such as triangle, or a table of a name and fields")
    given = top["method"]
    kind = type(given) if isinstance(given, Method) else METHODS[known(given, METHODS, "method")]
    # Every part is set before the whole is checked: what is published need not fit what replaces the rest of it.
    top["data"] = dataset(data)
    preset = preset_for(kind, top["data"])
    top["method"] = given if isinstance(given, Method) else kind(**preset.fields)
    if isinstance(top.get("optimiser"), str):
        known(top.pop("optimiser"), ["adam"], "optimiser")
    top["optimiser"] = preset.optimiser if top.get("optimiser") is None else top["optimiser"]
    if top.get("network") is not None:
        top["network"] = body(top["network"])
    _known(top, deep)
    for part in {name.partition("__")[0] for name in deep}:
        changes = {n.partition("__")[2]: v for n, v in deep.items() if n.partition("__")[0] == part}
        top[part] = replace(top[part], **changes)
    return Experiment(**top).complete()


def body(value: Any) -> Body:
    """An architecture from a name (``mlp``, ``standard`` …), a table of a name and fields, or itself."""
    if isinstance(value, Body):
        return value
    if isinstance(value, Mapping):
        found = untagged(value, BODIES, "network")
        assert isinstance(found, Body)
        return found
    name = known(value, [*BODIES, *LAYOUTS], "network")
    return Conv(name) if name in LAYOUTS else BODIES[name]()


def _known(top: Settings, deep: Settings) -> None:
    """Raises UserError for a field that there is not, with the nearest of all, nested ones among them."""
    parts = {
        part: [one.name for one in fields(top[part])]
        for part in ("method", "optimiser", "data", "network")
        if is_dataclass(top.get(part))
    }
    nested = [f"{part}__{one}" for part, inner in parts.items() for one in inner]
    for one in (*top, *deep):
        head, _, tail = one.partition("__")
        if head not in OPEN or (one != head and not tail):
            within = next((n for n in nested if n.partition("__")[2] == one), None)
            meant = f" — did you mean {within!r}?" if within else hint(one, [*OPEN, *nested])
            raise UserError(
                f"unknown field {one!r} of an experiment{meant} (allowed: {', '.join(OPEN)}, and fields of these, such "
                f"as {', '.join(nested[:2])})"
            )
        if not tail:
            continue
        if head not in parts:
            raise UserError(f"{one}: {head} is {top.get(head)!r} here, which has no fields to set")
        if tail not in parts[head]:
            own = [f"{head}__{name}" for name in parts[head]]
            allowed = ", ".join(own) or "none, it has no fields"
            raise UserError(
                f"unknown field {one!r} of {getattr(top[head], 'name', head)}{hint(one, own)} (allowed: {allowed})"
            )


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether settings are alike, and of like types: 1, 1.0 and True are not the same."""
    return a.keys() == b.keys() and all(a[n] is b[n] or (type(a[n]) is type(b[n]) and a[n] == b[n]) for n in a)


def _disjoint(parts: Sequence[Grid]) -> frozenset[str]:
    names: set[str] = set()
    for one in parts:
        twice = sorted(names & one.names)
        if twice:
            raise UserError(f"{', '.join(twice)} is set twice; allowed: once")
        names |= one.names
    return frozenset(names)


def _length(values: Sequence[Any]) -> int:
    # len() of a range may not exceed what fits in a machine word.
    return max(0, -(-(values.stop - values.start) // values.step)) if isinstance(values, range) else len(values)


def _short(value: Any) -> str:
    text = str(value.get("name", value)) if isinstance(value, Mapping) else str(value)
    return text if len(text) < 30 else text[:29] + "…"

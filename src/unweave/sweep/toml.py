"""A sweep as a TOML file: a grid of experiments and what is measured on each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unweave.data import dataset
from unweave.engine.plain import build, finite
from unweave.job import HeldOutELBO, Measure, Scores, Terms, Training
from unweave.metrics import METRICS, Metric
from unweave.names import known
from unweave.store.files import read_text
from unweave.sweep.grid import Grid, chain, experiments, fixed, product, zipped
from unweave.types import UserError

SECTIONS = ("experiment", "product", "zip", "chain")
"""What a grid is made of."""
MEASURES = ("metrics", "images", "at", "terms", "elbo")
"""What the table ``measure`` may hold."""


class Sweep(NamedTuple):
    """What a file asks for."""

    grid: Grid
    measures: tuple[Measure, ...] = (Scores(),)
    at: tuple[int, ...] = ()
    images: int | None = 10_000

    def jobs(self) -> list[Training]:
        """One training for every experiment. Raises UserError for what cannot be trained."""
        return [
            Training.of(one, measures=self.measures, at=self.at, count=self.images) for one in experiments(self.grid)
        ]


def read(path: Path) -> Sweep:
    """A sweep from a file.

    Raises:
        UserError: one line: no such file, no TOML, an unknown section, or a grid that cannot be.
    """
    try:
        return parse(tomllib.loads(read_text(path)))
    except UserError as error:
        text = str(error)
        raise UserError(text if str(path) in text else f"{path}: {text}") from None
    except (ValueError, RecursionError) as error:
        # What is no TOML, and what Python refuses to read of it, such as a number of 5,000 digits.
        raise UserError(f"{path} is no TOML: {error}") from None


def parse(values: Mapping[str, Any]) -> Sweep:
    """A sweep from what a TOML file holds.

    >>> table = {"experiment": {"method": "vae", "data": "triangle"}, "product": {"seed": {"count": 3}}}
    >>> parse(table).grid.size
    3
    """
    rest = {name: value for name, value in values.items() if name != "measure"}
    grid = _grid(rest, "")
    return Sweep(grid, *_measure(_table(values.get("measure", {}), "measure")))


def _grid(values: Mapping[str, Any], where: str) -> Grid:
    for name in values:
        known(name, SECTIONS if where else (*SECTIONS, "measure"), f"section{where}")
    if not values:
        raise UserError(f"nothing is asked for{where}; allowed: {', '.join(SECTIONS)}")
    parts: list[Grid] = []
    if "experiment" in values:
        parts.append(fixed(**_table(values["experiment"], "experiment")))
    if "chain" in values:
        each = values["chain"]
        if not isinstance(each, list):
            raise UserError(f"chain is a {type(each).__name__}; allowed: several tables, each headed [[chain]]")
        parts.append(chain(*(_grid(_table(one, "chain"), f" of chain {n}") for n, one in enumerate(each, 1))))
    zips = values.get("zip", [])
    for one in zips if isinstance(zips, list) else [zips]:
        parts.append(zipped(**_axes(_table(one, "zip"), "zip")))
    if "product" in values:
        parts.append(product(**_axes(_table(values["product"], "product"), "product")))
    return product(*parts)


def _axes(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {name: _axis(value, f"{where}.{name}") for name, value in table.items()}


def _axis(value: Any, where: str) -> Any:
    """A list as it is; ``{from = 0, count = 5}`` as whole numbers, with ``to`` as evenly spaced ones."""
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping):
        raise UserError(f"{where} = {value!r}; allowed: a list of values, or {{from = 0, count = 5}}")
    for name in value:
        known(name, ("from", "to", "count", "scale"), f"key of {where}")
    count, start = value.get("count"), value.get("from", 0)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"{where}: count = {count!r}; allowed: a whole number from 1")
    ends = [start, value.get("to", 1)]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in ends):
        raise UserError(f"{where}: from and to are {ends}; allowed: numbers")
    if "to" not in value:
        if not isinstance(start, int) or "scale" in value:
            raise UserError(f"{where}: from = {start!r} without to; allowed: a whole number, counted up from")
        return range(start, start + count)
    if not all(finite(one) for one in ends):
        raise UserError(f"{where}: from or to is not finite, or too large for a float; allowed: finite numbers")
    scale = known(value.get("scale", "linear"), ("linear", "log"), f"scale of {where}")
    if scale == "log" and min(ends) <= 0:
        raise UserError(f"{where}: from and to are {ends}; allowed with scale = 'log': above 0")
    if count > 1_000_000:
        raise UserError(f"{where}: count = {count:,}; allowed between two ends: at most 1,000,000")
    spaced = (np.linspace if scale == "linear" else np.geomspace)(float(ends[0]), float(ends[1]), count)
    # Rounded, so that the numbers read as they were meant and one description has one key.
    return [float(f"{one:.12g}") for one in spaced]


def _measure(table: Mapping[str, Any]) -> tuple[tuple[Measure, ...], tuple[int, ...], int | None]:
    for name in table:
        known(name, MEASURES, "key of measure")
    measures: list[Measure] = []
    names = table.get("metrics", "all")
    if names == "all":
        measures.append(Scores())
    elif isinstance(names, list):
        if names:
            measures.append(Scores(tuple(_metric(one) for one in names)))
    else:
        raise UserError(f"measure.metrics = {names!r}; allowed: a list of names and tables, or 'all'")
    for name, kind in (("terms", Terms), ("elbo", HeldOutELBO)):
        wanted = table.get(name, False)
        if isinstance(wanted, Mapping):
            spoken = {field: dataset(one) for field, one in wanted.items() if field == "data"}
            measures.append(build(kind, {**wanted, **spoken}))
        elif wanted is True:
            measures.append(kind())
        elif wanted is not False:
            raise UserError(f"measure.{name} = {wanted!r}; allowed: true, false, or a table of its settings")
    at = table.get("at", [])
    if not isinstance(at, list) or any(isinstance(one, bool) or not isinstance(one, int) for one in at):
        raise UserError(f"measure.at = {at!r}; allowed: a list of steps")
    images = table.get("images", 10_000)
    if images == "all":
        images = None
    elif isinstance(images, bool) or not isinstance(images, int) or images < 10:
        raise UserError(f"measure.images = {images!r}; allowed: a whole number from 10, or 'all'")
    if not measures:
        raise UserError("nothing is measured; allowed: metrics, terms = true or elbo = true")
    return tuple(measures), tuple(sorted(set(at))), images


def _metric(value: Any) -> Metric:
    if isinstance(value, Mapping):
        rest = {name: one for name, one in value.items() if name != "name"}
        kind = METRICS[known(value.get("name"), METRICS, "metric")]
        for name in rest:
            known(name, [one.name for one in fields(kind)], f"setting of {kind.name}")
        found = build(kind, rest)
        assert isinstance(found, Metric)
        return found
    return METRICS[known(value, METRICS, "metric")]()


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where} = {value!r}; allowed: a table, headed [{where}]")
    return value

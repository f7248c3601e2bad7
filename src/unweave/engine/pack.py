"""Which experiments can run in lockstep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from unweave.engine.experiment import Complete, Experiment, to_json
from unweave.types import UserError

T = TypeVar("T")


def pack(experiments: Iterable[Experiment | Complete]) -> list[list[Complete]]:
    """Groups of experiments that differ only in seeds and in numbers that may be tensors: float fields and tuples of
    floats of the method and of the optimiser. Order is kept; a repeated experiment stands once.

    Raises:
        UserError: anything that is no experiment, or cannot be trained.

    >>> e = [Experiment("beta-vae", "triangle", seed=s) for s in (0, 1)] + [Experiment("vae", "triangle")]
    >>> [len(group) for group in pack(e)]
    [2, 1]
    """
    groups: dict[str, dict[str, Complete]] = {}
    for one in experiments:
        if not isinstance(one, Experiment | Complete):
            raise UserError(f"{one!r} is a {type(one).__name__}; allowed: an Experiment, or several")
        full = one.complete()
        groups.setdefault(signature(full), {}).setdefault(full.key, full)
    return [list(members.values()) for members in groups.values()]


def sized(members: Sequence[T], most: int) -> Iterator[list[T]]:
    """Groups of at most so many, as even as can be: 12 models of which 5 fit are three groups of 4.

    >>> [len(group) for group in sized("abcdefghijkl", 5)]
    [4, 4, 4]
    """
    count = -(-len(members) // max(1, most))
    for k in range(count):
        yield list(members[k * len(members) // count : (k + 1) * len(members) // count])


def signature(experiment: Complete) -> str:
    """What must be equal inside a pack, as text."""
    values = to_json(experiment)
    del values["seed"]
    for name in ("method", "optimiser"):
        values[name] = _shape_of(values[name])
    return json.dumps(values, sort_keys=True)


def _shape_of(value: Any) -> Any:
    """The value with every float replaced by a mark, so that only what is built differently still differs."""
    if isinstance(value, dict):
        return {key: _shape_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shape_of(one) for one in value]
    return "float" if isinstance(value, float) else value

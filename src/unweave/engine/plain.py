"""Dataclasses as plain JSON values and back, with every field held to the type it is declared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from unweave.data import DATASETS, WRAPPERS
from unweave.data.base import Dataset
from unweave.names import brief, known
from unweave.names import hint as meant
from unweave.networks import Body
from unweave.types import UserError

T = TypeVar("T")
hints_of = cache(get_type_hints)
"""The declared types of a class's fields; reading them off takes a millisecond, and a sweep asks a hundred thousand
times."""
WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "True or False",
    str: "a text",
    Path: "a path",
    Body: "a network, such as MLP((256, 256)) or Conv('standard')",
}
TUPLES = {
    int: ("whole numbers", "(4,)"),
    float: ("finite numbers", "(4.0,)"),
    str: ("texts", "('a',)"),
}


def settled(value: T, prefix: str | None = None) -> T:
    """The dataclass with every field of its declared type, all the way down: a float field given 4 holds 4.0, a tuple
    given as a list is one. So one description has one key, and numbers that may differ in a pack are recognised.

    Args:
        prefix: what fields are called in messages: the class name and a dot when None.

    Raises:
        UserError: a field of another type, or a number that is not finite.
    """
    kind: Any = type(value)
    prefix = f"{kind.__name__}." if prefix is None else prefix
    hints = hints_of(kind)
    known_fields = [one.name for one in fields(kind) if one.init]
    return replace(value, **{n: typed(hints[n], getattr(value, n), prefix + n) for n in known_fields})  # type: ignore[type-var]


def tagged(value: Any, name: str) -> dict[str, Any]:
    """A dataclass as JSON, with its name."""
    return {"name": name, **{one.name: plain(getattr(value, one.name), True) for one in fields(value)}}


def untagged(values: Any, table: Mapping[str, type], what: str) -> Any:
    """A dataclass back from ``tagged``. Raises UserError naming what is unknown or of the wrong type."""
    if not isinstance(values, Mapping) or "name" not in values:
        raise UserError(f"a {what} is described by its name and fields, not by {values!r}")
    rest = {key: value for key, value in values.items() if key != "name"}
    return build(table[known(values["name"], table, what)], rest)


def plain(value: Any, nested: bool = False) -> Any:
    """Dataclasses, tuples and paths as dictionaries, lists and text; data sets inside others with their names.

    Raises:
        UserError: anything else, which no description can hold.
    """
    if isinstance(value, Dataset) and nested:
        return tagged(value, value.name)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name), True) for one in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(one, True) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise UserError(f"{value!r} cannot be part of a description; allowed: numbers, texts, tuples, dataclasses")


def build(kind: type, values: Any) -> Any:
    """A dataclass from ``plain``; fields that are new since it was written take their defaults."""
    if not isinstance(values, Mapping):
        raise UserError(f"{kind.__name__} is described by its fields, not by {values!r}")
    hints = hints_of(kind)
    allowed = {one.name: one for one in fields(kind)}
    for key in values:
        known(key, allowed, f"field of {kind.__name__}")
    bare = [n for n, one in allowed.items() if one.default is MISSING and one.default_factory is MISSING]
    missing = [name for name in bare if name not in values]
    if missing:
        raise UserError(f"{kind.__name__}: {', '.join(missing)} not given")
    return kind(**{key: typed(hints[key], value, f"{kind.__name__}.{key}") for key, value in values.items()})


def typed(hint: Any, value: Any, where: str) -> Any:
    """The value as its declared type wants it. Raises UserError naming ``where`` when it is of another type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (UnionType, Union):
        if value is None and NoneType in inner:
            return None
        return _first(tuple(one for one in inner if one is not NoneType), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(typed(kind, one, where) for kind, one in zip(kinds, value, strict=True))
    if origin is Literal and value in inner:
        return value
    if hint is float and isinstance(value, Real) and not isinstance(value, bool) and finite(value):
        return float(value)
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if isinstance(hint, type) and hint not in (int, float, Path):
        if isinstance(value, hint):
            return settled(value) if is_dataclass(value) else value
        if isinstance(value, Mapping) and is_dataclass(hint):
            if not issubclass(hint, Dataset):
                return build(hint, value)
            return untagged(value, {**DATASETS, **WRAPPERS}, "data set")
    words = inner if origin is Literal else ()
    allowed = ", ".join(map(repr, words)) or _words(hint)
    near = meant(value, [word for word in words if isinstance(word, str)]) if isinstance(value, str) else ""
    raise UserError(f"{where} = {brief(value)}{near}; allowed: {allowed}")


def _words(hint: Any) -> Any:
    """What is said of a declared type."""
    inner = get_args(hint)
    if get_origin(hint) is not tuple or not inner:
        return WORDS.get(hint, getattr(hint, "__name__", hint))
    kind, example = TUPLES.get(inner[0], ("values", "(…)"))
    return f"a tuple of {kind}, as {example}" if inner[-1] is Ellipsis else f"a tuple of {len(inner)} {kind}"


def finite(value: Real) -> bool:
    """Whether a float can hold the number.

    >>> finite(3), finite(float("nan")), finite(10**400)
    (True, False, False)
    """
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _first(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The value as the first of several types that takes it."""
    for kind in kinds[:-1]:
        try:
            return typed(kind, value, where)
        except UserError:
            continue
    return typed(kinds[-1], value, where)

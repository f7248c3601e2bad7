"""What the checks share: saying what does not hold, and noticing what was touched."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch


def claim(holds: object, who: str, what: str) -> None:
    """Raises AssertionError, one line, unless it holds."""
    if not holds:
        raise AssertionError(f"{who}: {what}")


def check_description(thing: Any, who: str) -> None:
    """A frozen, hashable dataclass with a name."""
    kind = type(thing)
    claim(is_dataclass(thing) and kind.__dataclass_params__.frozen, who, "is no frozen dataclass")
    claim(isinstance(getattr(kind, "name", None), str) and kind.name, who, "has no class attribute name")
    try:
        hash(thing)
    except TypeError as error:
        raise AssertionError(f"{who}: its fields cannot be hashed ({error}); lists should be tuples") from None


def check_example(thing: Any, who: str) -> None:
    """A docstring with an example that can be run."""
    claim(">>>" in (type(thing).__doc__ or ""), who, "its docstring has no example (a line that starts with >>>)")


@contextmanager
def leaves_randomness_alone(who: str) -> Iterator[None]:
    """Claims that nothing inside draws from, or sets, a global random generator."""
    before = _states()
    yield
    names = [name for name, state in _states().items() if state != before[name]]
    claim(not names, who, f"uses the global random generator of {', '.join(names)}; noise must come in as an argument")


def _states() -> dict[str, str]:
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "numpy": repr(np.random.get_state(legacy=False)),  # noqa: NPY002 — to see that nobody uses it
        "random": repr(random.getstate()),
    }

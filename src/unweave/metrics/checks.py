"""What every metric refuses in one clear line, and work shared between threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

from unweave.types import UserError


def at_least(who: str, least: int, **values: int | None) -> None:
    """Raises UserError naming the first of ``values`` that is no whole number of ``least`` or more; None passes."""
    for name, value in values.items():
        if value is not None and not isinstance(value, Integral):
            raise UserError(f"{who}: {name} = {value!r}; allowed is a whole number, {least} or more")
        if value is not None and value < least:
            raise UserError(f"{who}: {name} = {value}; allowed is {least} or more")


def check_jobs(who: str, n_jobs: int) -> None:
    """Raises UserError for a number of threads that there cannot be."""
    if not isinstance(n_jobs, Integral) or not (n_jobs == -1 or n_jobs >= 1):
        raise UserError(f"{who}: n_jobs = {n_jobs!r}; allowed is 1 or more, or -1 for one a processor")


def unrepeated(who: str, names: Sequence[str], number: int) -> UserError:
    """What is said of a factor none of whose levels has two images, by its name where it is known."""
    factor = repr(names[number]) if names else f"number {number}"
    return UserError(f"{who}: no level of factor {factor} has 2 images or more; allowed are codes of more images")


def threads(who: str, work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], n_jobs: int) -> list[Any]:
    """``work`` on each tuple of arguments, ``n_jobs`` at once (−1: one a processor); results stay in order."""
    from sklearn.utils.parallel import Parallel, delayed

    check_jobs(who, n_jobs)
    return list(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(work)(*each) for each in arguments))

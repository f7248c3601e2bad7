"""What every metric refuses in one clear line, and work shared between threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unweave.types import UserError


def at_least(who: str, least: int, **values: int | None) -> None:
    """Raises UserError naming the first of ``values`` below ``least``; None passes."""
    for name, value in values.items():
        if value is not None and value < least:
            raise UserError(f"{who}: {name} = {value}; allowed is {least} or more")


def threads(who: str, work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], n_jobs: int) -> list[Any]:
    """``work`` on each tuple of arguments, ``n_jobs`` at once (−1: one a processor); results stay in order."""
    from sklearn.utils.parallel import Parallel, delayed

    if n_jobs == 0:
        raise UserError(f"{who}: n_jobs = 0; allowed is 1 or more, or -1 for one a processor")
    return list(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(work)(*each) for each in arguments))

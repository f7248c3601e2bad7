"""Looking things up by name, with the nearest match when the name is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from unweave.types import UserError


def known(name: object, allowed: Iterable[str], what: str) -> str:
    """The name itself if it is one of ``allowed``; else UserError with what is allowed and the nearest of them.

    >>> known("mig", ["mig", "dci"], "metric")
    'mig'
    """
    choices = list(allowed)
    if isinstance(name, str) and name in choices:
        return name
    near = difflib.get_close_matches(str(name).lower(), choices, 1, 0.4)
    hint = f" — did you mean {near[0]!r}?" if near else ""
    raise UserError(f"unknown {what} {name!r}{hint} (allowed: {', '.join(choices)})")

"""Looking things up by name, with the nearest match when the name is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from unweave.errors import UserError

LONG = 200
"""Letters of a value that a message shows at most."""


def known(name: object, allowed: Iterable[str], what: str) -> str:
    """The name itself if it is one of ``allowed``; else UserError with what is allowed and the nearest of them.

    >>> known("mig", ["mig", "dci"], "metric")
    'mig'
    """
    choices = list(allowed)
    if isinstance(name, str) and name in choices:
        return name
    raise UserError(f"unknown {what} {brief(name)}{hint(name, choices)} (allowed: {', '.join(choices)})")


def brief(value: object) -> str:
    """A value as a message shows it, cut short where it is long.

    >>> brief("mgi"), len(brief("x" * 10_000))
    ("'mgi'", 201)
    """
    given = f"{value!r}"
    return given if len(given) <= LONG else f"{given[:LONG]}…"


def hint(name: object, allowed: Iterable[str]) -> str:
    """`` — did you mean 'x'?`` with the nearest of ``allowed``, empty when nothing is near.

    >>> hint("dsprite", ["dsprites", "triangle"])
    " — did you mean 'dsprites'?"
    """
    near = nearest(name, allowed)
    return f" — did you mean {near!r}?" if near else ""


def nearest(name: object, allowed: Iterable[str]) -> str | None:
    """Which of ``allowed`` a mistyped name is most likely meant to be; None when nothing is near.

    >>> nearest("factorvae", ["vae", "factor-vae"])
    'factor-vae'
    """
    near = difflib.get_close_matches(str(name).lower()[:LONG], list(allowed), 1, 0.5)
    return near[0] if near else None

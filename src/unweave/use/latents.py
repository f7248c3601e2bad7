"""Which latents a word means, and what is to become of them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from unweave.explorer import Exhibit
from unweave.explorer.summary import units
from unweave.names import hint
from unweave.run import Run
from unweave.types import UserError

FORM = "z3=1.5 to set a latent, z3+=0.5 or z3-=0.5 to move it"
WRITTEN = re.compile(r"^\s*(?P<word>[^=]*?)\s*(?P<sign>[+-]?)=\s*(?P<number>.*?)\s*$", re.DOTALL)
NUMBER = re.compile(r"^z?(\d+)$", re.IGNORECASE)


class Change(NamedTuple):
    """What becomes of some latents."""

    latents: tuple[int, ...]
    value: float
    moves: bool
    """Whether ``value`` is added to what there is, or takes its place."""


def read(run: Run, text: str, space: int = 0) -> Change:
    """A change from words: see ``edit``.

    Raises:
        UserError: another form, a latent that is not there, a number that is none.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> read(run, "z3-=0.5"), read(run, "4 = 1")
    (Change(latents=(3,), value=-0.5, moves=True), Change(latents=(4,), value=1.0, moves=False))
    """
    found = WRITTEN.match(text)
    if found is None or not found["word"]:
        raise UserError(f"change {text!r}; allowed: {FORM}")
    if found["number"][:1] == "+" and not found["sign"]:
        word, number = found["word"], found["number"][1:]
        raise UserError(
            f"change {text!r} may mean two things; allowed: {word}={number} to set, {word}+={number} to move"
        )
    try:
        value = float(found["number"])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"change {text!r}: {found['number']!r} is no number; allowed: {FORM}")
    return Change(called(run, found["word"], space), -value if found["sign"] == "-" else value, bool(found["sign"]))


def called(run: Run, word: str, space: int = 0) -> tuple[int, ...]:
    """The latents that a word means: ``z3`` or ``3``, a name given in the explorer, or the factor that it labels them
    with, of several the one that tells most of it.

    Raises:
        UserError: nothing is called so, or a name was given twice.
    """
    given = {tuple(map(int, key.split())): name for key, name in run.names.items() if key.replace(" ", "").isdecimal()}
    named = [(latents, name) for latents, name in given.items() if _same(name, word)]
    if not named and (number := NUMBER.match(word)):
        if int(number[1]) < run.model.latents:
            return (int(number[1]),)
        raise UserError(f"{word}; allowed: z0 to z{run.model.latents - 1}")
    labels = labelled(run, space)
    found = [latents for latents, _ in named] or [latents for latents, label in labels if _same(label, word)][:1]
    if len(found) == 1 and all(latent < run.model.latents for latent in found[0]):
        return found[0]
    if len(found) > 1:
        which = " and ".join(f"z{latents[0]}" if len(latents) == 1 else str(latents) for latents in found)
        raise UserError(f"{word!r} is the name of {which}; allowed: one of them by its number")
    words = list(dict.fromkeys([*given.values(), *(label for _, label in labels)]))
    names = f", {', '.join(words)}" if words else ""
    last = run.model.latents - 1
    if not labels and run.data.factors and word in run.data.factors.names:
        raise UserError(
            f"which latent holds {word!r} is not known yet; allowed: z0 to z{last}{names}, or factors once "
            "unweave explore, or export --html, has looked at the run"
        )
    raise UserError(f"no latent {word!r}{hint(word, words)} (allowed: z0 to z{last}{names})")


def labelled(run: Run, space: int = 0) -> list[tuple[tuple[int, ...], str]]:
    """Latents or blocks and the factor that each is named after, those that tell most of it first; nothing where the
    explorer has not looked yet."""
    exhibit = Exhibit(run, keeps=False)
    summary = exhibit.kept(space)
    if summary is None:
        return []
    found = sorted(units(summary, run.model.blocks, exhibit.factors), key=lambda one: -(one.told or 0.0))
    return [(one.latents, one.factor) for one in found if one.factor]


def title(run: Run, latent: int, space: int = 0) -> str:
    """What a latent is called, for people: ``z3 (pos_x)``.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> title(run, 3)
    'z3'
    """
    name = run.names.get(str(latent)) or dict(labelled(run, space)).get((latent,), "")
    return f"z{latent} ({name})" if name else f"z{latent}"


def _same(name: str, word: str) -> bool:
    return name.casefold() == word.casefold()

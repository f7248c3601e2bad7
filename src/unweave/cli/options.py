"""From words to a dataclass: tyro reads them, and every mistake becomes one line with the nearest match."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import fields, is_dataclass
from itertools import takewhile
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

from unweave.cli.console import one_line
from unweave.names import nearest
from unweave.store.environment import variables
from unweave.types import UserError

T = TypeVar("T")
HELP = ("-h", "--help")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
WIDE = {"COLUMNS": "10000"}
"""Lets messages be as long as they are: tyro breaks lines, and long words, at the width of the terminal."""
PLAIN = {
    r"invalid literal for int\(\) with base 10: ('.*?')": r"\1; allowed: a whole number",
    r"could not convert string to float: ('.*?')": r"\1; allowed: a number",
}
"""What Python says of a word that is no number, and what people are told."""
OTHER = {"--runs": "--out"}
"""The folder of runs has two names: some verbs also write something else, and call that --out."""


def parse(kind: type[T], words: Sequence[str], verb: str, *, default: T | None = None) -> T:
    """An instance of a dataclass from the words of a command; ``--help`` prints its fields and raises SystemExit(0).

    Args:
        kind: fields are options, fields marked ``tyro.conf.Positional`` are words without ``--``.
        words: what was typed after the verb.
        verb: for messages, such as ``train deft``.
        default: what fields that are not given are, and what ``--help`` shows; the dataclass's own defaults when None.

    Raises:
        UserError: one line that says what is wrong.
    """
    import tyro

    asked_for_help = any(word in HELP for word in words)
    allowed = names(kind)
    words = [_same(word, allowed) for word in words]
    if not asked_for_help:
        options_known(allowed, words)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    more = {} if default is None else {"default": default}
    said = io.StringIO()
    try:
        with redirect_stderr(said), variables({} if asked_for_help else WIDE):
            return tyro.cli(kind, args=list(words), prog=f"unweave {verb}", config=config, **more)  # type: ignore[call-overload]
    except SystemExit as end:
        if not end.code:
            raise
        raise UserError(f"{_gist(said.getvalue())} (see unweave {verb} --help)") from None


def _same(word: str, allowed: Sequence[str]) -> str:
    """An option by the name that it has in this verb."""
    head, equals, tail = word.partition("=")
    here = OTHER.get(head)
    if here is None or head.removeprefix("--") in allowed or here.removeprefix("--") not in allowed:
        return word
    return f"{here}{equals}{tail}"


def names(kind: type) -> list[str]:
    """The options of a dataclass as typed, ``stage-steps``, those of nested ones included."""
    import tyro

    found = []
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        inner, *marks = get_args(hints[one.name]) if get_origin(hints[one.name]) is Annotated else (hints[one.name],)
        if tyro.conf.Positional in marks:
            continue
        found += names(inner) if is_dataclass(inner) and isinstance(inner, type) else [one.name.replace("_", "-")]
    return found


def value_of(option: str, words: Sequence[str]) -> str | None:
    """What an option was given as, found before the words are read in full: the last of ``--x v`` and ``--x=v``."""
    found = None
    for place, word in enumerate(words):
        head, equals, tail = word.partition("=")
        if head.replace("_", "-") != f"--{option}":
            continue
        found = tail if equals else next((w for w in words[place + 1 : place + 2] if not w.startswith("--")), None)
    return found


def options_known(allowed: Sequence[str], words: Sequence[str]) -> None:
    """Raises UserError for the first word that looks like an option and is none of ``allowed``."""
    for word in words:
        name = word.partition("=")[0].removeprefix("--").removeprefix("no-").replace("_", "-")
        if not word.startswith("--") or name in allowed:
            continue
        near = nearest(name, allowed)
        meant = f" — did you mean --{near}?" if near else ""
        raise UserError(
            f"unknown option {word.partition('=')[0]}{meant} (allowed: {', '.join(f'--{one}' for one in allowed)})"
        )


def _gist(text: str) -> str:
    """What tyro has to say, without its box and its colours: up to the first rule, below which it repeats the help."""
    text = COLOURS.sub("", text)
    lines = [raw.strip().strip("│|").strip() for raw in text.splitlines()]
    lines = [line for line in lines if line and line[0] not in "╭╰+"]
    # Where a console has no letters to draw a box with, its title stands alone above a rule.
    said = lines[2:] if len(lines) > 1 and _is_rule(lines[1]) and not text.lstrip().startswith("╭") else lines
    said = list(takewhile(lambda line: not _is_rule(line), said))
    gist = (
        one_line(" ".join(said)).replace("Error parsing ", "").replace("Expected 1 values.", "One value is expected.")
    )
    for python, ours in PLAIN.items():
        gist = re.sub(python, ours, gist)
    return gist.rstrip(".") or "these words were not understood"


def _is_rule(line: str) -> bool:
    return not line.strip("-─━=—")

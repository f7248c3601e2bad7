"""From words to a dataclass: tyro reads them, and every mistake becomes one line with the nearest match."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import fields, is_dataclass
from typing import TypeVar, get_type_hints

from unweave.cli.console import one_line
from unweave.names import nearest
from unweave.types import UserError

T = TypeVar("T")
HELP = ("-h", "--help")


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
    if not asked_for_help:
        options_known(names(kind), words)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    more = {} if default is None else {"default": default}
    said = io.StringIO()
    try:
        with redirect_stderr(said), _wide(not asked_for_help):
            return tyro.cli(kind, args=list(words), prog=f"unweave {verb}", config=config, **more)  # type: ignore[call-overload]
    except SystemExit as end:
        if not end.code:
            raise
        raise UserError(f"{_gist(said.getvalue())} (see unweave {verb} --help)") from None


def names(kind: type) -> list[str]:
    """The options of a dataclass, those of nested ones included, as typed: ``stage-steps``."""
    found = []
    hints = get_type_hints(kind)
    for one in fields(kind):
        inner = hints[one.name]
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
    """What tyro has to say, out of the box that it draws around it: the lines between the first two rules."""
    lines = [line.strip() for line in text.splitlines()]
    rules = [place for place, line in enumerate(lines) if line and not line.strip("-─━—╭╰│ ")]
    inside = lines[rules[0] + 1 : rules[1]] if len(rules) > 1 else lines
    gist = (
        one_line(" ".join(inside)).replace("Error parsing ", "").replace("Expected 1 values.", "One value is expected.")
    )
    return gist.strip("│ ").rstrip(".") or "these words were not understood"


@contextmanager
def _wide(on: bool) -> Iterator[None]:
    """Let messages be as long as they are: tyro breaks lines, and long words, at the width of the terminal."""
    before = os.environ.get("COLUMNS")
    if on:
        os.environ["COLUMNS"] = "10000"
    try:
        yield
    finally:
        if on and before is None:
            del os.environ["COLUMNS"]
        elif on and before is not None:
            os.environ["COLUMNS"] = before

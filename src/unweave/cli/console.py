"""How a verb speaks: text for people, one JSON document for programs, a line of progress while they wait."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from unweave.errors import UserError

if TYPE_CHECKING:
    from unweave.data import Dataset

PATIENCE = 2.0
"""Seconds that a person waits without a sign of life."""
OFTEN = 0.2
"""Seconds between two looks of the line on a terminal."""
SELDOM = 30.0
"""Seconds between two lines where the output is no terminal."""


class Failed(UserError):
    """Something that went wrong while at work: exit code 1."""


class Console:
    """Text goes to the standard output; with ``--json`` only ``result`` does, and progress to the standard error."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self.shown = False
        self.last = time.monotonic() - SELDOM + PATIENCE

    @property
    def stream(self) -> TextIO:
        """Where progress goes."""
        return sys.stderr if self.json else sys.stdout

    def say(self, text: str) -> None:
        """A line for people; nothing with ``--json``."""
        self.clear()
        if not self.json:
            print(text, flush=True)

    def result(self, values: Any) -> None:
        """The one JSON document; nothing without ``--json``."""
        self.clear()
        if self.json:
            print(json.dumps(finite(values), indent=1, ensure_ascii=False), flush=True)

    def progress(self, line: Callable[[], str]) -> None:
        """Bring the line of progress up to date, if it is time to; ``line`` is asked only then."""
        waited = time.monotonic() - self.last
        terminal = self.stream.isatty()
        if waited < (OFTEN if terminal and self.shown else SELDOM):
            return
        self.last = time.monotonic()
        if terminal:
            self.shown = True
            print(f"\r{cut(line())}\x1b[K", end="", file=self.stream, flush=True)
        else:
            print(line(), file=self.stream, flush=True)

    def clear(self) -> None:
        """Take the line of progress away."""
        if self.shown:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
            self.shown = False
            self.last = time.monotonic() - SELDOM + PATIENCE

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Name a piece of work that cannot tell how far it is, once it has taken ``PATIENCE``."""

        def tell() -> None:
            if self.stream.isatty():
                self.shown = True
                print(f"\r{cut(what)} …\x1b[K", end="", file=self.stream, flush=True)
            else:
                print(f"{what} …", file=self.stream, flush=True)

        # A terminal's line vanishes again, so it may come at once.
        timer = threading.Timer(0.1 if self.stream.isatty() else PATIENCE, tell)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self.clear()


def looked_over(console: Console, data: Dataset, root: Path | None) -> list[str]:
    """Say which of somebody's pictures are left out and what looks like a mistake; all of it as a list."""
    found = data.remarks(root)
    notes, doubts = list(found.get("notes", ())), list(found.get("doubts", ()))
    for word, told in [*(("left out", note) for note in notes), *(("look at", doubt) for doubt in doubts)]:
        console.say(f"  {word:<9}  {told}")
    return [*notes, *doubts]


def cut(line: str) -> str:
    """The line, no wider than the terminal: a wrapped one could not be written over."""
    from unweave.report.text import width

    most = shutil.get_terminal_size().columns - 3
    while width(line) > most > 0:
        line = line[:-1]
    return line


def debugging() -> bool:
    """Whether the environment asks for tracebacks."""
    return os.environ.get("UNWEAVE_DEBUG", "0") not in ("", "0")


def one_line(text: str) -> str:
    """The text without line breaks and control characters.

    >>> one_line("a\\n  b")
    'a b'
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))


def finite(value: Any) -> Any:
    """The value with numbers that JSON does not know (NaN, infinity) as null.

    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def clock(seconds: float) -> str:
    """A duration for people.

    >>> clock(7.2), clock(134), clock(7300)
    ('0:07', '2:14', '2:01:40')
    """
    whole = max(0, round(seconds)) if math.isfinite(seconds) else 0
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

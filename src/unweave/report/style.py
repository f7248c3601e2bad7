"""How a report looks, and the few lines of script that it can do without."""

from __future__ import annotations

from functools import cache
from importlib import resources

ORNAMENT = (
    '<svg viewBox="0 0 44 20" class="ornament" aria-hidden="true">'
    '<path d="M1 4C9 4 9 16 17 16S25 4 33 4h10" class="a"/>'
    '<path d="M1 10c6 0 6-7 12-7s8 7 14 7h16" class="b"/>'
    '<path d="M1 16c8 0 8-12 16-12s8 12 16 12h10" class="c"/></svg>'
)
"""Three threads, tangled on the left and parallel on the right."""


@cache
def style() -> str:
    """The style sheet, ``style.css`` beside this file."""
    return _text("style.css")


@cache
def script() -> str:
    """The script, ``script.js`` beside this file."""
    return _text("script.js")


def _text(name: str) -> str:
    return resources.files("unweave.report").joinpath(name).read_text(encoding="utf-8")

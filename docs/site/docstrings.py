"""Docstrings as Markdown: an example of the interpreter (``>>>``) becomes a block of code."""

from __future__ import annotations

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Fences the examples of every docstring before it is read."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Called with every module, class, function and attribute."""
        if not obj.is_alias and obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The text with every run of lines that begins with ``>>>`` between fences; it ends at an empty line."""
    out: list[str] = []
    inside = False
    for line in text.splitlines():
        if not inside and line.startswith(">>> "):
            out += ["```pycon"]
            inside = True
        elif inside and not line.strip():
            out += ["```"]
            inside = False
        out.append(line.partition("  # doctest:")[0] if inside else line)
    return "\n".join(out + ["```"] * inside)

"""The repository's pages, and what is written in them: blocks of code, commands, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n(?:\s*\n(?=    ))*)+", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+(?:\([^()]*\))?)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


class Block(NamedTuple):
    """A piece of code of a page."""

    language: str
    """What stands after the fence; empty for a bare fence, ``indented`` for a block without one."""
    text: str
    line: int


class Link(NamedTuple):
    """A link or a picture."""

    picture: bool
    words: str
    target: str


def pages() -> list[Path]:
    """Every page of the documentation, the README among them."""
    return [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]


def name(page: Path) -> str:
    """``docs/methods/vae.md``."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of code in some languages, or all of them, in order."""
    text = page.read_text(encoding="utf-8")
    found = [Block(one[3].strip(), one[4], text.count("\n", 0, one.start()) + 2) for one in FENCE.finditer(text)]
    plain = FENCE.sub(lambda one: "\n" * one[0].count("\n"), text)
    found += [Block("indented", one[0], plain.count("\n", 0, one.start()) + 1) for one in INDENTED.finditer(plain)]
    return sorted((one for one in found if not languages or one.language in languages), key=lambda one: one.line)


def prose(page: Path) -> str:
    """A page without its blocks of code and without code in its lines."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]*`", "code", text)


def links(page: Path) -> Iterator[Link]:
    """Every link and picture of a page."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for one in LINK.finditer(text):
        yield Link(bool(one[1]), one[2], one[3])


def anchors(page: Path) -> list[str]:
    """The anchors of a page's headings, as Git hosts and the site (mkdocs.yml) make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [anchor(one) for one in HEADING.findall(text)]


def anchor(heading: str) -> str:
    """Lower case, without signs, hyphens for spaces.

    >>> anchor("On a `GPU`: how, and why?")
    'on-a-gpu-how-and-why'
    """
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")

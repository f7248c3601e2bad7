"""Writes what each page of studies says of titles, of decisions and of scales, from the studies themselves.

python docs/studies/write.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from unweave.studies import STUDIES
from unweave.studies.papers import PAPERS

HERE = Path(__file__).parent
WIDTH = 130
DECIDED, SETTINGS = "## What was decided where the paper is silent", "## Settings of each scale"
LIST = "| study | where | what | printed numbers |\n|---|---|---|---|\n"
BEGIN = "| studies | small | paper |\n|---|---|---|\n"


def titles(paper: str) -> str:
    """A line for each study."""
    return "\n".join(
        f"| `{name}` | {kind.where} | {kind.title} | {len(kind().expected()) or '–'} |"
        for name, kind in STUDIES.items()
        if kind.paper == paper
    )


def decisions(paper: str) -> str:
    """A point for each decision, with the studies that it is about."""
    about: dict[str, list[str]] = {}
    for name, kind in STUDIES.items():
        for text in kind.decided if kind.paper == paper else ():
            about.setdefault(text, []).append(_short(name))
    points = [f"{text.removesuffix('.')} ({', '.join(names)})." for text, names in about.items()]
    return "\n".join(
        textwrap.fill(f"* {one}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for one in points
    )


def scales(paper: str) -> str:
    """A line for all studies of the same settings."""
    about: dict[tuple[str, str], list[str]] = {}
    for name, kind in STUDIES.items():
        if kind.paper == paper:
            study = kind()
            about.setdefault((study.told("small"), study.told("paper")), []).append(_short(name))
    return "\n".join(f"| {', '.join(names)} | {small} | {paper} |" for (small, paper), names in about.items())


def page(paper: str, before: str) -> str:
    """The page with all three parts made anew, everything else as it was."""
    start, found, rest = before.partition(LIST)
    if found:
        before = f"{start}{LIST}{titles(paper)}\n\n{rest.partition(chr(10) * 2)[2]}"
    start, _, rest = before.partition(DECIDED)
    if rest:
        rest = rest[rest.index("\n## ") :]
        before = f"{start}{DECIDED}\n\n{decisions(paper)}\n{rest}"
    start, begin, rest = before.partition(BEGIN)
    after = rest.partition("\n\n")[2]
    return f"{start}{begin}{scales(paper)}\n" + (f"\n{after}" if after else "")


def main() -> None:
    for paper in PAPERS:
        path = HERE / f"{paper}.md"
        path.write_text(page(paper, path.read_text(encoding="utf-8")), encoding="utf-8")


def _short(name: str) -> str:
    return name.partition("-")[2]


if __name__ == "__main__":
    main()

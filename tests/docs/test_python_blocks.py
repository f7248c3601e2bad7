"""Every block of Python in the documentation runs, page by page, in order, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import REPOSITORY, blocks, name, pages
from .small import GIVEN, SHORTER, execute, names, shortened, small

__all__ = ["small"]

ELSEWHERE = {
    "README.md": "tests/examples/test_readme.py",
    "docs/extending.md": "tests/examples/test_extending.py",
    "docs/first-hour.md": "tests/docs/test_first_hour.py",
    "docs/sweeps.md": "tests/examples/test_sweeps_page.py",
}
"""Pages with a test of their own, which does more than run their blocks."""
PAGES = {name(page): page for page in pages() if blocks(page, "python")}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_its_blocks_run(page: str, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = names()
    if page in GIVEN:
        execute(GIVEN[page], page, 1, given)
    if page.startswith("docs/metrics/"):
        given["codes"] = given["codes"]()
    for block in blocks(PAGES[page], "python"):
        execute(shortened(page, block.text), page, block.line, given)


def test_no_block_hides() -> None:
    """Python is fenced and called so, and a page without a test here has one of its own that names it."""
    for page in pages():
        for block in blocks(page, "", "indented", "text"):
            wrong = [line for line in block.text.splitlines() if line.strip().startswith(("import ", "from unweave"))]
            assert not wrong, f"{name(page)}, line {block.line}: fence this block as python"
    for page, test in ELSEWHERE.items():
        assert page not in PAGES or Path(page).name in (REPOSITORY / test).read_text(encoding="utf-8")


def test_what_is_shortened_is_there() -> None:
    for page in [*GIVEN, *SHORTER]:
        assert page in PAGES or not (REPOSITORY / page).exists(), f"{page} has no Python"
    for page, changes in SHORTER.items():
        text = PAGES[page].read_text(encoding="utf-8")
        assert all(long in text for long in changes), f"{page} no longer holds {', '.join(changes)}"

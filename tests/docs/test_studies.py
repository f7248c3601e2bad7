"""Pages of studies say what the studies say of themselves."""

from __future__ import annotations

import runpy

import pytest

from unweave.studies.papers import PAPERS

from .pages import DOCS

WRITE = runpy.run_path(str(DOCS / "studies" / "write.py"))


@pytest.mark.parametrize("paper", PAPERS)
def test_decisions_and_scales_are_the_studies(paper: str) -> None:
    text = (DOCS / "studies" / f"{paper}.md").read_text(encoding="utf-8")
    assert WRITE["page"](paper, text) == text, "python docs/studies/write.py"
    assert WRITE["scales"](paper) in text

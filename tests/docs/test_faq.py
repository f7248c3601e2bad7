"""Numbers that docs/faq.md gives are those that its commands give."""

from __future__ import annotations

import pytest

from unweave import convert_beta

from .pages import DOCS, blocks

LINES = [
    line
    for block in blocks(DOCS / "faq.md", "python")
    for line in block.text.splitlines()
    if line.startswith("convert_beta(")
]


@pytest.mark.parametrize("line", LINES)
def test_conversions(line: str) -> None:
    call, _, comment = line.partition("  # ")
    said = comment.removesuffix(" here").split()[-1]
    places = len(said.partition(".")[2])
    assert f"{eval(call, {'convert_beta': convert_beta}):.{places}f}" == said


def test_there_are_some() -> None:
    assert len(LINES) == 4

"""A run in full, drawn on the spot, and a reader of HTML that objects to what browsers forgive."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest

from unweave.report.story import Information, ScoreRow, Story, Traversal
from unweave.types import Reference

VOID = {"meta", "link", "img", "br", "col"}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page; raises where tags do not nest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _read(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open, f"never closed: {page.open}"
    return page


@pytest.fixture
def read() -> Callable[[str], Page]:
    return _read


@pytest.fixture
def story() -> Story:
    rng = np.random.default_rng(3)
    images = np.zeros((6, 16, 16, 1), np.uint8)
    for k in range(6):
        images[k, 2 + k : 7 + k, 3:9] = 255
    steps = np.arange(1, 3001)
    return Story(
        title="β-TCVAE on squares",
        subtitle="Three latents.",
        key="3f9a1c07be",
        summary={"Method": "β-TCVAE, β = 6", "Pixels from": "drawn", "Steps": "3,000", "Seed": "0"},
        scores=(
            ScoreRow("MIG", 0.387, {"mig.x": 0.8}, ceiling=0.893, floor=0.004, settings={"bins": 20, "seed": 0}),
            ScoreRow("bce", 41.7, ceiling=18.9, floor=226.0, better="lower"),
            ScoreRow("UDR", None, note="UDR compares several seeds."),
        ),
        information=Information(
            nmi=np.array([[0.02, 0.9], [0.6, 0.1], [0.0, 0.004]]),
            kl=np.array([1.5, 3.25, 0.001]),
            factors=("scale", "x"),
        ),
        originals=images,
        reconstructions=255 - images,
        traversals=(Traversal(0, [-1.0, 0.0, 1.0], images[:3], kl=1.5), Traversal(1, [-2.0, 2.0], images[:2], kl=3.25)),
        curves={"loss": (steps, 600 * np.exp(-steps / 90) + 40 + rng.normal(size=3000)), "kl": (steps, steps / 200)},
        stages=("Steps 0 to 3,000: all groups train.",),
        notes=("One seed only.",),
        references=(
            Reference("chen2018", "R. Chen", "Isolating sources", "NeurIPS", 2018, "https://example.org/a?b&c"),
        ),
        command="unweave train beta-tc-vae --beta 6",
        environment={"torch": "2.13.0"},
    )

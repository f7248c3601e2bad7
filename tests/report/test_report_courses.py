"""Figures of information over training: complete documents that say in words what they draw."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from unweave.analysis import Course
from unweave.report.courses import MAP_ROWS, compare_figure, course_figure
from unweave.types import UserError

STEPS = np.arange(1, 41) * 100.0


def made(rate: bool = True, points: int = 40) -> Course:
    """Two latents and two factors: the first factor moves from latent 0 to latent 1 half-way."""
    t = np.linspace(0, 1, points)
    nmi = np.stack([[0.8 - 0.5 * t, 0.1 + 0.5 * t], [0.1 + 0 * t, 0.6 + 0.1 * t]]).transpose(2, 1, 0)
    parts = {"kl": 3 * t, "mi": 2 * t, "tc": t / 2, "dw": t / 2, "mi_error": 0.01 + 0 * t}
    kl = np.stack([2 + t, 1 + t], 1)
    return Course(STEPS[:points], nmi, np.ones((points, 2)), kl, ("scale", "x <y>"), parts if rate else {}, {})


@pytest.mark.parametrize("rate", [True, False])
@pytest.mark.parametrize("points", [40, 1])
def test_one_training(rate: bool, points: int) -> None:
    course = made(rate, points)
    drawn = course_figure(course, latents=1, title="deft & more")
    root = ElementTree.fromstring(drawn)
    words = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert root.attrib["role"] == "img" and root.attrib["aria-label"].startswith("deft & more: ")
    assert "x <y>" in words and "NMI(c, 1): the best latent" in words
    assert ("the rate and its parts, nats" in words) is rate
    assert ("scale · diffuses" in words) is (points > 1)
    assert ("latent 0" in words) and ("latent 1" not in words)
    cells = [
        node for node in root.iter("{http://www.w3.org/2000/svg}rect") if "fill:rgb" in node.attrib.get("style", "")
    ]
    assert len(cells) == 2 * 2 * min(points, MAP_ROWS)


def test_several_trainings() -> None:
    drawn = compare_figure({"one": made(), "two": made()}, "Two")
    words = [node.text or "" for node in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert "I(x; z) in nats" in words and "one · 1 diffusion events" in words
    assert "I(x; z) in nats" not in compare_figure({"one": made(), "two": made(rate=False)})


def test_courses_of_other_factors_are_refused() -> None:
    other = made()
    with pytest.raises(UserError, match="2 courses of 2 sets of factors"):
        compare_figure({"a": made(), "b": Course(**{**vars(other), "factors": ("a", "b")})})

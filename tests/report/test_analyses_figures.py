"""Figures of analyses: they say what they were given, parse as XML, and stand on a run's page and in files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from unweave import MLP, BHiVAE, Codes, fit
from unweave.analysis import (
    Diagonal,
    Efficiency,
    PropertyCourse,
    Trained,
    block_scatter,
    elbo_trajectory,
    interventions,
    kl_decompose,
)
from unweave.cli import main
from unweave.report import Figure, Story, tell
from unweave.report.analyses import write_figures
from unweave.report.blocks import bars_figure, diagonal_figure, scatter_figure
from unweave.report.learning import efficiency_figure, property_course_figure, rate_figure
from unweave.report.page import page
from unweave.report.robustness import interventions_figure
from unweave.report.trajectory import trajectory_figure
from unweave.types import UserError

SVG = "{http://www.w3.org/2000/svg}"
RANDOM = np.random.default_rng(0)
LEVELS = np.stack([RANDOM.integers(0, 3, 200), RANDOM.integers(0, 4, 200)], 1)
CODES = Codes.of(
    np.stack([LEVELS[:, 0] + 0.1 * RANDOM.normal(size=200), RANDOM.normal(size=200)], 1),
    LEVELS,
    names=("shape", "x & y"),
    logvar=np.full((200, 2), -2.0),
)
GRID = [Trained(c, 8, i, (i - b) ** 2) for c, b in ((10, 4), (20, 1), (30, 2)) for i in (1, 2, 4)]
CURVE = Efficiency("digit", (0.5, 1.0), np.array([0.7, 0.9]), (), np.array([[0.7, 0.9]]))
ALONG = Diagonal((0, 1), "hair", np.array([-3.0, 0.0, 3.0]), np.full((3, 2), 0.5), np.full((3, 2), 0.1), 0.934)
KINDS = ("sufficiency", "minimality", "disentanglement")
COURSE = PropertyCourse(
    np.array([10.0, 20.0]), {k: np.array([1.0, 2.0]) for k in KINDS}, {k: np.array([0.1, np.nan]) for k in KINDS}
)
DRAWN: dict[str, tuple[str, list[str]]] = {
    "robustness": (interventions_figure(interventions(CODES)), ["latent 0 · R = 0.81", "level of shape", "x & y"]),
    "trajectory": (trajectory_figure({"β = 4": elbo_trajectory(GRID)}), ["V-shaped", "β = 4", "10", "30"]),
    "scatter": (scatter_figure([block_scatter(CODES, (0, 1), 0.5, "shape")]), ["shape 2", "latents 0 and 1", "(39 %)"]),
    "diagonal": (diagonal_figure([ALONG], levels=("no", "yes")), ["yes", "hair · latents 0, 1", "93.4 %"]),
    "bars": (bars_figure({"10": {"block": 0.9, "single": 0.75}}, level=("chance", 0.5)), [".90", ".75", "chance"]),
    "efficiency": (
        efficiency_figure({"MNIST": {"vae": CURVE}}, {"MNIST": CURVE}),
        ["MNIST · digit", "100 %", "single"],
    ),
    "course": (property_course_figure({"recurd": COURSE}), ["recurd", "Σ I(z_i; z_j), nats (disentanglement)"]),
    "rate": (rate_figure(kl_decompose(CODES, samples=50)), ["KL(q(z) ‖ p), off the prior", "standard errors"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_an_svg_that_says_what_it_shows(name: str) -> None:
    drawn, words = DRAWN[name]
    root = ElementTree.fromstring(drawn)
    text = " | ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    assert all(word in text for word in words), text
    assert root.get("aria-label") and "nan" not in drawn.lower()
    wide, high = float(root.get("width", "0")), float(root.get("height", "0"))
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x", "0")) <= wide and 0 <= float(element.get("y", "0")) <= high
        room = float(element.get("x", "0")) + 4.6 * len(element.text or "")
        assert element.get("text-anchor") != "start" or room <= wide, f"{element.text} leaves the drawing"


def test_places_are_those_of_the_numbers() -> None:
    root = ElementTree.fromstring(DRAWN["bars"][0])
    bars = [e for e in root.iter(f"{SVG}rect") if (e.get("class") or "").startswith("f")]
    heights = [float(bar.get("height", "0")) for bar in bars]
    assert heights[0] / heights[1] == pytest.approx(0.9 / 0.75, abs=0.01)
    circles = list(ElementTree.fromstring(DRAWN["scatter"][0]).iter(f"{SVG}circle"))
    assert len(circles) == 200
    across = np.array([float(c.get("cx", "0")) for c in circles])
    assert np.corrcoef(across, CODES.mean[:, 0].numpy())[0, 1] > 0.999
    dots = list(ElementTree.fromstring(DRAWN["trajectory"][0]).iter(f"{SVG}circle"))
    down = [float(d.get("cy", "0")) for d in dots]
    assert (down[1] - down[0]) / (down[1] - down[2]) == pytest.approx(0.75 / 0.25, abs=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: scatter_figure([]),
        lambda: diagonal_figure([]),
        lambda: bars_figure({}),
        lambda: bars_figure({"a": {"b": 1.2}}),
        lambda: efficiency_figure({}),
        lambda: property_course_figure({}),
        lambda: trajectory_figure({}),
        lambda: page(Story("t", figures=[Figure("x", "no drawing")])),
    ],
)
def test_nothing_to_draw_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(UserError, match="allowed"):
        call()


def test_a_page_holds_each_figure_as_a_picture_of_its_own(read: Callable[[str], Any], tmp_path: Path) -> None:
    svg = DRAWN["rate"][0]
    shown = read(page(Story("t", figures=[Figure("The KL in parts", svg, "Bars & whiskers.")])))
    (picture,) = [one for one in shown.named("img") if (one["src"] or "").startswith("data:image/svg+xml;base64,")]
    assert picture["alt"] == ElementTree.fromstring(svg).get("aria-label")
    assert "Bars & whiskers." in shown.text and "Analyses" in shown.text
    assert "Analyses" not in read(page(Story("t"))).text
    (path,) = write_figures(tmp_path / "new" / "folder", [Figure("The KL in parts", svg)])
    assert (path.name, path.read_text(encoding="utf-8")) == ("the-kl-in-parts.svg", svg)


def test_a_run_shows_what_its_codes_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"steps": 2, "batch": 4, "network": MLP((8,)), "precision": "float32"}
    vae = fit("beta-vae", "triangle", latents=3, out=tmp_path / "runs", **small)
    names = [figure.name for figure in tell(vae, codes=vae.codes(150)).figures]
    assert names == ["Robustness of latents", "The KL in parts", "Pairs of latents", "Mini-batches"]
    assert tell(vae, codes=vae.codes(50)).figures == []
    method = BHiVAE(blocks=(2, 2), width=8, part_width=8, critic_hidden=8, critic_layers=1)
    blocks = fit(method, "triangle", latents=7, **small)
    figures = {figure.name: figure.svg for figure in tell(blocks, codes=blocks.codes(150)).figures}
    assert list(figures) == ["Robustness of latents", "Pairs of latents", "Blocks and their prior"]
    assert re.findall(r"latents \d and \d", figures["Blocks and their prior"]) == ["latents 0 and 1", "latents 2 and 3"]
    monkeypatch.chdir(tmp_path)
    assert main(["report", "last", "--images", "150", "--figures", "drawn"]) == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [
        "mini-batches.svg",
        "pairs-of-latents.svg",
        "robustness-of-latents.svg",
        "the-kl-in-parts.svg",
    ]
    (tmp_path / "file").write_text("")
    assert main(["report", "last", "--figures", "file"]) == 2

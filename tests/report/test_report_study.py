"""The page of a study and the drawings on it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from unweave.job import Result
from unweave.report.figures import figure, svg
from unweave.report.study import Told, _noted, study_page
from unweave.studies import STUDIES, Curves, Distributions, HeatMap, Scatter, Strips
from unweave.studies.base import Row
from unweave.studies.table import Cell, Table

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def circles(text: str) -> list[tuple[float, float]]:
    return [(float(one.get("cx", "")), float(one.get("cy", ""))) for one in parsed(text).iter(f"{SVG}circle")]


def results(**more: float) -> list[Row]:
    about = {"machine": "a <machine>", "commit": "abc", "precision": "bf16"}
    rows = [("DeVAE [1, 40]", (0.30, 0.34)), ("β-VAE β = 6", (0.50, 0.52))]
    return [
        ({"data": "dsprites", "row": row, "seed": k}, Result(f"{row[0]}{k}", {"mig": mig, **more}, {}, "", 60.0, about))
        for row, values in rows
        for k, mig in enumerate(values)
    ]


def page(rows: list[Row], **more: object) -> str:
    told = Told(STUDIES["devae-table1"](), "small", rows, 14, **more)  # type: ignore[arg-type]
    return study_page(told)


def test_ours_stand_beside_what_was_printed() -> None:
    text = page(results())
    assert "0.320 ± 0.028 (2)" in text and "0.34 ± 0.02" in text and "4 of 14 jobs" in text
    # 0.51 where 0.17 ± 0.05 of 10 seeds was printed, with s = 0.0141 of 2 runs.
    expected = (0.51 - 0.17) / np.sqrt(0.02**2 / 2 / 2 + 0.05**2 / 10)
    assert f"<b>+{expected:.1f}</b>" in text
    assert "2 of 2 compared cells" not in text and "1 of 2 compared cells" in text
    assert "DeVAE [1, 40] above β-VAE β = 6" in text and "does not hold" in text


def test_the_page_says_how_it_was_made() -> None:
    rows = results()
    text = page(rows, command="unweave study x", reading="First.\n\nSecond & last.", links={"D0": "../D0/report.html"})
    assert "unweave study x" in text and "<p>Second &amp; last.</p>" in text
    assert '<a href="../D0/report.html">' in text
    assert "a &lt;machine&gt;" in text and "abc" in text and "bf16" in text
    assert "5,000 steps (published: 300,000)" in text and "drawn by unweave" in text
    assert all(one.split(" ")[0] in text for one in STUDIES["devae-table1"].decided)
    assert not re.search(r'(?:src|href)="(?!data:|#|\.\./|https?://arxiv)', text)


def test_a_page_without_results_names_what_is_missing() -> None:
    text = page([])
    assert "0 of 14 jobs" in text and "48.31" in text and "None has been run." in text
    empty = study_page(Told(STUDIES["devae-fig3"](), "smoke", [], 2))
    assert "nothing to draw" in empty


def test_a_failed_job_is_told() -> None:
    rows = [*results(), ({"data": "dsprites", "row": "DynamicVAE"}, Result("x", {}, {}, "kl was no longer finite"))]
    assert "kl was no longer finite" in page(rows)


def test_curves_of_several_seeds_are_a_mean_with_its_spread() -> None:
    x = [0.0, 1.0, 2.0]
    one = Curves("MIG", {"a": [(x, [0.0, 0.2, 0.4]), (x, [0.0, 0.4, 0.8])], "b": [(x, [0.1, 0.1, 0.1])]}, points=True)
    text = svg(one)
    assert text.count('class="band f0"') == 1 and 'class="band f1"' not in text
    assert len(circles(text)) == 6
    assert "a 0.6, b 0.1" in text
    alone = Curves("VIR", {"a": [(x, [0.0, 0.2, 0.4])], "b": [(x, [0.1, 0.1, 0.1])]}, spreads={"a": [0.1, 0.2, 0.1]})
    assert svg(alone).count('class="band f0"') == 1 and 'class="band f1"' not in svg(alone)
    marked = svg(Curves("ΔI", {"a": [([1.0, 10.0], [0.0, 1.0])]}, log=True, marks=[(100.0, "β 100"), (0.0, "never")]))
    assert "β 100" in marked and "never" not in marked


def test_curves_with_gaps_and_pressures() -> None:
    text = svg(Curves("KL", {"": [([100.0, 10.0, 1.0], [0.0, float("nan"), 2.0])]}, log=True, points=True))
    across = [x for x, _ in circles(text)]
    assert len(across) == 2 and across[0] > across[1]
    labels = [one.text for one in parsed(text).iter(f"{SVG}text")]
    assert {"1", "10", "100"} <= set(labels)


def test_a_scatter_has_areas_words_and_outlines() -> None:
    around = ([2.0, 0.0, -2.0, 0.0, 2.0], [0.0, 2.0, 0.0, -2.0, 0.0])
    one = Scatter(
        "s", {"a": ([0.0, 1.0], [0.0, 1.0])}, areas={"a": [1.0, 4.0]}, words={"a": ["p", "q"]}, outlines=[around]
    )
    text = svg(one)
    radii = [float(c.get("r", "")) for c in parsed(text).iter(f"{SVG}circle")]
    assert radii[1] == pytest.approx(2 * radii[0], rel=0.01)
    (outline,) = parsed(text).iter(f"{SVG}polyline")
    corners = [tuple(map(float, pair.split(","))) for pair in outline.get("points", "").split()]
    assert ">p<" in text and len(corners) == 5 and corners[0] == corners[-1]
    assert corners[1][1] < corners[0][1] < corners[3][1], "upwards is smaller"


def test_distributions_show_every_value() -> None:
    many = Distributions("d", {"few": [0.2, 0.4], "many": list(np.linspace(0.1, 0.9, 9)), "none": []}, unit=True)
    text = svg(many)
    assert len(circles(text)) == 11 and text.count('class="band') == 1 and ">none<" in text
    down = [y for _, y in circles(text)]
    assert down[0] > down[1], "a larger value lies higher"
    logs = svg(Distributions("d", {"a": [1.0, 10.0, 100.0]}, log=True, marks=[(10.0, "β 10")]))
    ys = sorted(y for _, y in circles(logs))
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.2) and "β 10" in logs


def test_heat_maps_and_strips() -> None:
    assert "orientation" in svg(HeatMap("h", {"NMI": np.eye(2)}, ["z1", "z2"], ["orientation", "x"]))
    images = np.zeros((3, 8, 8, 1), np.uint8)
    text = figure(Strips("s", [("latent 0", images), ("latent 1", images)], ["−2", "0", "2"], "a <caption>"))
    assert text.count("data:image/png") == 2 and "latent 1" in text and "a &lt;caption&gt;" in text
    apart = figure(Strips("s", [("long", images), ("short", images[:2])]))
    assert len(set(re.findall(r"--d:(\d+)", apart))) == 1, "one magnification for all rows"
    first = figure(Strips("s", [("image", images[:1]), ("drawn", images[:1]), ("latent", images)], ["−2", "0", "2"]))
    assert first.count('class="rows"') == 2 and first.count('class="ticks"') == 1 and "ticked" in first
    assert first.index("drawn") < first.index("ticked") < first.index("latent")


def test_nothing_to_draw_is_no_error() -> None:
    for one in (Curves("c", {}), Scatter("s", {}), Distributions("d", {}), Curves("c", {"a": []})):
        assert parsed(svg(one)).tag == f"{SVG}svg"


def test_a_note_of_a_whole_column_is_said_of_the_column() -> None:
    def cell(row: str, column: str, note: str = "", printed: str = "1") -> Cell:
        return Cell("dsprites", row, column, (), None, None, printed, 1.0, None, None, note)

    cells = [cell("a", "Z", "per cent"), cell("b", "Z", "per cent"), cell("c", "Z", printed="")]
    cells += [cell("a", "M", "of the text"), cell("b", "M")]
    table = Table((), (), {(one.data, one.row, one.column): one for one in cells})
    assert _noted(table) == {"per cent": "Z", "of the text": "a, M"}

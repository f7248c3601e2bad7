"""Score cards and the latent × factor table: right numbers in the right places, readable on their colours."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from unweave.networks import MLP
from unweave.report import tell
from unweave.report.latents import DARK, carries, lede, matrix, order
from unweave.report.page import page
from unweave.report.scores import card, standing, verdict
from unweave.report.story import Information, ScoreRow
from unweave.report.style import style
from unweave.run import fit


def widths(read, row: ScoreRow) -> list[str]:
    return [s["style"] for s in read(card(row)).named("span") if s.get("style")]


def test_the_bar_runs_from_floor_to_ceiling(read):
    assert widths(read, ScoreRow("a", 0.3, ceiling=0.5, floor=0.1)) == ["width:50.0%"]
    assert widths(read, ScoreRow("a", 60.0, ceiling=20.0, floor=100.0, better="lower")) == ["width:50.0%"]


@pytest.mark.parametrize(
    ("row", "words", "bar"),
    [
        (ScoreRow("a", 0.6, ceiling=0.5, floor=0.1), "beyond the stated ceiling by 0.100", ["width:100.0%"]),
        (ScoreRow("a", 0.0, ceiling=0.5, floor=0.1), "worse than the floor by 0.100", ["width:0.0%"]),
        (ScoreRow("a", 110.0, ceiling=20.0, floor=100.0, better="lower"), "worse than the floor by 10", ["width:0.0%"]),
        (ScoreRow("a", 0.25, ceiling=0.5), "50 % of the ceiling", ["width:50.0%"]),
        (ScoreRow("a", 0.25), "ceiling of this data set not known", []),
        (ScoreRow("a", 0.25, bounded=False, meaning="What it asks."), "", []),
        (ScoreRow("a", 25.0, ceiling=20.0, better="lower"), "floor of this data set not known", []),
        (ScoreRow("a", None, ceiling=1.0, floor=0.0), "not computed", []),
        (ScoreRow("a", float("nan"), ceiling=1.0, floor=0.0), "the metric returned no finite number", []),
        (ScoreRow("a", 0.5, ceiling=0.5, floor=0.5), "floor and ceiling of this data set are the same", []),
        (ScoreRow("a", 0.5, ceiling=float("inf"), floor=0.0), "ceiling of this data set not known", []),
    ],
)
def test_a_verdict_claims_no_more_than_is_known(read, row, words, bar):
    assert verdict(row) == words and words in read(card(row)).text
    assert widths(read, row) == bar


def test_parts_and_every_setting_are_in_the_card(read):
    seen = read(
        card(ScoreRow("DCI", 0.5, {"dci.completeness": 0.25}, settings={"trees": 10, "deep": None, "on": True}))
    )
    for text in ("dci.completeness0.250", "trees10", "deepnone", "onyes"):
        assert text in seen.text


def test_no_standing_without_two_ends():
    assert standing(ScoreRow("a", 1.0, ceiling=float("inf"), floor=0.0)) is None


def table(read, information: Information) -> list[list[str]]:
    text = re.sub(r"</?(b|span)[^>]*>", "", matrix(information))
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_the_table_is_sorted_by_kl_and_folds_the_dead(story, read):
    rows = table(read, story.information)
    assert rows[0] == ["Latent", "KL, nats", "scale", "x"]
    assert rows[1] == ["1", "3.25", "0.60", "0.10"] and rows[2] == ["0", "1.50", "0.02", "0.90"]
    assert rows[3] == ["Gap", "", "0.58", "0.80"]
    assert rows[5] == ["2", "0.001", "0.00", "0.00"]
    assert "1 unused latent (KL under 0.01 nats)" in read(matrix(story.information)).text
    assert lede(story.information).startswith("2 of 3 latents are in use")


def test_headers_have_a_scope(story, read):
    seen = read(page(story))
    assert seen.named("th") and all(th.get("scope") in ("col", "row") for th in seen.named("th"))
    assert all(img.get("alt") for img in seen.named("img"))


def test_without_kl_the_table_sorts_by_information(read):
    information = Information(
        nmi=np.array([[0.0, 0.001], [0.1, 0.1], [0.7, 0.0]]), factors=("a", "b"), latents=("p", "q", "r")
    )
    assert order(information) == ([2, 1], [0])
    assert [row[0] for row in table(read, information)] == ["Latent", "r", "q", "Gap", "Latent", "p"]
    assert "Their KL is not known" in lede(information)


def test_without_factors_the_kl_stays_and_the_page_says_why(story, read):
    seen = read(page(replace(story, information=Information(kl=np.array([1.0, 2.0])))))
    assert "No factors are known for this data" in seen.text and "2 of 2 latents are in use" in seen.text
    assert "carries" not in seen.text.split("Traversals", 2)[2]


def test_neither_kl_nor_factors_makes_no_claim(story, read):
    seen = read(page(replace(story, information=Information(nmi=np.zeros((3, 0)), latents=("a", "b", "c")))))
    assert "This report holds no information per latent." in seen.text and "in use" not in seen.text


def test_nan_is_shown_as_not_estimated_and_never_as_zero(read):
    information = Information(np.array([[np.nan, 0.5], [np.nan, 0.25]]), np.array([np.nan, 1.0]), ("a", "b"))
    rows = table(read, information)
    assert rows[1] == ["1", "1.00", "–", "0.25"] and rows[2] == ["0", "not a number", "–", "0.50"]
    assert rows[3] == ["Gap", "", "–", "0.25"]
    assert carries(Information(np.full((1, 1), np.nan), None, ("a",)), 0) is None


def test_a_model_with_no_latent_in_use_draws_no_empty_table(read):
    seen = read(matrix(Information(kl=np.zeros(4))))
    assert len(seen.named("table")) == 1 and "4 unused latents" in seen.text


def luminance(rgb: np.ndarray) -> float:
    c = rgb / 255
    return float(np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def colour(text: str) -> np.ndarray:
    if text.startswith("#"):
        digits = text[1:] if len(text) == 7 else "".join(2 * c for c in text[1:])
        return np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)], float)
    return np.array(text.split(), float)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_every_cell_is_readable_in_light_and_dark(mode):
    of = {
        name: colour(re.findall(rf"--{name}: ([^;]+);", style())[mode])
        for name in ("surface", "heat", "cell", "strong")
    }
    for value in np.linspace(0, 1, 101):
        alpha = 0.04 + 0.96 * value
        ground = luminance(alpha * of["heat"] + (1 - alpha) * of["surface"])
        ink = luminance(of["strong" if value >= DARK else "cell"])
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5


def test_a_card_says_what_its_metric_asks(read):
    run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
    run.score(["mig", "active-units"], count=50)
    rows = {row.name: row for row in tell(run).scores}
    assert rows["mig"].bounded and not rows["active-units"].bounded
    assert "how much better the best latent tells a factor" in read(card(rows["mig"])).text
    text = read(card(rows["active-units"])).text
    assert "Active units: the number of latents" in text and "ceiling" not in text

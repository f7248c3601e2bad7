"""Tables for the terminal."""

from __future__ import annotations

import numpy as np
import torch

from unweave.report.text import table, width


def test_columns_align_and_numbers_stand_right():
    rows = [
        {"metric": "MIG", "value": 0.41239, "ceiling": 0.893, "images": 10000},
        {"metric": "FactorVAE", "value": 0.5, "ceiling": None, "images": 50},
    ]
    assert table(rows).split("\n") == [
        "metric     value  ceiling  images",
        "─────────  ─────  ───────  ──────",
        "MIG        0.412    0.893  10,000",
        "FactorVAE  0.500        –      50",
    ]


def test_columns_choose_and_order():
    assert table([{"a": 1, "b": 2}], ["b"]).split("\n") == ["b", "─", "2"]
    assert table([{"a": 1}], ["missing"]).split("\n")[2] == "–"


def test_decimals_follow_the_largest_number_of_a_column():
    assert [line.strip() for line in table([{"v": 226.0}, {"v": 41.7345}]).split("\n")[2:]] == ["226.0", "41.7"]
    assert [line.strip() for line in table([{"v": 1e-5}, {"v": 0.1}]).split("\n")[2:]] == ["1e-05", "0.100"]
    assert table([{"v": 123456.789}]).split("\n")[2] == "123,457"


def test_numbers_that_are_not_finite_words_and_truth_values():
    lines = table([{"v": float("nan"), "w": True}, {"v": float("inf"), "w": False}, {"v": 1.5, "w": None}]).split("\n")
    assert [line.split() for line in lines[2:]] == [["nan", "yes"], ["inf", "no"], ["1.500", "–"]]


def test_numbers_of_numpy_and_torch():
    lines = table([{"v": np.float32(0.25), "n": np.int64(1234)}, {"v": torch.tensor(0.5).item(), "n": 7}]).split("\n")
    assert [line.split() for line in lines[2:]] == [["0.250", "1,234"], ["0.500", "7"]]


def test_wide_and_combining_letters_keep_the_columns():
    lines = table([{"name": "日本", "v": 1}, {"name": "e\u0301a", "v": 2}, {"name": "β-VAE", "v": 3}]).split("\n")
    assert len({width(line) for line in lines}) == 1
    assert lines[2] == "日本   1" and lines[3] == "e\u0301a     2"


def test_control_characters_cannot_reach_the_terminal():
    text = table([{"na\x1b[2Jme": "a\nb\x1b[31m\x9b\u2028c"}])
    assert text.count("\n") == 2 and not any(c in text for c in "\x1b\x9b\u2028")


def test_nothing_to_show():
    assert table([]) == ""
    assert table([], ["a", "b"]).split("\n") == ["a  b", "─  ─"]

"""Curves: thinning loses nothing that the eye would see, numbers that are not finite are shown as such."""

from __future__ import annotations

import re

import numpy as np
import pytest

from unweave.report.curves import BUCKETS, curve, log_ticks, logarithmic, thin, ticks


def test_thinning_keeps_ends_and_extremes():
    values = np.random.default_rng(1).normal(size=50_000)
    values[12_345], values[33_333] = 99.0, -99.0
    kept = thin(values)
    assert len(kept) <= 5 * BUCKETS
    assert {0, 12_345, 33_333, 49_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_thinning_keeps_the_envelope_of_every_bucket():
    values = np.random.default_rng(2).normal(size=12_000)
    kept = np.zeros(12_000, bool)
    kept[thin(values, 100)] = True
    for start in range(0, 12_000, 120):
        part, mask = values[start : start + 120], kept[start : start + 120]
        assert part[mask].min() == part.min() and part[mask].max() == part.max()


def test_thinning_keeps_a_gap_of_one_point():
    values = np.ones(10_000)
    values[4_321] = np.nan
    assert 4_321 in thin(values)


def test_short_curves_are_kept_whole():
    assert thin(np.arange(4.0 * BUCKETS)).tolist() == list(range(4 * BUCKETS))


def test_the_last_value_and_the_range_are_printed(read):
    seen = read(curve("loss", range(1, 5), [4.0, 9.5, 1.25, 2.5]))
    assert seen.text.startswith("loss2.5")
    assert "steps 1 to 4 · lowest 1.25 · highest 9.5" in seen.text
    [svg] = seen.named("svg")
    assert svg["role"] == "img" and "last value 2.5" in svg["aria-label"]


def test_steps_out_of_order_are_sorted(read):
    assert curve("a", [3, 1, 2], [30.0, 10.0, 20.0]) == curve("a", [1, 2, 3], [10.0, 20.0, 30.0])


def test_the_drawing_has_the_right_shape(read):
    [path] = [p["d"] for p in read(curve("a", [0, 50, 100], [0.0, 1.0, 0.0])).named("path")]
    points = [tuple(map(float, point.split(","))) for point in re.findall(r"[\d.]+,[\d.]+", path)]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and x0 < x1
    assert y0 == y2 > y1, "a larger value is drawn higher, which in SVG is a smaller y"


def test_values_that_are_not_finite_break_the_line_and_are_counted(read):
    values = [1.0, 2.0, np.nan, np.inf, 3.0, -np.inf, 2.0, 1.0]
    seen = read(curve("tc", range(8), values))
    assert "3 of 8 values not finite, first at step 2" in seen.text
    line, gap = [p["d"] for p in seen.named("path")]
    assert line.count("M") == 3 and "h0" in line, "three pieces, the middle one a single point"
    assert gap.count("M") == 2, "two runs that are not finite"
    assert "nan" not in line + gap and "inf" not in line + gap


def test_a_curve_that_ends_in_nan_says_so(read):
    seen = read(curve("tc", [1, 2], [1.0, np.nan]))
    assert "tcnot a number" in seen.text and not seen.named("circle")


def test_curves_without_a_finite_value_are_words_only(read):
    assert "2 of 2 values not finite" in read(curve("tc", [1, 2], [np.nan, np.inf])).text
    assert "no value was recorded" in read(curve("tc", [], [])).text
    assert not read(curve("tc", [1, 2], [np.nan, np.inf])).named("svg")


@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [0.0, 0.0],
        [5.0, 5.0, 5.0],
        [1e-300, 1e300],
        [-1.7e308, 1.7e308],
        [5e-324, 1.0, 1.0],
        [1e-12, 1e-12 + 1e-27],
        [1e17, 1e17 + 16],
    ],
)
def test_extreme_values_draw_inside_the_frame(read, values):
    seen = read(curve("a", range(len(values)), values))
    [path] = [p["d"] for p in seen.named("path")]
    for x, y in (map(float, point.split(",")) for point in re.findall(r"[-\d.]+,[-\d.]+", path)):
        assert 0 <= x <= 340 and 0 <= y <= 156


def test_a_logarithmic_axis_only_for_positive_decades():
    assert logarithmic(np.array([600.0, 40, 40, 40])) and not logarithmic(np.array([60.0, 40, 40, 40]))
    assert not logarithmic(np.array([600.0, 40, 40, 0])) and not logarithmic(np.array([600.0, 40, 40, -1]))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0.1, 0.1003), (1, 20000), (-1e-9, 2e-9), (12, 1e6)])
def test_ticks_are_inside_and_few(low, high):
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 8 and all(low - 1e-12 <= mark <= high + 1e-12 for mark in marks)
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1e4), (30, 900), (1e-8, 1e8), (35, 700)])
def test_log_ticks_are_inside_and_few(low, high):
    marks = log_ticks(low, high)
    assert 2 <= len(marks) <= 8 and all(low <= mark * (1 + 1e-9) and mark <= high for mark in marks)

"""Drawings of freezing: well-formed, told in words, and with every mark where it belongs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from unweave import UserError
from unweave.analysis import Change, Curve, Freezing, FreezingPoints, freezing_spectrum
from unweave.report.freezing import annealing_curve, freezing_figure, spectrum_figure

CURVE = Curve((100.0, 10.0, 1.0), (0.0, 1.0, 3.0))


def test_an_annealing_curve_marks_point_and_critical_pressure() -> None:
    drawing = annealing_curve(Freezing(10.0, CURVE, 40.0), [Change(20.0, 6.0)], "A <test>")
    root = ElementTree.fromstring(drawing)
    said = root.attrib["aria-label"]
    assert said == "A <test>; 20; β_c 40; freezing point 10"
    middle = (52 + 460 - 18) / 2
    lines = [one for one in root if one.tag.endswith("line") and one.attrib["class"] == "mark"]
    assert float(lines[-1].attrib["x1"]) == pytest.approx(middle, abs=0.1)


def test_a_test_that_reached_nothing_is_drawn_without_a_point() -> None:
    assert "freezing point" not in annealing_curve(Freezing(None, CURVE, 40.0))


def test_the_spectrum_has_a_stroke_for_every_value() -> None:
    torch.manual_seed(0)
    spectrum = freezing_spectrum(torch.rand(12, 1, 3, 3))
    drawing = spectrum_figure(spectrum, Curve((spectrum.critical, 0.01), (0.0, 2.0)), (0.5, 0.05))
    root = ElementTree.fromstring(drawing)
    assert len(re.findall('class="bar"', drawing)) == len(spectrum.values)
    assert {"KL, water-filling", "I(x; z), linear code"} <= {one.text for one in root}


def test_freezing_points_have_a_dot_each_and_say_what_is_missing() -> None:
    reached, missed = Freezing(10.0, CURVE, 40.0), Freezing(None, CURVE, 40.0)
    drawing = freezing_figure([FreezingPoints("scale", (reached, reached, missed)), FreezingPoints("x", (missed,))])
    assert drawing.count("<circle") == 2
    assert "scale (1 not reached)" in drawing and "x (1 not reached)" in drawing
    assert "scale median 10" in ElementTree.fromstring(drawing).attrib["aria-label"]


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UserError, match="no freezing point"):
        freezing_figure([FreezingPoints("x", (Freezing(None, CURVE, 40.0),))])
    with pytest.raises(UserError, match="1 pressures"):
        annealing_curve(Curve((1.0,), (0.0,)))
    with pytest.raises(UserError, match="all images are the same"):
        spectrum_figure(freezing_spectrum(torch.zeros(3, 1, 2, 2)))

"""Score cards: the number, what the data set allows, and every setting behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unweave.report.markup import Html, tag
from unweave.report.numbers import fixed, number
from unweave.report.story import ScoreRow


class Standing(NamedTuple):
    """Where a value lies between what nothing reaches and what is best possible."""

    share: float
    """0 at the start of the bar, 1 at the ceiling; outside [0, 1] where the value is."""
    start: float
    """The value at the left end of the bar: the floor, or 0 where no floor is known."""


def standing(row: ScoreRow) -> Standing | None:
    """The place of a score on its bar; None where there are not two ends to put it between.

    >>> standing(ScoreRow("MIG", 0.25, ceiling=0.5, floor=0.0)).share
    0.5
    >>> standing(ScoreRow("bce", 30.0, better="lower", ceiling=20.0)) is None
    True
    """
    start = row.floor
    if start is None and row.better == "higher" and row.ceiling is not None and row.ceiling > 0:
        start = 0.0
    if row.value is None or row.ceiling is None or start is None:
        return None
    if not all(map(math.isfinite, (row.value, row.ceiling, start))) or row.ceiling == start:
        return None
    return Standing((row.value - start) / (row.ceiling - start), start)


def verdict(row: ScoreRow) -> str:
    """One sentence on a score that claims no more than is known.

    >>> verdict(ScoreRow("MIG", 0.3, ceiling=0.5, floor=0.1))
    '50 % of the way to the ceiling'
    >>> verdict(ScoreRow("MIG", 0.3))
    'ceiling of this data set not known'
    """
    if row.value is None:
        return "not computed"
    if not math.isfinite(row.value):
        return "the metric returned no finite number"
    place = standing(row)
    if row.ceiling is None or not math.isfinite(row.ceiling):
        return "ceiling of this data set not known" if row.bounded else ""
    if row.floor == row.ceiling:
        return "floor and ceiling of this data set are the same"
    if place is None:
        return "floor of this data set not known"
    if place.share > 1 + 1e-9:
        return f"beyond the stated ceiling by {number(abs(row.value - row.ceiling))}"
    if place.share < -1e-9:
        return f"worse than the floor by {number(abs(row.value - place.start))}"
    percent = f"{100 * place.share:.0f} %"
    return f"{percent} of the ceiling" if row.floor is None else f"{percent} of the way to the ceiling"


def cards(rows: Sequence[ScoreRow]) -> Html:
    """All score cards, in the order given."""
    return tag("div", *(card(row) for row in rows), class_="cards")


def card(row: ScoreRow) -> Html:
    """One score: name, value, bar, verdict, and its parts and settings folded."""
    good = row.value is not None and math.isfinite(row.value)
    value = tag("p", fixed(row.value) if row.value is not None else "–", class_="value" if good else "value bad")
    head = tag("h3", row.name, tag("span", f"{row.better} is better", class_="better"))
    details = None
    if row.parts or row.settings:
        words = " and ".join(word for word, part in (("parts", row.parts), ("settings", row.settings)) if part)
        tables = [_pairs("Parts", {k: fixed(v) for k, v in row.parts.items()}), _pairs("Settings", row.settings)]
        details = tag("details", tag("summary", words.capitalize()), *tables)
    said = verdict(row)
    below = [
        tag("p", text, class_=kind)
        for kind, text in (("verdict", said), ("remark", row.note), ("meaning", row.meaning))
        if text
    ]
    return tag("article", head, value, _bar(row), *below, details, class_="card")


def _bar(row: ScoreRow) -> Html | None:
    ends = []
    place = standing(row)
    if row.floor is not None:
        ends.append(f"floor {fixed(row.floor)}")
    elif place is not None:
        ends.append("0")
    else:
        ends.append("")
    if row.ceiling is not None:
        ends.append(f"ceiling {fixed(row.ceiling)}")
    words = tag("p", *(tag("span", end) for end in ends), class_="ends") if any(ends) else None
    if place is None:
        return words
    share = min(max(place.share, 0.0), 1.0)
    bar = tag("div", tag("span", style=f"width:{100 * share:.1f}%"), class_="bar", aria_hidden="true")
    return tag("div", bar, words, class_="scale")


def _pairs(caption: str, pairs: Mapping[str, Any]) -> Html | None:
    if not pairs:
        return None
    rows = [tag("tr", tag("th", key, scope="row"), tag("td", plain(value))) for key, value in pairs.items()]
    return tag("table", tag("caption", caption), tag("tbody", *rows), class_="pairs")


def plain(value: object) -> str:
    """A setting as a person would write it.

    >>> plain(True), plain(None), plain(0.1), plain((1, 2)), plain("mean"), plain({"a": 1})
    ('yes', 'none', '0.1', '1, 2', 'mean', 'a = 1')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {plain(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    return str(value)

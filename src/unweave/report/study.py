"""The page of one study: ours beside what was printed, its figures, what was decided, and how to make it again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unweave.report.figures import figure
from unweave.report.markup import Html, join, tag
from unweave.report.numbers import number
from unweave.report.page import document
from unweave.report.style import ORNAMENT
from unweave.studies import Cell, Column, Row, Study, Table
from unweave.studies.papers import PAPERS

KEYS = 400
"""Most lines of the list of jobs."""


@dataclass(frozen=True, eq=False)
class Told:
    """What the page of a study tells.

    Args:
        study: the study.
        scale: at which it was run.
        results: labels and result of every job that is there.
        wanted: how many jobs the study has at this scale.
        command: that made it.
        reading: what the numbers say, in paragraphs, written by a person; may be empty.
        links: key of a job -> address of the page of its run, where there is one.
    """

    study: Study
    scale: str
    results: Sequence[Row]
    wanted: int
    command: str = ""
    reading: str = ""
    links: Mapping[str, str] | None = None


def study_page(told: Told) -> str:
    """The whole page; the same results give the same bytes.

    >>> from unweave.studies import STUDIES
    >>> page = study_page(Told(STUDIES["devae-table1"](), "smoke", [], 10))
    >>> page.startswith("<!doctype html>"), "48.31" in page
    (True, True)
    """
    study, table = told.study, told.study.table(told.results)
    figures = study.figures(told.results)
    sections: list[tuple[str, str, Html]] = []
    if table.columns:
        heading = "Ours and published" if table.printed else "Ours"
        sections.append(("table", heading, _table(told, table)))
    if table.printed:
        sections.append(("reading", "Which orders hold", _orders(told, table)))
    elif told.reading:
        sections.append(("reading", "Reading", _paragraphs(told.reading)))
    if figures:
        drawn = tag("div", *(figure(one) for one in figures), class_="figures")
        sections.append(("figures", "Figures", drawn))
    elif not table.columns:
        missing = tag("p", "No job of this study has been run yet, so there is nothing to draw.", class_="none")
        sections.append(("figures", "Figures", missing))
    sections += [
        ("settings", "Settings", _settings(told)),
        ("decided", "What was decided where the paper is silent", _decided(study)),
        ("jobs", "Jobs", _jobs(told)),
        ("cite", "How to cite", _cite(study)),
        ("again", "Make it again", _again(told)),
    ]
    return document(f"{study.name}: {study.title}", _title(told, table), sections)


def _title(told: Told, table: Table) -> Html:
    study = told.study
    whole = len({result.key for _, result in told.results if not result.failed})
    state = "finished" if whole >= told.wanted else "stopped"
    mark = tag("p", Html(ORNAMENT), tag("span", "unweave"), tag("span", "a study", class_="kind"), class_="mark")
    name = tag("span", f"{whole} of {told.wanted} jobs, {told.scale} scale", class_=f"status {state}")
    facts = {"Paper": f"{PAPERS[study.paper][0]}, {study.where}"}
    if table.compared:
        facts["Within two standard errors"] = f"{table.agreeing} of {len(table.compared)} compared cells"
    elif table.printed:
        facts["Printed numbers"] = f"{table.printed}, none of which can be compared"
    facts |= {"Machine": _about(told, "machine"), "Commit": _about(told, "commit")}
    spent = sum(result.seconds for _, result in told.results)
    facts["Work"] = f"{number(spent / 60, 2)} min, jobs added up" if spent else ""
    strip = tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in facts.items() if v), class_="facts")
    words = tag("p", name, tag("code", study.name, class_="key"), class_="state")
    return join(mark, tag("h1", study.title), tag("p", study.told(told.scale), class_="subtitle"), words, strip)


def _noted(table: Table) -> dict[str, str]:
    """Note -> of which cells it is: a column where all that is printed in it has the note, else row and column."""
    printed: dict[str, set[str]] = {}
    noted: dict[str, dict[str, set[str]]] = {}
    for cell in table.cells.values():
        if cell.printed:
            printed.setdefault(cell.column, set()).add(cell.row)
        if cell.note:
            noted.setdefault(cell.note, {}).setdefault(cell.column, set()).add(cell.row)
    found = {}
    for note, columns in noted.items():
        cells: list[str] = []
        for column, rows in columns.items():
            whole = len(rows) > 1 and rows >= printed.get(column, set())
            cells += [column] if whole else [f"{row}, {column}" for row in sorted(rows)]
        found[note] = "; ".join(cells)
    return found


def _table(told: Told, table: Table) -> Html:
    study = told.study
    pieces: list[object] = []
    for data in dict.fromkeys(name for name, _ in table.lines):
        here = [one for one in table.columns if any((data, row, one.name) in table.cells for _, row in table.lines)]
        pieces.append(tag("h3", data, tag("span", f" · {_source(study, data)}", class_="carries")))
        pieces.append(_one_table(table, data, here))
    words = (
        f"Ours: mean ± standard deviation over jobs (their number). Published: as printed"
        f"{f', over {study.repeats} seeds' if study.repeats else ''}. Δ: (ours − published) in standard errors "
        f"of the difference; bold where it exceeds two. Empty where nothing can be said. {study.told(told.scale)}."
    )
    absent = [tag("li", tag("b", row), f": {why}") for row, why in study.absent.items()]
    notes = [tag("li", tag("b", where), f": {note}") for note, where in _noted(table).items()]
    listed = tag("ul", *absent, *notes) if absent or notes else None
    return join(tag("p", words, class_="lede"), *pieces, tag("div", listed, class_="notes") if listed else None)


def _one_table(table: Table, data: str, columns: Sequence[Column]) -> Html:
    arrows = {"higher": " ↑", "lower": " ↓"}
    rows = [row for name, row in table.lines if name == data]
    # A column of which nothing is printed has ours alone.
    alone = {
        one.name: not any((cell := table.cells.get((data, row, one.name))) and cell.printed for row in rows)
        for one in columns
    }
    top, under = [tag("th", "", scope="col")], [tag("th", "", scope="col")]
    for one in columns:
        name, wide = one.name + arrows.get(one.better, ""), 1 if alone[one.name] else 3
        top.append(tag("th", name, scope="colgroup", colspan=wide, class_="group"))
        under.append(tag("th", "ours", scope="col", class_="group"))
        if not alone[one.name]:
            under += [tag("th", "published", scope="col"), tag("th", "Δ, s.e.", scope="col")]
    body = []
    for row in rows:
        cells = [tag("th", row, scope="row")]
        for one in columns:
            cells += _cells(table.cells.get((data, row, one.name)))[: 1 if alone[one.name] else 3]
        body.append(tag("tr", *cells))
    head = tag("thead", tag("tr", *top), tag("tr", *under))
    inside = tag("table", head, tag("tbody", *body), class_="beside")
    return tag("div", inside, class_="scroll", tabindex="0", role="group", aria_label=f"Ours and published, {data}")


def _cells(cell: Cell | None) -> list[Html]:
    if cell is None:
        return [tag("td", "", class_="group"), tag("td", ""), tag("td", "")]
    ours = "–"
    if cell.ours is not None:
        spread = f" ± {rounded(cell.sd)}" if cell.sd is not None else ""
        ours = f"{rounded(cell.ours)}{spread} ({len(cell.values)})"
    apart = "" if cell.difference is None else f"{cell.difference:+.1f}".replace("-", "−")
    return [
        tag("td", ours, class_="group"),
        tag("td", cell.printed or "–"),
        tag("td", tag("b", apart) if cell.agrees is False else apart, class_="apart"),
    ]


def rounded(value: float) -> str:
    """A number as tables print it: two decimals, three below 1, none from 1,000 on; rounding's remains are 0.

    >>> rounded(0.34567), rounded(48.312), rounded(0.00471), rounded(1234.5)
    ('0.346', '48.31', '0.00471', '1,234')
    """
    size = abs(value)
    if 1e-6 < size < 0.01:
        return number(value, 3)
    return f"{value:,.{0 if size >= 1000 else 2 if size >= 1 else 3}f}".replace("-", "−")


def _orders(told: Told, table: Table) -> Html:
    """Which pairs of rows lie as in print, and what a person says of it."""
    pieces: list[object] = [_paragraphs(told.reading)] if told.reading else []
    orders = table.orderings(told.study.repeats)
    if not orders:
        said = "No two rows that print puts in an order have numbers of ours."
        return join(*pieces, tag("p", said, class_="none"))
    holds = sum(one.holds for one in orders)
    sure = [one for one in orders if one.sure]
    against = sum(not one.holds for one in sure)
    pieces.append(
        tag(
            "p",
            f"Print puts {len(orders)} pairs of rows in an order; ours are in the same order in {holds} of them. "
            f"{len(sure)} pairs of ours are more than two standard errors apart, {against} of them the other way.",
            class_="lede",
        )
    )
    items = []
    for one in orders:
        verb = "holds" if one.holds else "does not hold"
        words = f"{one.data}, {one.column}: {one.high} above {one.low} "
        doubt = "" if one.sure else ", within the scatter"
        items.append(tag("li", words, tag("span", f"{verb}{doubt}", class_="" if one.holds else "bad")))
    shown = tag("ul", *items)
    folded = tag("details", tag("summary", f"All {len(orders)} pairs"), shown) if len(items) > 12 else shown
    return join(*pieces, tag("div", folded, class_="notes"))


def _settings(told: Told) -> Html:
    study = told.study
    rows = [tag("tr", tag("th", "Scale", scope="row"), tag("td", f"{told.scale}: {study.told(told.scale)}"))]
    names = dict.fromkeys(str(labels["data"]) for labels, _ in study.jobs(told.scale) if "data" in labels)
    rows += [tag("tr", tag("th", f"Pixels of {name}", scope="row"), tag("td", _source(study, name))) for name in names]
    abouts = [dict(result.about) for _, result in told.results]
    told_of = {"precision": "Precision", "machine": "Machines", "commit": "Commits", "threads": "Threads"}
    for key, title in {**told_of, "numbers": "Numbers"}.items():
        found = sorted({str(about[key]) for about in abouts if about.get(key) not in (None, "")})
        if found:
            rows.append(tag("tr", tag("th", title, scope="row"), tag("td", "; ".join(found))))
    return tag("div", tag("table", tag("tbody", *rows), class_="settings"), class_="tables")


def _source(study: Study, name: str) -> str:
    try:
        return study.pixels(name)
    except ValueError:
        # Studies without images, such as estimates on Gaussians.
        return "no images"


def _decided(study: Study) -> Html:
    if not study.decided:
        return tag("p", "Nothing: the paper says it all.", class_="none")
    return tag("div", tag("ul", *(tag("li", one) for one in study.decided)), class_="notes")


def _jobs(told: Told) -> Html:
    if not told.results:
        return tag("p", "None has been run.", class_="none")
    links = told.links or {}
    lines = []
    for labels, result in told.results[:KEYS]:
        words = ", ".join(f"{name} {value}" for name, value in labels.items())
        key: object = tag("code", result.key)
        if result.key in links:
            key = tag("a", key, href=links[result.key])
        state = tag("span", result.failed, class_="bad") if result.failed else f"{number(result.seconds, 2)} s"
        lines.append(tag("tr", tag("td", words), tag("td", key), tag("td", state)))
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in ("Labels", "Key", "Time"))))
    table = tag("div", tag("table", head, tag("tbody", *lines), class_="settings"), class_="scroll")
    told_of = "" if len(told.results) <= KEYS else f" The first {KEYS} of them."
    return tag("details", tag("summary", f"{len(told.results)} jobs.{told_of}"), table)


def _cite(study: Study) -> Html:
    one = PAPERS[study.paper][1]
    title: object = one.title
    if one.url.startswith(("https://", "http://")):
        title = tag("a", one.title, href=one.url, rel="noreferrer noopener")
    item = tag("li", f"{one.authors} ({one.year}). ", title, f". {one.venue}.")
    bibtex = tag("pre", tag("code", one.bibtex()), class_="copy", tabindex="0")
    return join(tag("ul", item, class_="references"), tag("details", tag("summary", "BibTeX"), bibtex))


def _again(told: Told) -> Html:
    command = told.command or f"unweave study {told.study.name} --scale {told.scale}"
    return tag("pre", tag("code", command), class_="copy", tabindex="0")


def _paragraphs(words: str) -> Html:
    return tag("div", *(tag("p", " ".join(one.split())) for one in words.strip().split("\n\n")), class_="reading")


def _about(told: Told, key: str) -> str:
    found = sorted({str(result.about[key]) for _, result in told.results if result.about.get(key)})
    return found[0] if len(found) == 1 else f"{len(found)} different" if found else ""


def links(results: Sequence[Row], homes: Mapping[str, str], runs: Path, page: Path) -> dict[str, str]:
    """Addresses of the reports of runs, from where the page lies.

    Args:
        results: labels and results.
        homes: key of a job -> name of its folder.
        runs: folder of run folders.
        page: the page that links to them.
    """
    found = {}
    for _, result in results:
        report = runs / homes.get(result.key, "") / "report.html"
        if result.key in homes and report.is_file():
            found[result.key] = Path(os.path.relpath(report, page.parent)).as_posix()
    return found

"""The report of one run: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unweave.report import latents, pictures
from unweave.report.curves import curve
from unweave.report.markup import Html, join, tag
from unweave.report.numbers import number
from unweave.report.scores import cards, plain
from unweave.report.story import Figure, Story, Traversal
from unweave.report.style import ORNAMENT, script, style
from unweave.types import Reference, UserError

FACTS = 6
IMAGES = 24
STRIPS = 12
CURVES = 12
CURVES_AT_MOST = 60

ABSENT = {
    "scores": "This report holds no scores.",
    "information": "This report holds no information per latent.",
    "reconstructions": "This report holds no reconstructions.",
    "traversals": "This report holds no traversals.",
    "curves": "This report holds no training curves.",
}

Section = tuple[str, str, Html]
"""Anchor, heading, content."""


def page(story: Story) -> str:
    """The whole page; the same story gives the same bytes.

    Args:
        story: what to tell; parts that are missing are named as missing.

    Raises:
        UserError: parts that contradict one another or have the wrong shape (``Story.check``).

    >>> text = page(Story(title="β-VAE on squares"))
    >>> text.startswith("<!doctype html>"), "β-VAE on squares" in text
    (True, True)
    """
    return story_page(story, sections(story))


def sections(story: Story) -> list[Section]:
    """The parts of the page, in order.

    Raises:
        UserError: as ``page``.
    """
    story.check()
    return [
        ("scores", "Scores", _scores(story)),
        ("latents", "What each latent carries", _information(story)),
        ("reconstructions", "Reconstructions", _reconstructions(story)),
        ("traversals", "Traversals", _traversals(story)),
        *([("analyses", "Analyses", _figures(story))] if story.figures else []),
        ("training", "Training", _training(story)),
        ("setup", "Configuration", _setup(story)),
        ("cite", "How to cite", _references(story)),
        ("again", "Make it again", _again(story)),
    ]


def story_page(
    story: Story, parts: Sequence[Section], *, kind: str = "report of one run", look: str = "", code: str = ""
) -> str:
    """A whole page of parts under the story's title, facts and alert; ``kind`` says what it is, beside the mark."""
    return document(story.title, join(_title(story, kind), _alert(story)), parts, look=look, code=code)


def document(title: str, heading: Html, sections: Sequence[Section], *, look: str = "", code: str = "") -> str:
    """A whole page that loads nothing from elsewhere: a heading, links to its sections, and these.

    Args:
        title: of the window.
        heading: what stands on top.
        sections: in order.
        look: style sheet after the report's own.
        code: script after the report's own.
    """
    nav = tag("nav", *(tag("a", name, href=f"#{anchor}") for anchor, name, _ in sections), aria_label="On this page")
    body = [tag("section", tag("h2", name), content, id=anchor) for anchor, name, content in sections]
    footer = tag("footer", tag("p", "Written by unweave. This file loads nothing from elsewhere."))
    # What stands above the content belongs to the header: nothing of a page lies outside its landmarks.
    header = tag("header", heading, nav)
    program = Html(script() + code)
    inside = join(header, tag("main", *body), footer, tag("script", program))
    return f"<!doctype html>\n{tag('html', _head(title, look, program), tag('body', inside), lang='en')}\n"


def write(path: str | os.PathLike[str], story: Story) -> Path:
    """Writes the page to ``path``, all of it or nothing, and returns the path.

    Raises:
        UserError: the folder of ``path`` does not exist, or ``Story.check`` refuses.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise UserError(f"report: there is no folder {str(target.parent)!r} to write {target.name!r} in")
    data = page(story).encode("utf-8")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files for one person only; a report is for whoever may read its folder.
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def _head(title: str, look: str, program: str) -> Html:
    # The browser itself refuses every outside resource and any script but ours.
    digest = base64.b64encode(hashlib.sha256(program.encode("utf-8")).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content="unweave"),
        tag("title", f"{title} · unweave"),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(style() + look)),
    )


def _title(story: Story, kind: str) -> Html:
    state = tag("span", story.status, class_=f"status {story.status}")
    key = tag("code", story.key, class_="key", title="key of the experiment") if story.key else None
    facts = list(story.summary.items())[:FACTS]
    strip = (
        tag("dl", *(tag("div", tag("dt", k), tag("dd", plain(v))) for k, v in facts), class_="facts") if facts else None
    )
    subtitle = tag("p", story.subtitle, class_="subtitle") if story.subtitle else None
    mark = tag("p", Html(ORNAMENT), tag("span", "unweave"), tag("span", kind, class_="kind"), class_="mark")
    return join(mark, tag("h1", story.title), subtitle, tag("p", state, key, class_="state"), strip)


def _alert(story: Story) -> Html | None:
    if story.status == "failed" or story.failure is not None:
        failure = story.failure
        head = "This run failed"
        lines: list[object] = []
        if failure is not None and failure.step is not None:
            head += f" at step {number(failure.step)}"
        if failure is not None and failure.term:
            lines += ["The term ", tag("code", failure.term), " was no longer a finite number. "]
        if failure is None:
            lines.append("The step and the term were not recorded. ")
        elif failure.message:
            lines.append(f"{failure.message} ")
        if failure is not None and failure.kept is not None:
            lines.append(f"What follows describes the last good checkpoint, of step {number(failure.kept)}.")
        elif failure is not None:
            lines.append("There is no earlier checkpoint.")
        return tag("aside", tag("h2", head), tag("p", *lines), class_="alert failed")
    words = {
        "untrained": (
            "This model has not been trained",
            "All numbers and pictures below describe its initial random weights.",
        ),
        "running": ("This run is not finished", "All numbers and pictures below describe its latest checkpoint."),
        "stopped": ("This run was stopped early", "All numbers and pictures below describe its last checkpoint."),
    }.get(story.status)
    return tag("aside", tag("h2", words[0]), tag("p", words[1]), class_="alert") if words else None


def _missing(story: Story, part: str) -> Html:
    return tag("p", story.missing.get(part) or ABSENT[part], class_="none")


def _scores(story: Story) -> Html:
    notes = None
    if story.notes:
        notes = tag(
            "div", tag("h3", "Read with the numbers"), tag("ul", *(tag("li", n) for n in story.notes)), class_="notes"
        )
    return join(cards(story.scores) if story.scores else _missing(story, "scores"), notes)


def _information(story: Story) -> Html:
    information = story.information
    if information is None or not latents.told(information):
        return _missing(story, "information")
    pieces: list[object] = [tag("p", latents.lede(information), class_="lede")]
    if not latents.known_factors(information):
        reason = (
            story.missing.get("information")
            or "No factors are known for this data, so there is nothing to compare latents with."
        )
        pieces.append(tag("p", reason, class_="none"))
    return join(*pieces, latents.matrix(information))


def _reconstructions(story: Story) -> Html:
    if story.originals is None or story.reconstructions is None:
        out = _missing(story, "reconstructions")
        if story.originals is None:
            return out
        total, rows = len(story.originals), [("Original images", story.originals[:IMAGES])]
    else:
        out, total = Html(""), len(story.originals)
        rows = [("Original images", story.originals[:IMAGES])]
        rows.append(("Reconstructions of the images above", story.reconstructions[:IMAGES]))
    shown = min(total, IMAGES)
    per_line = _per_line(rows[0][1])
    lines = [
        pictures.strip(
            *(
                (f"{alt}, {start + 1} to {min(start + per_line, shown)}", part[start : start + per_line])
                for alt, part in rows
            )
        )
        for start in range(0, shown, per_line)
    ]
    words = (
        "Above: images of the data set. Below: what the model makes of them."
        if len(rows) > 1
        else "Images of the data set."
    )
    if shown < total:
        words += f" The first {shown} of {number(total)}."
    return join(out, tag("figure", *lines, tag("figcaption", words), class_="pictures"))


def _per_line(images: np.ndarray) -> int:
    """Images to a line, at the size of a full tile and as even as can be."""
    _, h, w, _ = images.shape
    size = max(1, pictures.TILE // max(h, w))
    most = max(1, pictures.WIDTH // (w * size))
    lines = -(-len(images) // most)
    return -(-len(images) // lines)


def _traversals(story: Story) -> Html:
    if not story.traversals:
        return _missing(story, "traversals")
    ranked = sorted(
        story.traversals,
        key=lambda strip: -np.inf if strip.kl is None or np.isnan(strip.kl) else strip.kl,
        reverse=True,
    )
    shown = ranked[:STRIPS]
    idle = [strip.kl is not None and strip.kl < latents.DEAD for strip in shown]
    words = "One latent moves from left to right and the others stay where they are. "
    words += "The most informative latents come first."
    if len(shown) < len(ranked):
        words += f" The first {len(shown)} of {len(ranked)}."
    if all(idle):
        words += " None of them is in use: the images stay as they are."
    drawn = [_traversal(story, strip) for strip in shown]
    used = [figure for figure, unused in zip(drawn, idle, strict=True) if not unused or all(idle)]
    pieces = [tag("p", words, class_="lede"), *used]
    if len(used) < len(drawn):
        count = len(drawn) - len(used)
        head = f"{count} unused latent{'s' if count > 1 else ''} (KL under {latents.DEAD} nats)"
        folded = [figure for figure, unused in zip(drawn, idle, strict=True) if unused]
        pieces.append(tag("details", tag("summary", head), *folded))
    return join(*pieces)


def _traversal(story: Story, strip: Traversal) -> Html:
    name = strip.label or f"Latent {latents.label(story.information, strip.latent)}"
    kl = f"{latents.nats(strip.kl)} nats" if strip.kl is not None else "KL not known"
    told = latents.carries(story.information, strip.latent)
    carried = None
    if told is not None and told[1] >= latents.NAMED:
        carried = tag("span", "carries most of ", tag("b", told[0]), f" ({told[1]:.2f})", class_="carries")
    elif told is not None:
        carried = tag("span", f"carries no known factor (at most {told[1]:.2f})", class_="carries")
    words = ", ".join(part for part in (name, kl, told[0] if told and told[1] >= latents.NAMED else "") if part)
    alt = f"Traversal of {words}: decoded images, latent {pictures.values_text(strip.values)}"
    head = tag("figcaption", tag("span", name, class_="name"), tag("span", kl, class_="nats"), carried)
    return tag(
        "figure",
        head,
        pictures.strip((alt, strip.images), below=[pictures.tick(v) for v in strip.values]),
        class_="traversal",
    )


def _figures(story: Story) -> Html:
    """Drawings as pictures of their own, so that the styles of one do not reach another or the page."""
    pieces = []
    for figure in story.figures:
        source = "data:image/svg+xml;base64," + base64.b64encode(figure.svg.encode("utf-8")).decode("ascii")
        picture = tag("div", tag("img", src=source, alt=_label(figure), loading="lazy"), class_="scroll", tabindex="0")
        pieces.append(
            tag("figure", tag("h3", figure.name), picture, tag("figcaption", figure.words), class_="analysis")
        )
    return join(*pieces)


def _label(figure: Figure) -> str:
    """What a drawing says of itself to screen readers."""
    found = re.search(r'aria-label="([^"]*)"', figure.svg)
    return html.unescape(found.group(1)) if found else figure.name


def _training(story: Story) -> Html:
    stages = None
    if story.stages:
        stages = tag(
            "div", tag("h3", "Stages"), tag("ol", *(tag("li", stage) for stage in story.stages)), class_="notes"
        )
    if not story.curves:
        return join(_missing(story, "curves"), stages)
    drawn = [curve(term, *points) for term, points in list(story.curves.items())[:CURVES_AT_MOST]]
    pieces = [tag("div", *drawn[:CURVES], class_="curves")]
    if len(drawn) > CURVES:
        rest = tag("div", *drawn[CURVES:], class_="curves")
        pieces.append(tag("details", tag("summary", f"{len(drawn) - CURVES} more terms"), rest))
    if len(story.curves) > CURVES_AT_MOST:
        pieces.append(tag("p", f"The first {CURVES_AT_MOST} of {len(story.curves)} terms are drawn.", class_="none"))
    return join(*pieces, stages)


def _setup(story: Story) -> Html:
    tables = [_settings("What was trained", story.summary), _settings("Environment", story.environment)]
    tables = [table for table in tables if table]
    return (
        tag("div", *tables, class_="tables")
        if tables
        else tag("p", "The configuration was not recorded.", class_="none")
    )


def _settings(caption: str, pairs: Mapping[str, str]) -> Html:
    if not pairs:
        return Html("")
    rows = [tag("tr", tag("th", key, scope="row"), tag("td", plain(value))) for key, value in pairs.items()]
    return tag("table", tag("caption", caption), tag("tbody", *rows), class_="settings")


def _references(story: Story) -> Html:
    unique = {reference.key: reference for reference in story.references}
    if not unique:
        return tag("p", "No publication was recorded for this run.", class_="none")
    items = [tag("li", *_citation(reference)) for reference in unique.values()]
    entries = "\n\n".join(reference.bibtex() for reference in unique.values())
    bibtex = tag("details", tag("summary", "BibTeX"), tag("pre", tag("code", entries), class_="copy", tabindex="0"))
    return join(tag("ul", *items, class_="references"), bibtex)


def _citation(reference: Reference) -> tuple[object, ...]:
    title: object = reference.title
    # Only web addresses become links: anything else (javascript:, file:) stays text.
    if reference.url.startswith(("https://", "http://")):
        title = tag("a", reference.title, href=reference.url, rel="noreferrer noopener")
    return f"{reference.authors} ({reference.year}). ", title, f". {reference.venue}."


def _again(story: Story) -> Html:
    if not story.command:
        return tag("p", "The command that made this page was not recorded.", class_="none")
    return tag("pre", tag("code", story.command), class_="copy", tabindex="0")

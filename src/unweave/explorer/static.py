"""One file that can be mailed or hosted: the report, and traversals that are moved with sliders."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.explorer.exhibit import Exhibit
from unweave.explorer.summary import Unit, frames
from unweave.report.from_run import mailable, tell
from unweave.report.markup import Html, join, tag
from unweave.report.numbers import number
from unweave.report.page import sections, story_page
from unweave.report.pictures import png, tick
from unweave.run import Run
from unweave.types import Codes

FRAMES = 25
"""Pictures of a traversal."""
UNITS = 12
"""Most latents with a slider."""
STARTS = 3
"""Images that can be started from."""


def static_page(run: Run, *, codes: Codes | None = None, images: int = 5000, seed: int = 0) -> str:
    """The whole page. It loads nothing from elsewhere; without scripts, the report in it can be read all the same.

    It is for others: of a path on this machine only the last name is in it.

    Args:
        run: a trained model.
        codes: its codes, for the report; 15,000 images are encoded when None.
        images: how many are encoded to find out how far each latent goes.
        seed: which images it starts from.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> 'type="range"' in static_page(run, codes=run.codes(50), images=50)
    True
    """
    story = mailable(tell(run, codes=codes, seed=seed), run)
    exhibit = Exhibit(run, images)
    parts = sections(story)
    parts.insert(0, ("explore", "Move a latent", explore(exhibit, seed)))
    return story_page(story, parts, kind="a model to look into", look=_text("static.css"), code=_text("static.js"))


def explore(exhibit: Exhibit, seed: int = 0) -> Html:
    """The large picture, the images to start from, and a slider a latent."""
    every = exhibit.units(0)
    shown = [unit for unit in every if unit.alive][:UNITS] or every[:UNITS]
    names = exhibit.names()
    starts = _starts(exhibit, seed)
    sheets, choices = [], []
    for place, (told, code, original) in enumerate(starts):
        first = exhibit.decode([code], 0)
        strips = [exhibit.decode(_moved(code, unit), 0) for unit in shown]
        rows = [np.concatenate(list(strip), axis=1) for strip in strips]
        # The first row holds the start itself, and then the image that it is the code of.
        top = np.zeros_like(rows[0])
        top[:, : first.shape[2]] = first[0]
        sheets.append(_image(np.concatenate([top, *rows], axis=0), class_="sheet", hidden=True, alt=""))
        picture = _image(first[0] if original is None else original, alt="", class_="thumb")
        radio = tag("input", type="radio", name="start", value=place, checked=place == 0)
        choices.append(tag("label", radio, picture, tag("span", told)))
    height, width, _ = exhibit.shape
    canvas = tag("canvas", width=width, height=height, role="img", aria_label="What the model draws")
    screen = tag(
        "figure", canvas, tag("figcaption", "Move a slider: the picture follows.", class_="now", role="status")
    )
    ground = tag("fieldset", tag("legend", "Start from"), *choices, class_="starts")
    left = tag("div", screen, ground, *sheets, class_="stage")
    sliders = [_slider(unit, place + 1, names, starts) for place, unit in enumerate(shown)]
    words = (
        "One latent moves at a time, the others stay as in the image that you start from; the most informative first."
    )
    if len(every) > len(shown):
        words += f" {number(len(every) - len(shown))} more are not in use or not shown."
    right = tag("div", tag("p", words, class_="lede"), *sliders, class_="sliders")
    without = tag("noscript", tag("p", "Sliders need scripts; the strips under Traversals do not.", class_="none"))
    size = {"data_width": width, "data_height": height, "data_frames": FRAMES}
    return join(without, tag("div", left, right, class_="scrub", **size))


def _starts(exhibit: Exhibit, seed: int) -> list[tuple[str, list[float], NDArray[np.uint8] | None]]:
    """What it can be started from: words, a code, and the image that it is the code of."""
    summary = exhibit.summary(0)
    if exhibit.trouble:
        return [(f"sample {one + 1}", exhibit.sample(seed + one), None) for one in range(STARTS)]
    generator = np.random.default_rng(seed)
    rows = generator.choice(exhibit.run.data.rows, min(STARTS, exhibit.run.data.rows), replace=False).tolist()
    if summary.row is not None:
        rows[0] = summary.row
    found: list[tuple[str, list[float], NDArray[np.uint8] | None]] = []
    for row in rows:
        code, image, _ = exhibit.row(row, 0)
        found.append((f"image {row:,}", code, image))
    return found


def _moved(code: Sequence[float], unit: Unit) -> list[list[float]]:
    z = torch.tensor(code, dtype=torch.float64).repeat(FRAMES, 1)
    z[:, list(unit.latents)] = torch.tensor(list(frames(unit, FRAMES)), dtype=torch.float64)[:, None]
    return z.tolist()


def _slider(unit: Unit, place: int, names: dict[str, str], starts: Sequence[tuple[str, list[float], object]]) -> Html:
    name = names.get(" ".join(map(str, unit.latents))) or unit.factor or unit.label
    facts = [unit.label] if name != unit.label else []
    facts += [f"{unit.factor} {unit.told:.2f}"] if unit.factor and unit.told is not None else []
    facts += [f"{number(unit.kl)} nats"] if unit.kl is not None else []
    values = list(frames(unit, FRAMES))
    bases = [float(np.mean([code[latent] for latent in unit.latents])) for _, code, _ in starts]
    at = [int(np.abs(np.asarray(values) - base).argmin()) for base in bases]
    slider = tag(
        "input",
        type="range",
        min=0,
        max=FRAMES - 1,
        step=1,
        value=at[0],
        data_row=place,
        data_values=" ".join(map(tick, values)),
        data_starts=" ".join(map(str, at)),
        aria_valuetext=tick(values[at[0]]),
        autocomplete="off",
    )
    told = tag("span", tag("b", name), tag("span", " · ".join(facts), class_="facts-line"))
    return tag("label", told, slider, tag("output", tick(values[at[0]])), class_="slider")


def _image(image: NDArray[np.uint8], **attributes: object) -> Html:
    data = base64.b64encode(png(image)).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{data}", **attributes)


def _text(name: str) -> str:
    return resources.files("unweave.explorer").joinpath(name).read_text(encoding="utf-8")

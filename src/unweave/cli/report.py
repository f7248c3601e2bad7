"""``unweave report``: one self-contained HTML page about a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from unweave.cli.console import Console, Failed
from unweave.cli.options import parse
from unweave.cli.runs import find_all, images
from unweave.cli.score import measure
from unweave.metrics import full, quick
from unweave.report import tell
from unweave.report.analyses import write_figures
from unweave.report.from_run import limits_of
from unweave.report.page import page
from unweave.run import IMAGES, Run, load
from unweave.store import StoreError, write_text
from unweave.types import UserError


@dataclass(frozen=True)
class Options:
    """Write one HTML page about a run; a run without scores is scored first.

    Args:
        run: the folder of a run, the first letters of its key, or last.
        out: where the page goes; report.html in the run's folder when None.
        figures: folder for the figures of analyses as SVG files beside the page; none are written when None.
        runs: folder of run folders, in which keys and last are looked up.
        images: how many images are read for scores and for what each latent carries, or all.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda or cuda:1 …; a GPU where there is one when None.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    out: Path | None = None
    figures: Path | None = None
    runs: Path = Path("runs")
    images: str = "15000"
    data_root: Path | None = None
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Write the page."""
    options = parse(Options, argv, "report")
    console = Console(options.json)
    count = images(options.images)
    folder = find_all([options.run] if options.run else [], options.runs)[0]
    target = options.out or folder / "report.html"
    if target.is_dir() or not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise UserError(f"cannot write {target}; allowed: a file in a folder that exists and can be written")
    one = load(folder, root=options.data_root, device=options.device)
    e = one.experiment
    console.say(
        f"report on {folder}: {e.method.name} on {e.data.name}, seed {e.seed}, step {one.step:,} of {e.steps:,}"
    )
    if options.figures and options.figures.exists() and not options.figures.is_dir():
        raise UserError(f"cannot write figures to {options.figures}; allowed: a folder, which is made where it is not")
    try:
        if not one.scores:
            measure(console, one, quick(), count)
        with console.busy("encoding images"):
            codes = one.codes(count)
        with console.busy("computing limits"):
            _missing_limits(one)
        with console.busy("drawing the page"):
            story = tell(one, codes=codes)
            write_text(target, page(story))
            drawn = write_figures(options.figures, story.figures) if options.figures else []
    except StoreError as error:
        raise Failed(str(error)) from None
    size = target.stat().st_size
    console.say(f"wrote {target} ({size / 1e6:.1f} MB, loads nothing from elsewhere)")
    if options.figures:
        console.say(f"wrote {len(drawn)} figures to {options.figures}")
    console.result(
        {
            "key": e.key,
            "folder": str(folder),
            "page": str(target),
            "bytes": size,
            "figures": [str(path) for path in drawn],
        }
    )
    return 0


def _missing_limits(one: Run) -> None:
    """Compute the limits of scores that were kept without them, on the images that were scored."""
    kept = one.folder.read("scores").get("scores", {}) if one.folder is not None else {}
    known = one.known_limits()
    for metric in {metric.label: metric for metric in (*quick(), *full())}.values():
        if metric.label in one.scores and metric.label not in known and metric.reads == "factors":
            how = kept.get(metric.label, {}).get("asked") or {"images": IMAGES, "seed": 0}
            limits_of(one, [metric], one.codes(how["images"], seed=how["seed"]), seed=how["seed"])

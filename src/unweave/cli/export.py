"""``unweave export``: a run as something that others can use without it."""

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
from unweave.explorer import static_page
from unweave.run import load
from unweave.store import StoreError, write_text
from unweave.types import UserError


@dataclass(frozen=True)
class Options:
    """Write a run as one file that can be mailed or hosted.

    Args:
        run: the folder of a run, the first letters of its key, or last.
        html: a page with sliders over traversals drawn beforehand, tables and figures; it loads nothing from elsewhere.
        to: where it goes; explorer.html in the run's folder when None.
        images: how many images are read for what each latent carries, or all.
        seed: which images the page starts from.
        out: folder of run folders, in which keys and last are looked up.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda or cuda:1 …; a GPU where there is one when None.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    html: bool = False
    to: Path | None = None
    images: str = "15000"
    seed: int = 0
    out: Path = Path("runs")
    data_root: Path | None = None
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Write the file."""
    options = parse(Options, argv, "export")
    console = Console(options.json)
    if not options.html:
        raise UserError("export to what? allowed: --html")
    count = images(options.images)
    if options.seed < 0:
        raise UserError(f"seed = {options.seed}; allowed: 0 or more")
    folder = find_all([options.run] if options.run else [], options.out)[0]
    target = options.to or folder / "explorer.html"
    if target.is_dir() or not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise UserError(f"cannot write {target}; allowed: a file in a folder that exists and can be written")
    one = load(folder, root=options.data_root, device=options.device)
    e = one.experiment
    console.say(f"export {folder}: {e.method.name} on {e.data.name}, seed {e.seed}, step {one.step:,} of {e.steps:,}")
    try:
        with console.busy("encoding images"):
            codes = one.codes(count)
        with console.busy("drawing the page"):
            write_text(target, static_page(one, codes=codes, images=count or one.data.rows, seed=options.seed))
    except StoreError as error:
        raise Failed(str(error)) from None
    size = target.stat().st_size
    console.say(f"wrote {target} ({size / 1e6:.1f} MB, loads nothing from elsewhere)")
    console.result({"key": e.key, "folder": str(folder), "page": str(target), "bytes": size})
    return 0

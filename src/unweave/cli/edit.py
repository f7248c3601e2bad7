"""``unweave edit``: a picture with some of its latents changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray

from unweave.cli.console import Console, Failed
from unweave.cli.options import parse
from unweave.cli.runs import find_all, writable
from unweave.explorer.files import TILE
from unweave.report.pictures import png
from unweave.run import load
from unweave.store import StoreError
from unweave.store.files import write
from unweave.types import UserError
from unweave.use import edit
from unweave.use.latents import FORM, title

GAP = 8
"""Pixels between pictures in a row."""


@dataclass(frozen=True)
class Options:
    """Encode a picture, change some of its latents, and write what the model makes of the changed code.

    Args:
        run: the folder of a run or of a shared model, the first letters of a run's key, or last.
        picture: a picture file (PNG, JPEG, WebP or TIFF); it is cut and resized to what the model reads.
        set: changes, one or more: z3=1.5 sets a latent, z3+=0.5 and z3-=0.5 move it; instead of z3 also a name that was
            given to a latent in the explorer, or the factor that the explorer names it after.
        out: where the picture goes, a .png.
        beside: write three pictures side by side, enlarged: the picture as the model reads it, what it makes of the
            unchanged code, and of the changed one.
        space: the latent space, for models with several.
        runs: folder of run folders, in which keys and last are looked up.
        device: cpu, cuda, cuda:1 … or mps; a GPU of NVIDIA's kind where there is one when None.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    picture: Annotated[Path | None, tyro.conf.Positional] = None
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    out: Path | None = None
    beside: bool = False
    space: int = 0
    runs: Path = Path("runs")
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Write the picture."""
    options = parse(Options, apart(argv), "edit")
    console = Console(options.json)
    folder = find_all([options.run] if options.run else [], options.runs)[0]
    if options.picture is None or not options.set:
        raise UserError(
            f"edit what, and how? allowed: unweave edit RUN PICTURE --set {FORM.split()[0]} --out edited.png"
        )
    target = writable(options.out, "edited.png")
    if target.suffix.lower() != ".png":
        raise UserError(f"{target.name} ends in {target.suffix!r}; allowed: .png")
    one = load(folder, device=options.device)
    found = edit(one, options.picture, *options.set, space=options.space)
    e = one.experiment
    console.say(f"edit {options.picture} with {folder}: {e.method.name} on {e.data.name}, step {one.step:,}")
    moved = [j for j, (a, b) in enumerate(zip(found.before, found.after, strict=True)) if a != b]
    for latent in moved:
        console.say(f"  {title(one, latent, options.space)}  {found.before[latent]:.3f} → {found.after[latent]:.3f}")
    images = np.stack([found.image, found.made, found.edited])
    try:
        write(target, png(in_a_row(images) if options.beside else found.edited))
    except StoreError as error:
        raise Failed(str(error)) from None
    console.say(f"wrote {target}{' (picture, reconstruction, edited)' if options.beside else ''}")
    before, after = list(found.before), list(found.after)
    console.result({"run": str(folder), "file": str(target), "changed": moved, "before": before, "after": after})
    return 0


def in_a_row(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, C) images enlarged by a whole factor, with white between them.

    >>> in_a_row(np.zeros((3, 64, 64, 1), np.uint8)).shape
    (192, 592, 1)
    """
    scale = max(1, -(-TILE // max(images.shape[1:3])))
    large = images.repeat(scale, 1).repeat(scale, 2)
    gap = np.full((large.shape[1], GAP, large.shape[3]), 255, np.uint8)
    return np.concatenate([part for one in large for part in (gap, one)][1:], axis=1)


def apart(words: Sequence[str]) -> list[str]:
    """The words with ``--set`` before each change, for those who give it once for several.

    >>> apart(["run", "a.png", "--set", "z1=1", "z2=2", "--out", "b.png"])
    ['run', 'a.png', '--set', 'z1=1', '--set', 'z2=2', '--out', 'b.png']
    """
    found: list[str] = []
    inside = False
    for word in words:
        change = inside and "=" in word and not word.startswith("--")
        if change and found[-1] != "--set":
            found.append("--set")
        inside = word == "--set" or change
        found.append(word)
    return found

"""``unweave export``: a run as something that others can use without it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console, Failed
from unweave.cli.options import parse
from unweave.cli.runs import find_all, images, runs_folder
from unweave.explorer import static_page
from unweave.run import Run, load
from unweave.shared import CARD, SharedFolder
from unweave.store import StoreError, write_text
from unweave.types import UserError
from unweave.use import export_onnx, save


@dataclass(frozen=True)
class Options:
    """Write a run as one page to mail or host, as a model to share, or as ONNX files; several at once if wanted.

    Args:
        run: the folder of a run or of a shared model, the first letters of a run's key, or last.
        html: a page with sliders over traversals drawn beforehand, tables and figures; it loads nothing from elsewhere.
        model: a folder for what is needed to use the model and nothing else: weights (safetensors), JSON, a model card.
        onnx: a folder for encoder.onnx, decoder.onnx and onnx.json, checked before they are written; needs
            unweave[onnx].
        to: where the page goes; explorer.html in the run's folder when None.
        licence: an identifier for the model card, such as apache-2.0; nothing is said of a licence when None.
        space: the latent space that ONNX files read and write, for models with several.
        images: how many images are read for what each latent carries, or all.
        seed: which images the page starts from.
        out: folder of run folders, in which keys and last are looked up.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda, cuda:1 … or mps; a GPU of NVIDIA's kind where there is one when None.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    html: bool = False
    model: Path | None = None
    onnx: Path | None = None
    to: Path | None = None
    licence: str | None = None
    space: int = 0
    images: str = "15000"
    seed: int = 0
    out: Path = Path("runs")
    data_root: Path | None = None
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Write what is asked for."""
    options = parse(Options, argv, "export")
    console = Console(options.json)
    if not options.html and options.model is None and options.onnx is None:
        raise UserError("export to what? allowed: --html, --model FOLDER or --onnx FOLDER")
    for name, given, asked, verb in (
        ("to", options.to is not None, options.html, "html"),
        ("licence", options.licence is not None, options.model is not None, "model FOLDER"),
        ("space", options.space != 0, options.onnx is not None, "onnx FOLDER"),
    ):
        if given and not asked:
            raise UserError(f"--{name} goes with --{verb}, which is not asked for")
    runs_folder(options.out, "page.html")
    images(options.images)
    if options.seed < 0:
        raise UserError(f"seed = {options.seed}; allowed: 0 or more")
    folder = find_all([options.run] if options.run else [], options.out, "--out")[0]
    target = options.to or folder / "explorer.html"
    unwritable = target.is_dir() or not target.parent.is_dir() or not os.access(target.parent, os.W_OK)
    if options.html and unwritable:
        raise UserError(f"cannot write {target}; allowed: a file in a folder that exists and can be written")
    if options.model is not None:
        SharedFolder(options.model).check_free()
    one = load(folder, root=options.data_root, device=options.device)
    e = one.experiment
    console.say(f"export {folder}: {e.method.name} on {e.data.name}, seed {e.seed}, step {one.step:,} of {e.steps:,}")
    told: dict[str, Any] = {"key": e.key, "folder": str(folder)}
    try:
        if options.model is not None:
            told |= _model(console, options, one)
        if options.onnx is not None:
            told |= _onnx(console, options, one)
        if options.html:
            told |= _page(console, options, one, target)
    except StoreError as error:
        raise Failed(str(error)) from None
    console.result(told)
    return 0


def _page(console: Console, options: Options, one: Run, target: Path) -> dict[str, Any]:
    count = images(options.images)
    with console.busy("encoding images"):
        codes = one.codes(count)
    with console.busy("drawing the page"):
        write_text(target, static_page(one, codes=codes, images=count or one.data.rows, seed=options.seed))
    size = target.stat().st_size
    console.say(f"wrote {target} ({size / 1e6:.1f} MB, loads nothing from elsewhere)")
    return {"page": str(target), "bytes": size}


def _model(console: Console, options: Options, one: Run) -> dict[str, Any]:
    assert options.model is not None
    kept = SharedFolder(options.model).has(CARD)
    folder = save(one, options.model, licence=options.licence)
    names = sorted(path.name for path in folder.path.iterdir() if not path.name.startswith("."))
    size = sum((folder.path / name).stat().st_size for name in names)
    console.say(f"wrote {folder.path} ({size / 1e6:.1f} MB): {', '.join(names)}")
    if kept:
        console.say(f"  {CARD} was there and is left as it is; remove it to have it written anew")
    console.say(f"next: unweave push {shlex.quote(str(folder.path))} USER/NAME, or mail the folder")
    return {"model": str(folder.path), "files": names}


def _onnx(console: Console, options: Options, one: Run) -> dict[str, Any]:
    assert options.onnx is not None
    with console.busy("converting, and comparing with onnxruntime"):
        found = export_onnx(one, options.onnx, space=options.space)
    console.say(
        f"wrote {found.folder}: {', '.join(found.files)} (differ from the model by {found.difference:.1e} at most)"
    )
    return {"onnx": str(found.folder), "difference": found.difference}

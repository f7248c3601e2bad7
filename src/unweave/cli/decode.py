"""``unweave decode``: the pictures that codes stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from unweave.cli.console import Console, Failed
from unweave.cli.options import parse
from unweave.cli.runs import find_all
from unweave.run import load
from unweave.store import StoreError
from unweave.types import UserError
from unweave.use import decode, picture_names, read_table, write_pictures

AT_ONCE = 256
"""Pictures between two looks at how far it is."""


@dataclass(frozen=True)
class Options:
    """Decode codes, and write one PNG for each row, called as its file was, or by its number.

    Args:
        run: the folder of a run or of a shared model, the first letters of a run's key, or last.
        codes: what `unweave encode` wrote, or any .csv, .parquet or .npz with the columns z0, z1 … (.npz: mean).
        out: folder of the pictures; made where it is not.
        space: the latent space, for models with several.
        runs: folder of run folders, in which keys and last are looked up.
        device: cpu, cuda, cuda:1 … or mps; a GPU of NVIDIA's kind where there is one when None.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    codes: Annotated[Path | None, tyro.conf.Positional] = None
    out: Path | None = None
    space: int = 0
    runs: Path = Path("runs")
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Write the pictures."""
    options = parse(Options, argv, "decode")
    console = Console(options.json)
    folder = find_all([options.run] if options.run else [], options.runs)[0]
    if options.codes is None or options.out is None:
        raise UserError("decode what, and whereto? allowed: unweave decode RUN codes.csv --out FOLDER")
    if options.out.exists() and not options.out.is_dir():
        raise UserError(f"cannot write in {options.out}; allowed: a folder, which is made where it is not")
    one = load(folder, device=options.device)
    table = read_table(options.codes, one.model.latents)
    names = picture_names(table.names, table.files)
    e, total = one.experiment, len(names)
    console.say(f"decode {options.codes} with {folder}: {e.method.name} on {e.data.name}, step {one.step:,}")
    try:
        for start in range(0, total, AT_ONCE):
            images = decode(one, table.mean[start : start + AT_ONCE], space=options.space)
            write_pictures(options.out, names[start : start + AT_ONCE], images)
            console.progress(lambda done=start: f"{done:,} of {total:,} pictures")  # type: ignore[misc]
    except StoreError as error:
        raise Failed(str(error)) from None
    console.say(f"wrote {total:,} pictures to {options.out}")
    console.result({"run": str(folder), "folder": str(options.out), "pictures": total, "space": options.space})
    return 0

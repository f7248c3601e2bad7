"""``unweave encode``: the codes of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from unweave.cli.console import Console, Failed, looked_over
from unweave.cli.options import parse
from unweave.cli.runs import find_all, writable
from unweave.data import dataset
from unweave.data.elsewhere import fitting, own_fit
from unweave.run import load
from unweave.store import StoreError
from unweave.types import UserError
from unweave.use import encode, write_codes
from unweave.use.tables import check_form


@dataclass(frozen=True)
class Options:
    """Encode all pictures of a folder, or all images of a data set, and write one row for each.

    Pictures are cut and resized as for training, to the size and colours that the model reads.

    Args:
        run: the folder of a run or of a shared model, the first letters of a run's key, or last.
        images: a folder of pictures, or what `unweave train --data` takes.
        out: where the codes go: a file ending in .parquet, .csv or .npz.
        logvar: also write the log-variances of q(z|x).
        space: the latent space, for models with several.
        runs: folder of run folders, in which keys and last are looked up.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda, cuda:1 … or mps; a GPU of NVIDIA's kind where there is one when None.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    images: Annotated[str, tyro.conf.Positional] = ""
    out: Path | None = None
    logvar: bool = False
    space: int = 0
    runs: Path = Path("runs")
    data_root: Path | None = None
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Write the file."""
    options = parse(Options, argv, "encode")
    console = Console(options.json)
    folder = find_all([options.run] if options.run else [], options.runs)[0]
    if not options.images:
        raise UserError("nothing to encode named; allowed: a folder of pictures, or a data set as for --data")
    target = writable(options.out, "codes.csv")
    check_form(target)
    one = load(folder, root=options.data_root, device=options.device)
    data = fitting(dataset(options.images), one.data.shape, own_fit(one.data))
    data.prepare(options.data_root, lambda line: console.progress(lambda: line))
    notes = looked_over(console, data, options.data_root)
    e = one.experiment
    console.say(f"encode {options.images} with {folder}: {e.method.name} on {e.data.name}, step {one.step:,}")
    try:
        with console.busy("encoding"):
            found = encode(one, data, space=options.space, root=options.data_root)
        write_codes(target, found, options.logvar)
    except StoreError as error:
        raise Failed(str(error)) from None
    rows, latents = found.codes.mean.shape
    console.say(
        f"wrote {target}: {rows:,} rows, {latents} latents{' and their log-variances' if options.logvar else ''}"
    )
    told = {"run": str(folder), "file": str(target), "rows": rows, "latents": latents, "space": options.space}
    console.result({**told, "notes": notes})
    return 0

"""``unweave pull``: a model from the Hugging Face Hub."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from unweave.cli.console import Console, Failed
from unweave.cli.options import parse
from unweave.run import load
from unweave.store import StoreError
from unweave.types import UserError
from unweave.use import pull


@dataclass(frozen=True)
class Options:
    """Fetch a shared model from the Hugging Face Hub, doubt it, and put it into a folder; needs unweave[hub].

    Only the files of a shared model are fetched; nothing is executed, and one that is refused leaves nothing behind.

    Args:
        name: user/name on the Hub.
        out: its folder; one called as the model, in this folder, when None.
        revision: a commit, which is the same for ever, a tag or a branch; the main branch when None.
        json: print one JSON document, and nothing else.
    """

    name: Annotated[str, tyro.conf.Positional] = ""
    out: Path | None = None
    revision: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Fetch the model."""
    options = parse(Options, argv, "pull")
    console = Console(options.json)
    if not options.name:
        raise UserError("no model named; allowed: unweave pull user/name")
    console.say(f"pull {options.name}{f' at {options.revision}' if options.revision else ''}")
    try:
        with console.busy("fetching"):
            done = pull(options.name, options.out, revision=options.revision)
    except StoreError as error:
        raise Failed(str(error)) from None
    one = load(done.folder, device="cpu")
    e = one.experiment
    console.say(f"wrote {done.folder}: {e.method.name} on {e.data.name}, {e.latents} latents, commit {done.commit}")
    console.say(f"next: unweave explore {shlex.quote(str(done.folder))}")
    console.result({"name": options.name, "folder": str(done.folder), "commit": done.commit, "method": e.method.name})
    return 0

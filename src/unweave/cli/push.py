"""``unweave push``: a model to the Hugging Face Hub."""

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
from unweave.shared import CARD, is_shared
from unweave.store import StoreError
from unweave.types import UserError
from unweave.use import push


@dataclass(frozen=True)
class Options:
    """Send what is needed to use a model, and a card about it, to the Hugging Face Hub; needs unweave[hub].

    Who you are: `hf auth login`, or the environment variable HF_TOKEN. HF_ENDPOINT names another Hub.

    Args:
        run: the folder of a run or of a shared model, the first letters of a run's key, or last.
        name: user/name on the Hub; made if it is not there.
        private: make it for you alone, if it is made.
        licence: an identifier for the card, such as apache-2.0; nothing is said of a licence when None.
        revision: the branch; the main one when None.
        message: of the commit.
        runs: folder of run folders, in which keys and last are looked up.
        json: print one JSON document, and nothing else.
    """

    run: Annotated[str, tyro.conf.Positional] = ""
    name: Annotated[str, tyro.conf.Positional] = ""
    private: bool = False
    licence: str | None = None
    revision: str | None = None
    message: str = ""
    runs: Path = Path("runs")
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Send the model."""
    options = parse(Options, argv, "push")
    console = Console(options.json)
    folder = find_all([options.run] if options.run else [], options.runs)[0]
    if not options.name:
        raise UserError("push it to where? allowed: unweave push RUN user/name")
    model = folder if is_shared(folder) else load(folder, device="cpu")
    console.say(f"push {folder} to {options.name}{' (private)' if options.private else ''}")
    try:
        with console.busy("sending"):
            done = push(
                model,
                options.name,
                private=options.private,
                revision=options.revision,
                licence=options.licence,
                message=options.message,
            )
    except StoreError as error:
        raise Failed(str(error)) from None
    if CARD not in done.files:
        console.say(f"  its {CARD} there is left as it is{', without this licence' if options.licence else ''}")
    console.say(f"sent {', '.join(done.files)}: {done.address}, commit {done.commit}")
    console.say(f"next: unweave pull {options.name} --revision {done.commit}")
    console.result({"name": options.name, "address": done.address, "commit": done.commit, "files": list(done.files)})
    return 0

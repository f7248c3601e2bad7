"""``unweave explore``: a local page in which a person moves each latent and sees the image follow."""

from __future__ import annotations

import signal
import threading
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from unweave.cli.console import Console
from unweave.cli.options import parse
from unweave.cli.runs import find_all
from unweave.explorer import App, Exhibit, Server, demo
from unweave.run import load
from unweave.types import UserError

MOST = 8
"""Runs on one page."""


@dataclass(frozen=True)
class Options:
    """Open a page in which every latent of a trained model has a slider; several runs can be set side by side.

    It answers on this machine only, unless --host names another address. Ctrl-C ends it.

    Args:
        runs: folders of runs, first letters of their keys, or last.
        demo: show the small model that comes with unweave, after the runs that are named.
        host: address to listen on; 0.0.0.0 lets every machine of the network in.
        port: where; 0 takes a free one.
        open: open the page in the browser.
        images: how many images are encoded to find out what each latent carries.
        out: folder of run folders, in which keys and last are looked up.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda or cuda:1 …; a GPU where there is one when None.
        json: print one JSON document, and nothing else.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    demo: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    open: bool = False
    images: int = 5000
    out: Path = Path("runs")
    data_root: Path | None = None
    device: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Serve the page until somebody asks to stop."""
    options = parse(Options, argv, "explore")
    console = Console(options.json)
    server = serve(console, options)
    if options.host not in ("127.0.0.1", "::1", "localhost"):
        console.say(f"  note: whoever reaches {options.host} can look at these models and name their latents")
    console.say(f"open {server.address} in a browser; Ctrl-C ends it")
    console.result({"address": server.address, "runs": [one.run.experiment.key for one in server.app.exhibits]})
    if options.open:
        webbrowser.open(server.address)
    # A server is stopped from another thread than the one that it works in.
    with suppress(ValueError):
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()
    console.say("ended")
    return 0


def serve(console: Console, options: Options) -> Server:
    """The server, ready to be asked: models loaded, their latents known.

    Raises:
        UserError: no run, too many, or an address that cannot be had.
    """
    if not options.runs and not options.demo:
        raise UserError("no run named; allowed: a run's folder, the first letters of its key, last, or --demo")
    if not 100 <= options.images <= 1_000_000:
        raise UserError(f"images = {options.images}; allowed: 100 to 1,000,000")
    if not 0 <= options.port <= 65535:
        raise UserError(f"port = {options.port}; allowed: 0 to 65535")
    folders = find_all(options.runs, options.out, "--out") if options.runs else []
    if len(folders) > MOST:
        raise UserError(f"{len(folders)} runs; allowed: {MOST} on one page")
    opened = [Exhibit(load(f, root=options.data_root, device=options.device), options.images) for f in folders]
    if options.demo:
        opened.append(Exhibit(demo(options.device), options.images, keeps=False))
    for one in opened:
        e = one.run.experiment
        console.say(
            f"{one.run.folder.path if one.keeps and one.run.folder else 'demo'}: {e.method.name} on {e.data.name}, "
            f"seed {e.seed}, step {one.run.step:,} of {e.steps:,}"
        )
        with console.busy("encoding images to see what each latent carries"):
            one.summary(0)
        if one.trouble:
            console.say(f"  note: {one.trouble}; latents are not known, and start from the prior")
    return Server(App(opened), options.host, options.port)

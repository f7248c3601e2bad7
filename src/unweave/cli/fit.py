"""``unweave fit``: a folder of pictures in, a model, its codes and its page out."""

from __future__ import annotations

import math
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console, Failed, clock, looked_over
from unweave.cli.options import parse
from unweave.cli.runs import writable
from unweave.cli.sweep import going_on, line
from unweave.data import Folder
from unweave.own import Asked, Chosen, Fitting, begin, check, looked_at
from unweave.own.fitting import PLAN, short
from unweave.report.latents import nats
from unweave.report.settings import adam, architecture, words
from unweave.store import RunFolder, StoreError
from unweave.store.folder import HOLDER, LOCK
from unweave.sweep import Standing
from unweave.types import UserError
from unweave.use.tables import check_form

SHOWN = 12
"""Latents that are named one by one."""


@dataclass(frozen=True)
class Options:
    """Learn a disentangled code of a folder of pictures, without labels and without a setting to find.

    Several models are trained whose pressures the images themselves ask for; the one whose latents the others find
    again is chosen (UDR). One folder then holds the model, a table of codes and a page to look at. Interrupted or
    killed, the same command goes on; when all is done, it says so.

    Args:
        folder: of pictures, those in folders inside it included; or whatever --data takes, such as photos:size=128.
        out: folder for everything; the folder's name and -unweave when None.
        codes: the table of codes, .csv, .parquet or .npz; codes.csv in the folder for everything when None.
        minutes: how long it may take, roughly: models and steps follow from it.
        latents: D, the size of a code.
        method: beta-vae, devae or deft with pressures from the images, or another with its published hyperparameters.
        seeds: models to train; 2 to 6, as there is time, when None.
        steps: of each model; as many as there is time for when None.
        seed: of the first model.
        workers: processes; one a processor when None, 0 for none besides this one.
        device: cpu, cuda …; a GPU where there is one when None.
        data_root: folder of published data files, for data sets that need them.
        json: print one JSON document at the end, and nothing else.
    """

    folder: Annotated[str, tyro.conf.Positional] = ""
    out: Path | None = None
    codes: Path | None = None
    minutes: float = 8.0
    latents: int = 10
    method: str = "beta-vae"
    seeds: int | None = None
    steps: int | None = None
    seed: int = 0
    workers: int | None = None
    device: str | None = None
    data_root: Path | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Decide, train, choose, write, and say what to do next."""
    start = time.monotonic()
    options = parse(Options, argv, "fit")
    if not options.folder:
        raise UserError("no folder named; allowed: unweave fit FOLDER, a folder of pictures (PNG, JPEG, WebP, TIFF)")
    console = Console(options.json)
    data = looked_at(options.folder)
    out = options.out or Path((re.sub(r"[^\w.-]+", "-", short(data)).strip("-") or "pictures") + "-unweave")
    if options.codes is not None:
        # A folder that is made here will be there.
        check_form(options.codes if out in options.codes.parents else writable(options.codes, "codes.csv"))
    asked = Asked(
        options.folder,
        options.method,
        options.latents,
        options.minutes,
        options.seeds,
        options.steps,
        options.seed,
    )
    check(asked)
    how: dict[str, Any] = {"device": options.device, "root": options.data_root}
    again = shlex.join(["unweave", "fit", *argv])
    with _swept(out), RunFolder(out).lock():
        data.prepare(options.data_root, lambda told: console.progress(lambda: told))
        with naming(console) as busy:
            spent = time.monotonic() - start
            fitting = begin(asked, out, data, workers=options.workers, spent=spent, busy=busy, **how)
        console.say(announce(fitting))
        looked_over(console, data, options.data_root)
        failed = _train(console, fitting, options, again, how)
        try:
            with naming(console) as busy:
                chosen = fitting.finish(options.codes, busy=busy, **how)
        except StoreError as error:
            raise Failed(f"{error}; to go on: {again}") from None
    for one in failed:
        console.say(f"  failed     {one}")
    console.say(summary(chosen))
    console.say(following(chosen, isinstance(data, Folder)))
    console.say(f"it took {clock(time.monotonic() - start)}")
    console.result(_document(fitting, chosen, failed))
    return 0


@contextmanager
def _swept(out: Path) -> Iterator[None]:
    """A folder in which nothing was written before something was refused does not stay."""
    made = [one for one in (out, *out.parents) if not one.exists()]
    locks = [out / name for name in (LOCK, HOLDER) if not (out / name).exists()]
    try:
        yield
    except UserError:
        if not (out / f"{PLAN}.json").exists():
            with suppress(OSError):
                for one in locks:
                    one.unlink(missing_ok=True)
                for one in made:
                    one.rmdir()
        raise


def _train(console: Console, fitting: Fitting, options: Options, again: str, how: dict[str, Any]) -> list[str]:
    def look(standing: Standing) -> None:
        console.progress(lambda: line(standing))

    with going_on(console, again):
        failed = fitting.train(workers=options.workers, told=look, **how)
    console.clear()
    return failed


def announce(fitting: Fitting) -> str:
    """What will be done, for people."""
    one, plan = fitting.first, fitting.plan
    models, steps = fitting.budget
    channels = "colour" if one.data.shape[0] == 3 else "grey"
    told = [name for name in ("beta", "end", "betas") if getattr(one.method, name, None) is not None]
    own = ", ".join(f"{name} {words(getattr(one.method, name))}" for name in told)
    pace = plan["seconds per step"]
    kept = fitting.kept
    lines = [
        f"fit {fitting.asked.data}: {one.data.rows:,} images of {'×'.join(map(str, one.data.shape))}, {channels}",
        f"  method     {one.method.name}{f', {own}' if own else ''}"
        + (f" (information freezes at β = {plan['critical']:.3g})" if plan["critical"] else ""),
        f"  network    {architecture(one)}, {one.latents} latents, {one.likelihood}",
        f"  training   {models} models of {steps:,} steps of {one.batch} images, {adam(one)}"
        + (f", {1e3 * pace:.3g} ms a step on a trial" if pace else ""),
        f"  folder     {fitting.out}: " + ("new" if fitting.fresh else f"goes on, {kept} of {models} models are done"),
    ]
    return "\n".join(lines)


def summary(chosen: Chosen) -> str:
    """What was found, for people."""
    run, kl = chosen.run, chosen.kl
    seeds = len(chosen.agreement)
    best = chosen.agreement[run.experiment.key]
    others = sorted((value for key, value in chosen.agreement.items() if key != run.experiment.key), reverse=True)
    agreed = f", UDR {best:.2f} (others {' '.join(f'{one:.2f}' for one in others)})" if seeds > 1 else ""
    told = "  ".join(f"z{n}" if kl is None else f"z{n} {nats(float(kl[n]))}" for n in chosen.alive[:SHOWN])
    latents = run.experiment.latents if kl is None else len(kl)
    what = ", nats of each" if kl is not None else ", the widest first (points have no KL)"
    more = f"  and {len(chosen.alive) - SHOWN} more" if len(chosen.alive) > SHOWN else ""
    lines = [
        f"chosen: seed {run.experiment.seed} of {seeds} models{agreed}",
        f"  in use     {len(chosen.alive)} of {latents} latents{what}: {told}{more}"
        if chosen.alive
        else f"  in use     none of {latents} latents: images that differ too little, or too few steps",
        f"  model      {chosen.model}",
        f"  codes      {chosen.codes}: {chosen.rows:,} rows",
        f"  page       {chosen.page}",
    ]
    return "\n".join(lines)


def following(chosen: Chosen, folder: bool) -> str:
    """Three commands to go on with."""
    model = shlex.quote(str(chosen.model))
    page = chosen.page.absolute().as_uri()
    data = chosen.run.data
    more = "FOLDER"
    if folder and isinstance(data, Folder):
        more = shlex.quote(f"{data.path}{':skip-broken' if data.skip_broken else ''}")
    lines = [
        "three things to do next:",
        f"  open the page        {shlex.quote(sys.executable)} -m webbrowser {shlex.quote(page)}",
        f"  move its latents     unweave explore {model} --open",
        f"  encode more images   unweave encode {model} {more} --out more.csv",
    ]
    return "\n".join(lines)


@contextmanager
def naming(console: Console) -> Iterator[Any]:
    """A function that is told what is being done and names it on the console until the next one, or the end."""
    with ExitStack() as stack:

        def told(what: str) -> None:
            stack.close()
            stack.enter_context(console.busy(what))

        yield told


def _document(fitting: Fitting, chosen: Chosen, failed: Sequence[str]) -> dict[str, Any]:
    run = chosen.run
    return {
        "key": run.experiment.key,
        "seed": run.experiment.seed,
        "models": fitting.budget.models,
        "steps": fitting.budget.steps,
        "udr": {key: None if math.isnan(value) else value for key, value in chosen.agreement.items()},
        "latents": {"alive": chosen.alive, "kl": None if chosen.kl is None else chosen.kl.tolist()},
        "model": str(chosen.model),
        "codes": str(chosen.codes),
        "rows": chosen.rows,
        "page": str(chosen.page),
        "failed": list(failed),
    }

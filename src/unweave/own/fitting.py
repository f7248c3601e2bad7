"""From images to a model, its codes and its page, with everything kept that a later call goes on from."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unweave.auto import choose, fitted
from unweave.data import ArrayFile, Dataset, Folder, HuggingFace, dataset
from unweave.data.folder import pictures
from unweave.data.part import Part
from unweave.data.stored import states
from unweave.engine import Complete, from_json, vary
from unweave.engine.experiment import to_json
from unweave.job import Terms, Training
from unweave.methods import METHODS
from unweave.methods.base import scaled
from unweave.metrics.rows import FEWEST
from unweave.names import known
from unweave.own.budget import MOST_MODELS, Budget, budget
from unweave.own.trial import pace
from unweave.report import Information, tell
from unweave.report.from_run import mailable
from unweave.report.latents import order
from unweave.report.page import page
from unweave.results import rows
from unweave.run import Run, load
from unweave.store import RunFolder, write_text
from unweave.sweep import perform
from unweave.sweep.driver import Watcher, unwatched
from unweave.sweep.select import score_udr
from unweave.types import Codes, Gaussian, UserError
from unweave.use import encode, write_codes
from unweave.use.tables import check_form

SHARE = 0.8
"""Of the time, what training may take: encoding, comparing and drawing follow it."""
OFTEN = 15.0
"""Seconds between two checkpoints of a training, at the pace of the trial."""
SHOWN = 15_000
"""Images encoded for the page, at most."""
STILL = 1e-3
"""A latent of points whose standard deviation over the images is no more than this is not in use."""
PLAN = "fit"
"""Name of the file that holds what was decided."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What somebody asks for; a fit that was begun goes on only where all of it is the same.

    Args:
        data: a folder of pictures, or anything else that ``--data`` takes.
        method: ``beta-vae``, ``devae``, ``deft``, whose pressures are read off the images, or another one by name.
        latents: D.
        minutes: how long all of it may take, roughly.
        seeds: models to train; as many as there is time for when None.
        steps: of each; as many as there is time for when None.
        seed: of the first model.
    """

    data: str
    method: str = "beta-vae"
    latents: int = 10
    minutes: float = 8.0
    seeds: int | None = None
    steps: int | None = None
    seed: int = 0


class Chosen(NamedTuple):
    """The model that was chosen, and what was written of it."""

    run: Run
    agreement: dict[str, float]
    """UDR of every model, by its key."""
    kl: np.ndarray | None
    """(D,) nats of each latent; None where codes are points, which have no KL."""
    alive: list[int]
    """Latents in use, the most telling first."""
    model: Path
    codes: Path
    page: Path
    rows: int
    """Of the table of codes."""


class Fitting:
    """A fit with everything decided: what is trained, and where it is kept.

    Made by ``begin``; ``train`` and then ``finish`` do it, each passing over what is there already.
    """

    def __init__(self, asked: Asked, out: Path, plan: dict[str, Any], fresh: bool) -> None:
        self.asked, self.out, self.plan, self.fresh = asked, out, plan, fresh
        self.first = from_json(plan["experiment"])
        self.budget = Budget(plan["models"], plan["steps"])

    @property
    def runs(self) -> Path:
        """The folder of all models."""
        return self.out / "runs"

    @property
    def experiments(self) -> list[Complete]:
        """One a seed."""
        return [vary(self.first, seed=self.first.seed + place) for place in range(self.budget.models)]

    @property
    def jobs(self) -> list[Training]:
        """The trainings, measured every ``OFTEN`` seconds: where they are measured they are kept."""
        steps, pace = self.budget.steps, self.plan["seconds per step"]
        gap = max(1, min(1000, round(OFTEN / pace))) if pace else steps
        at = tuple(range(gap, steps, gap))
        return [Training.of(one, measures=(Terms(),), at=at, count=10) for one in self.experiments]

    @property
    def command(self) -> str:
        """What was typed, as far as it decides what is made."""
        usual = asdict(Asked(self.asked.data))
        changed = {name: value for name, value in asdict(self.asked).items() if value != usual[name]}
        words = [word for name, value in changed.items() for word in (f"--{name}", str(value))]
        return shlex.join(["unweave", "fit", self.asked.data, *words, "--out", str(self.out)])

    @property
    def kept(self) -> int:
        """How many of them are finished already."""
        return sum(job.kept(self.runs) is not None for job in self.jobs)

    def train(
        self,
        *,
        workers: int | None = None,
        device: str | None = None,
        root: Path | None = None,
        told: Watcher = unwatched,
    ) -> list[str]:
        """Train what is missing; a line for each model that failed.

        Raises:
            UserError: every model failed.
        """
        titles = {job.key: job.title for job in self.jobs}
        found = list(perform(self.jobs, self.runs, workers=workers, device=device, root=root, told=told))
        failed = [f"{titles[one.key]}: {one.failed}" for one in found if one.failed]
        if len(failed) == len(found):
            raise UserError(f"no model could be trained; {failed[0]}")
        return failed

    def finish(
        self, codes: Path | None = None, *, device: str | None = None, root: Path | None = None, busy: Tell = print
    ) -> Chosen:
        """Choose a model, and write it, its codes and its page.

        Args:
            codes: the table of codes (.csv, .parquet, .npz); ``codes.csv`` beside the model when None.
            device: where to encode.
            root: folder of data files.
            busy: told what is being done.
        """
        file = codes or self.out / "codes.csv"
        check_form(file)
        busy("comparing the models")
        agreement = self._agreement(root)
        key = max(agreement, key=lambda one: (agreement[one], one))
        run = load(self.runs / key, device=device, root=root)
        target = self.out / "model"
        done = self.plan.setdefault("written", {})
        if done.get("model") != key or not (target / "experiment.json").is_file():
            run.write(target)
            self._note(model=key)
        if done.get("codes") != [key, str(file)] or not file.is_file():
            busy(f"encoding {run.data.rows:,} images")
            write_codes(file, encode(run, run.data))
            self._note(codes=[key, str(file)])
        shown = load(target, device=device, root=root)
        some = shown.codes(SHOWN)
        kl = _kl(some)
        where = self.out / "report.html"
        if done.get("page") != key or not where.is_file():
            busy("drawing the page")
            shown.score(count=SHOWN, codes=some)
            write_text(where, page(self._story(shown, some, agreement, key)))
            self._note(page=key)
        # Points have no KL: what moves at all is in use, the widest first.
        alive = order(Information(kl=kl))[0] if kl is not None else _moving(some)
        return Chosen(shown, agreement, kl, alive, target, file, where, run.data.rows)

    def _agreement(self, root: Path | None) -> dict[str, float]:
        """UDR of every model that was trained to its end; with one model there is nothing to compare."""
        found = [one for one in rows(self.runs)[0] if one.head["state"] == "done"]
        keys = {one.key for one in self.experiments}
        found = [one for one in found if one.head["key"] in keys]
        if len(found) == 1:
            return {str(found[0].head["key"]): float("nan")}
        return score_udr(found, by=["method"], root=root)

    def _story(self, run: Run, codes: Codes, agreement: dict[str, float], key: str) -> Any:
        story = tell(run, codes=codes, command=self.command)
        others = ", ".join(f"{value:.2f}" for one, value in sorted(agreement.items()) if one != key)
        how = (
            f"Chosen without labels among {len(agreement)} models that differ in their seeds only, as the one whose "
            f"latents the others find again (UDR {agreement[key]:.2f}; the others: {others})."
        )
        notes = [how, *story.notes] if len(agreement) > 1 else list(story.notes)
        title = f"{short(self.first.data)}: what {run.experiment.method.name} found"
        # A page to mail: it names the folders, not where they lie.
        return mailable(replace(story, title=title, notes=notes), run, self.out)

    def _note(self, **written: Any) -> None:
        self.plan["written"] |= written
        RunFolder(self.out).write(PLAN, self.plan)


def begin(
    asked: Asked,
    out: Path,
    data: Dataset | None = None,
    *,
    workers: int | None = None,
    device: str | None = None,
    root: Path | None = None,
    spent: float = 0.0,
    busy: Tell = print,
) -> Fitting:
    """Decide what is trained, or read back what was decided in this folder before.

    Args:
        asked: what is asked for.
        out: the folder that everything goes to.
        data: what ``looked_at`` makes of the words, where that is at hand.
        workers: processes; one a processor when None, 0 for none besides this one.
        device: ``cpu``, ``cuda`` …; a GPU where there is one when None.
        root: folder of data files.
        spent: seconds of the time that are gone already.
        busy: told what is being done.

    Raises:
        UserError: images that cannot be used, settings that cannot be, or a folder that holds another fit.
    """
    check(asked)
    folder = RunFolder(out)
    kept = folder.read(PLAN)
    data = data or looked_at(asked.data)
    state = fingerprint(data)
    if kept:
        return _again(asked, out, kept, state)
    if out.is_dir() and any(one.name != "trial" and not one.name.startswith(".") for one in out.iterdir()):
        raise UserError(f"{out} holds something else; allowed: a folder that is empty or not there yet")
    if data.rows < FEWEST:
        raise UserError(
            f"{asked.data} has {data.rows} images; allowed: {FEWEST} or more, and some hundreds to be of use"
        )
    busy("looking for pressures")
    chosen = choose(data, asked.method, latents=asked.latents, steps=asked.steps or 4000, seed=asked.seed, root=root)
    one = chosen.experiment(data, latents=asked.latents, steps=asked.steps or 4000, seed=asked.seed).complete()
    found, each = Budget(asked.seeds or 0, asked.steps or 0), 0.0
    if not (asked.seeds and asked.steps):
        busy("timing a few steps")
        models = asked.seeds or MOST_MODELS
        each, at_once = pace(one, out / "trial", workers=workers, device=device, root=root, models=models)
        found = budget(max(0.0, 60 * asked.minutes * SHARE - spent), each, at_once, asked.seeds, asked.steps)
    if found.steps != one.steps:
        # Schedules last as long as the training that is now known.
        one = vary(
            one,
            **{f"method__{n}": scaled(getattr(one.method, n), found.steps / one.steps) for n in one.method.schedules},
        )
    one = vary(one, steps=found.steps)
    plan = {
        "asked": asdict(asked),
        "images": {"rows": data.rows, "digest": state},
        "experiment": to_json(one),
        "critical": chosen.critical,
        "information": chosen.information,
        "seconds per step": each,
        "models": found.models,
        "steps": found.steps,
        "written": {},
    }
    out.mkdir(parents=True, exist_ok=True)
    folder.write(PLAN, plan)
    return Fitting(asked, out, plan, True)


def looked_at(words: str) -> Dataset:
    """The data set in words, a folder with the size and the channels that its pictures ask for."""
    return fitted(dataset(words))


def fingerprint(data: Dataset) -> str:
    """What somebody's own images are known again by: names, sizes and times of change of their files; empty for data
    that is published or drawn."""
    if isinstance(data, Part):
        return fingerprint(data.of)
    if isinstance(data, Folder):
        found: Any = pictures(data.path)
    elif isinstance(data, ArrayFile | HuggingFace):
        found = states(data.path)
    else:
        return ""
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def _again(asked: Asked, out: Path, kept: dict[str, Any], state: str) -> Fitting:
    try:
        before, images = kept["asked"], kept["images"]
        changed = [name for name, value in asdict(asked).items() if before.get(name) != value]
        if "data" in changed and dataset(str(before["data"])) == dataset(asked.data):
            changed.remove("data")  # the same folder in other words
        found = Fitting(asked, out, kept, False)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{out / PLAN}.json is damaged ({type(error).__name__}: {error})") from None
    if changed:
        name = changed[0]
        raise UserError(
            f"{out} holds a fit with {name} = {before.get(name)}, not {getattr(asked, name)}; allowed: the same "
            "command again, or another --out"
        )
    if images.get("digest", "") not in ("", state):
        raise UserError(
            f"the pictures of {asked.data} are not the {images.get('rows')} that the fit in {out} was begun with; "
            "allowed: the pictures as they were, or another --out"
        )
    return found


def check(asked: Asked) -> None:
    """Raises UserError for what is known to be impossible before an image is looked at."""
    known(asked.method, METHODS, "method")
    if not 0 < asked.minutes < 1e5:
        raise UserError(f"minutes = {asked.minutes:g}; allowed: above 0")
    for name in ("seeds", "steps", "latents"):
        value = getattr(asked, name)
        if value is not None and value < 1:
            raise UserError(f"{name} = {value}; allowed: a whole number from 1")


def _kl(codes: Codes) -> np.ndarray | None:
    return None if codes.logvar is None else Gaussian(codes.mean, codes.logvar).kl().double().mean(0).numpy()


def _moving(codes: Codes) -> list[int]:
    widths = codes.mean.double().std(0).numpy()
    return [int(latent) for latent in np.argsort(-widths, kind="stable") if widths[latent] > STILL]


def short(data: Dataset) -> str:
    """What a data set is called in a title: a folder by its name."""
    while isinstance(data, Part):
        data = data.of
    return data.path.name if isinstance(data, Folder) else data.name

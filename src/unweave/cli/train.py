"""``unweave train``: a method on a data set, one model a seed."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, cast

import tyro

from unweave.cli.console import Console, Failed, clock, looked_over
from unweave.cli.options import HELP, names, options_known, parse, value_of
from unweave.cli.watch import Job, Watch, signals
from unweave.data import DATASETS, Dataset, dataset
from unweave.data.words import OWN
from unweave.engine import Complete, Experiment, Plan, plan, train
from unweave.engine.cpu import default_precision
from unweave.engine.experiment import preset_for
from unweave.engine.place import place
from unweave.engine.plan import size
from unweave.engine.written import note_rewritten
from unweave.methods import METHODS, Method
from unweave.methods.base import untypeable
from unweave.names import known
from unweave.networks import MLP, Body, Conv, rounding
from unweave.networks.conv import LAYOUTS
from unweave.networks.likelihoods import LIKELIHOODS
from unweave.report.settings import adam, architecture, changes, steered, words
from unweave.results import logger
from unweave.store import RunFolder
from unweave.types import UserError

NETWORKS = (*LAYOUTS, "mlp")


@dataclass(frozen=True)
class Options:
    """What every method takes besides its own fields.

    Args:
        data: the data set, one of `unweave data list`, or a folder of pictures or a file of images (.npy, .npz,
            .parquet); then steps, such as dsprites:train or photos:grey:size=32.
        steps: optimiser steps.
        batch: images a step.
        latents: D, the size of a code.
        lr: Adam's learning rate, for every parameter group that the method does not set itself.
        seed: the seed of the first model.
        seeds: how many models, with seeds one after the other.
        every: steps between checkpoints; a fiftieth of the training, at most 1,000, when None.
        precision: bf16, tf32, float32 or float64.
        network: standard, lite, devae, burgess or deft-2021-code (convolutions), or mlp; the method's own when None.
        hidden: widths of the dense layers: all of an mlp's, one for convolutions; the network's own when empty.
        likelihood: bernoulli or squared.
        device: cpu, cuda or cuda:1 …; a GPU where there is one when None.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None, and without it data is drawn.
        out: folder for run folders.
        log: tensorboard or wandb: also write what was recorded for these, when the training ends.
        json: print one JSON document at the end, and nothing else.
    """

    data: str
    steps: int = 0
    batch: int = 0
    latents: int = 0
    lr: float = 0.0
    seed: int = 0
    seeds: int = 1
    every: int | None = None
    precision: str = ""
    network: str | None = None
    hidden: tuple[int, ...] = ()
    likelihood: str = ""
    device: str | None = None
    data_root: Path | None = None
    out: Path = Path("runs")
    log: str | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Train, and say how to go on."""
    method, options = read(argv)
    console, log = Console(options.json), logger(options.log)
    data = dataset(options.data)
    data.prepare(options.data_root, lambda line: console.progress(lambda: line))
    experiments = list(_experiments(method, options, data))
    if options.every is not None and options.every < 1:
        raise UserError(f"every = {options.every}; allowed: a whole number from 1")
    device = place(options.device)
    source = experiments[0].data.find(options.data_root)
    jobs = [_job(one, options.out) for one in experiments]
    console.say(_announce(jobs, str(device), str(source or "drawn, no files found"), options.network))
    looked_over(console, data, options.data_root)
    # Those that go on are looked at where they are picked up.
    note_rewritten((job.experiment, job.folder) for job in jobs if job.state in ("done", "failed"))
    watch = Watch(console, jobs)
    pending = [job for job in jobs if job.state in ("new", "stopped")]
    again = shlex.join(["unweave", "train", *argv])
    todo = [job.experiment for job in pending]
    every, root, out = options.every, options.data_root, options.out
    with console.busy("timing a few steps"):
        found = plan(todo, device=device, root=root, begun={job.experiment.key: job.step for job in pending})
    if todo:
        console.say(_expectation(found))
    watch.expect(found.seconds)
    most = max((len(group.experiments) for group in found.groups), default=None)
    how: dict[str, Any] = {
        "every": every,
        "device": device,
        "root": root,
        "images": found.images,
        "out": out,
        "most": most,
    }
    with signals(watch):
        try:
            for one in train(todo, **how, stop=watch.stop, told=watch):
                watch.look(one.experiments, one.failures)
        except UserError as error:
            if not watch.begun:
                raise
            console.clear()
            raise Failed(f"{error}; to go on from the last checkpoint: {again}") from None
    after = [_job(job.experiment, options.out) for job in jobs]
    for job in after:
        if job.state != "new":
            log(job.folder.path)
    return _conclude(console, jobs, after, watch, again)


def read(argv: Sequence[str]) -> tuple[Method, Options]:
    """The method and the options, with the published settings of the two for whatever is not given."""
    if not argv or argv[0] in HELP:
        if not argv:
            raise UserError(f"no method given; allowed: {', '.join(METHODS)} (unweave train METHOD --data NAME)")
        print("unweave train METHOD --data NAME [options]\n\nmethods (unweave train METHOD --help has their options):")
        print("\n".join(f"  {name:<12} {kind.summary}" for name, kind in METHODS.items()))
        raise SystemExit(0)
    if argv[0].startswith("-"):
        raise UserError(f"the method comes first, before {argv[0]}: unweave train METHOD --data NAME")
    name, rest = known(argv[0], METHODS, "method"), argv[1:]
    if not any(word in HELP for word in rest):
        options_known([*names(METHODS[name]), *names(Options)], rest)
    data = value_of("data", rest)
    if data is None and not any(word in HELP for word in rest):
        raise UserError(f"no --data given; allowed: {', '.join(DATASETS)}, or {OWN}")
    kind = METHODS[name]
    if why := untypeable(kind):
        raise UserError(why)
    images = dataset(data) if data else None
    preset = preset_for(kind, images or "")
    defaults = Options(
        data=data or cast(Any, tyro.MISSING),
        steps=preset.steps,
        batch=preset.batch,
        latents=preset.latents,
        lr=preset.optimiser.lr,
        precision=default_precision(),
        likelihood=images.likelihood if images else "bernoulli",
    )
    both = [("method", kind, field(default=kind(**preset.fields))), ("training", Options, field(default=defaults))]
    found: Any = parse(make_dataclass("Train", both), rest, f"train {name}")
    return found.method, found.training


def _experiments(method: Method, options: Options, data: Dataset) -> Iterator[Complete]:
    known(options.likelihood, LIKELIHOODS, "likelihood")
    if options.seeds < 1:
        raise UserError(f"seeds = {options.seeds}; allowed: a whole number from 1")
    preset = preset_for(type(method), data)
    for seed in range(options.seed, options.seed + options.seeds):
        yield Experiment(
            method,
            data,
            network=_network(options.network, options.hidden),
            likelihood=options.likelihood,
            latents=options.latents,
            steps=options.steps,
            batch=options.batch,
            optimiser=replace(preset.optimiser, lr=options.lr),
            precision=options.precision,
            seed=seed,
        ).complete()


def _network(name: str | None, hidden: tuple[int, ...]) -> Body | None:
    if hidden and min(hidden) < 1:
        raise UserError(f"hidden = {words(hidden)}; allowed: widths from 1")
    if name is None:
        if hidden:
            raise UserError(f"--hidden goes with --network; allowed there: {', '.join(NETWORKS)}")
        return None
    if known(name, NETWORKS, "network") == "mlp":
        return MLP(hidden) if hidden else MLP()
    if len(hidden) > 1:
        raise UserError(f"hidden = {words(hidden)}; allowed with --network {name}: one width, that of its dense layers")
    return Conv(name, hidden[0] if hidden else None)


def _job(experiment: Complete, out: Path) -> Job:
    folder = RunFolder(out / experiment.key)
    checkpoint, status = folder.load(), folder.read("status")
    state = status.get("state")
    if state == "failed" or (state == "done" and checkpoint and checkpoint.step >= experiment.steps):
        return Job(experiment, folder, state, int(status.get("step", 0)))
    return Job(experiment, folder, "stopped" if checkpoint else "new", checkpoint.step if checkpoint else 0)


def _announce(jobs: Sequence[Job], device: str, source: str, network: str | None) -> str:
    one = jobs[0].experiment
    preset = preset_for(type(one.method), one.data)
    changed = ", ".join(f"{name} {words(ours)} (not {words(theirs)})" for name, ours, theirs in changes(one))
    own = ", ".join(f"{each.name} {words(getattr(one.method, each.name))}" for each in fields(one.method))
    seeds = f"seed {one.seed}" if len(jobs) == 1 else f"seeds {one.seed} to {jobs[-1].experiment.seed}"
    lines = [
        f"train {one.method.name} on {one.data.name}: {len(jobs)} {'model' if len(jobs) == 1 else 'models'}, {seeds}",
        f"  method     {own or 'no hyperparameters'}",
        f"  published  {preset.note or 'no published settings for this data set'}",
        *([f"  changed    {changed}"] if changed else []),
        f"  data       {one.data.rows:,} images of {'×'.join(map(str, one.data.shape))}, {source}",
        f"  network    {architecture(one)}, {one.latents} latents, {one.likelihood}",
        f"  training   {one.steps:,} steps of {one.batch} images, {adam(one)}",
        f"  computing  {one.precision} on {device}",
        *(f"  note       {line}" for line in (*_cut_short(one), *_unheard(one, network), *_rounding(one, device))),
    ]
    for place_, job in enumerate(jobs):
        lines.append(
            f"  {'folder' if not place_ else '':<11}{job.folder.path} (seed {job.experiment.seed}): {_standing(job)}"
        )
    return "\n".join(lines)


def _rounding(one: Complete, device: str) -> list[str]:
    """What there is to say of bfloat16 where it is slow."""
    if one.precision != "bf16" or device != "cpu" or rounding.multiplies_bf16():
        return []
    return ["this processor has no quick bfloat16: float32 is rounded to it; --precision float32 is quicker here"]


def _expectation(found: Plan) -> str:
    """How long it will be, and from what that is told."""
    first = found.groups[0]
    models = len(first.experiments)
    told = f"about {clock(found.seconds)}" if found.seconds >= 1 else "less than a second"
    pace = f"{1e3 * first.cost.seconds:.3g} ms a step{f' of {models} models' if models > 1 else ''}"
    return f"  time       {told} ({pace} on a first trial), {size(found.memory)} of memory beside the images"


def _cut_short(one: Complete) -> Iterator[str]:
    """Schedules as long as the whole training or longer, so that it never comes to their last part."""
    preset = preset_for(type(one.method), one.data)
    published = type(one.method)(**preset.fields)
    for name, span in one.method.spans(one.latents).items():
        length = getattr(one.method, name)
        as_published = length == getattr(published, name) and one.steps >= preset.steps
        if span >= one.steps and not as_published:
            whole = "" if span == length else f" takes {span:,} steps to its last stage, which"
            line = f"{name} {length:,}{whole} is not shorter than the training"
            option = f"--{name.replace('_', '-')}"
            if length == getattr(published, name):
                fitting = max(1, round(length * one.steps / preset.steps))
                yield f"{line}; {option} {fitting} keeps the proportion to the published {preset.steps:,} steps"
            else:
                fitting = length * (one.steps - 1) // span
                yield f"{line}; {f'{option} {fitting} fits' if fitting else f'more than {span:,} steps do'}"


def _unheard(one: Complete, network: str | None) -> Iterator[str]:
    """A learning rate that was asked for and moves nothing, a network that is not built."""
    if network and one.method.own_network:
        yield f"network {network} is not built: that of {one.method.name} is part of the method"
    if one.optimiser.lr != preset_for(type(one.method), one.data).optimiser.lr and not steered(one):
        rates = [f"--{each.name.replace('_', '-')}" for each in fields(one.method) if each.name.endswith("lr")]
        yield f"lr {one.optimiser.lr:g} moves nothing: {one.method.name} sets every rate itself ({', '.join(rates)})"


def _standing(job: Job) -> str:
    return {
        "new": "new",
        "stopped": f"goes on from step {job.step:,}",
        "done": "done already",
        "failed": f"failed at step {job.step:,}; remove the folder to try again",
    }[job.state]


def _conclude(console: Console, before: Sequence[Job], jobs: Sequence[Job], watch: Watch, again: str) -> int:
    failed = [job for job in jobs if job.state == "failed"]
    left = [job for job in jobs if job.state in ("new", "stopped")]
    news = watch.taken > 0
    for job in jobs if news or failed else []:
        term = f" ({job.folder.read('status').get('term')})" if job.state == "failed" else ""
        state = "not begun" if job.state == "new" else f"{job.state}{term} at step {job.step:,}"
        console.say(f"  {job.folder.path}  seed {job.experiment.seed}  {state}")
    if left:
        console.say(f"stopped; everything is kept. To go on: {again}")
    elif not news and not failed:
        console.say("all is done already")
    elif news:
        console.say(f"trained {watch.taken:,} steps in {clock(time.monotonic() - watch.start)}")
    if failed:
        names = ", ".join(f"seed {job.experiment.seed}" for job in failed)
        console.say(f"{names}: the loss was no longer finite; what was kept before is whole")
    done = [job for job in jobs if job.state == "done"]
    if done and not left:
        console.say(f"next: unweave score {shlex.join(str(job.folder.path) for job in done)}")
    runs = [
        {
            "key": job.experiment.key,
            "folder": str(job.folder.path),
            "seed": job.experiment.seed,
            "state": job.state,
            "began": was.step,
            "step": job.step,
            "steps": job.experiment.steps,
        }
        for was, job in zip(before, jobs, strict=True)
    ]
    console.result({"method": jobs[0].experiment.method.name, "data": jobs[0].experiment.data.name, "runs": runs})
    return 1 if failed or left else 0

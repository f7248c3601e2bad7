"""Does information diffuse? AnnealedVAE, CascadeVAE-C, DEFT and DeVAE on dSprites, followed over training.

    python benchmarks/diffusion.py [--steps 12000] [--points 24] [--out results/diffusion.csv]

Each method trains with its published settings for dSprites, the lengths of its schedules multiplied by --steps over the
published number of steps, with one batch size and one rate for all (--batch, --lr). At --points evenly spaced steps the
same --images are encoded: I(z; c) of every latent and factor, NMI1, NMI2 and MIG, KL of every latent, and KL = MI + TC
+ DW with standard errors of --samples draws. MI is that of the images encoded and cannot exceed the logarithm of their
number. --out has one row a method, step, latent and factor; beside it, summary-NAME.csv has one row a method and step,
events-NAME.csv the diffusion events, and figures, one for all and one a method, end in .svg. A training that was
interrupted goes on from its checkpoint in --runs, and one that is done is read back.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from common import table

from unweave import METHODS, Adam, Experiment
from unweave.analysis import Course, Point, follow
from unweave.engine.experiment import NUMBERS, Complete, preset_for
from unweave.methods.annealed_vae import DEFT_AUTHORS
from unweave.methods.base import Preset
from unweave.methods.cascade_vae_c import DEFT_PAPER
from unweave.networks import MLP
from unweave.report.courses import compare_figure, course_figure
from unweave.store import environment, machine
from unweave.store.files import write_text

NAMES = ("annealed-vae", "cascade-vae-c", "deft", "devae")
CHOSEN: dict[str, Preset] = {"annealed-vae": DEFT_AUTHORS, "cascade-vae-c": DEFT_PAPER}
"""Settings of runs by DEFT's authors (C to 25; 6,000 of 70,000 steps a stage, β from 10 to 1) in place of those that
these two methods have for dSprites."""


def experiment(name: str, args: argparse.Namespace) -> Complete:
    """One training."""
    preset = CHOSEN.get(name) or preset_for(METHODS[name], args.data)
    method = METHODS[name](**preset.fields).over(args.steps / preset.steps)
    return Experiment(
        method,
        args.data,
        network=MLP(tuple(args.mlp)) if args.mlp else None,
        latents=preset.latents,
        steps=args.steps,
        batch=args.batch,
        optimiser=Adam(lr=args.lr),
        seed=args.seed,
    ).complete()


def write(path: Path, courses: dict[str, Course], experiments: dict[str, Complete], command: str) -> None:
    """Tables and figures of the courses so far, each replaced whole."""
    about = {"numbers": NUMBERS, "machine": machine(), "commit": environment()["commit"], "command": command}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, table([{"method": name, **row} for name, one in courses.items() for row in one.rows()]))
    summary = [
        {"method": name, **row, "settings": repr(experiments[name].method), "seed": experiments[name].seed, **about}
        for name, one in courses.items()
        for row in one.summary()
    ]
    write_text(path.with_name(f"summary-{path.name}"), table(summary))
    events = [{"method": name, **event._asdict()} for name, one in courses.items() for event in one.events()]
    write_text(path.with_name(f"events-{path.name}"), table(events or [{"method": "none had any"}]))
    steps = max(one.steps[-1] for one in courses.values())
    title = f"Information over {steps:,.0f} steps on {next(iter(experiments.values())).data.name}"
    write_text(path.with_suffix(".svg"), compare_figure(courses, title))
    for name, one in courses.items():
        write_text(path.with_name(f"{path.stem}-{name}.svg"), course_figure(one, title=f"{name}: {title.lower()}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(NAMES), metavar="NAME")
    parser.add_argument("--data", default="dsprites")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--mlp", nargs="+", type=int, default=[], metavar="WIDTH", help="dense networks of such widths")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=24)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--runs", default="runs/diffusion")
    parser.add_argument("--out", type=Path, default=Path("results/diffusion.csv"))
    args = parser.parse_args()
    dense = f" --mlp {' '.join(map(str, args.mlp))}" if args.mlp else ""
    command = (
        f"python benchmarks/diffusion.py --methods {' '.join(args.methods)} --data {args.data} --steps {args.steps} "
        f"--batch {args.batch} --lr {args.lr:g}{dense} --seed {args.seed} --points {args.points} "
        f"--images {args.images} --samples {args.samples}"
    )
    experiments = {name: experiment(name, args) for name in args.methods}
    courses: dict[str, Course] = {}
    for name, one in experiments.items():
        start = time.perf_counter()

        def told(point: Point, name: str = name, start: float = start) -> None:
            gone = time.perf_counter() - start
            mi = point.rate.get("mi", float("nan"))
            print(f"  {name} step {point.step:,} of {args.steps:,}, I(x; z) {mi:.2f} nats, {gone:.0f} s", flush=True)

        print(f"{one.method!r}", flush=True)
        courses[name] = follow(
            one, args.points, args.images, samples=args.samples, seed=args.seed, out=args.runs, told=told
        )
        last = courses[name]
        print(
            f"  NMI1 {last.nmi1[-1]:.3f}, NMI2 {last.nmi2[-1]:.3f}, MIG {last.mig[-1]:.3f}, {len(last.events())} events"
        )
        write(args.out, courses, experiments, command)
    print(f"wrote {args.out}, tables and figures beside it")


if __name__ == "__main__":
    main()

"""Pressures that the code proposes against the papers' hand-made ones, on dSprites at one small budget.

    python benchmarks/auto_pressures.py [--methods deft devae] [--seeds 5] [--steps 5000] [--out FILE]

DEFT with the pressures of ``propose_pressures`` (from the images alone: no training, no labels, no constant of its own)
against [70, 30, 12, 4], and DeVAE against [1, 40]; the same steps, batch, learning rate and latents for both sides, the
steps divided evenly among a schedule's stages. Seeds are the outermost loop. A model that the table has is not trained
again, and one that was interrupted goes on from its checkpoint in --runs. At the end the difference of the mean MIGs
and its standard error are printed.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

from common import kept
from methods_small import measure, write

from unweave import METHODS, Adam, Experiment
from unweave.analysis import Curve, freezing_spectrum, linear_information, propose_pressures
from unweave.engine.experiment import Complete

HAND = {"deft": (70.0, 30.0, 12.0, 4.0), "devae": (1.0, 40.0)}
"""The papers' pressures for dSprites: DEFT Table 2, DeVAE Table 1."""
LATENTS = {"deft": 12, "devae": 10}


def experiments(curve: Curve, args: argparse.Namespace) -> list[tuple[str, Complete]]:
    """(which schedule, what to train) for every seed, method and schedule."""
    found = []
    for seed in range(args.seeds):
        for name in args.methods:
            latents = LATENTS[name]
            auto = propose_pressures(curve, name, latents=latents).betas
            for schedule, betas in (("auto", tuple(float(f"{beta:.4g}") for beta in auto)), ("hand", HAND[name])):
                staged = {"stage_steps": max(1, args.steps // len(betas))} if name == "deft" else {}
                one = Experiment(
                    METHODS[name](betas=betas, **staged),
                    args.data,
                    latents=latents,
                    steps=args.steps,
                    batch=args.batch,
                    optimiser=Adam(lr=args.lr),
                    seed=seed,
                )
                found.append((schedule, one.complete()))
    return found


def told(rows: list[dict[str, Any]], name: str) -> str:
    """Mean MIG of both schedules of a method, their difference and its standard error."""
    mig = {
        schedule: [float(row["mig"]) for row in rows if (row["method"], row["schedule"]) == (name, schedule)]
        for schedule in ("auto", "hand")
    }
    if min(map(len, mig.values())) < 2:
        return f"{name}: {len(mig['auto'])} and {len(mig['hand'])} models: too few to compare"
    means = {schedule: statistics.mean(values) for schedule, values in mig.items()}
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in mig.values()))
    return (
        f"{name}: MIG {means['auto']:.3f} auto, {means['hand']:.3f} hand-made; difference "
        f"{means['auto'] - means['hand']:+.3f}, standard error {error:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=sorted(HAND), default=sorted(HAND), metavar="NAME")
    parser.add_argument("--data", default="dsprites")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--sample", type=int, default=20_000, help="images whose spectrum is taken")
    parser.add_argument("--information", type=int, default=100_000, help="images that the linear code tells apart")
    parser.add_argument("--runs", default="runs/auto-pressures")
    parser.add_argument("--out", type=Path, default=Path("results/auto-pressures.csv"))
    args = parser.parse_args()
    args.command = (
        f"python benchmarks/auto_pressures.py --data {args.data} --seeds {args.seeds} --steps {args.steps} "
        f"--batch {args.batch} --lr {args.lr:g} --sample {args.sample} --information {args.information}"
    )
    spectrum = freezing_spectrum(args.data, sample=args.sample)
    curve = linear_information(args.data, spectrum, sample=args.information)
    todo = experiments(curve, args)
    for place, (schedule, one) in enumerate(todo):
        if one.key in {row["key"] for row in kept(args.out)}:
            continue
        print(f"{place + 1} of {len(todo)}: {schedule}, {one.method!r}, seed {one.seed}", flush=True)
        row = measure(one, args) | {"schedule": schedule}
        print(f"  MIG {row['mig']:.3f}, bce {row['mean_bce']:.1f}, {row['seconds']} s", flush=True)
        # Read again: another process may have added rows meanwhile.
        write(args.out, [*[each for each in kept(args.out) if each["key"] != one.key], row])
    wanted = {one.key for _, one in todo}
    for name in args.methods:
        print(told([row for row in kept(args.out) if row["key"] in wanted], name))


if __name__ == "__main__":
    main()

"""What bf16 costs in learning: the same seeds trained in float32 and in bf16, compared within the spread over seeds.

    python benchmarks/precision.py [--seeds 5] [--first 0] [--steps 10000] [--betas 1 4 16] [--out runs/precision.csv]

Trains β-VAE on dSprites (drawn) and reads, at ten points of each training, the reconstruction error and MIG on 5,000
images, and from its record the KL and the loss. Prints, for each pressure, the mean difference bf16 − float32 over
seeds at the end, with its standard error, beside the standard deviation over seeds in float32: a difference within the
spread loses nothing that a reader of results could see. One process with one thread a core; each model's rows are
written when it is done, and a model that the table has is not trained again. Those that were interrupted go on from
their checkpoints in --runs. On a GPU (--device cuda) tf32 is measured too.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

from common import kept, table

from unweave import Adam, BetaVAE, Conv, Experiment
from unweave.engine.experiment import Complete
from unweave.job import Result, Scores, Terms, Training
from unweave.store.files import write_text
from unweave.sweep import perform

MEASURES = {"bce": "reconstruction", "kl": "loss.kl", "loss": "loss.total", "mig": "mig"}
"""Column -> what the jobs call it."""
POINTS = 10


def experiments(args: argparse.Namespace) -> dict[str, Complete]:
    """Key -> what to train."""
    precisions = ["float32", "bf16", *(["tf32"] if args.device == "cuda" else [])]
    found = {}
    for seed in range(args.first, args.first + args.seeds):
        for beta in args.betas:
            for precision in precisions:
                one = Experiment(
                    BetaVAE(beta=beta),
                    "dsprites",
                    network=Conv(args.network),
                    steps=args.steps,
                    batch=64,
                    optimiser=Adam(lr=args.lr),
                    precision=precision,
                    seed=seed,
                ).complete()
                found[one.key] = one
    return found


def rows_of(one: Complete, result: Result, command: str) -> list[dict[str, Any]]:
    """A model's rows, one a point of its training."""
    about = {name: result.about[name] for name in ("numbers", "machine", "commit")}
    rows = []
    for place, step in enumerate(result.arrays["course.step"].tolist()):
        row = {"beta": one.method.beta, "seed": one.seed, "precision": one.precision, "step": int(step)}
        row |= {name: float(result.arrays[f"course.{long}"][place]) for name, long in MEASURES.items()}
        rows.append(row | {"steps": one.steps, "lr": one.optimiser.lr, "key": one.key, **about, "command": command})
    return rows


def told(rows: list[dict[str, Any]], beta: float, steps: int) -> str:
    """What the last points of a pressure's models say."""
    ends = [row for row in rows if float(row["beta"]) == beta and int(row["step"]) == steps]
    found = {p: {int(row["seed"]): row for row in ends if row["precision"] == p} for p in ("float32", "bf16", "tf32")}
    lines = []
    for precision in ("bf16", "tf32"):
        seeds = sorted(found["float32"].keys() & found[precision].keys())
        for name in MEASURES if len(seeds) > 1 else []:
            a, b = ([float(found[p][seed][name]) for seed in seeds] for p in ("float32", precision))
            gaps = [y - x for x, y in zip(a, b, strict=True)]
            error = statistics.stdev(gaps) / math.sqrt(len(seeds))
            lines.append(
                f"  {name:4}  float32 {statistics.fmean(a):8.3f} ± {statistics.stdev(a):.3f}   "
                f"{precision} {statistics.fmean(b):8.3f} ± {statistics.stdev(b):.3f}   "
                f"difference {statistics.fmean(gaps):+.3f} ± {error:.3f} ({len(seeds)} seeds)"
            )
    return "\n".join([f"β = {beta:g}, {steps:,} steps of 64:", *(lines or ["  too few models to compare"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--betas", type=float, nargs="+", default=[1.0, 4.0, 16.0])
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--network", default="standard")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, help="processes; one a core when not given")
    parser.add_argument("--runs", type=Path, default=Path("runs/precision"))
    parser.add_argument("--out", type=Path, default=Path("runs/precision.csv"))
    args = parser.parse_args()
    command = f"python benchmarks/precision.py --seeds {args.seeds} --steps {args.steps} --lr {args.lr:g}"
    command += f" --network {args.network} --betas {' '.join(f'{beta:g}' for beta in args.betas)}"
    command += f" --first {args.first}" if args.first else ""
    asked = experiments(args)
    rows = kept(args.out)
    if any(row.get("key") not in asked for row in rows):
        parser.error(f"{args.out} is of other trainings; allowed: the same settings, or another --out")
    points = tuple(args.steps * point // POINTS for point in range(1, POINTS + 1))
    done = {row["key"] for row in rows}
    jobs = [
        Training.of(one, measures=(Scores(("mig", "reconstruction")), Terms()), at=points, count=5000)
        for key, one in asked.items()
        if key not in done
    ]
    of_job = {job.key: job.experiment for job in jobs}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # One seed after the other, since within a sweep the longest trainings come first: all of float32.
    for seed in sorted({job.experiment.seed for job in jobs}):
        some = [job for job in jobs if job.experiment.seed == seed]
        for result in perform(some, args.runs, workers=args.workers, device=args.device):
            if result.failed:
                print(f"{of_job[result.key].key}: {result.failed}", flush=True)
                continue
            rows += rows_of(of_job[result.key], result, command)
            rows.sort(key=lambda row: (float(row["beta"]), int(row["seed"]), str(row["precision"]), int(row["step"])))
            write_text(args.out, table(rows))
            print(f"{len({row['key'] for row in rows})} of {len(asked)} models", flush=True)
    for beta in args.betas:
        print(told(rows, beta, args.steps))


if __name__ == "__main__":
    main()

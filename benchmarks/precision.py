"""What bf16 costs in learning: the same seeds trained in float32 and in bf16, compared within the spread over seeds.

    python benchmarks/precision.py [--seeds 5] [--steps 2000] [--betas 1 8] [--out results/precision.csv]

Trains β-VAE on dSprites (drawn) and reads, per run, the reconstruction error, the KL and MIG on 5,000 images, and the
training loss at ten points. Prints, for each pressure, the mean difference bf16 − float32 over seeds beside the
standard deviation over seeds in float32: a difference within the spread loses nothing that a reader of results could
see. Runs are kept in --runs, so that an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path

from unweave import MIG, Adam, BetaVAE, Conv, Experiment, fit
from unweave.store import environment, machine

MEASURES = ("bce", "kl", "mig")


def one(beta: float, seed: int, precision: str, args: argparse.Namespace) -> dict[str, float | str | int]:
    """Train one model (or pick it up) and measure it."""
    experiment = Experiment(
        BetaVAE(beta=beta),
        "dsprites",
        network=Conv(args.network),
        steps=args.steps,
        batch=64,
        optimiser=Adam(lr=args.lr),
        precision=precision,
        seed=seed,
    )
    run = fit(experiment, out=args.runs, every=args.steps // 4)
    codes = run.codes(5000)
    kl = 0.5 * (codes.mean**2 + codes.logvar.exp() - codes.logvar - 1)
    row: dict[str, float | str | int] = {"beta": beta, "seed": seed, "precision": precision}
    row |= {"bce": float(codes.distortion["bce"].mean()), "kl": float(kl.sum(1).mean()), "mig": MIG()(codes).value}
    tenth = len(run.terms["total"]) // 10
    row |= {f"loss_{k + 1}0%": statistics.fmean(run.terms["total"][k * tenth : (k + 1) * tenth]) for k in range(10)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--betas", type=float, nargs="+", default=[1.0, 8.0])
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--network", default="standard")
    parser.add_argument("--runs", default="runs/precision")
    parser.add_argument("--out", type=Path, help="write every run as CSV")
    args = parser.parse_args()
    command = f"python benchmarks/precision.py --seeds {args.seeds} --steps {args.steps} --lr {args.lr:g}"
    command += f" --network {args.network}"
    command += " --betas " + " ".join(f"{beta:g}" for beta in args.betas)
    rows = []
    for beta in args.betas:
        found = {p: [one(beta, seed, p, args) for seed in range(args.seeds)] for p in ("float32", "bf16")}
        rows += [*found["float32"], *found["bf16"]]
        print(f"β = {beta:g}, {args.seeds} seeds, {args.steps} steps of 64:")
        for name in MEASURES:
            a, b = ([float(row[name]) for row in found[p]] for p in ("float32", "bf16"))
            gap = statistics.fmean(y - x for x, y in zip(a, b, strict=True))
            spread = statistics.stdev(a) if len(a) > 1 else float("nan")
            print(
                f"  {name:4} float32 {statistics.fmean(a):8.3f} ± {spread:.3f}   bf16 − float32 {gap:+.3f}", flush=True
            )
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        extra = {"machine": machine(), "commit": environment()["commit"], "command": command}
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0], *extra], lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, **extra} for row in rows)


if __name__ == "__main__":
    main()

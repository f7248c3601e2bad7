"""What each method costs a step on this machine, relative to β-VAE, and how much of that its arithmetic explains.

    python benchmarks/method_time.py [--methods NAME ...] [--rounds 3] [--steps 12] [--out results/method_time.csv]

Every method trains on dSprites at batch 64 with its published settings and its own network; β-VAE is measured again
beside each, in turn, and medians are compared. Each measurement runs in a process of its own. ``arithmetic`` is the
ratio of operations in products and convolutions, ``traffic`` that of bytes read and written (``common.work``): a method
costs more than its arithmetic explains where the ratio of times is above both.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import work

BASE = "beta-vae"


def seconds(name: str, steps: int, batch: int) -> float:
    """Median seconds a step, after a warm-up."""
    from unweave import Experiment, train

    window, warm, times, last = 4, 8, [], 0.0
    for snapshot in train(Experiment(name, "dsprites", batch=batch, steps=warm + steps), every=window, device="cpu"):
        now = time.perf_counter()
        if snapshot.step > warm:
            times.append((now - last) / window)
        last = now
    return statistics.median(times)


def measure(name: str, args: argparse.Namespace) -> float:
    words = ["--child", "--methods", name, "--steps", str(args.steps), "--batch", str(args.batch)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    return 1e3 * float(done.stdout.split()[-1])


def main() -> None:
    from unweave import METHODS, Experiment
    from unweave.store import environment, machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(seconds(args.methods[0], args.steps, args.batch))
        return
    rows = []
    print(f"{machine()}; batch {args.batch}, medians of {args.rounds} processes\n")
    print(f"{'method':24} {'ms a step':>10} {BASE:>10} {'ratio':>6} {'arithmetic':>10} {'traffic':>7}")
    least = work(Experiment(BASE, "dsprites", batch=args.batch))
    for name in args.methods:
        own, base = [], []
        for _ in range(args.rounds):
            own.append(measure(name, args))
            base.append(measure(BASE, args))
        a, b = statistics.median(own), statistics.median(base)
        flops, moved = (x / y for x, y in zip(work(Experiment(name, "dsprites", batch=args.batch)), least, strict=True))
        print(f"{name:24} {a:10.1f} {b:10.1f} {a / b:6.2f} {flops:10.2f} {moved:7.2f}", flush=True)
        row = {"method": name, "ms_per_step": round(a, 2), "beta_vae_ms": round(b, 2), "ratio": round(a / b, 3)}
        row |= {"arithmetic": round(flops, 3), "traffic": round(moved, 3)}
        rows.append(row | {"batch": args.batch, "machine": machine(), "commit": environment()["commit"]})
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

"""Milliseconds a training step by method, batch, pack size, device and precision, and its share of the machine's best.

    python benchmarks/step_time.py [--methods NAME ...] [--batches 64 256] [--packs 1] [--devices cpu]
        [--precisions float32 bf16] [--rounds 5] [--steps 24] [--out results/step_time.csv]

Every measurement runs in a fresh process of its own, because allocator and thread settings hold for a whole process;
the settings alternate, and medians over the rounds are told. Beside β-VAE and DeVAE stands the same network in a plain
float32 loop. Images are drawn on the way, noise and records are made: ``unweave.train`` as anyone calls it, in lockstep
for packs of several models.

The roofline: operations and bytes of a step are counted (``common.work``), and the process that is timed first measures
how fast the machine multiplies large matrices in that precision and copies memory. ``arithmetic`` is the share of the
first, ``memory`` that of the second: the larger one says what a step is bound by, and how close to it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from itertools import product
from pathlib import Path

import torch
from common import PLAIN, ceiling, child, in_turn, keep, of_training, plain_step, work

from unweave import METHODS, Conv, DSprites, Experiment
from unweave.store import machine


def described(method: str, batch: int, precision: str, seed: int = 0, steps: int = 100) -> Experiment:
    """What is timed: the standard network where the method takes one."""
    network = Conv("standard") if method in PLAIN else None
    return Experiment(
        method, "dsprites", network=network, batch=batch, steps=steps, precision=precision, seed=seed
    )  # fmt: skip


def one(method: str, batch: int, pack: int, device: str, precision: str, steps: int) -> dict[str, float]:
    """Seconds a step, and the machine's best, in this process."""
    arithmetic, memory = ceiling(device, "float32" if precision == "plain" else precision)
    if precision == "plain":
        step = plain_step(method, device)
        pool = DSprites().open(None, torch.device(device)).batch(torch.arange(8192, device=device) * 90, {})
        rows = torch.Generator().manual_seed(0)

        def plain() -> None:
            step(pool[torch.randint(len(pool), (batch,), generator=rows).to(device)])
            if device != "cpu":
                torch.cuda.synchronize()

        seconds = in_turn(plain, steps)
    else:
        many = [described(method, batch, precision, seed, 8 + steps) for seed in range(pack)]
        seconds = of_training(many, steps, device, lockstep=pack > 1 or None)
    return {"seconds": seconds, "arithmetic": arithmetic, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--methods", nargs="+", default=PLAIN, choices=METHODS, metavar="NAME")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--packs", type=int, nargs="+", default=[1], help="models in lockstep")
    parser.add_argument("--devices", nargs="+", default=["cpu"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bf16"], choices=["float32", "bf16", "float64"])
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        method, batch, pack, device, precision = args.child
        print(json.dumps(one(method, int(batch), int(pack), device, precision, args.steps)))
        return
    rows = []
    print(f"{machine()}; medians of {args.rounds} processes, {args.steps} steps timed in each\n")
    print(
        f"{'method':12} {'batch':>5} {'device':6} {'pack':>4} {'precision':9} {'ms a step':>10} {'a model':>8} "
        f"{'plain /':>8} {'GFLOP':>6} {'GB':>5} {'arithmetic':>10} {'memory':>6}"
    )
    for method, batch, device in product(args.methods, args.batches, args.devices):
        settings = [(1, "plain")] if method in PLAIN else []
        settings += list(product(args.packs, args.precisions))
        found: dict[tuple[int, str], list[dict[str, float]]] = {each: [] for each in settings}
        for _ in range(args.rounds):
            for pack, precision in settings:
                words = ["--child", method, str(batch), str(pack), device, precision, "--steps", str(args.steps)]
                found[pack, precision].append(child(__file__, words))
        middle = {
            each: {key: statistics.median(o[key] for o in some) for key in some[0]} for each, some in found.items()
        }
        plain = middle.get((1, "plain"), {"seconds": float("nan")})["seconds"]
        for (pack, precision), own in middle.items():
            counted = work(described(method, batch, "float32" if precision == "plain" else precision))
            flops, moved = (pack * count for count in counted)
            seconds = own["seconds"]
            times = [each["seconds"] for each in found[pack, precision]]
            row = {
                "method": method,
                "batch": batch,
                "pack": pack,
                "device": device,
                "precision": precision,
                "ms_per_step": round(1e3 * seconds, 3),
                "ms_per_model_step": round(1e3 * seconds / pack, 3),
                "lowest": round(1e3 * min(times), 3),
                "highest": round(1e3 * max(times), 3),
                "ratio_to_plain": round(plain * pack / seconds, 3),
                "gflop": round(flops / 1e9, 3),
                "gbyte": round(moved / 1e9, 3),
                "ceiling_gflops": round(own["arithmetic"] / 1e9, 1),
                "ceiling_gbytes": round(own["memory"] / 1e9, 1),
                "share_of_arithmetic": round(flops / seconds / own["arithmetic"], 3),
                "share_of_memory": round(moved / seconds / own["memory"], 3),
                "rounds": args.rounds,
            }
            rows.append(row)
            print(
                f"{method:12} {batch:5} {device:6} {pack:4} {precision:9} {1e3 * seconds:10.2f} "
                f"{1e3 * seconds / pack:8.2f} {row['ratio_to_plain']:7.2f}× {row['gflop']:6.2f} {row['gbyte']:5.2f} "
                f"{row['share_of_arithmetic']:10.0%} {row['share_of_memory']:6.0%}",
                flush=True,
            )
    command = f"python benchmarks/step_time.py --rounds {args.rounds} --steps {args.steps}"
    command += f" --methods {' '.join(args.methods)} --batches {' '.join(map(str, args.batches))}"
    command += f" --packs {' '.join(map(str, args.packs))} --devices {' '.join(args.devices)}"
    keep(args.out, rows, f"{command} --precisions {' '.join(args.precisions)}")


if __name__ == "__main__":
    main()

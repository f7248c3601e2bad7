"""Time against steps, models, latents, images in the set, models in lockstep and image size: straight lines or not.

    python benchmarks/scaling.py [--axes steps models latents rows pack size] [--rounds 3] [--out results/scaling.csv]
    python benchmarks/scaling.py --steady 50000 [--out results/steady.csv]

Each axis is measured at several places, every measurement in a fresh process, the places in turn. A line is fitted to
the medians, and what is told beside each place is how far it is from the line. ``pack`` is models in lockstep, timed a
model; a straight line there is a constant.

``--steady`` trains one small network on ``triangle`` for so many steps and tells, for every fiftieth of them, the
seconds on the processor and the memory held: a step must not become slower, nor the process larger.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import child, keep, of_training, private, resident

from unweave import MLP, BetaVAE, Conv, Experiment, Sprites, train
from unweave.store import machine

SMALL: dict[str, Any] = {"network": MLP((64,)), "batch": 16, "latents": 4, "precision": "float32"}
AXES: dict[str, tuple[int, ...]] = {
    "steps": (100, 200, 400, 800, 1600),
    "models": (1, 2, 4, 8),
    "latents": (2, 8, 32, 128, 512),
    "rows": (4, 8, 16, 32),
    "pack": (1, 2, 4, 8),
    "size": (16, 32, 64, 128),
}
"""What grows -> where it is measured. For ``rows`` these are the sprites' positions: the images are their square times
a constant. For ``size`` they are the side of the images: the pixels are its square."""


def place(axis: str, value: int) -> int:
    """What a straight line is fitted against."""
    if axis == "rows":
        return Sprites(positions=value).rows
    return value**2 if axis == "size" else value


def one(axis: str, value: int, device: str) -> float:
    """Seconds at one place of an axis, in this process: of a whole training, else of a step of one model."""
    if axis in ("steps", "models"):
        steps, models = (value, 1) if axis == "steps" else (200, value)
        list(train(Experiment(BetaVAE(), "triangle", steps=20, seed=99, **SMALL), device=device))
        many = [Experiment(BetaVAE(), "triangle", steps=steps, seed=seed, **SMALL) for seed in range(models)]
        start = time.perf_counter()
        for _ in train(many, every=steps, device=device):
            pass
        return time.perf_counter() - start
    positions, side = value if axis == "rows" else 8, value if axis == "size" else 64
    latents, models = value if axis == "latents" else 10, value if axis == "pack" else 1
    data = Sprites(size=side, positions=positions)
    many = [
        Experiment(BetaVAE(), data, network=Conv(), batch=16, latents=latents, steps=48, seed=seed)
        for seed in range(models)
    ]
    return of_training(many, 40, device, lockstep=models > 1 or None) / models


def scale(axes: list[str], rounds: int, device: str) -> list[dict[str, Any]]:
    """Measure every axis, fit a line, tell how far each place is from it."""
    rows = []
    for axis in axes:
        found: dict[int, list[float]] = {value: [] for value in AXES[axis]}
        for _ in range(rounds):
            for value in found:
                words = ["--child", axis, str(value), "--device", device]
                found[value].append(child(__file__, words)["seconds"])
        middle = {place(axis, value): statistics.median(times) for value, times in found.items()}
        slope, start = np.polyfit(list(middle), list(middle.values()), 1)
        print(f"{axis}: {1e3 * start:.3g} ms + {1e3 * slope:.3g} ms each")
        for at, seconds in middle.items():
            line = start + slope * at
            print(
                f"  {at:9,}  {1e3 * seconds:10.2f} ms  line {1e3 * line:10.2f} ms  {seconds / line - 1:+.1%}",
                flush=True,
            )
            row = {"axis": axis, "value": at, "ms": round(1e3 * seconds, 3), "line_ms": round(1e3 * line, 3)}
            rows.append(row | {"off": round(seconds / line - 1, 4), "device": device, "rounds": rounds})
    return rows


def steady(steps: int, device: str) -> list[dict[str, Any]]:
    """Train one small network for many steps; a row for every fiftieth part of them."""
    given: dict[str, Any] = {"network": MLP((16,)), "batch": 4, "latents": 4}
    rows: list[dict[str, Any]] = []
    every = max(1, steps // 50)
    spent, wall = time.process_time(), time.perf_counter()
    for snapshot in train(Experiment("beta-vae", "triangle", steps=steps, **given), every=every, device=device):
        new, clock = time.process_time(), time.perf_counter()
        count = snapshot.step - (rows[-1]["step"] if rows else 0)
        row = {"step": snapshot.step, "processor_ms": round(1e3 * (new - spent) / count, 4)}
        row |= {"wall_ms": round(1e3 * (clock - wall) / count, 4), "memory_mb": round(resident() / 1e6, 2)}
        rows.append(row | {"private_mb": round(private() / 1e6, 2)})
        spent, wall = new, clock
    # The first part also chooses kernels and fetches memory.
    parts = [rows[1 + k * (len(rows) - 1) // 5 : 1 + (k + 1) * (len(rows) - 1) // 5] for k in range(5)]
    for part in parts:
        some = {key: statistics.median(row[key] for row in part) for key in ("processor_ms", "wall_ms", "private_mb")}
        which = f"steps {part[0]['step'] - every:7,} to {part[-1]['step']:7,}"
        clocks = f"{some['processor_ms']:.3f} ms on the processor  {some['wall_ms']:.3f} ms on the wall"
        print(f"{which}  {clocks}  {some['private_mb']:.1f} MB of its own", flush=True)
    first, last = (statistics.median(row["processor_ms"] for row in part) for part in (parts[0], parts[-1]))
    grown, whole = (rows[-1][key] - rows[len(rows) // 10][key] for key in ("private_mb", "memory_mb"))
    print(
        f"last fifth against first: {last / first:.3f}; memory after the first tenth: {grown:+.2f} MB of its own, "
        f"{whole:+.2f} MB with pages of libraries"
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=AXES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steady", type=int, help="train for so many steps instead, and watch time and memory")
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps({"seconds": one(args.child[0], int(args.child[1]), args.device)}))
        return
    print(machine())
    if args.steady:
        rows, command = steady(args.steady, args.device), f"--steady {args.steady}"
    else:
        rows, command = (
            scale(args.axes, args.rounds, args.device),
            f"--axes {' '.join(args.axes)} --rounds {args.rounds}",
        )
    keep(args.out, rows, f"python benchmarks/scaling.py {command}")


if __name__ == "__main__":
    main()
